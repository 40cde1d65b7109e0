//! Content that changes with a release only: the document of the API and its page.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Some content with its validator (RFC 9110, section 8.8.3).
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    kind: &'static str,
    bytes: Bytes,
    tag: HeaderValue,
}

impl Fixed {
    /// Content of that media type.
    pub(super) fn new(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let hash = Sha256::digest(&bytes);
        let tag = HeaderValue::from_str(&format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(hash)));
        // These letters are always a header's value.
        Self { kind, bytes, tag: tag.unwrap_or(HeaderValue::from_static("\"0\"")) }
    }

    /// The content, or 304 for a caller that has it already. Caches ask each time: a new release shows at
    /// once, and asking costs one small answer.
    pub(super) fn answer(&self, asked: &HeaderMap) -> Response {
        let head = [
            (header::ETAG, self.tag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        if self.is_known(asked) {
            return (StatusCode::NOT_MODIFIED, head).into_response();
        }
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(self.kind))];
        (head, kind, self.bytes.clone()).into_response()
    }

    /// Whether `If-None-Match` names this content; a weak tag is as good (RFC 9110, section
    /// 13.1.2).
    fn is_known(&self, asked: &HeaderMap) -> bool {
        let tag = self.tag.to_str().unwrap_or_default();
        let lines = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|it| it.to_str().ok());
        lines
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(asked: &[&str]) -> StatusCode {
        let fixed = Fixed::new("text/plain", "content");
        let own = fixed.tag.to_str().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        for value in asked {
            let value = value.replace("OWN", &own).parse().unwrap();
            headers.append(header::IF_NONE_MATCH, value);
        }
        fixed.answer(&headers).status()
    }

    #[test]
    fn whoever_has_it_gets_no_body() {
        let known: [&[&str]; 5] =
            [&["OWN"], &["W/OWN"], &["*"], &["\"x\", OWN"], &["\"x\"", "\"y\",OWN"]];
        for asked in known {
            assert_eq!(status(asked), StatusCode::NOT_MODIFIED, "{asked:?}");
        }
        let unknown: [&[&str]; 4] = [&[], &["\"x\""], &["w/OWN"], &["OW"]];
        for asked in unknown {
            assert_eq!(status(asked), StatusCode::OK, "{asked:?}");
        }
    }

    #[test]
    fn other_content_has_another_tag() {
        assert_ne!(Fixed::new("text/plain", "a").tag, Fixed::new("text/plain", "b").tag);
    }
}
