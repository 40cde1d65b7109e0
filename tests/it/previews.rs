//! `GET /conversations/{id}`: what a transfer would do; nothing is moved.

use genesys_transfer::sandbox::{faults::Fault, seed};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::service::{Answer, REPLACE, TestApp, plain};

async fn preview(app: &TestApp, conversation: Uuid, query: &str) -> Answer {
    app.get(&format!("/conversations/{conversation}{query}")).await
}

#[tokio::test]
async fn a_preview_has_every_member_of_the_contract() {
    let app = TestApp::start().await;
    let call = seed::CONNECTED_CALL;
    let tier_1 = json!(seed::SUPPORT_TIER_1);
    let leg = |position, purpose: &str, state: &str, queue: &Value, replaced: bool, why: &str| {
        json!({"participantId": seed::leg(call, position), "purpose": purpose, "state": state,
            "held": false, "queueId": queue, "replaced": replaced, "why": why})
    };
    let expected = json!({
        "conversationId": call, "transferable": true, "code": null,
        "detail": "agent leg connected",
        "legs": [
            leg(0, "customer", "connected", &Value::Null, false, "the customer's leg is never replaced"),
            leg(1, "ivr", "ended", &Value::Null, false, "has ended"),
            leg(2, "acd", "ended", &tier_1, false, "has ended"),
            leg(3, "agent", "connected", &tier_1, true, "the only connected agent"),
        ],
        "target": {"id": seed::SUPPORT_TIER_2, "name": "Support Tier 2", "activity": {
            "waiting": 0, "longestWaitSeconds": null, "interacting": 0,
            "agents": {"onQueue": 9, "idle": 9}, "estimatedWaitSeconds": null,
        }},
        "skillsWillBeStripped": false, "waitedMinutes": 0, "priority": 0,
    });
    let answer = preview(&app, call, "?queueName=Support%20Tier%202").await;
    let mut view = answer.json();
    let activity = view["target"]["activity"].as_object_mut().unwrap();
    assert!(activity.remove("asOf").is_some_and(|as_of| as_of.is_string()));
    assert_eq!((answer.status.as_u16(), view), (200, expected));
}

#[tokio::test]
async fn each_shape_says_which_leg_would_go_or_why_none() {
    let app = TestApp::start().await;
    for (call, code, replaced) in [
        (seed::CONNECTED_CALL, None, Some(3)),
        (seed::HELD_CALL, None, Some(3)),
        (seed::WAITING_CALL, None, Some(2)),
        (seed::IVR_CALL, None, Some(1)),
        (seed::CONSULT_CALL, None, Some(3)),
        (seed::MESSAGE, None, Some(3)),
        (seed::EMAIL, None, Some(2)),
        (seed::CALLBACK, None, Some(3)),
        (seed::ENDED_CALL, Some("conversation_ended"), None),
        (seed::CUSTOMER_GONE_CALL, Some("conversation_ended"), None),
        (seed::RINGING_CALL, Some("conversation_ringing"), None),
        (seed::RINGING_DIRECT_CALL, Some("conversation_ringing"), None),
        (seed::CONFERENCE_CALL, Some("participant_ambiguous"), None),
    ] {
        let view = preview(&app, call, "").await.json();
        assert_eq!((&view["code"], &view["transferable"]), (&json!(code), &json!(code.is_none())));
        let legs = view["legs"].as_array().unwrap();
        assert_eq!(legs.iter().position(|leg| leg["replaced"] == true), replaced, "{view}");
        assert!(legs.iter().all(|leg| !leg["why"].as_str().unwrap().is_empty()), "{view}");
        assert!(!view["detail"].as_str().unwrap().is_empty(), "{view}");
    }
    assert_eq!((app.commands(), app.listed("").await.len()), (0, 0));
}

#[tokio::test]
async fn legs_stand_in_the_words_of_the_contract() {
    let app = TestApp::start().await;
    for (call, states) in [
        (seed::HELD_CALL, ["connected", "ended", "ended", "held"]),
        (seed::RINGING_CALL, ["connected", "ended", "waiting", "ringing"]),
        (seed::ENDED_CALL, ["ended", "ended", "ended", "ended"]),
    ] {
        let view = preview(&app, call, "").await.json();
        let legs = view["legs"].as_array().unwrap();
        let seen: Vec<_> = legs.iter().map(|leg| leg["state"].as_str().unwrap()).collect();
        assert_eq!(seen, states);
        let held: Vec<_> = legs.iter().map(|leg| leg["held"] == true).collect();
        assert_eq!(held, states.map(|state| state == "held"));
    }
}

#[tokio::test]
async fn a_waiting_call_shows_its_wait_and_priority() {
    let app = TestApp::start().await;
    let view = preview(&app, seed::WAITING_CALL, "").await.json();
    assert_eq!((&view["waitedMinutes"], &view["priority"]), (&json!(12), &json!(5)));
}

#[tokio::test]
async fn without_a_target_nothing_is_said_about_one() {
    let app = TestApp::warm(&[]).await;
    let view = preview(&app, seed::CONNECTED_CALL, "").await.json();
    assert_eq!((&view["target"], &view["skillsWillBeStripped"]), (&Value::Null, &Value::Null));
    assert_eq!(app.methods(), ["GET"]);
}

#[tokio::test]
async fn an_organisation_that_strips_skills_is_told_with_the_target() {
    let app = TestApp::start().await;
    app.sandbox().with(|state| state.behaviour.remove_skills_from_blind_transfer = true);
    let query = format!("?queueId={}", seed::SUPPORT_TIER_2);
    let view = preview(&app, seed::CONNECTED_CALL, &query).await.json();
    assert_eq!(view["skillsWillBeStripped"], true);
    assert_eq!(view["target"]["name"], "Support Tier 2");
}

#[tokio::test]
async fn a_call_that_waits_in_the_target_is_not_transferable_there() {
    let app = TestApp::start().await;
    let view = preview(&app, seed::WAITING_CALL, "?queueName=support%20tier%201").await.json();
    assert_eq!((&view["transferable"], &view["code"]), (&json!(false), &json!("already_in_queue")));
    assert_eq!(view["target"]["id"], json!(seed::SUPPORT_TIER_1));
}

#[tokio::test]
async fn what_cannot_be_previewed_is_a_problem() {
    let app = TestApp::start().await;
    let call = seed::CONNECTED_CALL;
    let both = format!("/conversations/{call}?queueName=Sales&queueId={}", seed::SALES);
    for (path, status, code) in [
        (format!("/conversations/{}", Uuid::from_u128(42)), 404, "conversation_not_found"),
        ("/conversations/42".to_owned(), 404, "conversation_not_found"),
        (format!("/conversations/{call}?queueName=Nowhere"), 422, "queue_not_found"),
        (format!("/conversations/{call}?queueName=Billing"), 422, "queue_ambiguous"),
        (format!("/conversations/{call}?queueName="), 422, "invalid_request"),
        (format!("/conversations/{call}?queueId=x"), 422, "invalid_request"),
        (format!("/conversations/{call}?queue=Sales"), 422, "invalid_request"),
        (both, 422, "invalid_request"),
    ] {
        let answer = app.get(&path).await;
        app.assert_problem(&answer, status, code).await;
        assert_eq!(answer.json()["transferId"], Value::Null, "{path}");
    }
}

#[tokio::test]
async fn a_preview_tells_nothing_personal() {
    let app = TestApp::start().await;
    let text = String::from_utf8(preview(&app, seed::CONNECTED_CALL, "").await.body).unwrap();
    for personal in ["1317555", "Sample Customer", "gold", "Account tier"] {
        assert!(!text.contains(personal), "{personal}");
    }
}

#[tokio::test]
async fn a_call_whose_transfer_is_not_settled_is_not_transferable() {
    let app = TestApp::start().await;
    app.fault("POST", REPLACE, 1, Fault::Hang { apply: false });
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let answer = app.submit_with(&body, "Prefer", "respond-async").await;
    assert_eq!(answer.status, 202);
    let view = preview(&app, seed::CONNECTED_CALL, "").await.json();
    assert_eq!(
        (&view["transferable"], &view["code"]),
        (&json!(false), &json!("transfer_in_progress"))
    );
}
