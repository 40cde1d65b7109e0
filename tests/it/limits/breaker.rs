//! The circuit breaker: a host that is down is left alone, and a read finds out that it is back.

use genesys_transfer::sandbox::{
    faults::{Fault, StatusAnswer, When},
    seed,
};
use serde_json::json;

use crate::support::service::{Answer, CONVERSATION, TestApp, soon};

/// How long the breaker stays open the first time, and a little.
const OPEN_MS: u64 = 5_300;

/// A service whose Genesys has just failed five times in a row; the ledger is empty.
async fn after_five_failures(fault: Fault) -> TestApp {
    let app = TestApp::with(&[("TRANSFERS_VERIFY", "false")]).await;
    app.get("/queues").await;
    // All it asks Genesys by itself when it starts has been answered.
    soon("readiness", async { while app.get("/health/ready").await.status != 200 {} }).await;
    app.sandbox().with(|state| state.ledger.clear());
    app.fault("GET", CONVERSATION, 5, fault);
    for _ in 0..2 {
        app.transfer(app.fresh_call(), "Support Tier 2").await;
    }
    assert_eq!(app.sandbox().requests().len(), 5);
    app.sandbox().with(|state| state.ledger.clear());
    app
}

/// A transfer that names the leg, so that nothing needs to be looked at before the command.
async fn blind(app: &TestApp) -> Answer {
    let leg = seed::leg(seed::CONNECTED_CALL, 3);
    app.submit(json!({
        "conversationId": seed::CONNECTED_CALL, "queueName": "Support Tier 2", "participantId": leg,
    }))
    .await
}

#[tokio::test]
async fn after_five_failures_callers_are_refused_at_once_and_genesys_is_left_alone() {
    let down = Fault::Status(StatusAnswer::new(503));
    for fault in [down, Fault::Drop { when: When::Before, reset: true }] {
        let app = after_five_failures(fault).await;
        let answer = app.transfer(app.fresh_call(), "Support Tier 2").await;
        let told: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert_eq!(answer.outcome(), (503, "genesys_unavailable".to_owned()));
        assert!((1..=5).contains(&told), "{told}");
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
    let app = after_five_failures(Fault::Status(StatusAnswer::new(503))).await;
    app.time_passes(OPEN_MS).await;
    app.sandbox().with(|state| state.ledger.clear());
    let answer = blind(&app).await;
    let methods: Vec<_> = app.sandbox().requests().into_iter().map(|it| it.method).collect();
    assert_eq!((answer.status.as_u16(), methods), (201, vec!["GET".into(), "POST".into()]));
    assert_eq!(app.moves(), 1);
}

#[tokio::test]
async fn a_probe_that_fails_keeps_the_command_back() {
    let app = after_five_failures(Fault::Status(StatusAnswer::new(500))).await;
    app.time_passes(OPEN_MS).await;
    app.sandbox().with(|state| state.ledger.clear());
    app.fault("GET", CONVERSATION, 5, Fault::Status(StatusAnswer::new(500)));
    let answer = blind(&app).await;
    assert!([502, 503].contains(&answer.status.as_u16()), "{answer:?}");
    assert_eq!((app.sandbox().requests().len(), app.commands(), app.moves()), (1, 0, 0));
}
