//! How long a 429 asks to wait, in every form `Retry-After` comes in (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// Longest wait told to a caller, and longest pause: after an hour one try finds out again.
pub(super) const LONGEST: Duration = Duration::from_hours(1);

/// Beyond a day a value is taken for nonsense; daily limits answer with hours.
const BELIEVABLE: u64 = 24 * 60 * 60;

/// The wait that an answer asks for: `Retry-After` when it makes sense, else the end of the rate
/// window (`inin-ratelimit-reset`, seconds) when that does; at most [`LONGEST`].
///
/// `date` is the same answer's `Date` header, so that a wrong clock on either side does not
/// matter; without it `now` is used.
pub(super) fn wait(
    retry_after: Option<&str>,
    reset: Option<&str>,
    date: Option<&str>,
    now: Timestamp,
) -> Option<Duration> {
    retry_after
        .and_then(|text| seconds(text).or_else(|| until(text, date, now)))
        .or_else(|| reset.and_then(seconds))
        .map(|wait| wait.min(LONGEST))
}

/// An HTTP date.
pub(super) fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

/// Whole seconds from 0 to a day.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value: u64 = digits.then(|| text.parse().ok())??;
    (value <= BELIEVABLE).then(|| Duration::from_secs(value))
}

/// The time from the answer's date to an HTTP date; `None` when that is past or beyond belief.
fn until(text: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let at = self::date(text)?;
    let from = date.and_then(self::date).unwrap_or_else(|| SystemTime::from(now));
    let wait = at.duration_since(from).ok()?;
    (wait <= Duration::from_secs(BELIEVABLE)).then_some(wait)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: &str = "Sun, 06 Nov 1994 12:00:00 GMT";

    fn now() -> Timestamp {
        "1994-11-06T11:59:50Z".parse().unwrap()
    }

    fn asked(retry_after: &str) -> Option<Duration> {
        wait(Some(retry_after), None, None, now())
    }

    #[test]
    fn each_form_is_understood() {
        let table = [
            ("0", Some(0)),
            ("1", Some(1)),
            (" 17 ", Some(17)),
            ("3600", Some(3600)),
            ("7200", Some(3600)),
            ("86400", Some(3600)),
            ("86401", None),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("99999999999999999999999", None),
            (NOON, Some(10)),
            ("Sun, 06 Nov 1994 11:00:00 GMT", None),
            ("Sun, 06 Nov 2094 12:00:00 GMT", None),
            ("Sun, 99 Nov 1994 12:00:00 GMT", None),
        ];
        for (text, expected) in table {
            assert_eq!(asked(text), expected.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn a_date_is_measured_against_the_answers_own_date() {
        let wait = wait(Some(NOON), None, Some("Sun, 06 Nov 1994 11:59:57 GMT"), now());
        assert_eq!(wait, Some(Duration::from_secs(3)));
    }

    #[test]
    fn nonsense_falls_to_the_reset_header() {
        assert_eq!(wait(Some("soon"), Some("12"), None, now()), Some(Duration::from_secs(12)));
        assert_eq!(wait(None, Some("12"), None, now()), Some(Duration::from_secs(12)));
        assert_eq!(wait(Some("4"), Some("12"), None, now()), Some(Duration::from_secs(4)));
        assert_eq!(wait(Some("-4"), Some("-12"), None, now()), None);
    }

    proptest! {
        #[test]
        fn no_text_panics_or_exceeds_the_longest_wait(
            retry in proptest::option::of(".{0,40}"),
            reset in proptest::option::of("[-0-9]{0,25}"),
            date in proptest::option::of(".{0,40}"),
        ) {
            let wait = wait(retry.as_deref(), reset.as_deref(), date.as_deref(), now());
            prop_assert!(wait.is_none_or(|wait| wait <= LONGEST));
        }

        #[test]
        fn whole_seconds_come_back_unchanged(value in 0u64..=3600) {
            prop_assert_eq!(asked(&value.to_string()), Some(Duration::from_secs(value)));
        }

        #[test]
        fn a_date_form_asks_for_the_same_wait_as_seconds(value in 0u64..=3600) {
            let base = SystemTime::from(now());
            let at = httpdate::fmt_http_date(base + Duration::from_secs(value));
            let date = httpdate::fmt_http_date(base);
            let wait = wait(Some(&at), None, Some(&date), "2030-01-01T00:00:00Z".parse().unwrap());
            prop_assert_eq!(wait, Some(Duration::from_secs(value)));
        }
    }
}
