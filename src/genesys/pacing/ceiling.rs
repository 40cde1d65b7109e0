//! What Genesys' own headers say is left: per OAuth client, `inin-ratelimit-allowed` minus
//! `inin-ratelimit-count` until `inin-ratelimit-reset` seconds have passed. Other users of the
//! same client are in that count, so it may be less than the local window allows.

use std::time::Duration;

use tokio::time::Instant;

/// A window of Genesys' is a minute; a reset far beyond it is nonsense.
const LONGEST_RESET: u64 = 120;
/// Two answers speak of the same window when their ends differ by no more than rounding and
/// latency explain.
const SAME_WINDOW: Duration = Duration::from_secs(2);

/// The three rate headers of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::genesys) struct RateHeaders {
    allowed: u32,
    count: u32,
    reset: Duration,
}

impl RateHeaders {
    /// Reads the headers; `None` unless all three are there and make sense.
    pub(in crate::genesys) fn parse(
        allowed: Option<&str>,
        count: Option<&str>,
        reset: Option<&str>,
    ) -> Option<Self> {
        let number = |text: Option<&str>| text?.trim().parse::<u32>().ok();
        let allowed = number(allowed).filter(|allowed| *allowed > 0)?;
        let reset = number(reset).map(u64::from).filter(|reset| *reset <= LONGEST_RESET)?;
        Some(Self { allowed, count: number(count)?, reset: Duration::from_secs(reset) })
    }
}

/// What is known about Genesys' window.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ceiling {
    /// Nothing: the local limit alone counts.
    Unknown,
    /// A window with an end. `count` is the highest seen, because answers overtake each other.
    Known { allowed: u64, count: u64, until: Instant },
    /// That window is over and no answer has come since: no more than the last known allowance
    /// is let go until one does.
    Over { allowed: u64, let_go: u64 },
}

impl Ceiling {
    /// Requests that may be let go beside `busy` others, which are on their way or reserved.
    pub(super) fn room(&mut self, now: Instant, busy: u64) -> u64 {
        self.advance(now, busy);
        match *self {
            Self::Unknown => u64::MAX,
            // A request on its way may or may not be in the count: it is taken not to be.
            Self::Known { allowed, count, .. } => allowed.saturating_sub(count + busy),
            Self::Over { allowed, let_go } => allowed.saturating_sub(let_go),
        }
    }

    /// The same for one that was reserved before, and so is counted among those let go already.
    pub(super) fn room_for_ticket(&mut self, now: Instant, on_their_way: u64) -> u64 {
        self.advance(now, on_their_way);
        match *self {
            Self::Known { .. } => self.room(now, on_their_way),
            Self::Unknown | Self::Over { .. } => u64::MAX,
        }
    }

    fn advance(&mut self, now: Instant, busy: u64) {
        if let Self::Known { allowed, until, .. } = *self
            && now >= until
        {
            *self = Self::Over { allowed, let_go: busy };
        }
    }

    /// The allowance, when one is known.
    pub(super) const fn allowed(&self) -> Option<u64> {
        match *self {
            Self::Unknown => None,
            Self::Known { allowed, .. } | Self::Over { allowed, .. } => Some(allowed),
        }
    }

    /// When the known window ends.
    pub(super) const fn until(&self) -> Option<Instant> {
        match *self {
            Self::Known { until, .. } => Some(until),
            Self::Unknown | Self::Over { .. } => None,
        }
    }

    /// Notes that `requests` were let go.
    pub(super) fn let_go(&mut self, requests: u64) {
        if let Self::Over { let_go, .. } = self {
            *let_go += requests;
        }
    }

    /// Notes that `requests` never left after all.
    pub(super) fn took_back(&mut self, requests: u64) {
        if let Self::Over { let_go, .. } = self {
            *let_go = let_go.saturating_sub(requests);
        }
    }

    /// Notes an answer, with or without headers, or that there will be none.
    pub(super) fn answered(&mut self, now: Instant, headers: Option<RateHeaders>) {
        let Some(RateHeaders { allowed, count, reset }) = headers else {
            if let Self::Over { .. } = self {
                *self = Self::Unknown;
            }
            return;
        };
        let (allowed, mut count, until) = (u64::from(allowed), u64::from(count), now + reset);
        if let Self::Known { count: seen, until: known, .. } = *self
            && now < known
            && until.saturating_duration_since(known) <= SAME_WINDOW
            && known.saturating_duration_since(until) <= SAME_WINDOW
        {
            count = count.max(seen);
        }
        *self = Self::Known { allowed, count, until };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(allowed: u32, count: u32, reset: u64) -> RateHeaders {
        RateHeaders { allowed, count, reset: Duration::from_secs(reset) }
    }

    fn known(now: Instant, allowed: u32, count: u32, reset: u64) -> Ceiling {
        let mut ceiling = Ceiling::Unknown;
        ceiling.answered(now, Some(headers(allowed, count, reset)));
        ceiling
    }

    #[test]
    fn only_three_sensible_headers_count() {
        let parse = |allowed, count, reset| {
            RateHeaders::parse(Some(allowed), Some(count), Some(reset)).is_some()
        };
        assert!(parse("300", "12", "47"));
        assert!(parse("300", "301", "0"));
        for (allowed, count, reset) in [
            ("0", "1", "10"),
            ("-300", "1", "10"),
            ("300", "x", "10"),
            ("300", "1", "86400"),
            ("300", "1", "-1"),
            ("99999999999", "1", "1"),
        ] {
            assert!(!parse(allowed, count, reset), "{allowed} {count} {reset}");
        }
        assert_eq!(RateHeaders::parse(Some("300"), None, Some("3")), None);
    }

    #[test]
    fn the_highest_count_of_a_window_stands_though_answers_overtake_each_other() {
        let now = Instant::now();
        let mut ceiling = known(now, 300, 60, 30);
        ceiling.answered(now + Duration::from_secs(1), Some(headers(300, 20, 29)));
        assert_eq!(ceiling.room(now + Duration::from_secs(1), 0), 240);
    }

    #[test]
    fn a_new_window_starts_a_new_count() {
        let now = Instant::now();
        let mut ceiling = known(now, 300, 299, 3);
        let later = now + Duration::from_secs(4);
        ceiling.answered(later, Some(headers(300, 1, 59)));
        assert_eq!(ceiling.room(later, 0), 299);
    }

    #[test]
    fn requests_on_their_way_are_taken_not_to_be_counted_yet() {
        let now = Instant::now();
        assert_eq!(known(now, 10, 4, 30).room(now, 5), 1);
        assert_eq!(known(now, 10, 12, 30).room(now, 0), 0);
    }

    #[test]
    fn after_the_window_only_its_allowance_goes_until_an_answer_comes() {
        let now = Instant::now();
        let mut ceiling = known(now, 5, 5, 3);
        let later = now + Duration::from_secs(3);
        assert_eq!(ceiling.room(later, 0), 5);
        ceiling.let_go(5);
        assert_eq!(ceiling.room(later, 5), 0);
        ceiling.answered(later, None);
        assert_eq!(ceiling.room(later, 5), u64::MAX);
    }
}
