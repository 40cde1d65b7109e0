//! What may pass pauses the batch; no call fails for it.

use super::*;
use crate::{problem::UpstreamAnswer, transfer::gateway::GatewayError};

fn throttled(retry_after: u64) -> GatewayError {
    GatewayError::RateLimited { retry_after: seconds(retry_after), answer: None }
}

fn circuit_open() -> GatewayError {
    GatewayError::Unavailable { retry_after: seconds(5), detail: "the circuit is open".to_owned() }
}

fn answered(status: u16) -> UpstreamAnswer {
    UpstreamAnswer { status, ..UpstreamAnswer::default() }
}

async fn bench() -> (Arc<Floor>, BatchBench, Vec<crate::transfer::ids::ConversationId>) {
    let floor = Floor::with(60, seconds(8));
    *floor.latency.lock().unwrap() = Duration::from_millis(100);
    let before = floor.line(from());
    (Arc::clone(&floor), BatchBench::new(floor).await, before)
}

#[tokio::test(start_paused = true)]
async fn a_429_and_an_open_circuit_pause_the_batch_and_fail_no_call() {
    let (floor, bench, before) = bench().await;
    let errors = [throttled(20), circuit_open(), circuit_open(), throttled(3)];
    floor.failing_reads.lock().unwrap().extend(errors);
    let state = bench.drain().await;
    assert_eq!(closed(&state).accepted, 60);
    once(&floor);
    assert_eq!((floor.moves(), floor.line(to())), (before.clone(), before));
}

#[tokio::test(start_paused = true)]
async fn commands_that_were_not_sent_are_sent_later_in_order() {
    let (floor, bench, before) = bench().await;
    for error in [throttled(7), circuit_open(), circuit_open()] {
        floor.failing_commands.lock().unwrap().push_back(Sent::NotSent(error));
    }
    let id = bench.start(drain()).await;
    let state = bench.finished(id).await;
    assert_eq!(closed(&state).accepted, 60);
    assert_eq!((floor.moves(), floor.line(to())), (before.clone(), before));
    assert_eq!(bench.transfers(id).await.len(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_503_to_commands_slows_the_batch_down_and_fails_no_call() {
    let (floor, bench, _) = bench().await;
    let storm = (0..30).map(|_| Sent::Finished(answered(503)));
    floor.failing_commands.lock().unwrap().extend(storm);
    assert_eq!(closed(&bench.drain().await).accepted, 60);
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_genesys_fails_no_call() {
    let (floor, bench, _) = bench().await;
    floor.failing_reads.lock().unwrap().extend((0..900).map(|_| circuit_open()));
    let id = bench.start(drain()).await;
    after(Duration::from_mins(5)).await;
    let state = bench.state(id).await;
    assert_eq!((state.counts.pending, state.batch.status), (60, BatchStatus::Running));
    assert!(state.batch.warnings.iter().any(|warning| warning.code == "paused"), "{state:?}");
    let state = bench.finished(id).await;
    assert_eq!(closed(&state).accepted, 60);
    assert_eq!(state.batch.warnings, []);
}

#[tokio::test(start_paused = true)]
async fn one_call_that_cannot_be_read_does_not_hold_up_the_others() {
    let (floor, bench, _) = bench().await;
    let unreadable = GatewayError::Failed(answered(500));
    floor.broken.lock().unwrap().insert(call(5), unreadable);
    let state = bench.drain().await;
    assert_eq!(closed(&state), Counts { accepted: 59, failed: 1, ..Counts::default() });
    assert_eq!(reason(&state, Code::GenesysError), 1);
}

#[tokio::test(start_paused = true)]
async fn the_priority_of_a_moved_call_is_set_when_the_429_is_over() {
    let (floor, bench, before) = bench().await;
    floor.failing_patches.lock().unwrap().extend([throttled(45), throttled(45), circuit_open()]);
    let id = bench.start(drain()).await;
    bench.finished(id).await;
    assert!(bench.transfers(id).await.iter().all(|transfer| transfer.warnings.is_empty()));
    assert_eq!(floor.line(to()), before);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_a_while_loses_nothing() {
    let (floor, bench, _) = bench().await;
    let id = bench.start(drain()).await;
    after(seconds(1)).await;
    bench.store.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    after(seconds(40)).await;
    bench.store.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(closed(&bench.finished(id).await).accepted, 60);
    once(&floor);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_end_was_not_seen_is_not_done_twice() {
    let (floor, bench, _) = bench().await;
    let id = bench.start(drain()).await;
    for _ in 0..5 {
        bench.store.unheard_takes.store(1, std::sync::atomic::Ordering::SeqCst);
        after(Duration::from_millis(400)).await;
    }
    assert_eq!(closed(&bench.finished(id).await).accepted, 60);
    once(&floor);
}

fn denied() -> GatewayError {
    GatewayError::PermissionMissing { answer: answered(403), permission: "a permission" }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_not_be_seen_holds_nobody_up() {
    let (floor, bench, _) = bench().await;
    *floor.latency.lock().unwrap() = Duration::ZERO;
    floor.broken.lock().unwrap().insert(call(0), denied());
    let start = tokio::time::Instant::now();
    let state = bench.drain().await;
    assert_eq!(closed(&state), Counts { accepted: 59, failed: 1, ..Counts::default() });
    assert_eq!(reason(&state, Code::GenesysPermissionMissing), 1);
    assert!(start.elapsed() < seconds(50), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_not_be_moved_is_given_up_at_once_when_others_may() {
    let (floor, bench, _) = bench().await;
    floor.refused.lock().unwrap().insert(call(9), Sent::Refused(denied()));
    let start = tokio::time::Instant::now();
    let state = bench.drain().await;
    assert_eq!(closed(&state), Counts { accepted: 59, failed: 1, ..Counts::default() });
    assert_eq!(floor.commands()[&call(9)], 1);
    assert!(start.elapsed() < seconds(30), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_permission_lost_on_the_way_fails_one_call_and_holds_the_others() {
    let (floor, bench, _) = bench().await;
    let id = bench.start(drain()).await;
    after(seconds(3)).await;
    for number in 0..60 {
        floor.refused.lock().unwrap().insert(call(number), Sent::Refused(denied()));
    }
    after(Duration::from_mins(5)).await;
    let counts = bench.state(id).await.counts;
    assert!(counts.failed <= 1 && counts.pending > 20, "{counts:?}");
    floor.refused.lock().unwrap().clear();
    let counts = closed(&bench.finished(id).await);
    assert!(counts.accepted >= 59, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn one_call_is_never_asked_for_more_than_six_times() {
    for sick in [0, 30, 59] {
        let (floor, bench, _) = bench().await;
        floor.refused.lock().unwrap().insert(call(sick), Sent::Finished(answered(503)));
        let state = bench.drain().await;
        assert_eq!(closed(&state), Counts { accepted: 59, failed: 1, ..Counts::default() });
        assert_eq!(reason(&state, Code::GenesysError), 1);
        assert!(floor.commands()[&call(sick)] <= 6, "{:?}", floor.commands()[&call(sick)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_priority_that_cannot_be_set_and_a_command_in_vain_stop_nobody_else() {
    let (floor, bench, _) = bench().await;
    floor.stuck_patches.lock().unwrap().insert(call(5), GatewayError::Failed(answered(503)));
    floor.refused.lock().unwrap().insert(call(20), Sent::Finished(answered(503)));
    let id = bench.start(drain()).await;
    after(seconds(45)).await;
    let state = bench.state(id).await;
    assert!(state.counts.accepted >= 58, "{:?}", state.counts);
}

#[tokio::test(start_paused = true)]
async fn when_outcomes_stay_unclear_calls_are_asked_for_one_at_a_time() {
    let (floor, bench, _) = bench().await;
    let lost = || Sent::Uncertain { detail: "the connection broke".to_owned(), answer: None };
    floor.failing_commands.lock().unwrap().extend((0..60).map(|_| lost()));
    let id = bench.start(drain()).await;
    after(Duration::from_mins(5)).await;
    assert!(floor.cost().commands <= 20, "{:?}", floor.cost());
    floor.failing_commands.lock().unwrap().clear();
    after(Duration::from_mins(2)).await;
    let counts = bench.state(id).await.counts;
    assert!(counts.accepted >= 40 && counts.failed == 0, "{counts:?}");
}
