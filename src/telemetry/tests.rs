use std::{sync::Mutex, time::Duration};

use proptest::prelude::*;
use serde_json::Value;
use tracing::Dispatch;

use super::*;
use crate::clock::ManualClock;

/// What a hostile string may hold: line ends of every kind, escapes, bidirectional controls.
const HOSTILE: &str =
    "a\nb\r\nc\td\x1b[31me\x1b]0;t\x07\0\x7f\u{85}\u{9b}31m\u{2028}\u{2029}\u{202e}\"}\\";

const FORMATS: [LogFormat; 2] = [LogFormat::Text, LogFormat::Json];

/// What is logged by `act` under `filter`.
fn logged(format: LogFormat, filter: &str, act: impl FnOnce(&LogFilter)) -> String {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let clock = Arc::new(ManualClock::new("2026-01-02T03:04:05.678901Z".parse().unwrap()));
    let (filter, logs) = LogFilter::new(filter, Dropped::default()).unwrap();
    let layer = LineLayer::new(format, Out::Memory(lines.clone()), clock);
    let subscriber = Registry::default().with(layer.with_filter(filter));
    tracing::dispatcher::with_default(&Dispatch::new(subscriber), || act(&logs));
    String::from_utf8(lines.lock().unwrap().clone()).unwrap()
}

fn is_one_clean_line(output: &str) -> bool {
    output.strip_suffix('\n').is_some_and(|line| {
        !line.contains(char::is_control) && !line.contains(['\u{2028}', '\u{2029}', '\u{202e}'])
    })
}

#[test]
fn text_line_reads_from_left_to_right() {
    let output = logged(LogFormat::Text, "info", |_| {
        let span = tracing::info_span!("request", request_id = "r-1");
        span.in_scope(|| tracing::info!(target: "access", status = 201, who = "a b", "answered"));
    });
    assert_eq!(
        output,
        "2026-01-02T03:04:05.678901Z  INFO access: answered request_id=r-1 status=201 who=\"a b\"\n"
    );
}

#[test]
fn json_line_is_flat() {
    let output = logged(LogFormat::Json, "info", |_| {
        let outer = tracing::info_span!("outer", request_id = "r-1", late = tracing::field::Empty);
        outer.record("late", 7);
        let inner = outer.in_scope(|| tracing::info_span!("inner", status = 0, ok = true));
        inner.in_scope(|| tracing::info!(target: "access", status = 201, ratio = 0.5, "answered"));
    });
    assert_eq!(
        output,
        concat!(
            r#"{"timestamp":"2026-01-02T03:04:05.678901Z","level":"INFO","target":"access","#,
            r#""message":"answered","request_id":"r-1","late":7,"status":201,"ok":true,"#,
            r#""ratio":0.5}"#,
            "\n"
        )
    );
}

#[test]
fn field_named_like_a_member_of_the_line_keeps_both() {
    let output = logged(LogFormat::Json, "info", |_| tracing::info!(level = 3, "deep"));
    let line: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&line["level"], &line["field_level"]), (&"INFO".into(), &3.into()));
}

#[test]
fn hostile_strings_stay_on_one_line() {
    for format in FORMATS {
        for output in [
            logged(format, "info", |_| tracing::info!("{HOSTILE}")),
            logged(format, "info", |_| tracing::info!(field = HOSTILE, "text")),
            logged(format, "info", |_| tracing::info!(field = %HOSTILE, "display")),
            logged(format, "info", |_| tracing::info!(field = ?HOSTILE, "debug")),
            logged(format, "info", |_| {
                tracing::info_span!("span", field = HOSTILE).in_scope(|| tracing::info!("in span"));
            }),
        ] {
            assert!(is_one_clean_line(&output), "{format:?}: {output:?}");
        }
    }
}

#[test]
fn json_line_gives_hostile_strings_back_unchanged() {
    let output = logged(LogFormat::Json, "info", |_| tracing::info!(field = HOSTILE, "{HOSTILE}"));
    let line: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&line["field"], &line["message"]), (&HOSTILE.into(), &HOSTILE.into()));
}

#[test]
fn endless_text_is_cut() {
    let output = logged(LogFormat::Text, "info", |_| tracing::info!("{}", "é".repeat(1_000_000)));
    assert!(output.len() < 20_000, "{}", output.len());
}

#[test]
fn numbers_without_a_json_form_are_text() {
    let output =
        logged(LogFormat::Json, "info", |_| tracing::info!(a = f64::NAN, b = u128::MAX, "n"));
    let line: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&line["a"], &line["b"]), (&"NaN".into(), &u128::MAX.to_string().into()));
}

#[test]
fn filter_can_be_swapped_while_running() {
    let output = logged(LogFormat::Text, "warn", |filter| {
        tracing::info!("before");
        filter.configure("info").unwrap();
        tracing::info!("after");
    });
    assert!(output.contains("after") && !output.contains("before"), "{output}");
}

#[test]
fn bad_filter_is_refused_and_the_old_one_stays() {
    logged(LogFormat::Text, "warn", |filter| {
        for bad in ["a=b=c", "debgu", "debug!", "info,genesys_transfer", ""] {
            assert_eq!(filter.configure(bad), Err(TelemetryError::BadFilter), "{bad}");
        }
        assert_eq!(filter.state().filter, "warn");
    });
}

#[test]
fn audit_lines_and_panics_are_written_whatever_the_filter_but_for_one_that_names_them() {
    for (filter, written) in
        [("off", 2), ("error", 2), ("genesys_transfer=debug", 2), ("audit=off,panic=off", 0)]
    {
        let output = logged(LogFormat::Json, filter, |_| {
            tracing::info!(target: "audit", "transfer settled");
            tracing::error!(target: "panic", "panicked");
            tracing::info!(target: "access", "answered");
        });
        assert_eq!(output.lines().count(), written, "{filter}: {output}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_for_a_time_falls_back_by_itself_unless_another_came() {
    let (_layer, filter) = LogFilter::new("info", Dropped::default()).unwrap();
    let minute = Some(Duration::from_mins(1));
    let start: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let state = filter.change("debug", minute, start).unwrap();
    assert_eq!(state.until, Some("2026-01-02T03:05:05Z".parse().unwrap()));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(filter.state().filter, "debug");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(filter.state(), LogState { filter: "info".into(), until: None, ..state });
    filter.change("debug", minute, start).unwrap();
    filter.change("trace", None, start).unwrap();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(filter.state().filter, "trace");
}

#[test]
fn message_of_a_panic_is_kept_only_when_it_is_a_literal() {
    assert_eq!(panics::literal(&"index out of bounds"), "index out of bounds");
    assert!(!panics::literal(&String::from("token abc")).contains("abc"));
}

#[test]
fn terminal_gets_text_and_a_pipe_json() {
    assert_eq!((fitting(true), fitting(false)), (LogFormat::Text, LogFormat::Json));
}

proptest! {
    #[test]
    fn any_string_makes_one_line(text in any::<String>()) {
        for format in FORMATS {
            let output = logged(format, "info", |_| tracing::info!(field = %text, "{text}"));
            prop_assert!(is_one_clean_line(&output), "{:?}", output);
        }
    }

    #[test]
    fn any_string_comes_back_out_of_json(text in any::<String>()) {
        let output = logged(LogFormat::Json, "info", |_| tracing::info!(field = %text, "m"));
        let line: Value = serde_json::from_str(&output).unwrap();
        prop_assert_eq!(&line["field"], &Value::from(text));
    }
}
