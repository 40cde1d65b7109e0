use axum::body::Body;

use super::*;

/// The code that a request with this target and these headers is refused with.
fn refused(target: &str, headers: &[(&str, &str)]) -> Option<Code> {
    let request = Request::builder().uri(target);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let names = OwnNames::new(Ipv4Addr::new(127, 0, 0, 5).into());
    names.check(&request.body(Body::empty()).unwrap()).err().map(|failure| failure.code())
}

#[test]
fn this_machines_own_names_are_answered_at_any_port() {
    for host in [
        "localhost",
        "LocalHost:8080",
        "localhost:",
        "127.0.0.1",
        "127.0.0.1:65535",
        "127.0.0.5:80",
        "[::1]",
        "[::1]:8080",
        "[0:0:0:0:0:0:0:1]:8080",
    ] {
        assert_eq!(refused("/queues", &[("host", host)]), None, "{host}");
    }
    assert_eq!(refused("/queues", &[]), None, "HTTP/1.0 without a host");
}

#[test]
fn any_other_name_is_refused() {
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "localhost.",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "10.0.0.1",
        "127.1",
        "2130706433",
        "::1",
        "[::1",
        "[127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost:80:80",
        "localhost:x",
        "",
        ":8080",
        "0.0.0.0",
        "é",
    ] {
        assert_eq!(refused("/queues", &[("host", host)]), Some(Code::InvalidHost), "{host}");
    }
}

#[test]
fn the_host_in_the_target_counts_before_the_header() {
    let (own, other) = ("http://localhost:8080/queues", "http://evil.example/queues");

    assert_eq!(refused(own, &[("host", "evil.example")]), None);
    assert_eq!(refused(other, &[("host", "localhost")]), Some(Code::InvalidHost));
}

#[test]
fn only_the_services_own_pages_may_send_requests() {
    let sent = |headers: &[(&str, &str)]| {
        refused("/queues", &[&[("host", "localhost:8080")], headers].concat())
    };
    for headers in [
        ("origin", "http://localhost:8080"),
        ("origin", "https://LOCALHOST:8080"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
    ] {
        assert_eq!(sent(&[headers]), None, "{headers:?}");
    }
    for headers in [
        ("origin", "http://evil.example"),
        ("origin", "http://localhost:8081"),
        ("origin", "http://127.0.0.1:8080"),
        ("origin", "file://localhost:8080"),
        ("origin", "null"),
        ("origin", ""),
        ("origin", "localhost:8080"),
        ("origin", "http://\u{e9}"),
        ("sec-fetch-site", "cross-site"),
    ] {
        assert_eq!(sent(&[headers]), Some(Code::NotPermitted), "{headers:?}");
    }
    let two = [("origin", "http://localhost:8080"), ("origin", "http://evil.example")];
    assert_eq!(sent(&two), Some(Code::NotPermitted));
}
