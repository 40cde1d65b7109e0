//! A transfer that stays unknown tells what is to be done about it.

use genesys_transfer::sandbox::{
    faults::{Fault, When},
    seed,
};
use serde_json::{Value, json};

use crate::support::{
    process::until,
    service::{REPLACE, TestApp, plain},
};

/// A command without an answer is answered for after some seconds, which is enough to send it.
const BRIEF: (&str, &str) = ("SERVER_DEADLINE", "8s");

#[tokio::test]
async fn after_the_settle_window_the_transfer_and_its_key_name_settle() {
    let app = TestApp::with(&[BRIEF, ("TRANSFERS_SETTLE_WINDOW", "1s")]).await;
    app.fault("POST", REPLACE, 1, Fault::Drop { when: When::Before, reset: true });
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let first = app.submit_with(&body, "Idempotency-Key", "k").await;
    let id = first.json()["transferId"].as_str().unwrap().to_owned();
    let path = format!("/transfers/{id}");
    let names_settle = |problem: &Value| {
        problem["hint"].as_str().unwrap().contains(&format!("POST {path}/settle"))
    };
    assert!(!names_settle(&first.json()), "{}", first.json());

    let told = until(|| async {
        let told = app.get(&path).await.json();
        names_settle(&told["error"]).then_some(told)
    })
    .await;

    assert_eq!(told["status"], "unknown");
    assert!(told["error"]["detail"].as_str().unwrap().contains("1 s"), "{told}");
    assert_eq!(told["error"]["retryAfterSeconds"], 60);
    let listed = app.get("/transfers?status=unknown").await.json();
    assert_eq!(listed["items"], json!([told]));
    let again = app.submit_with(&body, "Idempotency-Key", "k").await;
    assert_eq!((again.status.as_u16(), again.header("retry-after")), (504, Some("60")));
    assert!(names_settle(&again.json()), "{}", again.json());

    let verdict = json!({"outcome": "not_moved", "reason": "looked"});
    assert_eq!(app.post(&format!("{path}/settle"), &verdict).await.json()["status"], "failed");
    assert_eq!(app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await.status, 201);
}
