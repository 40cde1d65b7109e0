//! `Content-Type`, `Content-Encoding` and `Accept` (RFC 9110, sections 8.3, 8.4 and 12.5.1).

use axum::http::{HeaderMap, header};

use super::{Failure, split_outside_quotes};
use crate::problem::Code;

/// Checks that the body is said to be plain JSON in UTF-8.
///
/// # Errors
/// `unsupported_media_type` for any other type, charset or encoding, and for none: a form sent by
/// a browser must never be taken for a command.
pub(in super::super) fn body_is_json(headers: &HeaderMap) -> Result<(), Failure> {
    let refuse = |detail: &str| Err(Failure::new(Code::UnsupportedMediaType, detail));
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(value) = types.next() else {
        return refuse("There is no Content-Type header; it must be application/json.");
    };
    if types.next().is_some() {
        return refuse("There is more than one Content-Type header.");
    }
    let text = value.to_str().unwrap_or_default();
    let mut parts = split_outside_quotes(text, ';').map(str::trim);
    if !parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return refuse("The Content-Type must be application/json.");
    }
    if !parts.all(is_utf8_or_no_charset) {
        return refuse("JSON must be sent in UTF-8.");
    }
    let identity = |value: &str| value.trim().eq_ignore_ascii_case("identity");
    let plain = |value: &axum::http::HeaderValue| value.to_str().is_ok_and(identity);
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return refuse("The body must be sent without a Content-Encoding.");
    }
    Ok(())
}

fn is_utf8_or_no_charset(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    !name.trim().eq_ignore_ascii_case("charset")
        // `utf8` is no registered name, but many clients write it, and mean nothing else.
        || ["utf-8", "utf8"].iter().any(|utf8| value.trim().trim_matches('"').eq_ignore_ascii_case(utf8))
}

/// A form an answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Media {
    /// `application/json`
    Json,
    /// `application/problem+json`
    Problem,
    /// `text/plain`
    Text,
    /// `text/event-stream`
    Events,
    /// `text/html`
    Html,
}

impl Media {
    /// What most answers are.
    pub(in super::super) const JSON: &'static [Self] = &[Self::Json, Self::Problem];

    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::Problem => ("application", "problem+json"),
            Self::Text => ("text", "plain"),
            Self::Events => ("text", "event-stream"),
            Self::Html => ("text", "html"),
        }
    }
}

/// Checks that the caller takes an answer in one of the forms `offered`.
///
/// # Errors
/// `not_acceptable`.
pub(in super::super) fn accepts(headers: &HeaderMap, offered: &[Media]) -> Result<(), Failure> {
    if chosen(headers, offered).is_some() {
        return Ok(());
    }
    let name = |media: &Media| {
        let (kind, subtype) = media.name();
        format!("{kind}/{subtype}")
    };
    // A problem is sent as one whatever is accepted.
    let returned = offered.iter().filter(|media| **media != Media::Problem);
    let names = returned.map(name).collect::<Vec<_>>().join(" or ");
    let detail = format!("This endpoint returns {names}, which the Accept header does not admit.");
    Err(Failure::new(Code::NotAcceptable, detail))
}

/// The one of `offered` that the caller likes best, the first of those it likes alike; `None` when
/// it takes none. Members of `Accept` that cannot be read are skipped; when none can, it is as if
/// the header were not there.
pub(in super::super) fn chosen(headers: &HeaderMap, offered: &[Media]) -> Option<Media> {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<_> =
        lines.flat_map(|line| split_outside_quotes(line, ',')).filter_map(range).collect();
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let mut best: Option<(Media, f32)> = None;
    for media in offered {
        let quality = quality(&ranges, *media);
        if quality > best.map_or(0.0, |(_, best)| best) {
            best = Some((*media, quality));
        }
    }
    best.map(|(media, _)| media)
}

struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f32,
}

fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = split_outside_quotes(text, ';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let quality = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(Some(1.0), |(_, value)| value.trim().parse().ok())?;
    (0.0..=1.0).contains(&quality).then_some(Range { kind, subtype, quality })
}

/// The quality of `media`: that of the most specific range that covers it.
fn quality(ranges: &[Range<'_>], media: Media) -> f32 {
    let (group, subtype) = media.name();
    let rank = |range: &Range<'_>| match (range.kind, range.subtype) {
        ("*", "*") => Some(0),
        (kind, "*") if kind.eq_ignore_ascii_case(group) => Some(1),
        (kind, sub) if kind.eq_ignore_ascii_case(group) && sub.eq_ignore_ascii_case(subtype) => {
            Some(2)
        }
        _ => None,
    };
    ranges
        .iter()
        .filter_map(|range| rank(range).map(|rank| (rank, range.quality)))
        .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
        .map_or(0.0, |(_, quality)| quality)
}
