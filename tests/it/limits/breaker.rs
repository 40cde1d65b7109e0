//! The circuit breaker: a host that is down is left alone, and a read finds out that it is back.

use std::time::Duration;

use genesys_transfer::sandbox::{
    faults::{Fault, StatusAnswer, When},
    seed,
};
use serde_json::json;

use crate::support::{
    frozen::Frozen,
    service::{Answer, CONVERSATION, TestApp},
};

/// How long the breaker stays open the first time.
const OPEN: Duration = Duration::from_secs(5);

/// A service whose Genesys has just failed five times in a row; the ledger is empty.
async fn after_five_failures(fault: Fault) -> (TestApp, Frozen) {
    let app = TestApp::steady(&[("TRANSFERS_VERIFY", "false")]).await;
    let clock = app.breaker_opens(fault).await;
    app.sandbox().with(|state| state.ledger.clear());
    (app, clock)
}

/// A transfer that names the leg, so that nothing needs to be looked at before the command; it comes
/// when the breaker has been open for as long as it is.
async fn blind(app: &TestApp, clock: &Frozen) -> Answer {
    let leg = seed::leg(seed::CONNECTED_CALL, 3);
    clock.passes(OPEN).await;
    let request = app.submit(json!({
        "conversationId": seed::CONNECTED_CALL, "queueName": "Support Tier 2", "participantId": leg,
    }));
    clock.passes_until(Duration::ZERO, request).await
}

#[tokio::test]
async fn after_five_failures_callers_are_refused_at_once_and_genesys_is_left_alone() {
    let down = Fault::Status(StatusAnswer::new(503));
    for fault in [down, Fault::Drop { when: When::Before, reset: true }] {
        let (app, _clock) = after_five_failures(fault).await;
        let answer = app.transfer(app.fresh_call(), "Support Tier 2").await;
        assert_eq!(answer.outcome(), (503, "genesys_unavailable".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("5"));
        let sent = app.sandbox().requests();
        assert!(sent.is_empty(), "{sent:?}");
        // Told, but another instance would fare no better.
        let ready = app.get("/health/ready").await;
        assert_eq!(ready.status, 200, "{}", ready.json());
        assert!(!ready.json()["reasons"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn throttling_is_no_failure() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    let throttled = StatusAnswer { retry_after: Some("0".to_owned()), ..StatusAnswer::new(429) };
    app.fault("GET", CONVERSATION, 6, Fault::Status(throttled));
    for _ in 0..3 {
        app.transfer(app.fresh_call(), "Support Tier 2").await;
    }
    assert_eq!(app.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn a_read_finds_out_that_genesys_is_back_and_the_command_follows() {
    let (app, clock) = after_five_failures(Fault::Status(StatusAnswer::new(503))).await;
    let answer = blind(&app, &clock).await;
    let methods: Vec<_> = app.sandbox().requests().into_iter().map(|it| it.method).collect();
    assert_eq!((answer.status.as_u16(), methods), (201, vec!["GET".into(), "POST".into()]));
    assert_eq!(app.moves(), 1);
}

#[tokio::test]
async fn a_probe_that_fails_keeps_the_command_back() {
    let (app, clock) = after_five_failures(Fault::Status(StatusAnswer::new(500))).await;
    app.fault("GET", CONVERSATION, 5, Fault::Status(StatusAnswer::new(500)));
    let answer = blind(&app, &clock).await;
    assert!([502, 503].contains(&answer.status.as_u16()), "{answer:?}");
    assert_eq!((app.sandbox().requests().len(), app.commands(), app.moves()), (1, 0, 0));
}
