//! What a probe is told: what is wrong, and who has to do something about it.

use genesys_transfer::sandbox::faults::{Fault, FaultOrder, StatusAnswer};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    process::Site,
    service::{TOKEN, TestApp, plain, send},
};

#[tokio::test]
async fn a_genesys_that_is_down_is_told_and_takes_no_instance_out() {
    let app = TestApp::steady(&[]).await;
    assert_eq!(app.get("/health/ready").await.json()["reasons"], json!([]));
    let _clock = app.breaker_opens(Fault::Status(StatusAnswer::new(503))).await;
    let answer = app.transfer(app.fresh_call(), "Support Tier 2").await;
    assert_eq!(answer.outcome(), (503, "genesys_unavailable".to_owned()));
    let probe = app.get("/health/ready").await;
    assert_eq!((probe.status.as_u16(), probe.json()["status"].as_str()), (200, Some("ready")));
    let reasons = probe.json()["reasons"].to_string();
    assert!(reasons.contains("the Genesys API host does not answer"), "{reasons}");
}

#[tokio::test]
async fn what_is_wrong_with_the_token_and_the_queue_list_is_told_without_secrets() {
    let app = TestApp::with(&[
        ("GENESYS_CLIENT_ID", "id"),
        ("GENESYS_CLIENT_SECRET", "a-secret"),
        ("GENESYS_API_URL", "http://127.0.0.1:1"),
        ("GENESYS_LOGIN_URL", "http://127.0.0.1:1"),
    ])
    .await;
    let body = plain(genesys_transfer::sandbox::seed::CONNECTED_CALL, "Support Tier 2");
    send(app.request(Method::POST, "/transfers").json(&body)).await;
    let probe = app.get("/health/ready").await;
    let text = String::from_utf8(probe.body.clone()).unwrap();
    assert_eq!(probe.outcome(), (503, "not_ready".to_owned()));
    assert!(text.contains("no access token") && text.contains("no queue list"), "{text}");
    assert!(!text.contains("a-secret") && !text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn who_can_recognise_nobody_is_not_ready() {
    let app = TestApp::with(&[
        ("AUTH_MODE", "required"),
        ("AUTH_OIDC_ISSUER", "http://127.0.0.1:1"),
        ("AUTH_OIDC_AUDIENCE", "transfer"),
    ])
    .await;
    let probe = app.get("/health/ready").await;
    let text = String::from_utf8(probe.body.clone()).unwrap();
    assert_eq!(probe.outcome(), (503, "not_ready".to_owned()));
    assert!(text.contains("issuer's keys"), "{text}");
}

#[tokio::test]
async fn the_log_says_listening_at_the_start_and_ready_once_probes_are_told_so() {
    let site = Site::sqlite().await;
    let down = Fault::Status(StatusAnswer::new(503));
    site.sandbox.order(FaultOrder::next("POST", TOKEN, down).forever()).unwrap();
    let process = site.start().await;
    process.says("\"message\":\"listening\"").await;
    assert_eq!(process.get("/health/ready").await.status, 503);
    let early = process.log().into_iter().find(|line| line.contains("\"message\":\"ready\""));

    site.sandbox.with(|state| state.faults.clear());

    process.says("\"message\":\"ready\"").await;
    assert_eq!(process.get("/health/ready").await.status, 200);
    assert_eq!(early, None);
}
