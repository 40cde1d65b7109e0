//! Full-jitter exponential back-off.

use std::time::Duration;

/// First ceiling after an ordinary failure.
pub(in crate::genesys) const BASE: Duration = Duration::from_millis(100);
/// First ceiling after a 429 that does not say how long.
pub(in crate::genesys) const BASE_THROTTLED: Duration = Duration::from_secs(1);
/// No pause is longer.
const CAP: Duration = Duration::from_secs(2);

/// A pause between nothing and `base` × 2^(attempt − 1), at most 2 s, at the place `unit`
/// (0.0 to 1.0) draws. `attempt` counts from 1.
pub(in crate::genesys) fn delay(base: Duration, attempt: u32, unit: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(10);
    let ceiling = base.saturating_mul(1 << doublings).min(CAP);
    ceiling.mul_f64(unit.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_two_seconds() {
        let ceilings: Vec<_> =
            (1..=7).map(|attempt| delay(BASE, attempt, 1.0).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1600, 2000, 2000]);
    }

    #[test]
    fn after_a_429_it_starts_at_one_second() {
        assert_eq!(delay(BASE_THROTTLED, 1, 1.0), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn every_draw_is_between_nothing_and_the_cap(attempt in any::<u32>(), unit in -1.0f64..2.0) {
            prop_assert!(delay(BASE, attempt, unit) <= CAP);
        }
    }
}
