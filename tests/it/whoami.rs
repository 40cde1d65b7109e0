//! `GET /whoami`: the caller, what it may do, and the request budget.

use genesys_transfer::sandbox::seed;
use serde_json::{Value, json};

use crate::support::{keys::entry, service::TestApp};

const PATH: &str = "/whoami";

/// What is said of the caller, without the budget.
fn caller(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().remove("budget");
    answer
}

async fn with_keys(keys: Value) -> TestApp {
    TestApp::with(&[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys.to_string())]).await
}

#[tokio::test]
async fn without_credentials_everybody_may_do_everything() {
    let app = TestApp::start().await;
    let answer = app.get(PATH).await;
    assert_eq!(answer.status, 200);
    let everything = [
        "transfers:write",
        "transfers:read",
        "batches:write",
        "queues:read",
        "metrics:read",
        "admin",
    ];
    let expected = json!({"caller": "anonymous", "permissions": everything, "queues": ["*"]});
    assert_eq!(caller(answer.json()), expected);
}

#[tokio::test]
async fn a_caller_with_a_key_sees_its_own_permissions_and_patterns() {
    let app = with_keys(json!([
        entry("crm", &["queues:read", "transfers:write"], &["*"]),
        entry("ivr", &["transfers:read"], &["Support *", "Billing"]),
        entry("scraper", &["metrics:read"], &[]),
    ]))
    .await;
    for (name, permissions, queues) in [
        ("crm", json!(["transfers:write", "queues:read"]), json!(["*"])),
        ("ivr", json!(["transfers:read"]), json!(["Support *", "Billing"])),
        ("scraper", json!(["metrics:read"]), json!(["*"])),
    ] {
        let answer = app.get_as(name, PATH).await;
        assert_eq!(answer.status, 200, "{name}");
        let expected = json!({"caller": name, "permissions": permissions, "queues": queues});
        assert_eq!(caller(answer.json()), expected);
    }
}

#[tokio::test]
async fn a_stranger_is_not_answered() {
    let app = with_keys(json!([entry("crm", &["queues:read"], &["*"])])).await;
    assert_eq!(app.get(PATH).await.outcome(), (401, "unauthenticated".to_owned()));
    assert_eq!(app.get_as("who", PATH).await.outcome(), (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn a_parameter_is_refused() {
    let app = TestApp::start().await;
    let answer = app.get("/whoami?name=x").await;
    assert_eq!(answer.outcome(), (422, "invalid_request".to_owned()));
}

#[tokio::test]
async fn a_request_to_genesys_is_taken_from_the_budget_and_comes_back() {
    let app = TestApp::with(&[("GENESYS_REQUESTS_PER_MINUTE", "200")]).await;
    let path = format!("/conversations/{}", seed::CONNECTED_CALL);
    assert_eq!(app.get(&path).await.status, 200);
    let first = app.get(PATH).await.json()["budget"].clone();
    let (left, wait) =
        (first["left"].as_u64().unwrap(), first["resetsInSeconds"].as_u64().unwrap());
    assert_eq!(first["perMinute"], 200);
    assert!(left < 200, "{first}");
    assert!((1..=61).contains(&wait), "{first}");
}
