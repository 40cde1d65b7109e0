//! How records are written into columns.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::fault::Unreadable;
use crate::transfer::model::{Status, Transfer};

/// Room for the JSON of most transfers, in bytes.
const USUAL: usize = 1024;

/// A time as microseconds since 1970, rounded down.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time from the microseconds since 1970 it was written as.
pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

/// The lowest id a transfer recorded at or after `time` can have. UUIDv7 carries milliseconds
/// (RFC 9562, section 5.7); a second is taken off, because the id may have been made a moment
/// before `created_at` was.
pub(super) fn lowest_id(time: Timestamp) -> Uuid {
    let start = time.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(time);
    let ms = u64::try_from(start.as_millisecond()).unwrap_or_default();
    Uuid::from_u128(u128::from(ms) << 80)
}

/// Text that PostgreSQL takes: it refuses NUL, so NUL becomes `\0` and, to keep different texts
/// different, `\` becomes `\\`.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', '\\']) {
        Cow::Owned(text.replace('\\', "\\\\").replace('\0', "\\0"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The whole record as JSON. Its escapes keep every character, NUL too.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<String, Unreadable> {
    let mut bytes = Vec::with_capacity(USUAL);
    serde_json::to_writer(&mut bytes, record).map_err(|error| Unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Unreadable(error.to_string()))
}

/// The record back from JSON.
pub(super) fn decode<T: DeserializeOwned>(data: &str) -> Result<T, Unreadable> {
    // serde's message may quote the value it stumbled over: only its place is kept.
    serde_json::from_str(data).map_err(|error| {
        Unreadable(format!("the record cannot be read at column {}", error.column()))
    })
}

/// Why a transfer failed or was skipped; `None` for every other one.
pub(super) fn code(transfer: &Transfer) -> Option<&'static str> {
    let ended_so = matches!(transfer.stage.status(), Status::Failed | Status::Skipped);
    transfer.error.as_ref().filter(|_| ended_so).map(|problem| problem.code.as_str())
}

/// The codes of the warnings of a batch's transfer; `None` when it has none.
pub(super) fn warned(transfer: &Transfer) -> Option<String> {
    let codes: Vec<&str> = transfer.warnings.iter().map(|warning| warning.code.as_str()).collect();
    (transfer.batch_id.is_some() && !codes.is_empty()).then(|| codes.join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn storable_text_has_no_nul_and_stays_distinct(a in ".*\0?.*", b in "[\\\\0\0]{0,4}") {
            let (x, y) = (storable(&a), storable(&b));
            prop_assert!(!x.contains('\0') && !y.contains('\0'));
            prop_assert_eq!(x == y, a == b);
        }

        #[test]
        fn short_escape_soups_stay_distinct(a in "[\\\\0\0]{0,3}", b in "[\\\\0\0]{0,3}") {
            prop_assert_eq!(storable(&a) == storable(&b), a == b);
        }

        #[test]
        fn lowest_id_is_below_every_id_of_that_time(ms in 1_000_i64..4_000_000_000_000) {
            let time = Timestamp::from_millisecond(ms).unwrap();
            let made = crate::clock::IdSource::default().next(time);
            prop_assert!(lowest_id(time) <= made);
            let later = time.checked_add(SignedDuration::from_millis(1_001)).unwrap();
            prop_assert!(lowest_id(later) > made);
        }
    }
}
