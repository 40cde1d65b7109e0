//! Bodies that are refused, with every bad field named, before anything is asked of Genesys.

use reqwest::Method;

use super::*;
use crate::support::service::{Answer, send};

async fn raw(app: &TestApp, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.request(Method::POST, "/transfers").body(body);
    send(request.header("content-type", "application/json")).await
}

fn pointers(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_bad_field_is_refused_by_its_pointer_and_nothing_is_sent() {
    let app = TestApp::warm(&[]).await;
    let long = |count: usize| "x".repeat(count);
    let skills = |count: u128| (0..count).map(Uuid::from_u128).collect::<Vec<_>>();
    #[rustfmt::skip]
    let table = [
        (json!({"conversationId": null}), "/conversationId"),
        (json!({"conversationId": "42"}), "/conversationId"),
        (json!({"conversationId": 42}), "/conversationId"),
        (json!({"queueName": null}), "/queueName"),
        (json!({"queueName": ""}), "/queueName"),
        (json!({"queueName": " \t "}), "/queueName"),
        (json!({"queueName": long(257)}), "/queueName"),
        (json!({"queueName": ["Support Tier 2"]}), "/queueName"),
        (json!({"queueId": seed::SUPPORT_TIER_2}), "/queueId"),
        (json!({"queueName": null, "queueId": "x"}), "/queueId"),
        (json!({"priority": 25_000_001}), "/priority"),
        (json!({"priority": -25_000_001}), "/priority"),
        (json!({"priority": 1.5}), "/priority"),
        (json!({"priority": "10"}), "/priority"),
        (json!({"priority": true}), "/priority"),
        (json!({"skillIds": "x"}), "/skillIds"),
        (json!({"skillIds": skills(51)}), "/skillIds"),
        (json!({"skillIds": [seed::SKILL, "x"]}), "/skillIds/1"),
        (json!({"skillIds": [null]}), "/skillIds/0"),
        (json!({"languageId": ""}), "/languageId"),
        (json!({"keepPlace": "yes"}), "/keepPlace"),
        (json!({"keepPlace": 1}), "/keepPlace"),
        (json!({"participantId": "agent"}), "/participantId"),
        (json!({"transferType": "Unattended"}), "/transferType"),
        (json!({"transferType": "blind"}), "/transferType"),
        (json!({"reason": long(501)}), "/reason"),
        (json!({"reason": 1}), "/reason"),
        (json!({"reference": long(129)}), "/reference"),
        (json!({"reference": "a\nb"}), "/reference"),
        (json!({"prority": 3}), "/prority"),
        (json!({"Priority": 3}), "/Priority"),
        (json!({"a/b~c": 3}), "/a~1b~0c"),
    ];
    for (more, pointer) in table {
        let answer = app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
        assert_eq!(answer.outcome(), (422, "invalid_request".to_owned()), "{more}");
        assert_eq!(pointers(&answer), [pointer], "{more}");
        assert_eq!(answer.json()["transferId"], Value::Null, "{more}");
    }
    assert_eq!(app.sandbox().requests().len(), 0);
    assert_eq!(app.listed("").await.len(), 0);
}

#[tokio::test]
async fn values_at_their_bounds_are_taken() {
    let app = TestApp::start().await;
    let long = |count: usize| "ü".repeat(count);
    let skills: Vec<_> = (1..=50).map(Uuid::from_u128).collect();
    for more in [
        json!({"priority": 25_000_000}),
        json!({"priority": -25_000_000}),
        json!({"priority": 1e1}),
        json!({"skillIds": skills}),
        json!({"reason": long(500)}),
        json!({"reference": long(128)}),
    ] {
        let call = app.call(Shape::Connected, seed::SUPPORT_TIER_1);
        let answer = app.submit(with(call, "Support Tier 2", &more)).await;
        assert_eq!(answer.status, 201, "{more}");
        assert_eq!(answer.json()["warnings"], json!([]), "{more}");
    }
}

#[tokio::test]
async fn a_queue_name_of_256_characters_is_taken() {
    let app = TestApp::start().await;
    let name = "ü".repeat(256);
    app.sandbox().add_queue(&name).unwrap();
    let answer = app.transfer(seed::CONNECTED_CALL, &name).await;
    assert_eq!(answer.json()["queue"]["name"], name);
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let app = TestApp::start().await;
    let body = json!({"queueId": "x", "priority": "high", "keepPlace": 1, "colour": "red"});
    let answer = app.submit(body).await;
    app.assert_problem(&answer, 422, "invalid_request").await;
    let mut found = pointers(&answer);
    found.sort();
    assert_eq!(found, ["/colour", "/conversationId", "/keepPlace", "/priority", "/queueId"]);
}

#[tokio::test]
async fn an_unknown_field_gets_the_name_that_was_meant() {
    let app = TestApp::start().await;
    let more = json!({"prioriti": 3});
    let answer = app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
    assert!(answer.json()["errors"][0]["detail"].as_str().unwrap().contains("priority"));
}

#[tokio::test]
async fn a_member_that_comes_twice_is_refused_even_with_the_same_value() {
    let app = TestApp::start().await;
    let id = seed::CONNECTED_CALL;
    let body = format!(
        r#"{{"conversationId":"{id}","queueName":"Support Tier 2","priority":1,"priority":1}}"#
    );
    let answer = raw(&app, body).await;
    app.assert_problem(&answer, 422, "invalid_request").await;
    assert_eq!(pointers(&answer), ["/priority"]);
}

#[tokio::test]
async fn what_is_no_json_is_malformed_and_what_is_no_object_is_invalid() {
    let app = TestApp::start().await;
    let deep = "[".repeat(5_000);
    let texts: [&[u8]; 7] =
        [b"", b"{", b"{} x", b"{'a':1}", b"{\"a\":01}", b"\"\xff\"", deep.as_bytes()];
    for text in texts {
        let answer = raw(&app, text.to_vec()).await;
        app.assert_problem(&answer, 400, "malformed_json").await;
    }
    for text in ["[]", "null", "7", "\"x\""] {
        let answer = raw(&app, text).await;
        app.assert_problem(&answer, 422, "invalid_request").await;
        assert_eq!(pointers(&answer), [""], "{text}");
    }
}

#[tokio::test]
async fn a_query_on_a_transfer_request_is_refused() {
    let app = TestApp::start().await;
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let answer = app.post("/transfers?dryRun=true", &body).await;
    app.assert_problem(&answer, 422, "invalid_request").await;
    assert_eq!((pointers(&answer), app.moves()), (vec!["?dryRun".to_owned()], 0));
}
