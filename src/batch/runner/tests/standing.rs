//! Drains that stay when their queue is empty.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    batch::When,
    clock::Clock as _,
    transfer::{
        conversation::samples::queue,
        ids::{ConversationId, QueueId},
        model::QueueRef,
        testing::MemoryStore,
    },
};

fn floor(calls: u32) -> Arc<Floor> {
    let floor = Floor::with(calls, seconds(8));
    *floor.bulk.lock().unwrap() = true;
    floor
}

fn standing(bench: &BatchBench, minutes: i64) -> DrainOrder {
    let until = bench.floor.clock.now() + SignedDuration::from_mins(minutes);
    DrainOrder { until: Some(until), ..order() }
}

fn arrives(floor: &Floor, id: ConversationId, queue: QueueId) {
    floor.put(id, Stand::Waiting { queue, since: floor.clock.now(), priority: 0 });
}

/// Whether the call waits in the target queue.
fn has_moved(floor: &Floor, id: ConversationId) -> bool {
    floor.line(to()).contains(&id)
}

#[tokio::test(start_paused = true)]
async fn calls_that_arrive_move_within_15_seconds_until_its_time_is_over() {
    let bench = BatchBench::new(floor(3)).await;
    let id = bench.start(BatchOrder::Drain(standing(&bench, 10))).await;
    after(seconds(10)).await;
    assert_eq!(bench.state(id).await.counts.accepted, 3);
    for number in 10..30 {
        arrives(&bench.floor, call(number), from());
        after(seconds(15)).await;
        assert!(has_moved(&bench.floor, call(number)), "{number}");
        after(seconds(6)).await;
    }
    let state = bench.state(id).await;
    assert_eq!((state.batch.status, state.batch.total), (BatchStatus::Running, 23));
    after(seconds(200)).await;
    let state = bench.state(id).await;
    assert_eq!((state.batch.status, closed(&state).accepted), (BatchStatus::Completed, 23));
    arrives(&bench.floor, call(99), from());
    after(seconds(60)).await;
    assert!(!has_moved(&bench.floor, call(99)));
    once(&bench.floor);
}

#[tokio::test(start_paused = true)]
async fn calls_move_only_while_no_agent_is_on_queue() {
    let bench = BatchBench::new(floor(2)).await;
    let members = |on_queue| *bench.floor.members.lock().unwrap() = on_queue;
    members(Some(1));
    let order = DrainOrder { when: When::NobodyOnQueue, ..standing(&bench, 60) };
    let id = bench.start(BatchOrder::Drain(order)).await;
    for (on_queue, moving) in [(Some(1), false), (None, false), (Some(0), true), (Some(2), false)] {
        members(on_queue);
        after(seconds(25)).await;
        let number = bench.state(id).await.batch.total + 10;
        arrives(&bench.floor, call(number), from());
        after(seconds(25)).await;
        assert_eq!(has_moved(&bench.floor, call(number)), moving, "{on_queue:?}");
        if !moving {
            bench.floor.becomes(call(number), Stand::Ended);
        }
    }
    let state = bench.state(id).await;
    assert_eq!((state.counts.accepted, state.batch.status), (3, BatchStatus::Running));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_moved_when_an_agent_came_is_skipped_at_the_end() {
    let bench = BatchBench::new(floor(200)).await;
    *bench.floor.latency.lock().unwrap() = seconds(1);
    *bench.floor.members.lock().unwrap() = Some(0);
    let order = DrainOrder { when: When::NobodyOnQueue, ..standing(&bench, 3) };
    let id = bench.start(BatchOrder::Drain(order)).await;
    after(seconds(20)).await;
    *bench.floor.members.lock().unwrap() = Some(1);
    let state = bench.finished(id).await;
    let counts = closed(&state);
    assert!(counts.accepted > 0 && counts.skipped > 0, "{counts:?}");
    assert_eq!(reason(&state, Code::Cancelled), counts.skipped);
    assert_eq!(bench.floor.line(from()).len(), counts.skipped as usize);
    assert_eq!(state.batch.still_waiting, Some(u64::from(counts.skipped)));
}

#[tokio::test(start_paused = true)]
async fn a_limit_counts_moved_calls_and_completes_it() {
    let bench = BatchBench::new(floor(4)).await;
    bench.floor.left_out.lock().unwrap().insert(call(1));
    bench.floor.rings(call(1), true);
    let order = DrainOrder { limit: Some(6), ..standing(&bench, 60) };
    let id = bench.start(BatchOrder::Drain(order)).await;
    after(seconds(5)).await;
    for number in 10..20 {
        arrives(&bench.floor, call(number), from());
    }
    let state = bench.finished(id).await;
    assert_eq!((state.batch.status, closed(&state).accepted), (BatchStatus::Completed, 6));
}

#[tokio::test(start_paused = true)]
async fn calls_wait_as_long_as_was_asked_before_they_move() {
    let bench = BatchBench::new(floor(0)).await;
    let order = DrainOrder { min_waited_minutes: Some(2), ..standing(&bench, 60) };
    bench.start(BatchOrder::Drain(order)).await;
    arrives(&bench.floor, call(1), from());
    after(seconds(115)).await;
    assert!(!has_moved(&bench.floor, call(1)));
    after(seconds(20)).await;
    assert!(has_moved(&bench.floor, call(1)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_back_is_moved_five_times_an_hour() {
    let bench = BatchBench::new(floor(0)).await;
    let id = bench.start(BatchOrder::Drain(standing(&bench, 180))).await;
    for _ in 0..7 {
        arrives(&bench.floor, call(1), from());
        after(seconds(20)).await;
    }
    let state = bench.state(id).await;
    assert_eq!((state.counts.accepted, state.counts.skipped, state.batch.total), (5, 2, 7));
    assert_eq!(reason(&state, Code::MovedTooOften), 2);
    after(seconds(3_600)).await;
    arrives(&bench.floor, call(1), from());
    after(seconds(20)).await;
    assert_eq!(bench.state(id).await.counts.accepted, 6);
}

#[tokio::test(start_paused = true)]
async fn one_stands_at_a_queue_and_plain_ones_may_run_beside_it() {
    let bench = BatchBench::new(floor(3)).await;
    let id = bench.start(BatchOrder::Drain(standing(&bench, 60))).await;
    let twin = DrainOrder { to: QueueRef::Id(queue(5)), ..standing(&bench, 60) };
    let back = DrainOrder { from: QueueRef::Id(to()), to: QueueRef::Id(from()), ..order() };
    for other in [twin, back] {
        let refused = bench.submit(BatchOrder::Drain(other), None).await.unwrap_err();
        assert_eq!((refused.code, refused.batch_id), (Code::DrainLoop, Some(id.uuid())));
    }
    let plain = bench.start(drain()).await;
    bench.finished(plain).await;
    let mut moves = bench.floor.moves();
    moves.sort_unstable();
    assert_eq!(moves, (0..3).map(call).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn it_ends_within_a_day() {
    let bench = BatchBench::new(floor(0)).await;
    for minutes in [-1, 24 * 60 + 1] {
        let refused = bench.submit(BatchOrder::Drain(standing(&bench, minutes)), None).await;
        assert_eq!(refused.unwrap_err().errors[0].pointer, "/until");
    }
    bench.start(BatchOrder::Drain(standing(&bench, 24 * 60))).await;
}

#[tokio::test(start_paused = true)]
async fn all_together_look_twelve_times_a_minute() {
    let store = Arc::<MemoryStore>::default();
    let floor = floor(0);
    let benches = [
        BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await,
        BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await,
    ];
    *floor.members.lock().unwrap() = Some(0);
    for (number, bench) in (1..).zip(benches.iter().cycle()).take(4) {
        let order = DrainOrder {
            from: QueueRef::Id(queue(number)),
            to: QueueRef::Id(queue(9)),
            when: When::NobodyOnQueue,
            ..standing(bench, 60)
        };
        bench.start(BatchOrder::Drain(order)).await;
    }
    let mut before = looks(&floor);
    for minute in 0..10 {
        for beat in 0..12 {
            let number = 100 + minute * 12 + beat;
            arrives(&floor, call(number), queue(1 + number % 4));
            after(seconds(5)).await;
        }
        let now = looks(&floor);
        assert!(now - before <= 13, "{} looks in minute {minute}", now - before);
        before = now;
    }
    assert!(floor.line(queue(9)).len() > 100, "{}", floor.line(queue(9)).len());
}

fn looks(floor: &Floor) -> u32 {
    let cost = floor.cost();
    cost.looks + cost.activities
}

#[tokio::test(start_paused = true)]
async fn another_process_goes_on_with_it() {
    let store = Arc::<MemoryStore>::default();
    let floor = floor(3);
    let first = BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await;
    let id = first.start(BatchOrder::Drain(standing(&first, 60))).await;
    after(seconds(15)).await;
    first.die().await;
    arrives(&floor, call(10), from());
    let second = BatchBench::sharing(Arc::clone(&floor), store).await;
    after(seconds(120)).await;
    arrives(&floor, call(11), from());
    after(seconds(15)).await;
    let state = second.state(id).await;
    assert_eq!((state.batch.status, state.counts.accepted), (BatchStatus::Running, 5));
    once(&floor);
    let until = state.batch.drain.and_then(|drain| drain.until);
    assert!(until.is_some_and(|until| until > Timestamp::UNIX_EPOCH));
}
