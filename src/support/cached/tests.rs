use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test]
async fn fifty_that_come_together_share_one_piece_of_work() {
    let flight = SingleFlight::new(TaskTracker::new());
    let (runs, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let joineds: Vec<_> = (0..50)
        .map(|_| {
            let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
            flight.join(|| async move {
                gate.notified().await;
                runs.fetch_add(1, Ordering::SeqCst)
            })
        })
        .collect();
    gate.notify_one();
    for joined in joineds {
        assert_eq!(joined.outcome(soon()).await, Ok(0));
    }
}

#[tokio::test]
async fn the_work_goes_on_when_the_first_to_ask_leaves() {
    let flight = SingleFlight::new(TaskTracker::new());
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    drop(flight.join(|| async move {
        held.notified().await;
        7
    }));
    let second = flight.join(|| async { 8 });
    gate.notify_one();
    assert_eq!(second.outcome(soon()).await, Ok(7));
}

#[tokio::test]
async fn work_that_died_is_started_anew() {
    let flight: SingleFlight<u32> = SingleFlight::new(TaskTracker::new());
    let first = flight.join(|| async { panic!("on purpose") });
    assert_eq!(first.outcome(soon()).await, Err(FlightError::Died));
    assert_eq!(flight.join(|| async { 2 }).outcome(soon()).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_too_long_is_told_so() {
    let flight: SingleFlight<u32> = SingleFlight::new(TaskTracker::new());
    let joined = flight.join(std::future::pending);
    let by = Instant::now() + Duration::from_millis(5);
    assert_eq!(joined.outcome(by).await, Err(FlightError::TooLate));
}

/// Counts its loads; lasts 100 s and is loaded again after 60 s.
#[derive(Default)]
struct Counter {
    loads: AtomicU32,
    fails: AtomicBool,
}

impl Source for Arc<Counter> {
    type Value = u32;
    type Error = FlightError;

    const LONGEST_LOAD: Duration = Duration::from_secs(5);

    async fn load(&self, _: bool, _: bool) -> Result<Fresh<u32>, FlightError> {
        let value = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        if self.fails.load(Ordering::SeqCst) {
            return Err(FlightError::Died);
        }
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        Ok(Fresh { value, refresh_at: at(60), ends_at: at(100) })
    }

    fn rest(&self, _: &FlightError, _: bool) -> Duration {
        Duration::from_secs(10)
    }
}

fn cached() -> (Arc<Counter>, Cached<Arc<Counter>>) {
    let counter = Arc::<Counter>::default();
    (Arc::clone(&counter), Cached::new(counter, TaskTracker::new()))
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_is_loaded_once_until_it_is_time() {
    let (_, cached) = cached();
    for _ in 0..3 {
        assert_eq!(cached.get(soon()).await, Ok(1));
    }
    pass(61).await;
    assert_eq!(cached.get(soon()).await, Ok(1), "the old one serves meanwhile");
    pass(0).await;
    assert_eq!(cached.get(soon()).await, Ok(2));
    pass(101).await;
    assert_eq!((cached.current(), cached.get(soon()).await), (None, Ok(3)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_rests_and_leaves_the_last_good_value() {
    let (counter, cached) = cached();
    assert_eq!(cached.get(soon()).await, Ok(1));
    counter.fails.store(true, Ordering::SeqCst);
    pass(61).await;
    for _ in 0..5 {
        assert_eq!(cached.get(soon()).await, Ok(1));
        pass(1).await;
    }
    assert_eq!(counter.loads.load(Ordering::SeqCst), 2);
    pass(40).await;
    for _ in 0..5 {
        assert_eq!(cached.get(soon()).await, Err(FlightError::Died));
    }
    assert_eq!(counter.loads.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_change_and_a_clearing_count_at_once() {
    let (_, cached) = cached();
    cached.get(soon()).await.unwrap();
    cached.update(|value| value + 10);
    assert_eq!(cached.current(), Some(11));
    cached.clear();
    assert_eq!((cached.current(), cached.get(soon()).await), (None, Ok(2)));
}

#[tokio::test(start_paused = true)]
async fn it_is_kept_fresh_until_the_stop() {
    let (counter, cached) = cached();
    let stop = CancellationToken::new();
    let kept = tokio::spawn(cached.clone().keep(stop.clone()));
    pass(0).await;
    for _ in 0..3 {
        pass(60).await;
    }
    assert_eq!((cached.current(), counter.loads.load(Ordering::SeqCst)), (Some(4), 4));
    stop.cancel();
    kept.await.unwrap();
}
