//! The layers around handlers made for the purpose, without a socket, so that time can stand
//! still.

use std::{
    future::pending,
    sync::{Mutex, PoisonError},
};

use axum::{body::Body, extract::Request, response::Response, routing};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::http::layers::around;

/// A service whose handlers fail on purpose.
fn odd(settings: &config::Server) -> (AppState, Router) {
    let state = state(settings);
    let closed = Router::new()
        .route("/panic", routing::get(|| async { panic!("secret text") as Response }))
        .route("/transfers", routing::post(pending::<Response>).get(pending::<Response>));
    let open = Router::new().route("/health/live", routing::get(health::live));
    let router = around(open, closed, &state);
    (state, router)
}

async fn send(router: Router, method: &str, path: &str) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let headers = parts.headers.iter();
    let lines = headers.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
    let body = String::from_utf8(bytes.to_vec()).unwrap();
    let length = format!("content-length: {}\r\n", body.len());
    let head = format!("{}{length}", lines.collect::<String>());
    Reply { status: parts.status.as_u16(), head, body }
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing() {
    let reply = send(odd(&settings()).1, "GET", "/panic").await;

    reply.is_problem(Code::InternalError);
    assert!(!reply.body.contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_never_reached_the_domain_was_not_sent() {
    let reply = send(odd(&settings()).1, "POST", "/transfers").await;

    reply.is_problem(Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_overdue_sent_nothing() {
    let reply = send(odd(&settings()).1, "GET", "/transfers").await;

    reply.is_problem(Code::DeadlineExceeded);
}

#[tokio::test]
async fn more_requests_than_may_be_in_hand_are_turned_away() {
    let full = config::Server { max_in_flight: 0, ..settings() };

    let refused = send(odd(&full).1, "POST", "/transfers").await;
    let probe = send(odd(&full).1, "GET", "/health/live").await;

    refused.is_problem(Code::Overloaded);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(probe.status, 200);
}

#[tokio::test]
async fn a_place_is_free_again_when_the_caller_hangs_up() {
    let one = config::Server { max_in_flight: 1, ..settings() };
    let (state, router) = odd(&one);
    let hanging = tokio::spawn(send(router.clone(), "GET", "/transfers"));
    while state.in_flight.available_permits() > 0 {
        tokio::task::yield_now().await;
    }

    hanging.abort();
    let _ = hanging.await;

    assert_eq!(send(router, "GET", "/panic").await.status, 500);
}

#[tokio::test]
async fn a_service_that_stops_is_not_ready_and_says_so() {
    let state = state(&settings());
    state.stopping.cancel();

    let ready = send(router(&state), "GET", "/health/ready").await;
    let live = send(router(&state), "GET", "/health/live").await;

    let body = ready.is_problem(Code::ShuttingDown);
    assert_eq!(body["reasons"], serde_json::json!(["The service is stopping."]));
    assert!(ready.header("retry-after").is_some());
    assert_eq!(live.status, 200);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn read(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == "access").collect()
    }
}

fn record() -> (Lines, tracing::subscriber::DefaultGuard) {
    // A place in the code that another test reaches first, on a thread without a subscriber, would
    // be remembered as of no interest to anyone; with one for the whole process it never is.
    static EVERYWHERE: std::sync::Once = std::sync::Once::new();
    EVERYWHERE.call_once(|| {
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    });
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(lines.clone()).finish();
    (lines, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_request_leaves_one_line_without_what_the_caller_wrote() {
    let (lines, _guard) = record();

    send(odd(&settings()).1, "GET", "/panic?phone=4915112345678").await;
    send(odd(&settings()).1, "GET", "/no/4915112345678").await;

    let lines = lines.read();
    let field = |n: usize, name: &str| lines[n]["fields"][name].clone();
    assert_eq!(lines.len(), 2);
    assert_eq!(field(0, "route"), "/panic");
    assert_eq!(field(0, "method"), "GET");
    assert_eq!(field(0, "status"), 500);
    assert_eq!(field(0, "code"), "internal_error");
    assert!(field(0, "request_id").is_string());
    assert!(field(0, "latency_ms").is_u64());
    assert_eq!(field(1, "route"), "-");
    assert!(!serde_json::to_string(&lines).unwrap().contains("4915112345678"));
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_a_line() {
    let (lines, _guard) = record();
    let (state, router) = odd(&settings());
    let hanging = tokio::spawn(send(router, "GET", "/transfers"));
    while state.in_flight.available_permits() == 100 {
        tokio::task::yield_now().await;
    }

    hanging.abort();
    let _ = hanging.await;

    assert_eq!(lines.read()[0]["fields"]["message"], "the caller hung up");
}
