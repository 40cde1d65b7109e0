//! Lists: taken whole or refused whole.

use genesys_transfer::sandbox::{seed, world::Act};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::moved,
    service::{Answer, TestApp, plain, send},
};

fn list(transfers: &[Value]) -> Value {
    json!({"transfers": transfers, "reason": "closed for today"})
}

fn pointers(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

/// Fails unless the service knows of no batch.
async fn assert_none_made(app: &TestApp) {
    assert_eq!(app.get("/batches").await.json(), json!({"items": [], "nextCursor": null}));
}

#[tokio::test]
async fn a_list_is_carried_out_each_call_as_asked() {
    let app = TestApp::start().await;
    let calls: Vec<Uuid> = (0..3).map(|_| app.fresh_call()).collect();
    let mut body = list(&calls.iter().map(|id| plain(*id, "Support Tier 2")).collect::<Vec<_>>());
    body["transfers"][1]["priority"] = json!(7);
    body["transfers"][2]["reference"] = json!("CASE-1");

    let batch = app.carried_out(&body).await;

    assert_eq!(
        (moved(&batch), &batch["status"], &batch["kind"]),
        (3, &json!("completed"), &json!("list"))
    );
    assert_eq!(
        (&batch["reason"], &batch["requestedBy"]),
        (&json!("closed for today"), &json!("anonymous"))
    );
    let id = batch["id"].as_str().unwrap();
    let transfers = app.transfers_of_batch(id, 2).await;
    let moved: Vec<_> = transfers.iter().rev().map(|one| one["conversationId"].clone()).collect();
    assert_eq!(json!(moved), json!(calls));
    assert!(transfers.iter().all(|one| one["batchId"] == id && one["status"] == "accepted"));
    assert_eq!(
        (&transfers[1]["priority"], &transfers[0]["reference"]),
        (&json!(7), &json!("CASE-1"))
    );
}

#[tokio::test]
async fn what_cannot_move_fails_alone_and_the_books_say_why() {
    let app = TestApp::start().await;
    let (gone, fine) = (app.fresh_call(), app.fresh_call());
    app.sandbox().act(gone, Act::HangUp).unwrap();
    let unknown = Uuid::from_u128(7);
    let body = list(&[gone, unknown, fine].map(|id| plain(id, "Support Tier 2")));

    let batch = app.carried_out(&body).await;

    assert_eq!(batch["counts"]["accepted"], 1);
    assert_eq!(batch["reasons"], json!({"conversation_ended": 1, "conversation_not_found": 1}));
    assert_eq!(app.moves(), 1);
}

#[tokio::test]
async fn the_first_answer_names_the_batch() {
    let app = TestApp::start().await;
    let call = app.fresh_call();
    let answer = app.post("/batches", &list(&[plain(call, "Support Tier 2")])).await;
    let batch = answer.json();
    assert_eq!(answer.status, 202);
    let id = batch["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(&*format!("/batches/{id}")));
    assert_eq!((&batch["total"], &batch["counts"]["pending"]), (&json!(1), &json!(1)));
    app.finished(id).await;
}

#[tokio::test]
async fn a_call_named_twice_makes_no_batch() {
    let app = TestApp::start().await;
    let (one, two) = (app.fresh_call(), app.fresh_call());
    let body = list(&[one, two, one].map(|id| plain(id, "Support Tier 2")));
    let answer = app.post("/batches", &body).await;
    assert_eq!(answer.outcome(), (422, "invalid_request".to_owned()));
    assert_eq!(pointers(&answer), ["/transfers/2/conversationId"]);
    assert_none_made(&app).await;
}

#[tokio::test]
async fn an_unknown_queue_makes_no_batch_and_moves_nothing() {
    let app = TestApp::start().await;
    let good = plain(app.fresh_call(), "Support Tier 2");
    let by_name = plain(app.fresh_call(), "Suport Tier 2");
    let by_id = json!({"conversationId": app.fresh_call(), "queueId": Uuid::from_u128(7)});
    for (bad, member) in [(by_name, "queueName"), (by_id, "queueId")] {
        let answer = app.post("/batches", &list(&[good.clone(), bad])).await;
        assert_eq!(answer.outcome(), (422, "queue_not_found".to_owned()));
        assert_eq!(pointers(&answer), [format!("/transfers/1/{member}")]);
    }
    assert_none_made(&app).await;
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_body_out_of_bounds_makes_no_batch() {
    let app = TestApp::start().await;
    let one = |n: u128| plain(Uuid::from_u128(n), "Support Tier 2");
    let many: Vec<Value> = (1..=1001).map(one).collect();
    let typo = json!({"transfers": [one(1)], "dryRun": true});
    for (body, pointer) in [
        (list(&many), "/transfers"),
        (list(&[]), "/transfers"),
        (json!({}), ""),
        (typo, "/dryRun"),
        (list(&[json!({"conversationId": seed::CONNECTED_CALL})]), "/transfers/0/queueName"),
    ] {
        let answer = app.post("/batches", &body).await;
        assert_eq!(answer.outcome(), (422, "invalid_request".to_owned()), "{pointer}");
        assert_eq!(pointers(&answer), [pointer]);
    }
    assert_none_made(&app).await;
}

#[tokio::test]
async fn a_body_may_have_a_mebibyte_and_no_more() {
    let app = TestApp::start().await;
    let blanks = |size: usize| {
        let body = list(&[plain(Uuid::from_u128(7), "Nowhere")]).to_string();
        format!("{body}{}", " ".repeat(size - body.len()))
    };
    for (size, status) in [(1024 * 1024, 422), (1024 * 1024 + 1, 413)] {
        let request = app.request(Method::POST, "/batches").body(blanks(size));
        let answer = send(request.header("content-type", "application/json")).await;
        assert_eq!(answer.status, status, "{size}");
    }
}

#[tokio::test]
async fn a_thousand_calls_are_taken() {
    let app = TestApp::start().await;
    let calls: Vec<Value> = (0..1000).map(|_| plain(app.fresh_call(), "Support Tier 2")).collect();
    let id = app.begin(&list(&calls)).await;
    let stopped = send(app.request(Method::DELETE, &format!("/batches/{id}"))).await;
    assert_eq!(stopped.status, 202);
    let batch = app.finished(&id).await;
    assert_eq!((&batch["total"], &batch["status"]), (&json!(1000), &json!("cancelled")));
}
