//! Pauses that double.

use std::time::Duration;

/// Pauses that begin with one length and double up to another.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// From `first` to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause after failure number `attempt`, which counts from 1.
    #[must_use]
    pub fn pause(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// A part of that pause, at the place that `unit` (0.0 to 1.0) draws, so that those which failed
    /// together do not come back together.
    #[must_use]
    pub fn jittered(self, attempt: u32, unit: f64) -> Duration {
        self.pause(attempt).mul_f64(unit.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

    #[test]
    fn the_pause_doubles_up_to_the_longest() {
        let pauses: Vec<_> = (1..=7).map(|n| BACKOFF.jittered(n, 1.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000]);
    }

    proptest! {
        #[test]
        fn every_draw_is_between_nothing_and_the_longest(attempt in any::<u32>(), unit in -1.0f64..2.0) {
            prop_assert!(BACKOFF.jittered(attempt, unit) <= Duration::from_secs(2));
        }
    }
}
