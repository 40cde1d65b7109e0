//! Drains: who moves, who does not, and what is refused.

use genesys_transfer::sandbox::{seed, world::Act};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    batches::{NOBODY, crowd, drain, line, moved, waiting, waiting_with},
    held::{hold_command, let_go},
    process::until,
    service::{OBSERVATIONS, TestApp, send},
};

#[tokio::test]
async fn whoever_waits_moves_and_keeps_his_place() {
    let app = TestApp::start().await;
    app.sandbox().act(seed::WAITING_CALL, Act::HangUp).unwrap();
    let (long, short) = (waiting_with(app.sandbox(), 600, 3), waiting(app.sandbox(), 61));

    let batch = app.carried_out(&drain(json!({}))).await;

    assert_eq!((moved(&batch), &batch["kind"]), (2, &json!("drain")));
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_2), [long, short]);
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), NOBODY);
    let transfer = app.transfer_of(long).await;
    assert_eq!((&transfer["priority"], &transfer["waitedMinutes"]), (&json!(13), &json!(10)));
}

#[tokio::test]
async fn a_drain_may_set_the_place_instead() {
    let app = TestApp::start().await;
    let call = waiting(app.sandbox(), 600);
    app.carried_out(&drain(json!({"keepPlace": false, "priority": -4}))).await;
    let transfer = app.transfer_of(call).await;
    assert_eq!((&transfer["priority"], &transfer["waitedMinutes"]), (&json!(-4), &json!(null)));
}

#[tokio::test]
async fn the_order_alone_costs_one_request_less_and_sets_no_priority() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 120);
    let (before, patches) = (app.sandbox().requests().len(), app.seen("/routing/conversations/"));

    let batch = app.carried_out(&drain(json!({"keepPlace": "order"}))).await;

    assert_eq!(moved(&batch), 120);
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_2), calls);
    let transfer = app.transfer_of(calls[0]).await;
    assert_eq!((&transfer["priority"], &transfer["waitedMinutes"]), (&Value::Null, &Value::Null));
    assert_eq!(app.seen("/routing/conversations/"), patches);
    let requests = app.sandbox().requests().len() - before;
    assert!(requests <= 120 * 115 / 100, "{requests} requests");
}

#[tokio::test]
async fn only_who_waited_long_enough_moves() {
    let app = TestApp::start().await;
    app.sandbox().act(seed::WAITING_CALL, Act::HangUp).unwrap();
    let calls = [600, 400, 100, 0].map(|seconds| waiting(app.sandbox(), seconds));
    let batch = app.carried_out(&drain(json!({"minWaitedMinutes": 5}))).await;
    assert_eq!((moved(&batch), &batch["total"]), (2, &json!(2)));
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), calls[2..]);
    assert_eq!(batch["stillWaiting"], 2);
}

#[tokio::test]
async fn a_limit_takes_the_longest_waiting() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 5);
    let batch = app.carried_out(&drain(json!({"limit": 2}))).await;
    assert_eq!((moved(&batch), &batch["total"]), (2, &json!(2)));
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), calls[2..]);
}

#[tokio::test]
async fn an_empty_queue_is_done_at_once() {
    let app = TestApp::start().await;
    let body = json!({"fromQueueName": "Retention", "toQueueName": "Sales"});
    let batch = app.post("/batches", &body).await.json();
    assert_eq!((&batch["status"], &batch["total"]), (&json!("completed"), &json!(0)));
    assert!(!batch["finishedAt"].is_null());
    assert_eq!(batch["pace"]["etaSeconds"], 0);
}

#[tokio::test]
async fn only_voice_calls_that_wait_are_touched() {
    let app = TestApp::start().await;
    let talking = app.fresh_call();
    app.carried_out(&drain(json!({}))).await;
    assert_eq!(app.transfer_of(talking).await, Value::Null);
}

#[tokio::test]
async fn a_queue_is_not_drained_into_itself_nor_in_a_circle() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 3);
    let itself = drain(json!({"toQueueName": "support tier 1"}));
    assert_eq!(app.post("/batches", &itself).await.outcome(), (409, "drain_loop".to_owned()));
    let held = hold_command(app.sandbox());
    let id = app.begin(&drain(json!({}))).await;

    let back = json!({"fromQueueName": "Support Tier 2", "toQueueName": "Support Tier 1"});
    let refused = app.post("/batches", &back).await;
    assert_eq!(refused.outcome(), (409, "drain_loop".to_owned()));

    app.commands_reach(1).await;
    let_go(app.sandbox(), held);
    app.finished(&id).await;
    assert_eq!(app.post("/batches", &back).await.status, 202);
}

#[tokio::test]
async fn a_target_without_agents_is_warned_of() {
    let app = TestApp::start().await;
    let batch = app.post("/batches", &drain(json!({"toQueueName": "After Hours"}))).await.json();
    let warning = &batch["warnings"][0];
    assert_eq!(warning["code"], "nobody_on_queue");
    assert!(warning["detail"].as_str().unwrap().starts_with("0 agents are on queue"), "{warning}");
    let other = app.post("/batches", &drain(json!({"toQueueName": "Sales"}))).await.json();
    assert_eq!(other["warnings"], json!([]));
}

#[tokio::test]
async fn an_unknown_queue_has_its_pointer() {
    let app = TestApp::start().await;
    for (member, other) in [("fromQueueName", "toQueueName"), ("toQueueName", "fromQueueName")] {
        let body = json!({member: "Nowhere", other: "Sales"});
        let answer = app.post("/batches", &body).await;
        assert_eq!(answer.outcome(), (422, "queue_not_found".to_owned()));
        assert_eq!(answer.json()["errors"][0]["pointer"], format!("/{member}"));
    }
}

#[tokio::test]
async fn when_nobody_can_say_who_waits_no_batch_is_made() {
    let app = TestApp::start().await;
    app.answers("POST", OBSERVATIONS, 20, 500);
    app.answers("POST", "*/activity/query", 20, 500);
    let answer = app.post("/batches", &drain(json!({}))).await;
    assert_eq!(answer.outcome(), (502, "genesys_error".to_owned()));
    assert_eq!(app.get("/batches").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_cancelled_drain_leaves_the_rest_where_it_is() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 120);
    let id = app.begin(&drain(json!({}))).await;
    app.sandbox().moves_reach(10).await;

    let answer = send(app.request(Method::DELETE, &format!("/batches/{id}"))).await;

    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("cancelled")));
    let at_most = app.moves() + 10;
    let batch = app.finished(&id).await;
    assert_eq!(batch["status"], "cancelled");
    assert_eq!(batch["reasons"]["cancelled"], batch["counts"]["skipped"]);
    assert!(app.moves() <= at_most && app.moves() < 120, "{}", app.moves());
    assert_eq!(moved(&batch), app.moves() as u64);
    let again = send(app.request(Method::DELETE, &format!("/batches/{id}"))).await;
    assert_eq!((again.status.as_u16(), again.json()), (202, app.batch(&id).await));
}

#[tokio::test]
async fn a_call_of_a_running_drain_may_be_moved_alone() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 60);
    let id = app.begin(&drain(json!({}))).await;

    let last = calls[59];
    let single = until(|| async {
        let answer = app.transfer(last, "Sales").await;
        (answer.status != 409 || answer.outcome().1 != "transfer_in_progress").then_some(answer)
    })
    .await;

    let batch = app.finished(&id).await;
    let moved_alone = single.status == 201;
    assert_eq!(moved(&batch), 60 - u64::from(moved_alone), "{batch}");
    assert_eq!(crate::support::batches::moved_twice(app.sandbox()), NOBODY);
}
