//! The retry budget: repeats are at most a tenth of first tries over a minute, with a floor of
//! one a second, so that an upstream in trouble is not buried by its callers.

use std::time::Duration;

use tokio::time::Instant;

/// Repeats in hand at start, and the most the floor saves up.
const IN_HAND: f64 = 10.0;
/// Repeats a second the floor allows.
const FLOOR: f64 = 1.0;
/// Repeats earned by one first try.
const SHARE: f64 = 0.1;
/// First tries are remembered for this many steps of [`STEP`].
const STEPS: usize = 6;
const STEP: Duration = Duration::from_secs(10);

/// Two pots: the floor fills with time, the share with first tries of the last minute.
#[derive(Debug)]
pub(super) struct Budget {
    floor: f64,
    share: f64,
    filled_at: Instant,
    firsts: [u32; STEPS],
    step_began: Instant,
}

impl Budget {
    /// A budget as at start.
    pub(super) fn new(now: Instant) -> Self {
        Self { floor: IN_HAND, share: 0.0, filled_at: now, firsts: [0; STEPS], step_began: now }
    }

    /// Counts a first try.
    pub(super) fn first_try(&mut self, now: Instant) {
        self.advance(now);
        if let Some(newest) = self.firsts.last_mut() {
            *newest = newest.saturating_add(1);
        }
        self.share = (self.share + SHARE).min(self.share_cap());
    }

    /// Whether one repeat can be paid.
    pub(super) fn has_one(&mut self, now: Instant) -> bool {
        self.advance(now);
        self.floor >= 1.0 || self.share >= 1.0
    }

    /// Pays for one repeat.
    pub(super) fn take_one(&mut self, now: Instant) {
        self.advance(now);
        // The share first: the floor is there for when the share is empty.
        let pot = if self.share >= 1.0 { &mut self.share } else { &mut self.floor };
        *pot = (*pot - 1.0).max(0.0);
    }

    fn share_cap(&self) -> f64 {
        SHARE * self.firsts.iter().copied().map(f64::from).sum::<f64>()
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.floor = (self.floor + passed * FLOOR).min(IN_HAND);
        self.filled_at = now;
        let mut steps = 0;
        while now.saturating_duration_since(self.step_began) >= STEP && steps < STEPS {
            self.firsts.rotate_left(1);
            if let Some(newest) = self.firsts.last_mut() {
                *newest = 0;
            }
            self.step_began += STEP;
            steps += 1;
        }
        if steps == STEPS {
            self.step_began = now;
        }
        self.share = self.share.min(self.share_cap());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take_all(budget: &mut Budget, now: Instant) -> u32 {
        let mut taken = 0;
        while budget.has_one(now) {
            budget.take_one(now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn ten_are_in_hand_at_start() {
        let now = Instant::now();
        assert_eq!(take_all(&mut Budget::new(now), now), 10);
    }

    #[test]
    fn the_floor_gives_one_a_second() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        take_all(&mut budget, now);
        assert_eq!(take_all(&mut budget, now + Duration::from_secs(3)), 3);
    }

    #[test]
    fn first_tries_earn_a_tenth() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        take_all(&mut budget, now);
        (0..205).for_each(|_| budget.first_try(now));
        assert_eq!(take_all(&mut budget, now), 20);
    }

    #[test]
    fn what_was_earned_is_gone_after_a_minute() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        (0..1000).for_each(|_| budget.first_try(now));
        assert_eq!(take_all(&mut budget, now + Duration::from_secs(61)), 10);
    }

    proptest! {
        #[test]
        fn repeats_never_exceed_a_tenth_plus_the_floor(
            steps in proptest::collection::vec((0u64..3000, 0u32..30, 0u32..30), 1..60)
        ) {
            let start = Instant::now();
            let (mut now, mut budget) = (start, Budget::new(start));
            let (mut firsts, mut repeats) = (0.0, 0.0);
            for (ms, tries, wanted) in steps {
                now += Duration::from_millis(ms);
                for _ in 0..tries {
                    budget.first_try(now);
                    firsts += 1.0;
                }
                for _ in 0..wanted {
                    if budget.has_one(now) {
                        budget.take_one(now);
                        repeats += 1.0;
                    }
                }
                let floor = 10.0 + (now - start).as_secs_f64();
                prop_assert!(repeats <= floor + 0.1 * firsts + 1e-6);
            }
        }
    }
}
