//! Makes sense of answer bodies. They are as hostile as a caller's: bounded before they come
//! here, and nothing in them is trusted.

use std::borrow::Cow;

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    answer::Failure,
    body::{Body, End},
    call::Decoded,
    text::tidy,
    wire::{lenient, listed::counted},
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
    let parsed: ErrorBody = if (200..300).contains(&status) {
        ErrorBody::default()
    } else {
        serde_json::from_str(&text(body)).unwrap_or_default()
    };
    let message = parsed.message.or(parsed.error_description).or(parsed.description);
    UpstreamAnswer {
        status,
        code: parsed.code.or(parsed.error).map(|text| tidy(&text, CODE)),
        message: message.map(|text| tidy(&text, MESSAGE)),
        correlation_id,
    }
}

/// Reads `T` from JSON; also how many entries of its lists were left out.
pub(super) fn decode<T>(body: &[u8]) -> Result<(Decoded, u64), String>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let text = text(body);
    match counted(|| serde_json::from_str::<T>(&text)) {
        (Ok(value), left_out) => Ok((Box::new(value), left_out)),
        (Err(error), _) => Err(fault(&error)),
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

/// Fails unless the body is whole: part of a document says nothing.
pub(super) fn whole(body: &Body, answer: &UpstreamAnswer) -> Result<(), Failure> {
    match &body.end {
        End::Complete => Ok(()),
        End::Broken(detail) => Err(Failure::Broken(format!("the answer broke off: {detail}"))),
        End::Late => Err(Failure::Broken("the answer did not arrive whole in time".to_owned())),
        End::TooLong => Err(Failure::Unreadable {
            detail: "the answer is longer than any real one".to_owned(),
            answer: answer.clone(),
        }),
    }
}

/// Whether a 2xx to a command can be Genesys' own: its body is empty or JSON, also when it broke
/// off. A page from something in between (HTML, or other text) proves nothing.
pub(super) fn taken(content_type: Option<&str>, body: &Body) -> Result<(), String> {
    let media = content_type.unwrap_or_default().trim().to_ascii_lowercase();
    let html = media.starts_with("text/html") || media.starts_with("application/xhtml");
    let text = body.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body.bytes);
    let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let genuine = match first {
        Some(byte) => !html && starts_json(*byte),
        // Nothing came: right if nothing was to come, else what was to come decides.
        None => body.end == End::Complete || !html,
    };
    if genuine { Ok(()) } else { Err("the answer is not Genesys' own: not JSON".to_owned()) }
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
        Body { bytes: text.as_bytes().to_vec(), end }
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
            Some((decoded.downcast::<Listed<String>>().unwrap().items, left_out))
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
            let _ = taken(None, &Body { bytes, end: End::Late });
        }
    }
}
