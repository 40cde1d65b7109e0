use jiff::SignedDuration;

use super::*;
use crate::transfer::{
    clock_offset::ClockOffset,
    conversation::{Purpose, Supervision, samples::*},
};

const RECORDED: Timestamp = Timestamp::UNIX_EPOCH;

fn look(before: &Conversation, now: &Conversation, leg: u32) -> Seen {
    look_anyhow(before, now, leg).unwrap()
}

fn look_anyhow(before: &Conversation, now: &Conversation, leg: u32) -> Option<Seen> {
    let picture = picture(before, queue(9));
    let before = Before {
        picture: Some(&picture),
        leg: Some(participant(leg)),
        target: queue(9),
        recorded_at: RECORDED,
    };
    judge(now, before)
}

fn with_agent() -> Conversation {
    conversation(vec![customer(), agent(2, LegState::Connected)])
}

fn transferred_away(leg: Leg) -> Leg {
    Leg { disconnect_type: Some("transfer".to_owned()), ..ended(leg) }
}

#[test]
fn a_new_participant_of_the_target_queue_proves_the_move_alive_or_ended() {
    let gone = transferred_away(agent(2, LegState::Connected));
    let answering = Leg { queue_id: Some(queue(9)), ..agent(4, LegState::Connected) };
    for arrived in [waiting(3, queue(9)), ended(waiting(3, queue(9))), answering] {
        let now = conversation(vec![customer(), gone.clone(), arrived]);
        assert_eq!(look(&with_agent(), &now, 2), Seen::Moved);
    }
}

#[test]
fn an_old_participant_of_the_target_queue_proves_nothing() {
    let before =
        conversation(vec![customer(), ended(waiting(3, queue(9))), agent(2, LegState::Connected)]);
    assert_eq!(look(&before, &before.clone(), 2), Seen::Unmoved);
}

#[test]
fn a_transfer_without_the_target_queue_is_somebody_elses() {
    let mut now = conversation(vec![
        customer(),
        transferred_away(agent(2, LegState::Connected)),
        waiting(3, queue(5)),
    ]);
    now.recent_transfers.push("t-1".to_owned());
    assert_eq!(look(&with_agent(), &now, 2), Seen::MovedElsewhere);
}

#[test]
fn a_leg_that_ended_without_a_new_transfer_entry_only_changed() {
    let now = conversation(vec![customer(), transferred_away(agent(2, LegState::Connected))]);
    assert_eq!(look(&with_agent(), &now, 2), Seen::Changed);
}

#[test]
fn an_agent_who_answered_a_waiting_call_is_a_change_not_a_move() {
    let before = conversation(vec![customer(), waiting(2, queue(5))]);
    let answered = Leg { queue_id: Some(queue(5)), ..agent(3, LegState::Connected) };
    let now = conversation(vec![customer(), ended(waiting(2, queue(5))), answered]);
    assert_eq!(look(&before, &now, 2), Seen::Changed);
}

#[test]
fn an_ended_conversation_shows_whether_it_was_in_the_target_first() {
    let mut now = with_agent();
    now.ended = true;
    assert_eq!(look(&with_agent(), &now, 2), Seen::Ended);
    now.legs.push(ended(waiting(3, queue(9))));
    assert_eq!(look(&with_agent(), &now, 2), Seen::Moved);
}

fn patched(state: LegState, of: Option<QueueId>) -> Conversation {
    let purpose = if state == LegState::Waiting { Purpose::Acd } else { Purpose::Agent };
    conversation(vec![Leg { participant_id: None, queue_id: of, ..leg(1, purpose, state) }])
}

fn look_without_legs(before: &Conversation, now: &Conversation) -> Seen {
    let picture = picture(before, queue(9));
    let before =
        Before { picture: Some(&picture), leg: None, target: queue(9), recorded_at: RECORDED };
    judge(now, before).unwrap()
}

#[test]
fn without_participants_the_new_queue_is_the_sign() {
    use LegState::{Connected, Waiting};
    let elsewhere = patched(Connected, Some(queue(5)));
    let in_target = patched(Waiting, Some(queue(9)));
    assert_eq!(look_without_legs(&elsewhere, &in_target), Seen::Moved);
    assert_eq!(look_without_legs(&elsewhere, &elsewhere.clone()), Seen::Unmoved);
    assert_eq!(look_without_legs(&in_target, &in_target.clone()), Seen::Unmoved);
}

#[test]
fn without_participants_waiting_again_in_the_queue_it_was_answered_from_is_a_sign() {
    use LegState::{Connected, Waiting};
    let answered = patched(Connected, Some(queue(9)));
    assert_eq!(look_without_legs(&answered, &patched(Waiting, Some(queue(9)))), Seen::Moved);
    assert_eq!(look_without_legs(&answered, &answered.clone()), Seen::Unmoved);
}

#[test]
fn without_a_picture_only_a_leg_younger_than_the_record_proves_the_move() {
    let recorded_at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    let leg_since = |time: &str| Leg { since: time.parse().ok(), ..waiting(3, queue(9)) };
    let look = |arrived: Leg| {
        let now = conversation(vec![customer(), agent(2, LegState::Connected), arrived]);
        let leg = Some(participant(2));
        judge(&now, Before { picture: None, leg, target: queue(9), recorded_at }).unwrap()
    };
    assert_eq!(look(leg_since("2026-01-01T12:00:01Z")), Seen::Moved);
    assert_eq!(look(leg_since("2026-01-01T11:59:00Z")), Seen::Unmoved);
}

#[test]
fn how_young_a_leg_is_goes_by_genesys_clock() {
    let recorded_at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    for ahead in [-600, 0, 600] {
        let theirs = recorded_at + SignedDuration::from_secs(ahead);
        let clock = ClockOffset::of(theirs, recorded_at, SignedDuration::ZERO);
        let look = |since: Timestamp| {
            let arrived = Leg { since: Some(since), ..waiting(3, queue(9)) };
            let now = conversation(vec![customer(), agent(2, LegState::Connected), arrived]);
            let now = Conversation { clock, ..now };
            let leg = Some(participant(2));
            judge(&now, Before { picture: None, leg, target: queue(9), recorded_at })
        };
        assert_eq!(look(theirs + SignedDuration::from_secs(1)), Some(Seen::Moved), "{ahead} s");
        assert_eq!(look(theirs - SignedDuration::from_secs(30)), Some(Seen::Unmoved), "{ahead} s");
    }
}

#[test]
fn a_supervisor_who_joins_proves_nothing() {
    for supervision in [Supervision::Listens, Supervision::BargedIn] {
        let before = conversation(vec![
            customer(),
            Leg { queue_id: Some(queue(9)), ..agent(2, LegState::Connected) },
        ]);
        let mut now = before.clone();
        now.legs.push(Leg {
            queue_id: Some(queue(9)),
            supervision: Some(supervision),
            ..agent(3, LegState::Connected)
        });
        assert_eq!(look(&before, &now, 2), Seen::Unmoved, "{supervision:?}");
    }
}

#[test]
fn what_cannot_be_read_proves_no_more_than_what_can() {
    let unread = |legs| Conversation { unread: true, ..conversation(legs) };
    let gone = transferred_away(agent(2, LegState::Connected));
    let arrived = waiting(3, queue(9));
    let before = with_agent();
    let seen = |now| look_anyhow(&before, &now, 2);
    assert_eq!(seen(unread(vec![customer(), gone.clone(), arrived])), Some(Seen::Moved));
    // The sign of us may be in it.
    assert_eq!(seen(unread(vec![customer(), agent(2, LegState::Connected)])), None);
    assert_eq!(seen(unread(vec![customer(), gone.clone()])), None);
    let over = Conversation { ended: true, ..unread(vec![ended(customer()), gone.clone()]) };
    assert_eq!(seen(over), None);
    let elsewhere = unread(vec![customer(), gone, waiting(3, queue(5))]);
    let elsewhere = Conversation { recent_transfers: vec!["t".to_owned()], ..elsewhere };
    assert_eq!(seen(elsewhere), None);
    // Nor is what could not be read before new because it can be read now.
    let before = unread(vec![customer(), agent(2, LegState::Connected)]);
    let now =
        conversation(vec![customer(), ended(waiting(3, queue(9))), agent(2, LegState::Connected)]);
    assert_eq!(look(&before, &now, 2), Seen::Unmoved);
}

#[test]
fn one_failed_look_after_a_5xx_leaves_it_unclear() {
    let seen = [Some(Seen::Unmoved), None, Some(Seen::Unmoved)];
    assert_eq!(Finding::of(&seen), Finding::Unclear);
    assert_eq!(Finding::of(&[Some(Seen::Unmoved), None]), Finding::Unclear);
}

#[test]
fn only_looks_that_all_show_the_leg_make_it_unmoved() {
    let unmoved = Some(Seen::Unmoved);
    assert_eq!(Finding::of(&[unmoved, unmoved]), Finding::Unmoved);
    assert_eq!(Finding::of(&[unmoved, Some(Seen::Changed)]), Finding::Changed);
    assert_eq!(Finding::of(&[Some(Seen::Changed), unmoved]), Finding::Unclear);
}

#[test]
fn what_is_unmoved_or_unclear_settles_nothing() {
    use Finding::{Changed, Ended, Moved, MovedElsewhere, Unclear, Unmoved};
    let settles = [Moved, MovedElsewhere, Ended, Unmoved, Changed, Unclear].map(Finding::settles);
    assert_eq!(settles, [Some(true), Some(false), Some(false), None, None, None]);
}

fn bulk(legs: Vec<Leg>) -> Conversation {
    Conversation { bulk: true, ..conversation(legs) }
}

#[test]
fn a_bulk_picture_proves_a_move_like_any_other() {
    let before = bulk(vec![customer(), waiting(2, queue(5))]);
    let arrived = |seconds| Leg {
        since: Some(RECORDED + SignedDuration::from_secs(seconds)),
        ..waiting(3, queue(9))
    };
    let now = |leg| conversation(vec![customer(), transferred_away(waiting(2, queue(5))), leg]);
    assert_eq!(look_anyhow(&before, &now(arrived(1)), 2), Some(Seen::Moved));
    // It lags: what it does not show may have been there before the command.
    assert_eq!(look_anyhow(&before, &now(arrived(-60)), 2), Some(Seen::Changed));
    assert_eq!(look_anyhow(&before, &before.clone(), 2), Some(Seen::Unmoved));
    let over = conversation(vec![ended(customer()), ended(waiting(2, queue(5)))]);
    assert_eq!(look_anyhow(&before, &over, 2), Some(Seen::Ended));
}

#[test]
fn a_bulk_picture_cannot_tell_who_moved_a_call_elsewhere() {
    let legs = vec![customer(), waiting(2, queue(5))];
    let mut now = conversation(vec![
        customer(),
        transferred_away(waiting(2, queue(5))),
        waiting(3, queue(6)),
    ]);
    // Perhaps made before the command: the picture knows of no transfers.
    now.recent_transfers.push("t-1".to_owned());
    let seen = look_anyhow(&bulk(legs.clone()), &now, 2);
    assert_eq!(seen, Some(Seen::Changed));
    assert_eq!(Finding::of(&[seen]).settles(), None, "it stays unknown and is looked for");
    assert_eq!(look_anyhow(&conversation(legs), &now, 2), Some(Seen::MovedElsewhere));
}
