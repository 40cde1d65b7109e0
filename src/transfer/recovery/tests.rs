use super::*;
use crate::{
    clock::{Clock, ManualClock},
    problem::UpstreamAnswer,
    transfer::{
        Wait,
        gateway::Sent,
        testing::{Bench, Effect, MemoryStore},
    },
};

fn hours(count: u64) -> Duration {
    Duration::from_hours(count)
}

/// A service over an empty store, whose clock can be set.
async fn bench() -> (Bench, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new("2026-11-22T10:00:00Z".parse().unwrap()));
    (Bench::at(clock.clone(), Arc::default()).await, clock)
}

/// Time passes, on the clock as well.
async fn pass(clock: &ManualClock, time: Duration) {
    let step = Duration::from_mins(1);
    for _ in 0..time.as_secs() / step.as_secs() {
        clock.advance(SignedDuration::from_mins(1));
        tokio::time::sleep(step).await;
    }
}

impl Bench {
    /// Up to when the last reaping took keys.
    fn reaped_keys(&self) -> Option<Timestamp> {
        self.store.reapings.lock().unwrap().last().copied()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_reaped_in_the_first_hour() {
    let (bench, clock) = bench().await;
    let start = clock.now();
    pass(&clock, Duration::from_mins(59)).await;
    assert_eq!(bench.reaped_keys(), None);
    pass(&clock, Duration::from_mins(2)).await;
    assert!(bench.reaped_keys().unwrap() >= start + hours(1) - hours(72));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_is_believed_a_day_at_a_time() {
    let (bench, clock) = bench().await;
    let start = clock.now();
    clock.advance(SignedDuration::from_hours(100));
    for day in 1..=3 {
        pass(&clock, hours(24)).await;
        let reaped = bench.reaped_keys().unwrap();
        let (passed, believed) = (hours(24 * day), hours(24 * day));
        assert!(reaped <= start + passed + believed - hours(72), "{reaped} on day {day}");
        assert!(reaped >= start + passed - hours(72), "{reaped} on day {day}");
    }
    pass(&clock, hours(3 * 24)).await;
    let reaped = bench.reaped_keys().unwrap();
    assert!(reaped > clock.now() - hours(73), "{reaped}: the clock was right, it seems");
}

#[tokio::test(start_paused = true)]
async fn a_jump_before_the_start_is_seen_by_what_the_store_remembers() {
    let (before, clock) = bench().await;
    let start = clock.now();
    before.stop.cancel();
    clock.advance(SignedDuration::from_hours(100));

    let bench = Bench::at(clock.clone(), Arc::clone(&before.store)).await;
    pass(&clock, hours(2)).await;

    let reaped = bench.reaped_keys().unwrap();
    assert!(reaped <= start + hours(2) + hours(24) - hours(72), "{reaped}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_behind_for_days_does_not_keep_records_for_ever() {
    let (bench, clock) = bench().await;
    clock.advance(SignedDuration::from_hours(-10_000));
    pass(&clock, hours(30)).await;
    clock.advance(SignedDuration::from_hours(10_000));
    pass(&clock, hours(1)).await;
    assert!(bench.reaped_keys().unwrap() > clock.now() - hours(73));
}

/// A row that was recorded and not sent, by a clock that is `ahead` of the present one.
async fn left_behind(ahead: SignedDuration) -> Stage {
    let (before, clock) = bench().await;
    before.gateway.next(Sent::Taken(UpstreamAnswer::default()), Effect::Never);
    before.submit(None, Wait::Outcome).await.unwrap();
    before.stop.cancel();
    let mut row = before.only_transfer().await;
    row.stage = Stage::Received;
    let store = Arc::new(MemoryStore::default());
    store.left_behind(row);
    clock.advance(-ahead);
    let bench = Bench::at(clock, store).await;
    bench.gateway.next(Sent::Taken(UpstreamAnswer::default()), Effect::Never);
    tokio::time::sleep(Duration::from_secs(5)).await;
    bench.only_transfer().await.stage
}

#[tokio::test(start_paused = true)]
async fn what_a_clock_since_set_back_recorded_is_not_taken_for_young() {
    assert_eq!(left_behind(SignedDuration::from_hours(48)).await, Stage::Failed);
}
