//! `Idempotency-Key` on batches.

use serde_json::json;

use crate::support::{
    batches::{drain, waiting},
    service::{TestApp, plain},
};

#[tokio::test]
async fn the_same_key_gives_the_first_answer_byte_for_byte() {
    let app = TestApp::start().await;
    waiting(app.sandbox(), 60);
    let first = app.begin_with(&drain(json!({})), "k").await;
    app.finished(first.json()["id"].as_str().unwrap()).await;

    let spaced = drain(json!({"dryRun": false, "keepPlace": true}));
    let again = app.begin_with(&spaced, "\"k\"").await;

    assert_eq!((again.status.as_u16(), &again.body), (202, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(app.get("/batches").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let app = TestApp::start().await;
    app.begin_with(&drain(json!({})), "k").await;
    for other in
        [drain(json!({"limit": 1})), json!({"transfers": [plain(app.fresh_call(), "Sales")]})]
    {
        let answer = app.begin_with(&other, "k").await;
        assert_eq!(answer.outcome(), (422, "idempotency_key_reused".to_owned()));
    }
}

#[tokio::test]
async fn the_answer_survives_a_restart() {
    let app = TestApp::start().await;
    let first = app.begin_with(&drain(json!({})), "k").await;
    let app = app.restart().await;
    let again = app.begin_with(&drain(json!({})), "k").await;
    assert_eq!((again.status, again.body), (first.status, first.body));
}

#[tokio::test]
async fn a_request_that_made_no_batch_leaves_its_key_free() {
    let app = TestApp::start().await;
    let body = drain(json!({"toQueueName": "New Queue"}));
    let refused = app.begin_with(&body, "k").await;
    assert_eq!(refused.outcome(), (422, "queue_not_found".to_owned()));
    app.sandbox().add_queue("New Queue").unwrap();
    app.post("/queues/refresh", &json!({})).await;

    assert_eq!(app.begin_with(&body, "k").await.status, 202);
}

#[tokio::test]
async fn a_dry_run_uses_no_key_up() {
    let app = TestApp::start().await;
    for body in [drain(json!({"dryRun": true})), drain(json!({"dryRun": true, "limit": 1}))] {
        assert_eq!(app.begin_with(&body, "k").await.status, 200);
    }
    assert_eq!(app.begin_with(&drain(json!({})), "k").await.status, 202);
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let app = TestApp::start().await;
    let answer = app.begin_with(&drain(json!({"dryRun": true})), "a b").await;
    assert_eq!(answer.outcome(), (400, "idempotency_key_invalid".to_owned()));
}

#[tokio::test]
async fn of_many_with_one_key_one_batch_is_made() {
    let app = TestApp::start().await;
    let body = drain(json!({}));
    let all = futures_util::future::join_all((0..8).map(|_| app.begin_with(&body, "k"))).await;
    assert!(all.iter().all(|answer| answer.status == 202 && answer.body == all[0].body));
    assert_eq!(app.get("/batches").await.json()["items"].as_array().unwrap().len(), 1);
}
