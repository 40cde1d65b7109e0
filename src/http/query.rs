//! Reads a query string as strictly as a body: unknown and repeated parameters are refused, and
//! all that is wrong is reported at once, with `?name` as the pointer.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use url::form_urlencoded;
use uuid::Uuid;

use super::{
    answer::Failure,
    fields::{Errors, check_text, segment, unknown},
    requests::{MAX_REFERENCE, parse_queue_name},
};
use crate::{
    batch::{BatchStatus, store::BatchFilter},
    names::trim,
    transfer::{
        ids::{BatchId, TransferId},
        model::{QueueName, QueueRef, Status},
        store::TransferFilter,
    },
};

pub(super) mod described;
#[cfg(test)]
mod tests;

/// Most transfers on one page.
const MAX_PAGE: u32 = 200;
/// Transfers on a page when the caller does not say.
const DEFAULT_PAGE: u32 = 50;
/// Longest time that is read, in bytes: RFC 3339 lets the fraction of a second have any number of
/// digits.
const MAX_TIME: usize = 128;
/// First byte of a cursor, so that its form may change one day without being misread.
const CURSOR_VERSION: u8 = 1;
/// The same of a list of batches.
const BATCH_CURSOR: u8 = 2;

/// A query string's parameters, read one by one.
struct Query {
    pairs: Vec<(String, String)>,
    errors: Errors,
}

impl Query {
    fn open(raw: Option<&str>, known: &[&'static str]) -> Self {
        let mut errors = Errors::default();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                errors.note(pointer(&name), unknown(&name, known));
            } else if pairs.iter().any(|(seen, _)| *seen == name) {
                errors.note(pointer(&name), "appears more than once");
            } else {
                pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        Self { pairs, errors }
    }

    fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(seen, _)| seen == name)
    }

    /// The parameter `name` as `parse` understands it.
    fn read<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (_, value) = self.pairs.iter().find(|(seen, _)| seen == name)?;
        // Decoding puts this character where the bytes were not UTF-8.
        let parsed = if value.contains(char::REPLACEMENT_CHARACTER) {
            Err("must be UTF-8".to_owned())
        } else {
            parse(value)
        };
        parsed.map_err(|detail| self.errors.note(pointer(name), detail)).ok()
    }

    fn uuid<T: FromStr>(&mut self, name: &str) -> Option<T> {
        self.read(name, |text| {
            text.parse().map_err(|_| "must be a UUID, 36 characters with hyphens".to_owned())
        })
    }
}

fn pointer(name: &str) -> String {
    format!("?{}", segment(name))
}

/// Refuses any query string: for routes that take none.
///
/// # Errors
/// `invalid_request` naming every parameter.
pub(super) fn none(raw: Option<&str>) -> Result<(), Failure> {
    Query::open(raw, &[]).errors.finish(Some(()))
}

/// Reads the query of `GET /transfers`: the filter, and how many to a page.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn transfers(raw: Option<&str>) -> Result<(TransferFilter, u32), Failure> {
    let known = ["conversationId", "queueId", "status", "reference", "since", "limit", "cursor"];
    let mut query = Query::open(raw, &known);
    let filter = TransferFilter {
        conversation_id: query.uuid("conversationId"),
        queue_id: query.uuid("queueId"),
        status: query.read("status", status),
        reference: query.read("reference", |text| {
            check_text(text, MAX_REFERENCE, false).map(|()| text.to_owned())
        }),
        since: query.read("since", since),
        before: query.read("cursor", |text| cursor(text, CURSOR_VERSION)).map(TransferId::new),
        ..TransferFilter::default()
    };
    let limit = query.read("limit", limit).unwrap_or(DEFAULT_PAGE);
    query.errors.finish(Some((filter, limit)))
}

/// Reads the query of `GET /batches`: the filter, and how many to a page.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn batches(raw: Option<&str>) -> Result<(BatchFilter, u32), Failure> {
    let mut query = Query::open(raw, &["status", "limit", "cursor"]);
    let filter = BatchFilter {
        status: query.read("status", batch_status),
        before: query.read("cursor", |text| cursor(text, BATCH_CURSOR)).map(BatchId::new),
        caller: None,
    };
    let limit = query.read("limit", limit).unwrap_or(DEFAULT_PAGE);
    query.errors.finish(Some((filter, limit)))
}

/// Reads the query of `GET /batches/{id}/transfers`: where to go on, and how many to a page.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn batch_transfers(raw: Option<&str>) -> Result<(Option<TransferId>, u32), Failure> {
    let mut query = Query::open(raw, &["limit", "cursor"]);
    let before = query.read("cursor", |text| cursor(text, CURSOR_VERSION)).map(TransferId::new);
    let limit = query.read("limit", limit).unwrap_or(DEFAULT_PAGE);
    query.errors.finish(Some((before, limit)))
}

/// Reads the query of `GET /conversations/{id}`: at most one of `queueName` and `queueId`.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn target(raw: Option<&str>) -> Result<Option<QueueRef>, Failure> {
    let mut query = Query::open(raw, &["queueName", "queueId"]);
    if query.has("queueName") && query.has("queueId") {
        query.errors.note("?queueId", "give either queueName or queueId, not both");
    }
    let by_name = query.read("queueName", parse_queue_name).map(QueueRef::Name);
    let by_id = query.uuid("queueId").map(QueueRef::Id);
    query.errors.finish(Some(by_name.or(by_id)))
}

/// Reads the query of `GET /queues`: a part of a queue's name, trimmed; empty for all.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn queues(raw: Option<&str>) -> Result<String, Failure> {
    let mut query = Query::open(raw, &["name"]);
    let fragment = query.read("name", |text| {
        let text = trim(text);
        check_text(text, QueueName::MAX_CHARS, false).map(|()| text.to_owned())
    });
    query.errors.finish(Some(fragment.unwrap_or_default()))
}

fn status(text: &str) -> Result<Status, String> {
    let words = || Status::ALL.map(Status::as_str).join(", ");
    Status::from_text(text).ok_or_else(|| format!("must be one of {}", words()))
}

fn batch_status(text: &str) -> Result<BatchStatus, String> {
    let words = || BatchStatus::ALL.map(BatchStatus::as_str).join(", ");
    BatchStatus::from_text(text).ok_or_else(|| format!("must be one of {}", words()))
}

fn limit(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|limit| digits && (1..=MAX_PAGE).contains(limit))
        .ok_or_else(|| format!("must be a whole number from 1 to {MAX_PAGE}"))
}

fn since(text: &str) -> Result<Timestamp, String> {
    let read = |text: &str| to_the_nanosecond(text).parse().ok();
    Some(text)
        .filter(|text| text.len() <= MAX_TIME)
        // A plus sign that was not percent-encoded arrives as a blank; no time has one there.
        .and_then(|text| read(text).or_else(|| read(&text.replace(' ', "+"))))
        .ok_or_else(|| "must be a time such as 2026-03-27T09:30:00Z".to_owned())
}

/// `text` without what follows the ninth digit of a second's fraction: no time here is as fine.
fn to_the_nanosecond(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let fraction = rest.chars().take(rest.len().saturating_sub(zone.len()).min(9));
    format!("{whole}.{}{zone}", fraction.collect::<String>())
}

fn cursor(text: &str, version: u8) -> Result<Uuid, String> {
    let invalid = || "must be a nextCursor as it was given".to_owned();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    match bytes.split_first() {
        Some((first, id)) if *first == version => Uuid::from_slice(id).map_err(|_| invalid()),
        _ => Err(invalid()),
    }
}

/// The cursor that leads past the transfer `last`.
pub(super) fn cursor_after(last: TransferId) -> String {
    cursor_to(CURSOR_VERSION, last.uuid())
}

/// The cursor that leads past the batch `last`.
pub(super) fn cursor_after_batch(last: BatchId) -> String {
    cursor_to(BATCH_CURSOR, last.uuid())
}

fn cursor_to(version: u8, id: Uuid) -> String {
    let mut bytes = vec![version];
    bytes.extend_from_slice(id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
