//! Reads answer bodies and makes sense of them. They are as hostile as a caller's: bounded in bytes
//! and time, and nothing in them is trusted.

use std::borrow::Cow;

use hyper::body::Bytes;
use reqwest::Response;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::{
    attempt::root_cause,
    text::tidy,
    wire::{lenient, listed},
};
use crate::problem::UpstreamAnswer;

/// Longest message of Genesys' that is passed on, in characters.
const MESSAGE: usize = 500;
/// Longest code, in characters.
const CODE: usize = 100;

/// Genesys' error body, and OAuth's (RFC 6749, section 5.2) which the login host uses.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default, deserialize_with = "lenient")]
    code: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error_description: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    description: Option<String>,
}

/// The part of an answer that callers and support need.
pub(super) fn upstream_answer(
    status: u16,
    correlation_id: Option<String>,
    body: &[u8],
) -> UpstreamAnswer {
    let parsed: ErrorBody = match status {
        200..=299 => ErrorBody::default(),
        _ => serde_json::from_str(&text(body)).unwrap_or_default(),
    };
    let message = parsed.message.or(parsed.error_description).or(parsed.description);
    UpstreamAnswer {
        status,
        code: parsed.code.or(parsed.error).map(|text| tidy(&text, CODE)),
        message: message.map(|text| tidy(&text, MESSAGE)),
        correlation_id,
    }
}

/// How a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Whole.
    Complete,
    /// Broken off, or not decodable.
    Broken(String),
    /// Longer than the bound; the rest was left unread.
    TooLong,
    /// Not whole in time.
    Late,
}

/// What was read of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    /// The bytes, decoded; at most the bound.
    pub bytes: Bytes,
    /// How it ended.
    pub end: End,
}

impl Body {
    /// Reads at most `limit` decoded bytes until `by`. One that comes in one piece is not copied.
    pub(super) async fn receive(response: &mut Response, limit: usize, by: Instant) -> Self {
        let (mut first, mut all) = (Bytes::new(), Vec::new());
        let end = loop {
            let mut chunk = match timeout_at(by, response.chunk()).await {
                Err(_) => break End::Late,
                Ok(Err(error)) => break End::Broken(root_cause(&error.without_url())),
                Ok(Ok(None)) => break End::Complete,
                Ok(Ok(Some(chunk))) => chunk,
            };
            let room = limit.saturating_sub(first.len().max(all.len()));
            let too_long = chunk.len() > room;
            chunk.truncate(room);
            if first.is_empty() && all.is_empty() {
                first = chunk;
            } else {
                if all.is_empty() {
                    all.reserve(2 * (first.len() + chunk.len()));
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&chunk);
            }
            if too_long {
                break End::TooLong;
            }
        };
        Self { bytes: if all.is_empty() { first } else { all.into() }, end }
    }
}

/// Why a 2xx brings nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misread {
    /// It broke off: part of a document says nothing.
    Broken(String),
    /// It cannot be what was asked for.
    Unreadable(String),
}

/// Makes a value of the body of a 2xx with that media type; also how many entries of its lists were
/// left out.
pub(super) type BodyReader<'a, T> =
    dyn Fn(Option<&str>, &Body) -> Result<(T, u64), Misread> + Send + Sync + 'a;

/// Reads a whole JSON document with `parse`, in one pass. Only when that fails it is read again, a
/// value at a time, to leave out what cannot be read; `parse` is then called a second time.
pub(super) fn json<T>(
    body: &Body,
    parse: impl Fn(&str) -> serde_json::Result<T>,
) -> Result<(T, u64), Misread> {
    match &body.end {
        End::Complete => {}
        End::Broken(detail) => {
            return Err(Misread::Broken(format!("the answer broke off: {detail}")));
        }
        End::Late => {
            return Err(Misread::Broken("the answer did not arrive whole in time".to_owned()));
        }
        End::TooLong => {
            let detail = "the answer is longer than any real one".to_owned();
            return Err(Misread::Unreadable(detail));
        }
    }
    let text = text(&body.bytes);
    if let Ok(value) = listed::strictly(|| parse(&text)) {
        return Ok((value, 0));
    }
    match listed::counted(|| parse(&text)) {
        (Ok(value), left_out) => Ok((value, left_out)),
        (Err(error), _) => Err(Misread::Unreadable(fault(&error))),
    }
}

/// The body as text. Bytes that are none become what cannot be read either, so that only the value
/// they are in is lost.
fn text(body: &[u8]) -> Cow<'_, str> {
    const HALF_A_PAIR: &str = r"\ud800";
    if let Ok(text) = std::str::from_utf8(body) {
        return Cow::Borrowed(text);
    }
    let readable = |chunk: std::str::Utf8Chunk<'_>| {
        let end = if chunk.invalid().is_empty() { "" } else { HALF_A_PAIR };
        format!("{}{end}", chunk.valid())
    };
    Cow::Owned(body.utf8_chunks().map(readable).collect())
}

/// Where and how JSON failed, without quoting any of it: it may hold a customer's data.
fn fault(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Eof => "cut off",
        serde_json::error::Category::Data => "not of the documented shape",
        serde_json::error::Category::Io => "not readable",
    };
    let missing = error.to_string();
    // "missing field `x`" quotes our own word, never theirs.
    let missing = missing.strip_prefix("missing field ").and_then(|rest| rest.split('`').nth(1));
    match missing {
        Some(member) => format!("the answer is {kind}: `{member}` is missing"),
        None => format!("the answer is {kind} (line {}, column {})", error.line(), error.column()),
    }
}

/// For calls of which only the status counts: fails unless a 2xx can be Genesys' own, with a body that
/// is empty or JSON, also when it broke off. A page from something in between (HTML, or other text)
/// proves nothing.
pub(super) fn taken(content_type: Option<&str>, body: &Body) -> Result<((), u64), Misread> {
    let media = content_type.unwrap_or_default().trim();
    let html = ["text/html", "application/xhtml"]
        .iter()
        .any(|html| media.get(..html.len()).is_some_and(|media| media.eq_ignore_ascii_case(html)));
    let text = body.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body.bytes);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let genuine = match first {
        Some(byte) => !html && starts_json(*byte),
        // Nothing came: right if nothing was to come, else what was to come decides.
        None => body.end == End::Complete || !html,
    };
    if genuine {
        return Ok(((), 0));
    }
    Err(Misread::Unreadable("the answer is not JSON, so it is not from Genesys itself".to_owned()))
}

const fn starts_json(byte: u8) -> bool {
    matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::genesys::wire::listed::Listed;

    fn body(text: &str, end: End) -> Body {
        Body { bytes: text.as_bytes().to_vec().into(), end }
    }

    fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<(T, u64), String> {
        let body = Body { bytes: bytes.to_vec().into(), end: End::Complete };
        json(&body, |text| serde_json::from_str(text)).map_err(|misread| match misread {
            Misread::Broken(detail) | Misread::Unreadable(detail) => detail,
        })
    }

    fn broken() -> End {
        End::Broken("reset".to_owned())
    }

    #[test]
    fn a_2xx_counts_only_with_an_empty_or_json_body() {
        let json = Some("application/json");
        let table = [
            (None, body("", End::Complete), true),
            (json, body("", End::Complete), true),
            (json, body("", broken()), true),
            (json, body("", End::Late), true),
            (None, body("", broken()), true),
            (json, body("{\"id\":\"x", broken()), true),
            (json, body("{}", End::Complete), true),
            (None, body(" \n{}", End::Complete), true),
            (None, body("\u{feff}{}", End::Complete), true),
            (Some("text/html"), body("", End::Complete), true),
            (Some("text/html; charset=utf-8"), body("<html>", End::Complete), false),
            (Some("text/html"), body("", broken()), false),
            (Some("text/html"), body("{}", End::Complete), false),
            (json, body("<!doctype html>", End::Complete), false),
            (json, body("%PDF", End::Complete), false),
            (None, body("<html", End::Late), false),
            (Some("text/plain"), body("OK", End::Complete), false),
        ];
        for (content_type, body, expected) in table {
            assert_eq!(taken(content_type, &body).is_ok(), expected, "{content_type:?} {body:?}");
        }
    }

    #[test]
    fn both_kinds_of_error_body_are_read() {
        let genesys = br#"{"message":"Conversation is\nover","code":"bad.request","status":400}"#;
        let answer = upstream_answer(400, None, genesys);
        assert_eq!(answer.code.as_deref(), Some("bad.request"));
        assert_eq!(answer.message.as_deref(), Some("Conversation is over"));
        let cut = br#"{"message":"no \ud83d","code":"bad.request"}"#;
        let answer = upstream_answer(400, None, cut);
        assert_eq!((answer.code.as_deref(), answer.message), (Some("bad.request"), None));
        let oauth = br#"{"error":"invalid_client","description":"client not found"}"#;
        let answer = upstream_answer(400, None, oauth);
        assert_eq!(answer.code.as_deref(), Some("invalid_client"));
        assert_eq!(answer.message.as_deref(), Some("client not found"));
    }

    #[test]
    fn a_missing_member_is_named_and_foreign_text_is_not_quoted() {
        #[derive(Debug, Deserialize)]
        struct Shape {
            #[expect(dead_code, reason = "only read")]
            id: String,
        }
        let missing = decode::<Shape>(br"{}").err().unwrap();
        assert_eq!(missing, "the answer is not of the documented shape: `id` is missing");
        let wrong = decode::<Shape>(br#"{"id": {"tel:+4912345678": 1}}"#).err().unwrap();
        assert!(!wrong.contains("4912345678"), "{wrong}");
    }

    #[test]
    fn bytes_that_are_no_text_spoil_only_the_value_they_are_in() {
        let read = |body: &[u8]| {
            let (decoded, left_out) = decode::<Listed<String>>(body).ok()?;
            Some((decoded.items, left_out))
        };
        let good = || vec!["a".to_owned()];
        for (body, expected) in [
            (&b"[\"a\",\"\xff\"]"[..], Some((good(), 1))),
            (b"[\"a\",\"x\xed\xa0\xbdy\\\"\"]", Some((good(), 1))),
            (b"[\"a\",{\"b\":\"\xc3\"}]", Some((good(), 1))),
            (b"[\"a\",\xff]", None),
            (b"[\"a\"\xff", None),
        ] {
            assert_eq!(read(body), expected, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(decode::<serde_json::Value>(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_body_panics(status in 100u16..600, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let answer = upstream_answer(status, None, &bytes);
            prop_assert!(answer.message.is_none_or(|text| text.chars().count() <= MESSAGE));
            let _ = taken(None, &Body { bytes: bytes.into(), end: End::Late });
        }
    }
}
