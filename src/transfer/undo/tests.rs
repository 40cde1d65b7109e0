use super::*;
use crate::transfer::conversation::{LegState, samples::*};

/// Our move brought the call from queue 5 to queue 9; participants 1 and 2 were there.
fn terms() -> UndoTerms {
    UndoTerms {
        undoes: TransferId::new(uuid::Uuid::from_u128(1)),
        from: queue(9),
        moved_at: "2026-01-01T12:00:00Z".parse().unwrap(),
        participants: vec![participant(1), participant(2)],
        priority: Some(7),
        waiting_since: None,
    }
}

fn found(legs: Vec<Leg>) -> Result<Option<ParticipantId>, Code> {
    let conversation = conversation(legs);
    waiting_leg(&terms(), &conversation)
        .map(|leg| leg.participant_id)
        .map_err(|problem| problem.code)
}

#[test]
fn only_a_call_that_waits_where_the_move_put_it_goes_back() {
    let left = || ended(waiting(2, queue(5)));
    let came = || waiting(3, queue(9));
    let talks = |n| agent(n, LegState::Connected);
    for (legs, expected) in [
        (vec![customer(), left(), came()], Ok(Some(participant(3)))),
        (vec![customer(), left(), ended(came()), talks(4)], Err(Code::ConversationAnswered)),
        (
            vec![customer(), left(), ended(came()), talks(4), talks(5)],
            Err(Code::ConversationAnswered),
        ),
        (
            vec![customer(), left(), came(), agent(4, LegState::Ringing)],
            Err(Code::ConversationRinging),
        ),
        (
            vec![customer(), left(), ended(came()), waiting(4, queue(8))],
            Err(Code::ConversationMoved),
        ),
        // It was answered, and is back in the same queue.
        (
            vec![customer(), left(), ended(came()), ended(talks(4)), waiting(5, queue(9))],
            Err(Code::ConversationMoved),
        ),
        (vec![customer(), left(), ended(came())], Err(Code::ConversationMoved)),
        // Genesys does not show the move yet.
        (vec![customer(), waiting(2, queue(5))], Err(Code::UndoImpossible)),
        (vec![customer(), talks(2)], Err(Code::UndoImpossible)),
        (vec![ended(customer()), left(), ended(came())], Err(Code::ConversationEnded)),
    ] {
        assert_eq!(found(legs.clone()), expected, "{legs:?}");
    }
}

#[test]
fn the_place_counts_from_the_wait_before_else_from_the_move() {
    let now: Timestamp = "2026-01-01T12:10:30Z".parse().unwrap();
    let at = |text: &str| text.parse::<Timestamp>().ok();
    let minutes = |waiting_since, since, most_minutes| {
        let ours = Leg { since, ..waiting(3, queue(9)) };
        let conversation = conversation(vec![customer(), ours.clone()]);
        let terms = UndoTerms { waiting_since, ..terms() };
        let (priority, minutes) = place(&terms, (&conversation, &ours), now, most_minutes).unwrap();
        assert_eq!(i64::from(priority.get()), 7 + minutes);
        minutes
    };
    let (before, arrived) = (at("2026-01-01T11:50:00Z"), at("2026-01-01T12:00:20Z"));
    assert_eq!(minutes(before, arrived, i64::MAX), 20);
    assert_eq!(minutes(None, at("2026-01-01T12:01:00Z"), i64::MAX), 9);
    assert_eq!(minutes(None, None, i64::MAX), 10);
    assert_eq!(minutes(before, arrived, 4), 4);
    assert_eq!(minutes(at("2026-01-01T13:00:00Z"), None, i64::MAX), 0);
}

#[test]
fn a_priority_that_was_not_known_is_left_alone() {
    let ours = waiting(3, queue(9));
    let conversation = conversation(vec![customer(), ours.clone()]);
    let terms = UndoTerms { priority: None, ..terms() };
    assert_eq!(place(&terms, (&conversation, &ours), terms.moved_at, i64::MAX), None);
}
