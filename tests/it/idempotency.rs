//! `Idempotency-Key`: the same request again does nothing again, and a key is used up only by a
//! command that left.

use genesys_transfer::sandbox::{
    faults::FaultOrder,
    seed,
    world::{Act, Shape},
};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    held::{HOLD, hold_as, hold_command, let_go},
    service::{Answer, CONVERSATION, REPLACE, TestApp, plain, send},
    steps::with,
};

fn body() -> Value {
    plain(seed::CONNECTED_CALL, "Support Tier 2")
}

fn assert_replay(first: &Answer, again: &Answer) {
    let text = |answer: &Answer| String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!((first.status, text(first)), (again.status, text(again)));
    for name in ["content-type", "location", "retry-after"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

async fn raw(app: &TestApp, key: &str, text: String) -> Answer {
    let request = app.request(Method::POST, "/transfers").header("Idempotency-Key", key);
    send(request.header("content-type", "application/json").body(text)).await
}

#[tokio::test]
async fn a_settled_request_is_answered_again_byte_for_byte() {
    let app = TestApp::start().await;
    let first = app.keyed("a-key", &body()).await;
    let again = app.keyed("a-key", &body()).await;
    assert_eq!(first.status, 201);
    assert_replay(&first, &again);
    assert_eq!((app.commands(), app.listed("").await.len()), (1, 1));
}

#[tokio::test]
async fn an_answer_stays_the_same_when_the_transfer_goes_on() {
    let app = TestApp::start().await;
    let request = app.request(Method::POST, "/transfers").json(&body());
    let first =
        send(request.header("Idempotency-Key", "k").header("Prefer", "respond-async")).await;
    assert_eq!(first.json()["status"], "pending");
    app.settled(seed::CONNECTED_CALL).await;
    assert_replay(&first, &app.keyed("k", &body()).await);
}

#[tokio::test]
async fn a_replay_follows_no_preference() {
    let app = TestApp::start().await;
    let first = app.keyed("k", &body()).await;
    let again = app.request(Method::POST, "/transfers").json(&body());
    let again = send(again.header("Idempotency-Key", "k").header("Prefer", "respond-async")).await;
    assert_replay(&first, &again);
    assert_eq!(again.header("preference-applied"), None);
}

#[tokio::test]
async fn keys_survive_a_restart() {
    let app = TestApp::start().await;
    let first = app.keyed("a-key", &body()).await;
    let app = app.restart().await;
    assert_replay(&first, &app.keyed("a-key", &body()).await);
    let other = app.keyed("a-key", &plain(seed::HELD_CALL, "Support Tier 2")).await;
    app.assert_problem(&other, 422, "idempotency_key_reused").await;
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn requests_are_compared_by_meaning() {
    let app = TestApp::start().await;
    let id = seed::CONNECTED_CALL;
    let capitals = id.to_string().to_uppercase();
    let write = |text: &str| text.replace("ID", &id.to_string()).replace("CAPS", &capitals);
    let first = write(r#"{"conversationId":"ID","queueName":"Support Tier 2","priority":10}"#);
    let first = raw(&app, "k", first).await;
    for text in [
        r#" { "queueName" : "Support Tier 2" , "priority":10,"conversationId":"ID" } "#,
        r#"{"conversationId":"CAPS","queueName":"Support Tier 2","priority":10}"#,
        r#"{"conversationId":"ID","queueName":"\u0053upport Tier 2","priority":10}"#,
        r#"{"conversationId":"ID","queueName":" Support Tier 2 ","priority":10}"#,
        r#"{"conversationId":"ID","queueName":"Support Tier 2","priority":1e1}"#,
        r#"{"conversationId":"ID","queueName":"Support Tier 2","priority":10,"reason":null}"#,
        r#"{"conversationId":"ID","queueName":"Support Tier 2","priority":10,"keepPlace":false,
            "transferType":"unattended"}"#,
    ] {
        assert_replay(&first, &raw(&app, "k", write(text)).await);
    }
}

#[tokio::test]
async fn a_key_stands_for_one_request_only() {
    let app = TestApp::start().await;
    app.keyed("k", &body()).await;
    for more in [
        json!({"queueName": "Sales"}),
        json!({"conversationId": seed::HELD_CALL}),
        json!({"priority": 1}),
        json!({"skillIds": []}),
        json!({"languageId": seed::SKILL}),
        json!({"keepPlace": true}),
        json!({"participantId": seed::leg(seed::CONNECTED_CALL, 3)}),
        json!({"transferType": "attended"}),
        json!({"reason": "x"}),
        json!({"reference": "x"}),
    ] {
        let answer = app.keyed("k", &with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
        app.assert_problem(&answer, 422, "idempotency_key_reused").await;
        assert_eq!(answer.json()["retryable"], false);
    }
    assert_eq!(app.commands(), 1);
}

#[tokio::test]
async fn a_quoted_key_is_the_bare_one() {
    let app = TestApp::start().await;
    for (call, bare, quoted) in [
        (seed::CONNECTED_CALL, "abc-1", "\"abc-1\""),
        (seed::HELD_CALL, "a\"b\\c", "\"a\\\"b\\\\c\""),
    ] {
        let first = app.keyed(bare, &plain(call, "Support Tier 2")).await;
        assert_replay(&first, &app.keyed(quoted, &plain(call, "Support Tier 2")).await);
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let app = TestApp::start().await;
    let long = "k".repeat(256);
    let values: [&[u8]; 7] =
        [b"", b"\"\"", b"\"abc", b"a b", b"\"a\"b", "schl\u{fc}ssel".as_bytes(), long.as_bytes()];
    for value in values {
        let request = app.request(Method::POST, "/transfers").json(&body());
        let value = HeaderValue::from_bytes(value).unwrap();
        let answer = send(request.header("Idempotency-Key", value)).await;
        app.assert_problem(&answer, 400, "idempotency_key_invalid").await;
    }
    let request = app.request(Method::POST, "/transfers").json(&body());
    let twice = request.header("Idempotency-Key", "a").header("Idempotency-Key", "a");
    app.assert_problem(&send(twice).await, 400, "idempotency_key_invalid").await;
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_key_may_have_255_characters() {
    let app = TestApp::start().await;
    let key = "~".repeat(255);
    let first = app.keyed(&key, &body()).await;
    assert_replay(&first, &app.keyed(&key, &body()).await);
}

#[tokio::test]
async fn a_key_whose_request_still_runs_is_in_use() {
    let app = TestApp::warm(&[]).await;
    let held = hold_command(app.sandbox());
    let body = body();
    let second = async {
        app.sandbox_sees(2).await;
        let second = app.keyed("k", &body).await;
        let_go(app.sandbox(), held);
        second
    };
    let (first, second) = tokio::join!(app.keyed("k", &body), second);
    app.assert_problem(&second, 409, "idempotency_key_in_use").await;
    assert!(second.header("retry-after").is_some());
    assert_eq!(second.json()["transferId"], first.json()["id"]);
    assert_replay(&first, &app.keyed("k", &body).await);
}

#[tokio::test]
async fn a_key_whose_first_answer_waits_for_confirmation_is_in_use() {
    let app = TestApp::warm(&[]).await;
    let second_look = FaultOrder::next("GET", CONVERSATION, HOLD).after(1);
    let held = hold_as(app.sandbox(), second_look);
    let body = body();
    let first = app.request(Method::POST, "/transfers").json(&body);
    let first = send(first.header("Idempotency-Key", "k").header("Prefer", "wait=10"));
    let second = async {
        app.sandbox_sees(3).await;
        let second = app.keyed("k", &body).await;
        let_go(app.sandbox(), held);
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.json()["status"], "confirmed");
    app.assert_problem(&second, 409, "idempotency_key_in_use").await;
    assert_replay(&first, &app.keyed("k", &body).await);
}

#[tokio::test]
async fn ten_requests_at_once_with_one_key_move_the_call_once() {
    let app = TestApp::start().await;
    let body = body();
    let all = futures_util::future::join_all((0..10).map(|_| app.keyed("k", &body))).await;
    let first = all.iter().find(|answer| answer.status == 201).unwrap();
    for answer in &all {
        let same = answer.body == first.body && answer.status == 201;
        assert!(same || answer.outcome() == (409, "idempotency_key_in_use".to_owned()));
    }
    assert_eq!((app.commands(), app.moves()), (1, 1));
}

#[tokio::test]
async fn a_pending_call_takes_no_other_request() {
    let app = TestApp::warm(&[]).await;
    let held = hold_command(app.sandbox());
    let others = async {
        app.sandbox_sees(2).await;
        let others = [app.submit(body()).await, app.keyed("other", &body()).await];
        let_go(app.sandbox(), held);
        others
    };
    let one = body();
    let (first, others) = tokio::join!(app.keyed("k", &one), others);
    for other in &others {
        app.assert_problem(other, 409, "transfer_in_progress").await;
        assert_eq!(other.json()["transferId"], first.json()["id"]);
        assert!(other.header("retry-after").is_some());
    }
    assert_eq!(app.commands(), 1);
}

#[tokio::test]
async fn a_key_is_free_after_a_queue_that_was_not_found() {
    let app = TestApp::start().await;
    let body = plain(seed::CONNECTED_CALL, "Overflow");
    let refused = app.keyed("k", &body).await;
    assert_eq!(refused.outcome(), (422, "queue_not_found".to_owned()));
    app.sandbox().add_queue("Overflow").unwrap();
    app.post("/queues/refresh", &Value::Null).await;
    let answer = app.keyed("k", &body).await;
    assert_eq!((answer.status.as_u16(), answer.header("idempotent-replayed")), (201, None));
}

#[tokio::test]
async fn a_key_is_free_after_a_conversation_that_could_not_move() {
    let app = TestApp::start().await;
    let body = plain(seed::RINGING_CALL, "Support Tier 2");
    let refused = app.keyed("k", &body).await;
    assert_eq!(refused.outcome(), (409, "conversation_ringing".to_owned()));
    app.sandbox().act(seed::RINGING_CALL, Act::Answer).unwrap();
    let answer = app.keyed("k", &body).await;
    assert_eq!(answer.status, 201);
    assert_ne!(answer.json()["id"], refused.json()["transferId"]);
}

#[tokio::test]
async fn a_key_that_is_free_may_stand_for_another_request() {
    let app = TestApp::start().await;
    app.keyed("k", &plain(seed::ENDED_CALL, "Support Tier 2")).await;
    let answer = app.keyed("k", &body()).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn a_key_is_free_after_trouble_before_the_command_and_refused_tokens() {
    for (method, path, times, status, code) in [
        ("GET", CONVERSATION, 3, 500, "genesys_error"),
        ("GET", CONVERSATION, 1, 403, "genesys_permission_missing"),
        ("POST", REPLACE, 2, 401, "genesys_credentials_rejected"),
    ] {
        let app = TestApp::start().await;
        app.answers(method, path, times, status);
        let failed = app.keyed("k", &body()).await;
        app.assert_problem(&failed, 502, code).await;
        let answer = app.keyed("k", &body()).await;
        assert_eq!((answer.status.as_u16(), app.moves()), (201, 1), "{code}");
    }
}

#[tokio::test]
async fn a_key_is_used_up_by_a_command_that_was_refused() {
    for status in [400, 403, 409] {
        let app = TestApp::start().await;
        app.answers("POST", REPLACE, 1, status);
        let first = app.keyed("k", &body()).await;
        assert_replay(&first, &app.keyed("k", &body()).await);
        assert_eq!(first.json()["retryable"], false, "{status}");
        assert_eq!((app.commands(), app.moves()), (1, 0));
    }
}

#[tokio::test]
async fn while_the_outcome_is_unknown_the_key_answers_so_and_sends_nothing() {
    let app = TestApp::start().await;
    app.command_is_lost();
    let body = body();
    let first = app.at_the_deadline(app.keyed("k", &body)).await;
    let again = app.keyed("k", &body).await;
    for answer in [&first, &again] {
        app.assert_problem(answer, 504, "outcome_unknown").await;
    }
    assert_eq!(first.json()["transferId"], again.json()["transferId"]);
    app.settle(&first.json()["transferId"], "moved").await;
    let settled = app.keyed("k", &body).await;
    assert_eq!(settled.status, 201);
    assert_eq!(settled.json()["id"], first.json()["transferId"]);
    assert_eq!(app.commands(), 1);
}

#[tokio::test]
async fn requests_without_a_key_are_never_replays() {
    let app = TestApp::start().await;
    let call: Uuid = app.call(Shape::Connected, seed::SUPPORT_TIER_1);
    let first = app.transfer(call, "Support Tier 2").await;
    let again = app.transfer(call, "Support Tier 2").await;
    assert_eq!(first.status, 201);
    assert_eq!(again.outcome(), (409, "already_in_queue".to_owned()));
}
