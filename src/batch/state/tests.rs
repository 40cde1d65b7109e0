use proptest::prelude::*;

use super::*;
use crate::{
    batch::Kind,
    transfer::{ids::BatchId, model::CallerName},
};

fn batch(total: u32, vanished: u32) -> Batch {
    Batch {
        id: BatchId::new(uuid::Uuid::nil()),
        kind: Kind::List,
        status: BatchStatus::Running,
        requested_by: CallerName::new("crm"),
        request_id: "r-1".to_owned(),
        reason: None,
        reference: None,
        drain: None,
        undoes: None,
        max_priority: None,
        moves_per_conversation: None,
        queues: None,
        total,
        vanished,
        unseen: 0,
        still_waiting: None,
        waiting_until: None,
        warnings: Vec::new(),
        error: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        finished_at: None,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn tally(settled: &[(Status, Option<Code>, u32)], last_minute: u32) -> Tally {
    Tally { settled: settled.to_vec(), last_minute, ..Tally::default() }
}

#[test]
fn what_is_not_recorded_is_pending_and_what_vanished_is_skipped() {
    let tally = tally(
        &[
            (Status::Accepted, None, 5),
            (Status::Pending, None, 2),
            (Status::Failed, Some(Code::ConversationEnded), 1),
            (Status::Skipped, Some(Code::NoLongerWaiting), 1),
        ],
        9,
    );
    let state = state(batch(20, 3), &tally, at(60), 100);
    let expected = Counts { pending: 10, accepted: 5, failed: 1, skipped: 4, ..Counts::default() };
    assert_eq!(state.counts, expected);
    assert_eq!(state.reasons, [(Code::NoLongerWaiting, 4), (Code::ConversationEnded, 1)]);
}

#[test]
fn calls_of_a_cancelled_drain_that_were_never_seen_are_cancelled() {
    let batch = Batch { status: BatchStatus::Cancelled, ..batch(10, 10) };
    assert_eq!(state(batch, &Tally::default(), at(1), 9).reasons, [(Code::Cancelled, 10)]);
}

#[test]
fn calls_that_no_look_showed_and_that_may_still_wait_are_not_moved_for_genesys_fault() {
    let state = state(Batch { unseen: 4, ..batch(10, 6) }, &Tally::default(), at(1), 9);
    assert_eq!(state.counts, Counts { failed: 4, skipped: 6, ..Counts::default() });
    assert_eq!(state.reasons, [(Code::NoLongerWaiting, 6), (Code::GenesysError, 4)]);
}

#[test]
fn the_pace_is_what_was_done_scaled_to_a_minute_and_never_more_than_the_limit_allows() {
    let pace = |last_minute, now, most| {
        let tally = tally(&[(Status::Accepted, None, last_minute)], last_minute);
        state(batch(100, 0), &tally, at(now), most).pace
    };
    assert_eq!(
        pace(10, 30, 70),
        Pace { per_minute: 20, eta_seconds: Some(270), waiting_until: None }
    );
    assert_eq!(pace(40, 30, 70).per_minute, 70);
    assert_eq!(pace(0, 0, 70), Pace { per_minute: 70, eta_seconds: Some(85), waiting_until: None });
    assert_eq!(pace(1, 3, 70), Pace { per_minute: 60, eta_seconds: Some(99), waiting_until: None });
    assert_eq!(
        pace(3, 15, 70),
        Pace { per_minute: 12, eta_seconds: Some(485), waiting_until: None }
    );
    assert_eq!(pace(0, 90, 70), Pace { per_minute: 0, eta_seconds: None, waiting_until: None });
}

#[test]
fn a_finished_batch_tells_how_fast_calls_were_moved() {
    let batch = Batch { finished_at: Some(at(120)), ..batch(100, 0) };
    let left = Some(Code::NoLongerWaiting);
    let tally = tally(&[(Status::Accepted, None, 60), (Status::Skipped, left, 40)], 0);
    let expected = Pace { per_minute: 30, eta_seconds: Some(0), waiting_until: None };
    assert_eq!(state(batch, &tally, at(9000), 70).pace, expected);
}

#[test]
fn what_waits_in_memory_for_the_store_is_counted_as_it_stands() {
    let newest = crate::transfer::testing::failed(Code::ConversationEnded);
    let mut tally = tally(&[(Status::Accepted, None, 5), (Status::Pending, None, 1)], 0);
    tally.change(Status::Pending, &newest);
    let ended = (Status::Failed, Some(Code::ConversationEnded), 1);
    assert_eq!(tally.settled, [(Status::Accepted, None, 5), (Status::Pending, None, 0), ended]);
    tally.change(Status::Pending, &newest);
    assert_eq!(tally.settled.len(), 3, "it was written a moment ago");
}

proptest! {
    #[test]
    fn the_counts_always_add_up(
        settled in proptest::collection::vec((0..Status::ALL.len(), 0..50_u32), 0..8),
        vanished in 0..50_u32,
        hidden in 0..50_u32,
    ) {
        let settled: Vec<_> =
            settled.into_iter().map(|(status, count)| (Status::ALL[status], None, count)).collect();
        let known: u32 = settled.iter().map(|(_, _, count)| count).sum();
        let total = known + vanished + hidden;
        let state = state(batch(total, vanished), &tally(&settled, known), at(30), 42);
        prop_assert_eq!(sum(&state.counts), total);
    }
}
