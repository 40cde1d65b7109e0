use proptest::prelude::*;

use super::*;

const HOUR: i64 = 60 * MINUTE;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn standing(since: i64, base: i64) -> QueueStanding {
    QueueStanding { since: at(since), base }
}

/// A drain: calls as (since, base), moved one after another at these times. Their minutes.
struct Moved {
    standing: QueueStanding,
    /// When the command was sent and when it was answered.
    sent: i64,
    answered: i64,
    waited: i64,
    minutes: i64,
}

fn drain(calls: &[(i64, i64)], commands: &[(i64, i64)]) -> Vec<Moved> {
    let mut order = PlaceOrder::default();
    let mut moved = Vec::new();
    let mut now = HOUR;
    for ((since, base), (pause, latency)) in calls.iter().zip(commands) {
        let sent = now + pause;
        let answered = sent + latency;
        let standing = standing(*since, *base);
        let waited = (sent - since) / MINUTE;
        let minutes = order.most_minutes(standing, at(sent), ClockOffset::default()).min(waited);
        order.give(standing, base + minutes, at(answered));
        moved.push(Moved { standing, sent, answered, waited, minutes });
        now = answered;
    }
    moved
}

/// The score in the target queue, when Genesys acts on the command at `acts`.
fn score(call: &Moved, acts: i64) -> i64 {
    acts - MINUTE * (call.standing.base + call.minutes)
}

#[test]
fn the_odd_seconds_get_nobody_ahead() {
    // The second waits a second less, but a whole minute more has passed when its turn comes.
    let calls = [(0, 0), (1_000, 0)];
    let moved = drain(&calls, &[(MINUTE - 2_000, 100), (5_000, 100)]);
    assert_eq!(moved.iter().map(|call| call.waited).collect::<Vec<_>>(), [60, 61]);
    assert_eq!(moved.iter().map(|call| call.minutes).collect::<Vec<_>>(), [60, 60]);
}

#[test]
fn a_long_pause_is_made_up_for() {
    let moved = drain(&[(0, 0), (1_000, 0)], &[(0, 0), (10 * MINUTE, 0)]);
    assert_eq!(moved[1].waited, 69);
    assert_eq!(moved[1].minutes, 69);
    let moved = drain(&[(0, 0), (1, 0)], &[(0, 0), (10 * MINUTE, 0)]);
    assert_eq!((moved[1].waited, moved[1].minutes), (69, 69));
}

#[test]
fn a_call_of_higher_priority_that_stood_behind_is_not_held_down_by_one_moved_later() {
    // Twenty points are worth twenty minutes: this one stood first, though it came later.
    let moved = drain(&[(0, 0), (5 * MINUTE, 20)], &[(0, 100), (0, 100)]);
    assert_eq!((moved[1].waited, moved[1].minutes), (55, 55));
}

#[test]
fn calls_moved_by_an_earlier_process_are_compared_by_genesys_clock() {
    let recalled = Given { standing: standing(HOUR, 0), priority: 3, by: at(HOUR), recalled: true };
    let order = PlaceOrder(vec![recalled]);
    let now = at(HOUR);
    // Genesys' clock is ten minutes behind ours: this one came five minutes later.
    let later = standing(HOUR - 5 * MINUTE, 1);
    let behind = ClockOffset::of(at(50 * MINUTE), now, jiff::SignedDuration::ZERO);
    assert_eq!(order.most_minutes(later, now, behind), 2);
    assert_eq!(order.most_minutes(later, now, ClockOffset::default()), i64::MAX);
}

proptest! {
    #[test]
    fn calls_of_one_priority_keep_their_order_whatever_the_pace(
        base in -50_i64..50,
        gaps in proptest::collection::vec(0_i64..40_000, 2..40),
        commands in proptest::collection::vec((0_i64..100_000, 1_i64..4_000), 40),
        effects in proptest::collection::vec(0_i64..5_000, 40),
    ) {
        let mut since = 0;
        let calls: Vec<(i64, i64)> = gaps.iter().map(|gap| { since += gap; (since, base) }).collect();
        let moved = drain(&calls, &commands);
        for (call, effect) in moved.iter().zip(&effects) {
            prop_assert!((0..=call.waited).contains(&call.minutes));
            // However late within bounds Genesys acts: each behind all before it, if the next
            // command acts no sooner than this one.
            let latest = call.answered + effect;
            for later in moved.iter().filter(|later| later.sent >= call.answered) {
                let acts = later.sent.max(latest);
                prop_assert!(score(call, latest) <= score(later, acts));
            }
        }
    }

    #[test]
    fn no_call_gets_minutes_it_did_not_wait(
        calls in proptest::collection::vec((0_i64..HOUR, -100_i64..100), 1..30),
        commands in proptest::collection::vec((0_i64..200_000, 0_i64..4_000), 30),
    ) {
        for call in drain(&calls, &commands) {
            prop_assert!(call.minutes >= 0 && call.minutes <= call.waited);
        }
    }
}
