//! The clock on the wall of the floor.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::clock::Clock;

/// The time of a paused clock, from noon of a certain day on.
pub(crate) struct FloorClock(Instant);

impl Default for FloorClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for FloorClock {
    fn now(&self) -> Timestamp {
        noon() + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}

pub(super) fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}
