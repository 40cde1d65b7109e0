//! Clocks that jump: what was promised for days of real time does not end with them.

use std::sync::Arc;

use genesys_transfer::{
    clock::{Clock, ManualClock, SystemClock},
    sandbox::seed,
};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    postgres,
    service::{Answer, TestApp, lone_sandbox, plain, send},
};

/// A service on each store, beside a sandbox whose clock is right.
async fn on_both_stores() -> [TestApp; 2] {
    let sandbox = lone_sandbox().await;
    let url = postgres::database().await;
    let sqlite = TestApp::beside(&sandbox, &[]).await;
    let sandbox = lone_sandbox().await;
    [sqlite, TestApp::beside(&sandbox, &[("STORE_URL", &url)]).await]
}

/// A clock that is wrong by so many hours.
fn wrong_by(hours: i64) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(SystemClock.now() + SignedDuration::from_hours(hours)))
}

/// The answer, and whether it was given before.
fn given(answer: &Answer) -> (u16, bool, &[u8]) {
    (answer.status.as_u16(), answer.header("idempotent-replayed").is_some(), &answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_forgotten_by_a_service_that_starts_with_its_clock_far_ahead() {
    for app in on_both_stores().await {
        let single = plain(seed::CONNECTED_CALL, "Support Tier 2");
        let batch = json!({"transfers": [plain(seed::HELD_CALL, "Support Tier 2")]});
        let first = app.submit_with(&single, "Idempotency-Key", "k").await;
        let begun = app.begin_with(&batch, "k").await;
        app.finished(begun.json()["id"].as_str().unwrap()).await;

        let app = app.restart_at(wrong_by(100)).await;

        let again = app.submit_with(&single, "Idempotency-Key", "k").await;
        assert_eq!(given(&again), (201, true, &*first.body));
        let again = app.begin_with(&batch, "k").await;
        assert_eq!(given(&again), (202, true, &*begun.body));
        assert_eq!((app.commands(), app.moves()), (2, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_behind_the_newest_record_is_told_and_takes_no_instance_out() {
    for app in on_both_stores().await {
        app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
        let right = send(app.request(Method::GET, "/health/ready")).await;
        assert_eq!(right.json()["reasons"], json!([]));

        let app = app.restart_at(wrong_by(-100)).await;

        app.get("/queues").await;
        let probe = app.get("/health/ready").await;
        let reasons = probe.json()["reasons"].to_string();
        assert_eq!(probe.status, 200, "{reasons}");
        assert!(reasons.contains("clock: 3599") || reasons.contains("clock: 3600"), "{reasons}");
        assert!(reasons.contains("s behind the newest record in the store"), "{reasons}");
    }
}
