//! Who may call, and what each sees.

use genesys_transfer::sandbox::seed;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::service::{Answer, TestApp, plain, send};

/// A caller whose key is its name.
fn entry(caller: &str, permissions: &[&str], queues: &[&str]) -> Value {
    let hash: Vec<String> = Sha256::digest(caller).iter().map(|b| format!("{b:02x}")).collect();
    json!({
        "caller": caller, "sha256": [hash.concat()], "permissions": permissions, "queues": queues,
    })
}

/// A service with two callers who move calls, one of them only to some queues, and an admin.
async fn start() -> TestApp {
    let all = ["transfers:write", "transfers:read", "queues:read"];
    let keys = json!([
        entry("crm", &all, &["*"]),
        entry("ivr", &all, &["Support *"]),
        entry("ops", &["admin"], &[]),
    ]);
    let keys = keys.to_string();
    let settings = [
        ("AUTH_MODE", "required"),
        ("AUTH_API_KEYS", keys.as_str()),
        ("TRANSFERS_MAX_PER_CONVERSATION_PER_HOUR", "2"),
    ];
    TestApp::with(&settings).await
}

async fn get(app: &TestApp, caller: &str, path: &str) -> Answer {
    send(app.request(Method::GET, path).bearer_auth(caller)).await
}

async fn submit(app: &TestApp, caller: &str, body: &Value) -> Answer {
    send(app.request(Method::POST, "/transfers").bearer_auth(caller).json(body)).await
}

#[tokio::test]
async fn a_stranger_moves_nothing() {
    let app = start().await;
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    assert_eq!(answer.outcome(), (401, "unauthenticated".to_owned()));
    let answer = submit(&app, "who", &plain(seed::CONNECTED_CALL, "Support Tier 2")).await;
    assert_eq!(answer.outcome(), (401, "unauthenticated".to_owned()));
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_caller_sees_its_own_transfers_and_an_admin_all() {
    let app = start().await;
    let made = submit(&app, "crm", &plain(seed::CONNECTED_CALL, "Support Tier 2")).await;
    assert_eq!((made.status, &made.json()["requestedBy"]), (StatusCode::CREATED, &json!("crm")));
    let path = made.header("location").unwrap();
    for (caller, found, listed) in [("crm", 200, 1), ("ivr", 404, 0), ("ops", 200, 1)] {
        assert_eq!(get(&app, caller, path).await.status, found, "{caller}");
        let items = get(&app, caller, "/transfers").await.json()["items"].as_array().unwrap().len();
        assert_eq!(items, listed, "{caller}");
    }
}

#[tokio::test]
async fn a_limited_caller_learns_nothing_of_other_queues() {
    let app = start().await;
    let mut answers = Vec::new();
    for target in [
        json!({"queueName": "Sales"}),
        json!({"queueName": "No such queue"}),
        json!({"queueId": seed::SALES}),
        json!({"queueId": "00000000-0000-4000-8000-00000000dead"}),
    ] {
        let mut body = target;
        body["conversationId"] = json!(seed::CONNECTED_CALL);
        let mut answer = submit(&app, "ivr", &body).await.json();
        answer["requestId"] = Value::Null;
        answers.push(answer);
    }
    assert_eq!(answers[0]["code"], "queue_not_permitted");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let listed = get(&app, "ivr", "/queues").await.json();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|q| &q["name"]).collect();
    assert_eq!(names, ["Support Tier 1", "Support Tier 2"]);
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_call_sent_back_and_forth_is_stopped_whoever_sends_it() {
    let app = start().await;
    for (caller, queue, status) in [
        ("crm", "Support Tier 2", 201),
        ("ivr", "Support Tier 1", 201),
        ("crm", "Support Tier 2", 429),
    ] {
        let answer = submit(&app, caller, &plain(seed::CONNECTED_CALL, queue)).await;
        assert_eq!(answer.status, status, "{caller}: {:?}", answer.json());
        assert_eq!(answer.header("retry-after").is_some(), status == 429);
    }
    assert_eq!(app.moves(), 2);
}
