//! Counts what happened in a time that slides along.

use std::time::Duration;

use tokio::time::Instant;

/// Counts events of the last `STEPS` steps of equal length, the present one included, so that an
/// event counts for at least `STEPS - 1` of them. Memory is bounded.
#[derive(Debug)]
pub struct SlidingWindow<const STEPS: usize> {
    step: Duration,
    began: Instant,
    /// Number of the present step since the beginning.
    present: u64,
    counts: [u32; STEPS],
    sum: u64,
}

impl<const STEPS: usize> SlidingWindow<STEPS> {
    /// Nothing has happened yet; `step` is longer than zero.
    #[must_use]
    pub const fn new(step: Duration, now: Instant) -> Self {
        Self { step, began: now, present: 0, counts: [0; STEPS], sum: 0 }
    }

    /// Counts an event.
    pub fn add(&mut self, now: Instant) {
        self.advance(now);
        if let Some(count) = self.counts.get_mut(Self::index(self.present)) {
            *count = count.saturating_add(1);
            self.sum += 1;
        }
    }

    /// How many events count now.
    pub fn sum(&mut self, now: Instant) -> u64 {
        self.advance(now);
        self.sum
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        (self.counts, self.sum) = ([0; STEPS], 0);
    }

    /// When `events` of those that count now, the oldest, no longer count; `None` when there are not
    /// so many.
    pub fn when_forgotten(&mut self, now: Instant, events: u64) -> Option<Instant> {
        self.advance(now);
        let steps = STEPS as u64;
        let mut seen = 0;
        for step in (self.present + 1).saturating_sub(steps)..=self.present {
            seen += self.counts.get(Self::index(step)).copied().map_or(0, u64::from);
            if seen >= events {
                let end = u32::try_from(step + steps).unwrap_or(u32::MAX);
                return self.began.checked_add(self.step.saturating_mul(end));
            }
        }
        None
    }

    fn index(step: u64) -> usize {
        usize::try_from(step % STEPS as u64).unwrap_or_default()
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.began).as_millis();
        let present = passed / self.step.as_millis().max(1);
        let present = u64::try_from(present).unwrap_or(u64::MAX);
        for step in 1..=present.saturating_sub(self.present).min(STEPS as u64) {
            if let Some(count) = self.counts.get_mut(Self::index(self.present + step)) {
                self.sum -= u64::from(std::mem::take(count));
            }
        }
        self.present = self.present.max(present);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_event_counts_for_its_time_and_not_longer() {
        let began = Instant::now();
        let mut window = SlidingWindow::<3>::new(SECOND, began);
        window.add(began + SECOND / 2);
        window.add(began + SECOND);
        for (after, expected) in [(1, 2), (2, 2), (3, 1), (4, 0), (1_000_000, 0)] {
            assert_eq!(window.sum(began + SECOND * after), expected, "{after} s");
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_forgets_nothing() {
        let began = Instant::now();
        let mut window = SlidingWindow::<3>::new(SECOND, began);
        window.add(began + SECOND * 2);
        assert_eq!(window.sum(began), 1);
    }

    #[test]
    fn the_time_is_told_at_which_events_no_longer_count() {
        let began = Instant::now();
        let mut window = SlidingWindow::<3>::new(SECOND, began);
        window.add(began);
        window.add(began + SECOND);
        let now = began + SECOND;
        let told = [1, 2, 3].map(|events| window.when_forgotten(now, events));
        assert_eq!(told, [Some(began + SECOND * 3), Some(began + SECOND * 4), None]);
        assert_eq!((window.sum(began + SECOND * 3), window.sum(began + SECOND * 4)), (1, 0));
    }
}
