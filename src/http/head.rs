//! What request headers say: the idempotency key, what the caller prefers, ids to echo or pass on,
//! and the formats spoken.

use std::{str, sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName};

use super::answer::Failure;
use crate::{problem::Code, trace::TraceParent, transfer::Wait};

mod media;
#[cfg(test)]
mod tests;

pub(super) use media::{Media, accepts, body_is_json, chosen};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest `Idempotency-Key`, in characters, quotes and escapes not counted.
const MAX_KEY: usize = 255;
/// Longest `tracestate` that is passed on; 512 is the least that has to be.
const MAX_TRACESTATE: usize = 1024;
const MAX_TRACESTATE_MEMBERS: usize = 32;
/// Longest `X-Request-Id` that is echoed.
const MAX_REQUEST_ID: usize = 128;

/// `X-Request-Id`, if there is exactly one of 1 to 128 characters of `[A-Za-z0-9._-]`.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&str> {
    let id = only(headers, &X_REQUEST_ID)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    ((1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(allowed)).then_some(id)
}

/// `traceparent`, if it is one (W3C Trace Context, section 3.2), with its `tracestate`; else as if
/// neither were there.
pub(super) fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    let parent = only(headers, &TRACEPARENT).filter(|value| is_traceparent(value))?;
    Some(TraceParent { parent: parent.into(), state: tracestate(headers) })
}

/// All `tracestate` headers as one list (section 3.3), if it has at most 32 members in visible
/// ASCII and is not so long that it must be someone's mistake.
fn tracestate(headers: &HeaderMap) -> Option<Arc<str>> {
    let values = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok());
    let list = values.collect::<Option<Vec<_>>>()?.join(",");
    let fits = (1..=MAX_TRACESTATE).contains(&list.len())
        && list.split(',').count() <= MAX_TRACESTATE_MEMBERS;
    fits.then(|| list.into())
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

fn is_traceparent(value: &str) -> bool {
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |text: &str| text.bytes().all(|b| b == b'0');
    let mut parts = value.splitn(5, '-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    // Version 00 ends here; later versions may go on after another hyphen.
    let ends_well = parts.next().is_none() || version != "00";
    hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && !zero(trace)
        && hex(parent, 16)
        && !zero(parent)
        && hex(flags, 2)
        && ends_well
}

/// `Idempotency-Key`: 1 to 255 visible ASCII characters, bare or as a structured-field string
/// (RFC 9651, section 3.3.3), which is the same key.
///
/// # Errors
/// `idempotency_key_invalid` when there are two, or one that is neither.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let invalid = |why: &str| {
        Err(Failure::new(Code::IdempotencyKeyInvalid, format!("The Idempotency-Key header {why}.")))
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return invalid("is there more than once");
    }
    let Ok(text) = str::from_utf8(value.as_bytes()) else {
        return invalid("holds bytes that are not ASCII");
    };
    let text = text.trim_matches([' ', '\t']);
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => Some(text.to_owned()),
    };
    match key {
        None => invalid("begins with a quote but is no quoted string"),
        Some(key) if key.is_empty() => invalid("is empty"),
        Some(key) if !key.bytes().all(|b| b.is_ascii_graphic()) => {
            invalid("may hold visible ASCII characters only, no blanks")
        }
        Some(key) if key.len() > MAX_KEY => invalid("may have at most 255 characters"),
        Some(key) => Ok(Some(key)),
    }
}

/// The content of a quoted string whose opening quote was taken; `None` when its escapes are
/// wrong, it is not closed, or something follows.
fn unquote(quoted: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(out),
            '\\' => out.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => out.push(c),
        }
    }
}

/// What the caller prefers (RFC 7240).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Prefer {
    respond_async: bool,
    wait: Option<u64>,
}

impl Prefer {
    /// Reads all `Prefer` headers. Preferences that are unknown or malformed are ignored, as RFC
    /// 7240, section 2, asks: the caller sees in `Preference-Applied` what was followed. The
    /// first of two that are alike counts.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut seen_async = None;
        let mut seen_wait = None;
        let lines = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        for preference in lines.flat_map(|line| split_outside_quotes(line, ',')) {
            // Parameters after a semicolon are taken by none of the preferences known here.
            let word = split_outside_quotes(preference, ';').next().unwrap_or_default();
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(unquote).unwrap_or(value.to_owned());
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => {
                    seen_async.get_or_insert(value.is_empty());
                }
                "wait" => {
                    seen_wait.get_or_insert(seconds(&value));
                }
                _ => {}
            }
        }
        Self { respond_async: seen_async.unwrap_or_default(), wait: seen_wait.flatten() }
    }

    /// What to wait for. With both preferences the answer comes at once: RFC 7240, section 4.3,
    /// lets a server answer an asynchronous request earlier than `wait`, and a caller that asks for
    /// `respond-async` does not want to be kept.
    pub(super) fn wait(self) -> Wait {
        match self {
            Self { respond_async: true, .. } => Wait::Nothing,
            Self { wait: Some(seconds), .. } => Wait::Confirmation(Duration::from_secs(seconds)),
            Self { wait: None, .. } => Wait::Outcome,
        }
    }

    /// `Preference-Applied` for an answer with `status`.
    pub(super) fn applied(self, status: u16) -> Option<String> {
        match (self.wait(), status) {
            (Wait::Nothing, 202) => Some("respond-async".to_owned()),
            (Wait::Confirmation(wait), 201) => Some(format!("wait={}", wait.as_secs())),
            _ => None,
        }
    }
}

/// Digits only; a number too large for any clock is as good as the largest.
fn seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::from(u32::MAX)).min(u64::from(u32::MAX)))
}

/// Splits a header at `separator`, but not inside quoted strings.
fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c: char| {
        let skip = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !skip => escaped = true,
            '"' if !skip => quoted = !quoted,
            _ => {}
        }
        c == separator && !quoted
    })
}
