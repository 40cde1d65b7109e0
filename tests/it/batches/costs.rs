//! What a call of a batch cost, also when it was not moved.

use genesys_transfer::sandbox::world::Act;
use serde_json::{Value, json};

use crate::support::{
    batches::{crowd, drain},
    service::{TestApp, plain},
};

/// Status, calls and attempts of each transfer of a batch, the newest first.
async fn costs(app: &TestApp, batch: &Value) -> Vec<(Value, Value, Value)> {
    let transfers = app.transfers_of_batch(batch["id"].as_str().unwrap(), 50).await;
    let cost = |one: &Value| {
        let upstream = &one["upstream"];
        assert!(upstream["correlationId"].is_string(), "{one}");
        (one["status"].clone(), upstream["calls"].clone(), upstream["attempts"].clone())
    };
    transfers.iter().map(cost).collect()
}

#[tokio::test]
async fn the_look_at_a_call_that_is_skipped_or_fails_is_counted() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 1);
    let plan = app.post("/batches", &drain(json!({"dryRun": true}))).await.json();
    app.sandbox().act(calls[0], Act::Answer).unwrap();
    let batch = app.carried_out(&json!({"planId": plan["planId"]})).await;
    assert_eq!(costs(&app, &batch).await, [(json!("skipped"), json!(1), json!(1))]);

    let gone = app.fresh_call();
    app.sandbox().act(gone, Act::HangUp).unwrap();
    let list = json!({"transfers": [plain(gone, "Support Tier 2")]});
    let batch = app.carried_out(&list).await;
    assert_eq!(costs(&app, &batch).await, [(json!("failed"), json!(1), json!(1))]);
}

#[tokio::test]
async fn a_call_that_is_moved_counts_its_look_and_its_command() {
    let app = TestApp::start().await;
    let list = json!({"transfers": [plain(app.fresh_call(), "Support Tier 2")]});
    let batch = app.carried_out(&list).await;
    assert_eq!(costs(&app, &batch).await, [(json!("accepted"), json!(2), json!(2))]);
}
