//! Traces, seen by a collector of the tests' own. Spans are set up once per process, so the
//! service runs as one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use genesys_transfer::sandbox::{
    faults::{Fault, StatusAnswer},
    ledger::Request,
};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::{
    collector::{Collector, Trace, hex, of},
    process::{Ended, Process, Site},
    service::{Answer, plain},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const ATTEMPT: &str = "POST replace_with_queue";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

async fn traced(collector: &Collector) -> Site {
    Site::sqlite().await.set("TELEMETRY_OTLP_ENDPOINT", &collector.url())
}

/// Moves a call, as a caller who is traced himself.
async fn transfer(site: &Site, process: &Process, headers: &[(&str, &str)]) -> Answer {
    let body = plain(site.call(), "Support Tier 2");
    process.submit(&body, headers).await.unwrap()
}

async fn stop(process: Process) -> Ended {
    process.signal("TERM").await;
    process.end().await
}

/// The sandbox's record of the command.
fn command(site: &Site) -> Request {
    site.sandbox.commands().pop().unwrap()
}

/// A trace of one transfer that went well, with the service's log.
async fn one_transfer() -> (Trace, Answer, Ended, Site) {
    let collector = Collector::start().await;
    let site = traced(&collector).await;
    let process = site.start().await;
    let parent = traceparent("01");
    let answer = transfer(&site, &process, &[("traceparent", &parent)]).await;
    let ended = stop(process).await;
    assert_eq!((answer.status.as_u16(), ended.status.code()), (201, Some(0)));
    assert_eq!(collector.resource("service.name").as_deref(), Some("genesys-transfer"));
    assert_eq!(collector.resource("service.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    (collector.trace_with("POST /transfers").await, answer, ended, site)
}

#[tokio::test]
async fn a_transfer_is_one_trace_from_its_caller_to_genesys() {
    let (trace, answer, _, site) = one_transfer().await;
    assert_eq!(trace.id(), TRACE);
    let request = trace.span("POST /transfers");
    assert_eq!((hex(&request.parent_span_id).as_str(), request.kind()), (CALLER, SpanKind::Server));
    assert_eq!(of(request, "http.response.status_code").as_deref(), Some("201"));
    let start = ["POST /transfers", "transfer"];
    for path in [
        &["queue"][..],
        &["look", "GET get_conversation"],
        &["dispatching", "store insert"],
        &["send", ATTEMPT],
    ] {
        assert_eq!(trace.path(path.last().unwrap()), [&start[..], path].concat());
    }
    let attempt = trace.span(ATTEMPT);
    let sent = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
    assert_eq!(command(&site).traceparent.as_deref(), Some(sent.as_str()));
    assert_eq!(attempt.kind(), SpanKind::Client);
    assert_eq!(of(trace.span("transfer"), "transfer_id").as_deref(), answer.json()["id"].as_str());
}

#[tokio::test]
async fn the_correlation_id_is_on_the_span_the_log_line_and_the_answer() {
    let (trace, answer, ended, site) = one_transfer().await;
    let id = command(&site).correlation_id.to_string();
    assert_eq!(answer.json()["upstream"]["correlationId"], id);
    for span in [ATTEMPT, "transfer", "POST /transfers"] {
        assert_eq!(of(trace.span(span), "genesys.correlation_id").as_ref(), Some(&id), "{span}");
    }
    let lines = ended.log.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<_> = lines.filter(|line| line["correlation_id"] == *id).collect();
    let targets: Vec<_> = lines.iter().map(|line| line["target"].as_str().unwrap()).collect();
    assert_eq!(targets, ["audit", "access"]);
    assert_eq!(lines[1]["trace_id"], TRACE);
    assert!(lines.iter().all(|line| line["request_id"] == lines[0]["request_id"]));
    assert!(!ended.log.concat().contains("http.route"), "these fields are the collector's");
}

#[tokio::test]
async fn each_try_of_a_command_is_a_span_with_its_number() {
    let collector = Collector::start().await;
    let site = traced(&collector).await;
    let process = site.start().await;
    let limited = StatusAnswer { retry_after: Some("1".to_owned()), ..StatusAnswer::new(429) };
    site.spoil(1, Fault::Status(limited));
    let answer = transfer(&site, &process, &[]).await;
    stop(process).await;
    let trace = collector.trace_with("POST /transfers").await;
    let tries = trace.spans(ATTEMPT).into_iter().map(|span| {
        let number = |key: &str| of(span, key).map(|text| text.parse::<u16>().unwrap());
        (number("http.response.status_code").unwrap(), number("http.request.resend_count"))
    });
    let tries: Vec<_> = tries.collect();
    assert_eq!(answer.status, 201);
    assert_eq!(tries, [(429, None), (202, Some(1))]);
}

#[tokio::test]
async fn a_caller_that_does_not_sample_is_not_traced_and_genesys_is_told_so() {
    let collector = Collector::start().await;
    let site = traced(&collector).await.set("TELEMETRY_TRACE_RATIO", "0");
    let process = site.start().await;
    transfer(&site, &process, &[("traceparent", &traceparent("00"))]).await;
    let sent = command(&site).traceparent.unwrap();
    transfer(&site, &process, &[]).await;
    stop(process).await;
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-00"), "{sent}");
    assert_eq!(collector.count(), 0);
}

#[tokio::test]
async fn without_a_collector_a_valid_context_is_passed_on_unchanged() {
    let site = Site::sqlite().await;
    let process = site.start().await;
    let parent = traceparent("03");
    for (sent, seen) in [(parent.as_str(), Some(parent.clone())), ("00-abc-def-01", None)] {
        transfer(&site, &process, &[("traceparent", sent)]).await;
        assert_eq!(command(&site).traceparent, seen);
    }
}

#[tokio::test]
async fn what_people_write_and_what_is_secret_stays_out_of_spans() {
    let collector = Collector::start().await;
    let site = traced(&collector).await.set("TELEMETRY_LOG_FILTER", "trace");
    let process = site.start().await;
    let mut body = plain(site.call(), "Support Tier 2");
    body["reason"] = "CANARY-1".into();
    body["reference"] = "CANARY-2".into();
    process.submit(&body, &[("idempotency-key", "CANARY-3")]).await.unwrap();
    process.get("/transfers?reference=CANARY-4").await;
    process.get("/CANARY-5").await;
    stop(process).await;
    collector.trace_with("POST /transfers").await;
    for text in ["CANARY", "Support Tier", "Bearer", "tel:", "sandbox"] {
        assert!(!collector.holds(text), "{text}");
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_neither_slows_a_transfer_nor_holds_up_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    // An export has as many connections as there were tries of it.
    let exports = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&exports);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(connection) = silent.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            held.push(connection);
        }
    });
    let site = Site::sqlite().await.set("TELEMETRY_OTLP_ENDPOINT", &url);
    let process = site.start().await;
    for _ in 0..20 {
        assert_eq!(transfer(&site, &process, &[]).await.status, 201);
    }
    let during = exports.load(Ordering::SeqCst);
    assert!(during < 20, "{during} exports were waited for during 20 transfers");
    // It never answers, so that the end would never come if it were waited for.
    let ended = stop(process).await;
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.log);
    assert!(ended.log.iter().any(|line| line.contains("last spans")), "{:?}", ended.log);
}
