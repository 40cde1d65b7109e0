//! How far Genesys' clock is from ours. Times that Genesys tells are by its own clock, so they are
//! compared with that.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// `Date` is told in whole seconds.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

/// How far Genesys' clock may still be misjudged: not every answer has a `Date`.
const DOUBT: SignedDuration = SignedDuration::from_secs(5);

/// What has to be added to our time to get Genesys'.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockOffset(SignedDuration);

impl ClockOffset {
    /// From an answer's `Date`, and the time by our clock when the answer came, `took` after it was
    /// asked for. None while both may show the same time.
    #[must_use]
    pub fn of(date: Timestamp, came: Timestamp, took: SignedDuration) -> Self {
        let ahead = date.duration_since(came);
        let behind = ahead.saturating_add(RESOLUTION);
        if ahead <= SignedDuration::ZERO && behind.saturating_add(took) >= SignedDuration::ZERO {
            return Self::default();
        }
        // The latest time that `Date` allows, so that rounding takes no minute from a caller.
        Self(behind)
    }

    /// The time by Genesys' clock.
    #[must_use]
    pub fn theirs(self, ours: Timestamp) -> Timestamp {
        ours.saturating_add(self.0).unwrap_or(ours)
    }

    /// Whether `theirs`, by Genesys' clock, is not before `ours`, by our own.
    #[must_use]
    pub fn is_after(self, theirs: Timestamp, ours: Timestamp) -> bool {
        self.theirs(ours).duration_since(theirs) <= DOUBT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-01-01T{text}Z").parse().unwrap()
    }

    /// Genesys' time when ours is `came`, by an answer with this `Date` that took so many ms.
    fn theirs(date: &str, came: &str, took: i64) -> Timestamp {
        let took = SignedDuration::from_millis(took);
        ClockOffset::of(at(date), at(came), took).theirs(at(came))
    }

    #[test]
    fn clocks_that_may_show_the_same_time_are_taken_to_do_so() {
        for (came, took) in [("12:00:00", 0), ("12:00:00.999", 0), ("12:00:03.2", 2_300)] {
            assert_eq!(theirs("12:00:00", came, took), at(came), "{came}");
        }
    }

    #[test]
    fn a_clock_that_is_off_is_right_to_the_second() {
        for (date, came) in
            [("11:50:00", "12:00:00.3"), ("12:10:00", "12:00:00.3"), ("12:00:01", "12:00:00.3")]
        {
            let theirs = theirs(date, came, 200);
            let second = at(date)..=at(date).saturating_add(RESOLUTION).unwrap();
            assert!(second.contains(&theirs), "{date}: {theirs}");
        }
    }

    #[test]
    fn what_is_after_is_told_whatever_the_clocks_show() {
        let ours = at("12:00:00");
        for date in ["11:50:00", "12:00:00", "12:10:00"] {
            let offset = ClockOffset::of(at(date), ours, SignedDuration::ZERO);
            let after =
                |seconds| offset.is_after(at(date) + SignedDuration::from_secs(seconds), ours);
            assert_eq!([-30, -7, 0, 30].map(after), [false, false, true, true], "{date}");
        }
    }

    #[test]
    fn no_two_times_are_too_far_apart() {
        for (date, came) in [(Timestamp::MIN, Timestamp::MAX), (Timestamp::MAX, Timestamp::MIN)] {
            let offset = ClockOffset::of(date, came, SignedDuration::MAX);
            assert!(offset.theirs(came) >= Timestamp::MIN);
        }
    }
}
