//! When a standing drain looks at its queue, and whether it may move calls now. Pure.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::batch::{Drain, When};

/// Time between two looks.
pub(super) const BEAT: Duration = Duration::from_secs(10);

/// So many looks in a row change whether calls are moved.
const LOOKS: u32 = 2;

/// A drain that stays.
#[derive(Debug)]
pub(super) struct StandingDrain {
    until: Timestamp,
    when: When,
    moving: bool,
    /// Looks in a row that say the opposite of `moving`.
    against: u32,
    next_look: Option<Instant>,
    /// Whether it looked after its time was over.
    has_looked_last: bool,
}

impl StandingDrain {
    /// `None` for a drain that ends with its queue.
    pub(super) fn of(drain: Option<&Drain>) -> Option<Self> {
        let drain = drain?;
        let moving = drain.when == When::Always;
        Some(Self {
            until: drain.until?,
            when: drain.when,
            moving,
            against: 0,
            next_look: None,
            has_looked_last: false,
        })
    }

    /// Whether no call that arrives now is moved any more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }

    /// Whether it depends on the agents of its queue.
    pub(super) const fn watches_agents(&self) -> bool {
        matches!(self.when, When::NobodyOnQueue)
    }

    /// Whether calls may be moved now.
    pub(super) const fn is_moving(&self) -> bool {
        self.moving
    }

    /// When it looks again; `None`: at once.
    pub(super) const fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Whether it is to look at `now`, also by the clock. The last look is when its time is over.
    pub(super) fn is_due(&self, now: Instant, clock: Timestamp) -> bool {
        if self.is_over(clock) {
            return self.moving && !self.has_looked_last;
        }
        self.next_look.is_none_or(|at| at <= now)
    }

    /// It has looked at `now`, also by the clock; it looks again after `pause` at most.
    pub(super) fn looked(&mut self, now: Instant, clock: Timestamp, pause: Duration) {
        self.has_looked_last = self.is_over(clock);
        let left = self.until.duration_since(clock).unsigned_abs();
        self.next_look = Some(now + pause.min(left));
    }

    /// A look showed so many agents on queue. One that does not tell is none of an empty queue.
    pub(super) fn saw(&mut self, on_queue: Option<u64>) {
        if !self.watches_agents() || (on_queue == Some(0)) == self.moving {
            self.against = 0;
            return;
        }
        self.against += 1;
        if self.against >= LOOKS {
            self.moving = !self.moving;
            self.against = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Kind, samples};

    fn stand(when: When) -> StandingDrain {
        let drain = samples::batch(Kind::Drain, 0).drain.unwrap();
        StandingDrain::of(Some(&Drain { until: Some(Timestamp::UNIX_EPOCH), when, ..drain }))
            .unwrap()
    }

    #[test]
    fn two_looks_in_a_row_change_whether_calls_are_moved() {
        for (looks, moving) in [
            (vec![], false),
            (vec![Some(0)], false),
            (vec![Some(0), Some(0)], true),
            (vec![Some(0), Some(1), Some(0)], false),
            (vec![Some(0), None, Some(0)], false),
            (vec![None, None, None], false),
            (vec![Some(0), Some(0), Some(2)], true),
            (vec![Some(0), Some(0), Some(2), Some(1)], false),
            (vec![Some(0), Some(0), Some(2), Some(0), Some(2)], true),
            (vec![Some(0), Some(0), None, None], false),
        ] {
            let mut stand = stand(When::NobodyOnQueue);
            for look in &looks {
                stand.saw(*look);
            }
            assert_eq!(stand.is_moving(), moving, "{looks:?}");
        }
    }

    #[test]
    fn one_that_always_moves_does_not_mind_agents() {
        let mut stand = stand(When::Always);
        for look in [Some(3), Some(3), None] {
            stand.saw(look);
            assert!(stand.is_moving());
        }
    }
}
