//! Time and randomness as values, so that tests decide both.
//!
//! Wall-clock time (for records and tokens) comes from [`Clock`]; durations and deadlines use
//! [`tokio::time::Instant`], which is monotonic and can be paused. Nothing else in the crate may
//! ask the system for the time: `.clippy.toml` forbids it.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use uuid::{ContextV7, Uuid};

#[cfg(test)]
pub(crate) mod testing;

/// Source of the wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// The time now, UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may ask the system")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved; for tests.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock by `by` (forwards or backwards).
    pub fn advance(&self, by: jiff::SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(*now);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Source of randomness for jitter. Not for secrets.
pub trait Random: Send + Sync + 'static {
    /// A number drawn evenly from `0.0 ..= 1.0`.
    fn unit(&self) -> f64;
}

/// The process-wide generator, seeded by the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn unit(&self) -> f64 {
        fastrand::f64()
    }
}

/// Always draws the same number; for tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedRandom(pub f64);

impl Random for FixedRandom {
    fn unit(&self) -> f64 {
        self.0
    }
}

/// Makes UUIDv7 ids that sort in the order they were made, also within one millisecond
/// (RFC 9562, section 6.2).
#[derive(Debug, Default)]
pub struct IdSource(Mutex<ContextV7>);

impl IdSource {
    /// A new id that carries the time `now`.
    pub fn next(&self, now: Timestamp) -> Uuid {
        let context = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
        Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanos))
    }
}
