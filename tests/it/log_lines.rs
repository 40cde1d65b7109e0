//! One event is one line, whatever callers and Genesys write.

use genesys_transfer::sandbox::faults::{Fault, FaultOrder, StatusAnswer};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::support::{
    process::Site,
    service::{REPLACE, plain},
};

/// A fake line after line ends, separators, bidirectional controls: what `reason` takes.
const HOSTILE: &str =
    "a\r\n2026-01-01T00:00:00.000000Z  INFO audit: forged\tb\u{2028}\u{2029}\u{202e}\"}\\";

/// The same for fields that take no control characters.
const MILD: &str = "x\u{2028}2026-01-01T00:00:00.000000Z  INFO audit: forged\u{2029}\u{202e}\"}";

fn is_clean(line: &str) -> bool {
    !line.contains(char::is_control)
        && !line.contains(['\u{2028}', '\u{2029}', '\u{202e}'])
        && !line.starts_with("2026-01-01")
}

/// The whole log of a service that meets hostile strings from both sides.
async fn log(format: &str) -> Vec<String> {
    let site = Site::sqlite().await.set("TELEMETRY_LOG_FILTER", "trace");
    let process = site.try_start(&[("TELEMETRY_LOG_FORMAT", format)]).await.unwrap();
    let mut body = plain(site.call(), "Support Tier 2");
    body["reason"] = json!(HOSTILE);
    body["reference"] = json!(MILD);
    assert_eq!(process.submit(&body, &[("x-request-id", "a b")]).await.unwrap().status, 201);
    let url = format!("http://{}/queues?name=%0D%0A%1B%5B31m%E2%80%A8", process.address);
    let odd = HeaderValue::from_bytes(b"\xe2\x80\xa8\x9b31m").unwrap();
    site.ask(site.http().get(url).header("user-agent", odd)).await.unwrap();
    let worse = format!("{HOSTILE}\u{1b}[31m\u{9b}31m\u{85}\0");
    let refusal = json!({"status": 400, "code": worse, "message": worse});
    let answer = StatusAnswer { body: Some(refusal), ..StatusAnswer::new(400) };
    site.sandbox.order(FaultOrder::next("POST", REPLACE, Fault::Status(answer))).unwrap();
    process.submit(&plain(site.call(), "Support Tier 2"), &[]).await.unwrap();
    process.submit(&plain(site.call(), MILD), &[]).await.unwrap();
    process.signal("TERM").await;
    process.end().await.log
}

#[tokio::test]
async fn hostile_strings_make_no_line_of_their_own_in_json() {
    let log = log("json").await;
    let lines: Vec<Value> = log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(log.iter().find(|line| !is_clean(line)), None);
    let told: Vec<_> = lines.iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!((&told[0]["reason"], &told[0]["reference"]), (&json!(HOSTILE), &json!(MILD)));
}

#[tokio::test]
async fn hostile_strings_make_no_line_of_their_own_in_text() {
    let log = log("text").await;
    assert_eq!(log.iter().find(|line| !is_clean(line)), None);
    let of_audit = |line: &&String| line.contains(" INFO audit: transfer settled ");
    assert_eq!(log.iter().filter(of_audit).count(), 2);
    let begins = |line: &String| line.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    assert!(log.iter().all(begins), "every line begins with its time");
}

/// What the access log says of a request with `headers` from loopback: `client`, `forwarded_for`.
async fn addresses(settings: &[(&str, &str)], headers: &[(&str, &str)]) -> (Value, Value) {
    let site = Site::sqlite().await.set("TELEMETRY_LOG_FORMAT", "json");
    let process = site.try_start(settings).await.unwrap();
    let url = format!("http://{}/queues", process.address);
    let request = headers
        .iter()
        .fold(site.http().get(url), |request, (name, value)| request.header(*name, *value));
    site.ask(request).await.unwrap();
    process.signal("TERM").await;
    let log = process.end().await.log;
    let lines = log.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let line = lines.into_iter().find(|line| line["target"] == "access").unwrap();
    (line["client"].clone(), line["forwarded_for"].clone())
}

#[tokio::test]
async fn the_client_and_what_a_named_proxy_says_of_it_are_logged() {
    let proxy = [("SERVER_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")];
    for headers in [
        [("x-forwarded-for", "198.51.100.1, 203.0.113.7, 10.0.0.9")],
        [("forwarded", "for=198.51.100.1, for=\"203.0.113.7:80\";proto=https")],
    ] {
        let told = addresses(&proxy, &headers).await;
        assert_eq!(told, (json!("127.0.0.1"), json!("203.0.113.7")), "{headers:?}");
    }
}

#[tokio::test]
async fn a_forged_header_of_a_proxy_that_is_not_named_is_not_logged() {
    for settings in [&[][..], &[("SERVER_TRUSTED_PROXIES", "10.0.0.0/8")]] {
        let headers = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
        let told = addresses(settings, &headers).await;
        assert_eq!(told, (json!("127.0.0.1"), Value::Null));
    }
}
