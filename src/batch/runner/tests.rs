//! Batches over a call floor in memory, under a paused clock.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    batch::{
        BatchEvent, BatchOrder, BatchReply, BatchState, Counts, DrainOrder, PlannedCall,
        testing::{BatchBench, Floor, Stand, call, from, order, to},
    },
    problem::Code,
    transfer::{gateway::Sent, model::Status, testing::caller},
};

mod pictures;
mod requests;
mod sight;
mod standing;
mod storms;
mod takeover;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn drain() -> BatchOrder {
    BatchOrder::Drain(order())
}

async fn after(time: Duration) {
    tokio::time::sleep(time).await;
}

/// The books add up, and every failed or skipped one has its reason.
fn closed(state: &BatchState) -> Counts {
    let Counts { pending, accepted, confirmed, failed, unknown, skipped } = state.counts;
    assert_eq!(pending, 0, "{state:?}");
    assert_eq!(accepted + confirmed + failed + unknown + skipped, state.batch.total, "{state:?}");
    let explained: u32 = state.reasons.iter().map(|(_, count)| count).sum();
    assert_eq!(explained, failed + skipped, "{state:?}");
    state.counts
}

/// Every call was commanded at most once.
fn once(floor: &Floor) {
    assert!(floor.commands().values().all(|count| *count == 1), "{:?}", floor.commands());
}

fn reason(state: &BatchState, code: Code) -> u32 {
    state.reasons.iter().find(|(found, _)| *found == code).map_or(0, |(_, count)| *count)
}

#[tokio::test(start_paused = true)]
async fn a_drain_moves_all_longest_wait_first_also_those_no_look_shows_at_first() {
    let floor = Floor::with(300, seconds(8));
    let before = floor.line(from());
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let state = bench.drain().await;
    assert_eq!(closed(&state), Counts { accepted: 300, ..Counts::default() });
    once(&floor);
    assert_eq!(floor.moves(), before);
    assert_eq!(floor.line(to()), before);
}

#[tokio::test(start_paused = true)]
async fn a_drained_call_costs_three_requests_and_a_share_of_the_looks() {
    let floor = Floor::with(300, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    bench.drain().await;
    let cost = floor.cost();
    assert_eq!((cost.reads, cost.commands), (300, 300), "{cost:?}");
    assert!(cost.patches <= 300, "{cost:?}");
    assert!(cost.looks <= 10, "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_waited_less_than_a_minute_apart_keep_their_order_and_their_minutes() {
    // They came faster than they are moved: their minutes grow on the way.
    let floor = Floor::with(150, Duration::from_millis(200));
    *floor.latency.lock().unwrap() = Duration::from_millis(700);
    let before = floor.line(from());
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    bench.finished(id).await;
    assert_eq!(floor.line(to()), before);
    assert!(bench.transfers(id).await.iter().all(|transfer| transfer.waited_minutes.is_some()));
}

#[tokio::test(start_paused = true)]
async fn rows_that_lag_delay_nothing_and_are_not_moved_again() {
    let floor = Floor::with(300, seconds(8));
    *floor.lag.lock().unwrap() = seconds(5);
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let state = bench.drain().await;
    assert_eq!(closed(&state).accepted, 300);
    once(&floor);
    assert!(floor.cost().looks <= 40, "{:?}", floor.cost());
}

#[tokio::test(start_paused = true)]
async fn some_rows_that_never_go_away_hide_nobody() {
    let floor = Floor::with(180, seconds(8));
    *floor.ghost_every.lock().unwrap() = 5;
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    assert_eq!(closed(&bench.drain().await).accepted, 180);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_or_ended_or_moved_first_is_left_alone() {
    let floor = Floor::with(40, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    *floor.latency.lock().unwrap() = seconds(1);
    let id = bench.start(drain()).await;
    floor.becomes(call(30), Stand::Answered);
    floor.becomes(call(31), Stand::Ended);
    let Stand::Waiting { since, priority, .. } = floor.stand(call(32)) else { panic!() };
    let elsewhere = from_elsewhere();
    floor.becomes(call(32), Stand::Waiting { queue: elsewhere, since, priority });
    let state = bench.finished(id).await;
    assert_eq!(closed(&state), Counts { accepted: 37, failed: 1, skipped: 2, ..Counts::default() });
    assert_eq!(reason(&state, Code::NoLongerWaiting), 2);
    assert_eq!(reason(&state, Code::ConversationEnded), 1);
    assert!(!floor.commands().contains_key(&call(30)));
}

fn from_elsewhere() -> crate::transfer::ids::QueueId {
    crate::transfer::conversation::samples::queue(7)
}

#[tokio::test(start_paused = true)]
async fn calls_that_vanish_before_a_look_shows_them_are_no_longer_waiting() {
    let floor = Floor::with(180, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    *floor.latency.lock().unwrap() = Duration::from_millis(300);
    let id = bench.start(drain()).await;
    (100..110).for_each(|number| floor.becomes(call(number), Stand::Ended));
    let state = bench.finished(id).await;
    assert_eq!((state.batch.total, closed(&state).accepted, state.batch.vanished), (180, 170, 10));
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_later_stay_where_they_are() {
    let floor = Floor::with(120, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    *floor.latency.lock().unwrap() = Duration::from_millis(300);
    let id = bench.start(drain()).await;
    after(seconds(2)).await;
    let since = crate::clock::Clock::now(&*floor.clock);
    (500..640).for_each(|number| {
        floor.put(call(number), Stand::Waiting { queue: from(), since, priority: 0 });
    });
    let state = bench.finished(id).await;
    assert_eq!(closed(&state).accepted, 120);
    assert_eq!(floor.line(from()).len(), 140);
}

#[tokio::test(start_paused = true)]
async fn a_ringing_call_is_looked_at_again_and_moved_when_it_rang_out() {
    let floor = Floor::with(20, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    *floor.latency.lock().unwrap() = Duration::from_millis(100);
    let id = bench.start(drain()).await;
    floor.rings(call(10), true);
    floor.rings(call(11), true);
    after(seconds(15)).await;
    assert_eq!(bench.state(id).await.counts.accepted, 18);
    floor.rings(call(10), false);
    let state = bench.finished(id).await;
    assert_eq!(closed(&state), Counts { accepted: 19, failed: 1, ..Counts::default() });
    assert_eq!(reason(&state, Code::ConversationRinging), 1);
}

#[tokio::test(start_paused = true)]
async fn a_limit_takes_the_longest_waiting_only() {
    let floor = Floor::with(180, seconds(8));
    let before = floor.line(from());
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(BatchOrder::Drain(DrainOrder { limit: Some(70), ..order() })).await;
    let state = bench.finished(id).await;
    assert_eq!((state.batch.total, closed(&state).accepted), (70, 70));
    assert_eq!(floor.moves(), before[..70]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_drain_skips_what_was_not_sent() {
    let floor = Floor::with(180, seconds(8));
    *floor.latency.lock().unwrap() = seconds(1);
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    after(seconds(20)).await;
    let told = bench.batches.cancel(&caller(), id).await.unwrap();
    assert_eq!(told.batch.status, BatchStatus::Cancelled);
    let state = bench.finished(id).await;
    let counts = closed(&state);
    assert_eq!(counts.accepted as usize, floor.moves().len());
    assert!(counts.accepted > 0 && counts.skipped > 100, "{counts:?}");
    assert_eq!(reason(&state, Code::Cancelled), counts.skipped);
    once(&floor);
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_drained_at_once() {
    let bench = BatchBench::new(Floor::with(0, seconds(8))).await;
    let id = bench.start(drain()).await;
    let state = bench.state(id).await;
    assert_eq!((state.batch.status, state.batch.total), (BatchStatus::Completed, 0));
    assert!(state.batch.finished_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_told_of_every_settled_transfer_once_and_of_the_end() {
    let floor = Floor::with(120, seconds(8));
    *floor.latency.lock().unwrap() = Duration::from_millis(200);
    let bench = BatchBench::new(floor).await;
    let id = bench.start(drain()).await;
    let mut watch = bench.batches.watch(&caller(), id).await.unwrap();
    let first = watch.next().await.unwrap();
    assert!(matches!(first, BatchEvent::Progress(_)), "{first:?}");
    let (mut told, mut last) = (HashSet::new(), first);
    while let Some(event) = watch.next().await {
        if let BatchEvent::Transfer(transfer) = &event {
            assert_ne!(transfer.stage.status(), Status::Pending);
            assert!(told.insert(transfer.id));
        }
        last = event;
    }
    let BatchEvent::End(state) = last else { panic!("{last:?}") };
    assert_eq!((closed(&state).accepted, told.len()), (120, 120));
}
