use axum::http::{HeaderValue, header};
use proptest::prelude::*;

use super::*;

fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn key(values: &[&str]) -> Result<Option<String>, Code> {
    idempotency_key(&headers(&IDEMPOTENCY_KEY, values)).map_err(|failure| failure.code())
}

#[test]
fn a_key_is_the_same_bare_and_quoted() {
    let long = "k".repeat(255);
    let quoted = format!("\"{long}\"");
    for (sent, expected) in [
        ("abc-1", "abc-1"),
        ("\"abc-1\"", "abc-1"),
        ("  \"abc-1\" ", "abc-1"),
        ("!~:,;=", "!~:,;="),
        ("ab\"c\\d", "ab\"c\\d"),
        (r#""ab\"c\\d""#, r#"ab"c\d"#),
        (long.as_str(), long.as_str()),
        (quoted.as_str(), long.as_str()),
    ] {
        assert_eq!(key(&[sent]), Ok(Some(expected.to_owned())), "{sent}");
    }
    assert_eq!(key(&[]), Ok(None));
}

#[test]
fn a_key_that_is_none_is_refused() {
    let long = "k".repeat(256);
    let quoted = format!("\"{long}\"");
    for sent in [
        "",
        " ",
        "\"\"",
        "a b",
        "\"a b\"",
        "\"abc",
        "\"abc\"d",
        "\"abc\";p=1",
        "\"a\\bc\"",
        "\"",
        "\"a\\",
        "schlüssel",
        "a\tb",
        &long,
        &quoted,
    ] {
        assert_eq!(key(&[sent]), Err(Code::IdempotencyKeyInvalid), "{sent}");
    }
    assert_eq!(key(&["a", "a"]), Err(Code::IdempotencyKeyInvalid));
}

#[test]
fn preferences_are_read_as_rfc_7240_says() {
    let seconds = |n| Wait::Confirmation(Duration::from_secs(n));
    for (sent, expected) in [
        (vec![], Wait::Outcome),
        (vec!["respond-async"], Wait::Nothing),
        (vec!["Respond-Async; foo=bar"], Wait::Nothing),
        (vec!["respond-async=\"\""], Wait::Nothing),
        (vec!["return=minimal, respond-async"], Wait::Nothing),
        (vec!["return=minimal", "respond-async"], Wait::Nothing),
        (vec!["wait=10"], seconds(10)),
        (vec!["wait = 10 ; x"], seconds(10)),
        (vec!["WAIT=\"10\""], seconds(10)),
        (vec!["wait=0"], seconds(0)),
        (vec!["wait=10, wait=20"], seconds(10)),
        (vec!["wait=99999999999999999999"], seconds(u64::from(u32::MAX))),
        (vec!["note=\"a, respond-async\""], Wait::Outcome),
        (vec!["wait"], Wait::Outcome),
        (vec!["wait=-1"], Wait::Outcome),
        (vec!["wait=1.5"], Wait::Outcome),
        (vec!["wait=soon"], Wait::Outcome),
        (vec!["wait=soon, wait=5"], Wait::Outcome),
        (vec!["respond-async=yes"], Wait::Outcome),
        (vec![",;=,\"", "wait=3"], seconds(3)),
        (vec!["wait=10, respond-async"], Wait::Nothing),
    ] {
        assert_eq!(Prefer::read(&headers(&PREFER, &sent)).wait(), expected, "{sent:?}");
    }
}

#[test]
fn only_a_preference_that_was_followed_is_named() {
    let applied = |sent: &str, status| Prefer::read(&headers(&PREFER, &[sent])).applied(status);

    assert_eq!(applied("respond-async", 202).as_deref(), Some("respond-async"));
    assert_eq!(applied("respond-async", 201), None);
    assert_eq!(applied("wait=5", 201).as_deref(), Some("wait=5"));
    assert_eq!(applied("wait=5", 504), None);
    assert_eq!(applied("wait=5, respond-async", 202).as_deref(), Some("respond-async"));
    assert_eq!(applied("return=minimal", 201), None);
}

#[test]
fn a_request_id_is_echoed_only_when_it_is_harmless() {
    let long = "x".repeat(129);
    let read = |values: &[&str]| request_id(&headers(&X_REQUEST_ID, values)).map(str::to_owned);

    for id in ["a", "A.b_c-9", &"x".repeat(128)] {
        assert_eq!(read(&[id]).as_deref(), Some(id));
    }
    for id in ["", "a b", "a/b", "é", "a\tb", &long] {
        assert_eq!(read(&[id]), None, "{id}");
    }
    assert_eq!(read(&["a", "b"]), None);
}

#[test]
fn a_traceparent_is_passed_on_only_when_it_is_one() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = "b7ad6b7169203331";
    let read = |value: &str| traceparent(&headers(&TRACEPARENT, &[value])).is_some();

    assert!(read(&format!("00-{trace}-{parent}-01")));
    assert!(read(&format!("cc-{trace}-{parent}-01-what-comes")));
    for value in [
        format!("00-{trace}-{parent}-01-more"),
        format!("ff-{trace}-{parent}-01"),
        format!("00-{}-{parent}-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("00-{}-{parent}-01", trace.to_uppercase()),
        format!("00-{trace}-{parent}"),
        format!("00-{trace}-{parent}-0"),
        format!("00-{trace}-{parent}-01 "),
        "00".to_owned(),
        String::new(),
    ] {
        assert!(!read(&value), "{value}");
    }
}

#[test]
fn a_tracestate_goes_with_its_traceparent_and_not_without() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let read = |parent: &str, states: &[&str]| {
        let mut sent = headers(&TRACESTATE, states);
        sent.insert(TRACEPARENT, parent.parse().unwrap());
        traceparent(&sent).map(|context| context.state.map(|state| state.to_string()))
    };
    assert_eq!(read(parent, &["a=1", "b=2"]), Some(Some("a=1,b=2".to_owned())));
    assert_eq!(read(parent, &[]), Some(None));
    assert_eq!(read(parent, &["a=\u{e9}"]), Some(None));
    assert_eq!(read(parent, &["a=1,"; 33]), Some(None));
    assert_eq!(read(parent, &[&format!("a={}", "x".repeat(2_000))]), Some(None));
    assert_eq!(read("00-0-0-01", &["a=1"]), None);
}

#[test]
fn only_plain_json_bodies_are_taken() {
    let check = |kind: Option<&str>, encoding: Option<&str>| {
        let mut sent = HeaderMap::new();
        for (name, value) in [(header::CONTENT_TYPE, kind), (header::CONTENT_ENCODING, encoding)] {
            if let Some(value) = value {
                sent.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        body_is_json(&sent).map_err(|failure| failure.code())
    };
    for kind in [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=\"UTF-8\"",
        "application/json; charset=utf-8; x=y",
        "application/json;",
    ] {
        assert_eq!(check(Some(kind), None), Ok(()), "{kind}");
    }
    for kind in [
        "text/json",
        "application/jsonp",
        "application/problem+json",
        "text/plain",
        "",
        "json",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin1",
        "application/json, text/plain",
        "é",
    ] {
        assert_eq!(check(Some(kind), None), Err(Code::UnsupportedMediaType), "{kind}");
    }
    assert_eq!(check(None, None), Err(Code::UnsupportedMediaType));
    assert_eq!(check(Some("application/json"), Some("Identity")), Ok(()));
    for encoding in ["gzip", "identity, gzip", ""] {
        let result = check(Some("application/json"), Some(encoding));
        assert_eq!(result, Err(Code::UnsupportedMediaType), "{encoding}");
    }
}

#[test]
fn an_accept_header_that_admits_json_is_taken() {
    let check = |values: &[&str]| accepts(&headers(&header::ACCEPT, values), Media::JSON).is_ok();

    assert!(check(&[]));
    for value in [
        "*/*",
        "application/*",
        "application/json",
        "APPLICATION/JSON;q=0.1",
        "text/html, */*;q=0.1",
        "application/problem+json",
        "application/json;q=0, */*",
        "text/html;q=\"a,b\", */*",
        "",
        "garbage",
        "application/json; version=1",
        "application/json;q=1.000",
    ] {
        assert!(check(&[value]), "{value}");
    }
    assert!(check(&["text/html", "application/json"]));
    for value in [
        "text/html",
        "text/*",
        "application/xml",
        "application/json;q=0",
        "*/*;q=0",
        "application/*;q=0.0, text/html",
        "text/html, garbage",
    ] {
        assert!(!check(&[value]), "{value}");
    }
}

proptest! {
    #[test]
    fn quoting_a_key_changes_nothing(bare in "[!#-~][!-~]{0,60}") {
        let quoted = format!("\"{}\"", bare.replace('\\', "\\\\").replace('"', "\\\""));
        prop_assert_eq!(key(&[&quoted]), Ok(Some(bare.clone())));
        prop_assert_eq!(key(&[&bare]), Ok(Some(bare)));
    }

    #[test]
    fn no_header_value_makes_a_panic(bytes in prop::collection::vec(32_u8..=255, 0..40)) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let mut all = HeaderMap::new();
        for name in [IDEMPOTENCY_KEY, PREFER, TRACEPARENT, X_REQUEST_ID, header::ACCEPT,
            header::CONTENT_TYPE, header::CONTENT_ENCODING]
        {
            all.insert(name, value.clone());
        }
        let _ = (idempotency_key(&all), Prefer::read(&all), traceparent(&all), request_id(&all));
        let _ = (accepts(&all, Media::JSON), body_is_json(&all));
    }
}
