//! A queue that shows rows of calls that left, or hides those that wait.

use super::*;
use crate::{clock::Clock, transfer::ids::BatchId};

/// `count` callers who come after the drain began.
fn late(floor: &Floor, count: u32) {
    let since = floor.clock.now();
    for number in 500..500 + count {
        floor.put(call(number), Stand::Waiting { queue: from(), since, priority: 0 });
    }
}

fn warned(state: &BatchState) -> Option<&str> {
    let warning = state.batch.warnings.iter().find(|warning| warning.code == "not_all_shown");
    warning.map(|warning| warning.detail.as_str())
}

/// How the batch stands at its end, and how long that took.
async fn timed(bench: &BatchBench, id: BatchId) -> (BatchState, Duration) {
    let begun = Instant::now();
    (bench.finished(id).await, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn rows_that_lag_for_more_than_a_minute_among_new_callers_end_no_drain() {
    let floor = Floor::with(250, seconds(8));
    *floor.lag.lock().unwrap() = seconds(150);
    let before = floor.line(from());
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    late(&floor, 60);
    let state = bench.finished(id).await;
    assert_eq!(closed(&state), Counts { accepted: 250, ..Counts::default() });
    assert_eq!((floor.moves(), floor.line(from()).len()), (before, 60));
    once(&floor);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_stands_still_says_why_until_it_goes_on() {
    let floor = Floor::with(250, seconds(8));
    *floor.lag.lock().unwrap() = seconds(150);
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    late(&floor, 60);
    after(seconds(10)).await;
    assert_eq!(warned(&bench.state(id).await), None);
    after(seconds(50)).await;
    let state = bench.state(id).await;
    assert!(warned(&state).unwrap().contains("200"), "{state:?}");
    after(seconds(110)).await;
    assert_eq!(warned(&bench.state(id).await), None);
    assert_eq!(warned(&bench.finished(id).await), None);
}

#[tokio::test(start_paused = true)]
async fn rows_that_never_go_away_do_not_keep_a_drain_from_ending() {
    let floor = Floor::with(180, seconds(8));
    *floor.ghost_every.lock().unwrap() = 1;
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    let (state, took) = timed(&bench, id).await;
    assert!((seconds(600)..seconds(700)).contains(&took), "{took:?}");
    // Of 180 rows a look never shows more than the oldest and the newest fifty.
    assert_eq!(closed(&state), Counts { accepted: 100, failed: 80, ..Counts::default() });
    assert_eq!(state.batch.status, BatchStatus::Completed);
    once(&floor);
    assert!(floor.cost().looks <= 100, "{:?}", floor.cost());
}

#[tokio::test(start_paused = true)]
async fn those_whom_rows_hide_for_ever_are_not_said_to_be_gone() {
    let floor = Floor::with(180, seconds(8));
    *floor.ghost_every.lock().unwrap() = 1;
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    // These were never shown, and no rows of theirs stay.
    *floor.ghost_every.lock().unwrap() = 0;
    (70..80).for_each(|number| floor.becomes(call(number), Stand::Ended));
    *floor.ghost_every.lock().unwrap() = 1;
    let state = bench.finished(id).await;
    let counts = Counts { accepted: 100, failed: 70, skipped: 10, ..Counts::default() };
    assert_eq!(closed(&state), counts);
    assert_eq!(reason(&state, Code::GenesysError), 70);
    assert_eq!(reason(&state, Code::NoLongerWaiting), 10);
    assert!(warned(&state).unwrap().contains("70"), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_drain_that_stands_still_calls_the_hidden_ones_cancelled() {
    let floor = Floor::with(180, seconds(8));
    *floor.ghost_every.lock().unwrap() = 1;
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    after(seconds(120)).await;
    assert!(warned(&bench.state(id).await).is_some());
    bench.batches.cancel(&caller(), id).await.unwrap();
    let state = bench.finished(id).await;
    assert_eq!(closed(&state), Counts { accepted: 100, skipped: 80, ..Counts::default() });
    assert_eq!((reason(&state, Code::Cancelled), warned(&state)), (80, None));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_looks_empty_for_a_moment_ends_no_drain() {
    let floor = Floor::with(300, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    *floor.empty_looks.lock().unwrap() = 2;
    let state = bench.finished(id).await;
    assert_eq!(closed(&state), Counts { accepted: 300, ..Counts::default() });
}

#[tokio::test(start_paused = true)]
async fn many_who_are_gone_at_once_are_believed_to_be_after_three_looks() {
    let floor = Floor::with(180, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    (1..180).for_each(|number| floor.becomes(call(number), Stand::Ended));
    let (state, took) = timed(&bench, id).await;
    assert_eq!(
        closed(&state),
        Counts { accepted: 1, failed: 49, skipped: 130, ..Counts::default() }
    );
    assert_eq!(reason(&state, Code::NoLongerWaiting), 130);
    assert!((seconds(10)..=seconds(12)).contains(&took), "{took:?}");
    assert!(floor.cost().looks <= 5, "{:?}", floor.cost());
}

#[tokio::test(start_paused = true)]
async fn the_end_is_not_put_off_when_nobody_is_missing_and_by_one_look_for_a_few() {
    for (gone, at_most) in [(0, 46), (3, 51)] {
        let floor = Floor::with(180, seconds(8));
        let bench = BatchBench::new(Arc::clone(&floor)).await;
        let id = bench.start(drain()).await;
        (60..60 + gone).for_each(|number| floor.becomes(call(number), Stand::Ended));
        let (state, took) = timed(&bench, id).await;
        assert_eq!((closed(&state).accepted, closed(&state).skipped), (180 - gone, gone));
        assert!(took <= seconds(at_most), "{gone}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_look_that_shows_none_of_those_who_wait_is_refused() {
    let floor = Floor::with(30, seconds(8));
    floor.unreadable.lock().unwrap().extend((0..30).map(call));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    for dry_run in [false, true] {
        let order = BatchOrder::Drain(DrainOrder { dry_run, ..order() });
        let problem = bench.submit(order, Some("k")).await.unwrap_err();
        assert_eq!((problem.code, problem.code.status()), (Code::GenesysError, 502));
    }
    floor.unreadable.lock().unwrap().clear();
    assert_eq!(closed(&bench.drain().await).accepted, 30);
}

#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_read_for_a_while_end_no_drain() {
    let floor = Floor::with(180, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    floor.unreadable.lock().unwrap().extend((0..180).map(call));
    after(Duration::from_mins(3)).await;
    floor.unreadable.lock().unwrap().clear();
    assert_eq!(closed(&bench.finished(id).await).accepted, 180);
    assert!(floor.cost().looks <= 50, "{:?}", floor.cost());
}

#[tokio::test(start_paused = true)]
async fn one_whose_row_is_never_readable_is_counted_as_not_moved() {
    let floor = Floor::with(60, seconds(8));
    floor.unreadable.lock().unwrap().insert(call(7));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    let (state, took) = timed(&bench, id).await;
    assert_eq!(closed(&state), Counts { accepted: 59, failed: 1, ..Counts::default() });
    assert_eq!((reason(&state, Code::GenesysError), state.batch.total), (1, 60));
    assert!(took <= seconds(85), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn late_callers_whose_rows_cannot_be_read_do_not_put_off_the_end() {
    let floor = Floor::with(60, seconds(8));
    let bench = BatchBench::new(Arc::clone(&floor)).await;
    let id = bench.start(drain()).await;
    late(&floor, 5);
    floor.unreadable.lock().unwrap().extend((500..505).map(call));
    let (state, took) = timed(&bench, id).await;
    assert_eq!(closed(&state).accepted, 60);
    assert!(took <= seconds(16), "{took:?}");
}
