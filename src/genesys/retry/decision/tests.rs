use proptest::prelude::*;

use super::*;

const BACKOFF: Duration = Duration::from_millis(70);
const PAUSE: Duration = Duration::from_secs(2);
const KINDS: [Kind; 4] = [Kind::Token, Kind::Read, Kind::Command, Kind::RoutingPatch];

fn first(kind: Kind, seen: Seen) -> Situation {
    let left = Duration::from_secs(20);
    Situation { kind, seen, attempt: 1, left, budget: true, backoff: BACKOFF }
}

#[test]
fn a_command_is_resent_only_when_it_was_certainly_not_carried_out() {
    let table = [
        (Seen::NothingLeft, Decision::Resend(BACKOFF)),
        (Seen::Throttled { pause: PAUSE }, Decision::Resend(PAUSE)),
        (Seen::Unauthorized { replay: true }, Decision::Replay),
        (Seen::Unauthorized { replay: false }, Decision::Keep),
        (Seen::Done, Decision::Keep),
        (Seen::Broken, Decision::Keep),
        (Seen::Unreadable, Decision::Keep),
        (Seen::HeldBack, Decision::Keep),
    ];
    for (seen, expected) in table {
        assert_eq!(decide(first(Kind::Command, seen)), expected, "{seen:?}");
    }
}

#[test]
fn no_plain_status_makes_a_command_go_again() {
    for status in 100..=599 {
        let decision = decide(first(Kind::Command, Seen::Status(status)));
        assert_eq!(decision, Decision::Keep, "{status}");
    }
}

#[test]
fn reads_tokens_and_patches_are_resent_on_passing_failures_only() {
    for kind in [Kind::Token, Kind::Read, Kind::RoutingPatch] {
        for seen in [Seen::NothingLeft, Seen::Broken, Seen::Unreadable] {
            assert_eq!(decide(first(kind, seen)), Decision::Resend(BACKOFF), "{kind:?} {seen:?}");
        }
        for status in 300..=599 {
            let passing = status == 408 || status >= 500;
            let expected = if passing { Decision::Resend(BACKOFF) } else { Decision::Keep };
            assert_eq!(decide(first(kind, Seen::Status(status))), expected, "{kind:?} {status}");
        }
        let throttled = Seen::Throttled { pause: PAUSE };
        assert_eq!(decide(first(kind, throttled)), Decision::Resend(PAUSE), "{kind:?}");
    }
}

#[test]
fn refused_credentials_are_final_for_the_token_call() {
    let decision = decide(first(Kind::Token, Seen::Unauthorized { replay: true }));
    assert_eq!(decision, Decision::Keep);
}

#[test]
fn a_read_has_three_tries() {
    let situation = |attempt| Situation { attempt, ..first(Kind::Read, Seen::Broken) };
    let decisions: Vec<_> = (1..=3).map(|attempt| decide(situation(attempt))).collect();
    let again = Decision::Resend(BACKOFF);
    assert_eq!(decisions, [again, again, Decision::Keep]);
}

#[test]
fn a_command_has_four_tries() {
    for seen in [Seen::Throttled { pause: PAUSE }, Seen::NothingLeft] {
        let again = (1..=4).map(|attempt| {
            decide(Situation { attempt, ..first(Kind::Command, seen) }) != Decision::Keep
        });
        assert_eq!(again.collect::<Vec<_>>(), [true, true, true, false], "{seen:?}");
    }
}

#[test]
fn a_repeat_that_cannot_end_in_time_is_not_begun() {
    let seen = Seen::Throttled { pause: PAUSE };
    let with = |left| Situation { left, ..first(Kind::Command, seen) };
    assert_eq!(decide(with(Duration::from_millis(4999))), Decision::Keep);
    assert_eq!(decide(with(Duration::from_secs(5))), Decision::Resend(PAUSE));
}

#[test]
fn an_empty_budget_stops_repeats_but_not_the_one_replay() {
    for kind in KINDS {
        let broke = |seen| Situation { budget: false, ..first(kind, seen) };
        assert_eq!(decide(broke(Seen::NothingLeft)), Decision::Keep);
        if kind != Kind::Token {
            assert_eq!(decide(broke(Seen::Unauthorized { replay: true })), Decision::Replay);
        }
    }
}

fn any_seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        Just(Seen::Done),
        Just(Seen::NothingLeft),
        any::<bool>().prop_map(|replay| Seen::Unauthorized { replay }),
        (0u64..8000).prop_map(|ms| Seen::Throttled { pause: Duration::from_millis(ms) }),
        (100u16..=999).prop_map(Seen::Status),
        Just(Seen::Broken),
        Just(Seen::Unreadable),
        Just(Seen::HeldBack),
    ]
}

proptest! {
    #[test]
    fn every_repeat_fits_the_deadline_and_the_number_of_tries(
        kind in proptest::sample::select(KINDS.to_vec()),
        seen in any_seen(),
        attempt in 1u32..20,
        left_ms in 0u64..40_000,
        budget in any::<bool>(),
    ) {
        let left = Duration::from_millis(left_ms);
        let situation = Situation { kind, seen, attempt, left, budget, backoff: BACKOFF };
        match decide(situation) {
            Decision::Keep => {}
            Decision::Replay => prop_assert_eq!(seen, Seen::Unauthorized { replay: true }),
            Decision::Resend(pause) => {
                prop_assert!(budget && attempt < kind.max_attempts());
                prop_assert!(pause + kind.needs() <= left);
                if kind == Kind::Command {
                    let certain = matches!(seen, Seen::NothingLeft | Seen::Throttled { .. });
                    prop_assert!(certain, "{:?}", seen);
                }
            }
        }
    }
}
