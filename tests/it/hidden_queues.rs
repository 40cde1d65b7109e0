//! A caller that may not know of a queue does not meet its id in any answer.

use genesys_transfer::sandbox::{
    seed,
    world::{NewConversation, Shape},
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::Events,
    keys::entry,
    service::{Answer, TestApp, plain, send},
};

/// Callers who know one queue, two, or all; an admin.
async fn start() -> TestApp {
    let all = ["transfers:write", "transfers:read", "batches:write", "queues:read"];
    let keys = json!([
        entry("one", &all, &["Support Tier 2"]),
        entry("two", &all, &["Support *"]),
        entry("all", &all, &["*"]),
        entry("ops", &["admin"], &[]),
    ]);
    let keys = keys.to_string();
    let app = TestApp::with(&[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys)]).await;
    app.get_as("ops", "/queues").await;
    app
}

/// Whether the id of Support Tier 1 stands anywhere in the answer.
fn tells(answer: &Answer) -> bool {
    let text = String::from_utf8(answer.body.clone()).unwrap();
    text.contains(&seed::SUPPORT_TIER_1.to_string())
}

/// A call in Support Tier 1, with an agent or waiting.
fn calls(app: &TestApp) -> [Uuid; 2] {
    [Shape::Connected, Shape::Waiting].map(|shape| {
        let queue = Some(seed::SUPPORT_TIER_1);
        let new = NewConversation { shape, queue, ..NewConversation::default() };
        app.sandbox().add_conversation(new).unwrap()
    })
}

#[tokio::test]
async fn a_preview_shows_the_queues_of_legs_only_to_callers_who_may_know_them() {
    let app = start().await;
    for call in [seed::CONNECTED_CALL, seed::WAITING_CALL, seed::HELD_CALL, seed::ENDED_CALL] {
        for query in ["", "?queueName=Support%20Tier%202"] {
            for (caller, shown) in [("one", false), ("two", true), ("all", true), ("ops", true)] {
                let answer = app.get_as(caller, &format!("/conversations/{call}{query}")).await;
                assert_eq!((answer.status.as_u16(), tells(&answer)), (200, shown), "{caller}");
            }
        }
    }
}

#[tokio::test]
async fn a_preview_shows_a_leg_in_the_target() {
    let app = start().await;
    let new = NewConversation {
        shape: Shape::Waiting,
        queue: Some(seed::SUPPORT_TIER_2),
        ..NewConversation::default()
    };
    let call = app.sandbox().add_conversation(new).unwrap();
    let answer = app.get_as("one", &format!("/conversations/{call}")).await.json();
    let legs = answer["legs"].as_array().unwrap();
    assert!(legs.iter().any(|leg| leg["queueId"] == json!(seed::SUPPORT_TIER_2)), "{answer}");
}

/// The queue of a leg may have been deleted, or be one this service does not see.
#[tokio::test]
async fn a_queue_that_is_not_in_the_list_is_hidden_from_narrowed_callers() {
    let app = start().await;
    let [call, _] = calls(&app);
    app.sandbox().with(|state| state.world.remove_queue(seed::SUPPORT_TIER_1)).unwrap();
    app.post_as("ops", "/queues/refresh", &json!({})).await;
    for (caller, shown) in [("one", false), ("two", false), ("all", true), ("ops", true)] {
        let answer = app.get_as(caller, &format!("/conversations/{call}")).await;
        assert_eq!((answer.status.as_u16(), tells(&answer)), (200, shown), "{caller}");
    }
}

#[tokio::test]
async fn a_transfer_tells_where_the_call_was_only_to_callers_who_may_know_it() {
    let app = start().await;
    for (caller, shown) in [("one", false), ("two", true), ("all", true)] {
        for call in calls(&app) {
            let request = |key: &str| {
                let request = app.request(Method::POST, "/transfers").bearer_auth(caller);
                request.header("Idempotency-Key", key).json(&plain(call, "Support Tier 2"))
            };
            let made = send(request(&call.to_string())).await;
            assert_eq!((made.status.as_u16(), tells(&made)), (201, shown), "{caller}");
            let again = send(request(&call.to_string())).await;
            assert_eq!((again.body == made.body, again.status), (true, made.status));

            let path = made.header("location").unwrap();
            let list = format!("/transfers?conversationId={call}");
            for (viewer, shown) in [(caller, shown), ("ops", true)] {
                for path in [path, &list] {
                    let answer = app.get_as(viewer, path).await;
                    assert_eq!((answer.status.as_u16(), tells(&answer)), (200, shown), "{viewer}");
                }
            }
            let previous = &made.json()["previous"];
            assert_eq!(previous["queueId"].is_null(), !shown, "{caller}");
            assert!(previous["state"].is_string(), "{caller}");
        }
    }
}

#[tokio::test]
async fn a_call_that_waits_in_the_target_tells_so_to_everyone() {
    let app = start().await;
    let queue = Some(seed::SUPPORT_TIER_2);
    let new = NewConversation { shape: Shape::Waiting, queue, ..NewConversation::default() };
    let call = app.sandbox().add_conversation(new).unwrap();
    let mut body = plain(call, "Support Tier 2");
    body["priority"] = json!(7);
    let answer = app.post_as("one", "/transfers", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    assert_eq!(answer.json()["previous"]["queueId"], json!(seed::SUPPORT_TIER_2));
}

#[tokio::test]
async fn a_batch_tells_where_its_calls_were_only_to_callers_who_may_know_it() {
    let app = start().await;
    for (caller, shown) in [("one", false), ("two", true), ("all", true)] {
        let list: Vec<Value> =
            calls(&app).into_iter().map(|call| plain(call, "Support Tier 2")).collect();
        let batch = app.post_as(caller, "/batches", &json!({"transfers": list})).await;
        assert_eq!((batch.status.as_u16(), tells(&batch)), (202, false), "{caller}");
        let path = batch.header("location").unwrap().to_owned();

        let events = app.request(Method::GET, &format!("{path}/events")).bearer_auth(caller);
        let (events, _) = Events::of(events.send().await.unwrap()).all().await;
        let told = events
            .iter()
            .filter(|event| event.data.to_string().contains(&seed::SUPPORT_TIER_1.to_string()));
        assert_eq!(told.count() > 0, shown, "{caller}");

        for (viewer, shown) in [(caller, shown), ("ops", true)] {
            let answer = app.get_as(viewer, &format!("{path}/transfers")).await;
            assert_eq!((answer.status.as_u16(), tells(&answer)), (200, shown), "{viewer}");
            assert!(!tells(&app.get_as(viewer, &path).await), "{viewer}");
        }
    }
}
