//! Durations in the units the limits are written in.

use std::time::Duration;

pub(super) const fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

pub(super) const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

pub(super) const fn minutes(number: u64) -> Duration {
    Duration::from_secs(number * 60)
}

pub(super) const fn hours(number: u64) -> Duration {
    Duration::from_secs(number * 3_600)
}

pub(super) const fn days(number: u64) -> Duration {
    Duration::from_secs(number * 86_400)
}
