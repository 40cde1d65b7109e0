//! What happens around a handler that fails.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{body::Body, routing::get};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::http::tests::{settings, state};

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The answer of a handler that panics, and what is logged meanwhile.
async fn panicking(router: Router<AppState>) -> (u16, String, String) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let router = around(Router::new(), router, &state(&settings()));
    let request = Request::get("/panic").header("host", "localhost").body(Body::empty()).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (status, body, String::from_utf8(log.0.lock().unwrap().clone()).unwrap())
}

#[tokio::test]
async fn a_panic_keeps_its_message_to_itself_unless_it_is_a_literal() {
    let literal = Router::new().route("/panic", get(async || -> () { panic!("a literal") }));
    let (status, body, log) = panicking(literal).await;
    assert_eq!(status, 500);
    assert!(log.contains("a literal") && !body.contains("a literal"), "{log} {body}");
    let secret = String::from("canary");
    let formatted = Router::new().route("/panic", get(async move || -> () { panic!("{secret}") }));
    let (status, body, log) = panicking(formatted).await;
    assert_eq!(status, 500);
    assert!(log.contains("withheld"), "{log}");
    assert!(!log.contains("canary") && !body.contains("canary"), "{log} {body}");
}
