//! The other way to move a call: `genesys.transfer_api = conversation-patch`.

use genesys_transfer::sandbox::{
    faults::{Fault, FaultOrder, StatusAnswer},
    seed,
    world::{Blocked, NewConversation, Shape},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    service::{TestApp, plain},
    steps::with,
};

const PATCH_API: (&str, &str) = ("GENESYS_TRANSFER_API", "conversation-patch");
const PATH: &str = "/api/v2/communications/conversations/*";

fn routing(queue: Uuid, priority: i64, skills: &[Uuid]) -> Value {
    json!({"routing": {"queueId": queue, "priority": priority, "skillRequirements": skills}})
}

fn fault(status: u16) -> Fault {
    Fault::Status(StatusAnswer::new(status))
}

#[tokio::test]
async fn connected_held_and_queued_calls_move_and_others_do_not() {
    let app = TestApp::with(&[PATCH_API]).await;
    for call in [
        seed::CONNECTED_CALL,
        seed::HELD_CALL,
        seed::WAITING_CALL,
        seed::CONFERENCE_CALL,
        seed::CONSULT_CALL,
        seed::MESSAGE,
        seed::EMAIL,
    ] {
        assert_eq!(app.transfer(call, "Support Tier 2").await.status, 201, "{call}");
        assert_eq!(app.waits(call).unwrap().0, seed::SUPPORT_TIER_2, "{call}");
    }
    let commands = app.commands();
    for (call, status, code) in [
        (seed::RINGING_CALL, 409, "conversation_ringing"),
        (seed::RINGING_DIRECT_CALL, 409, "conversation_ringing"),
        (seed::ENDED_CALL, 409, "conversation_ended"),
        (seed::CUSTOMER_GONE_CALL, 409, "conversation_ended"),
        (Uuid::from_u128(42), 404, "conversation_not_found"),
    ] {
        app.assert_problem(&app.transfer(call, "Support Tier 2").await, status, code).await;
    }
    assert_eq!(app.commands(), commands);
}

#[tokio::test]
async fn busy_unanswered_and_declined_calls_are_not_transferable() {
    let app = TestApp::with(&[PATCH_API]).await;
    for state in [Blocked::Busy, Blocked::NoAnswer, Blocked::Declined] {
        let call = app.call(Shape::Connected, seed::SUPPORT_TIER_1);
        let now = app.sandbox().now();
        app.sandbox().with(|all| all.world.block(call, Some(state), now)).unwrap();
        let answer = app.transfer(call, "Support Tier 2").await;
        app.assert_problem(&answer, 409, "conversation_not_transferable").await;
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn priority_and_skills_travel_with_the_command() {
    let skill = Uuid::from_u128(0xe2);
    for (more, priority, skills) in [
        (json!({}), 50, vec![]),
        (json!({"priority": 0}), 0, vec![]),
        (json!({"priority": 100}), 100, vec![]),
        (json!({"skillIds": [skill]}), 50, vec![skill]),
        (json!({"skillIds": []}), 50, vec![]),
    ] {
        let app = TestApp::warm(&[PATCH_API]).await;
        let call = app.call(Shape::Connected, seed::SUPPORT_TIER_1);
        let answer = app.submit(with(call, "Support Tier 2", &more)).await;
        assert_eq!(answer.status, 201, "{more}");
        assert_eq!(answer.json()["priority"], more["priority"]);
        assert_eq!(app.last_command(), routing(seed::SUPPORT_TIER_2, priority, &skills));
        assert_eq!(app.methods(), ["GET", "PATCH"]);
    }
}

#[tokio::test]
async fn skills_of_the_call_are_kept_unless_others_are_asked_for() {
    let app = TestApp::with(&[PATCH_API]).await;
    app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    assert_eq!(app.last_command(), routing(seed::SUPPORT_TIER_2, 50, &[seed::SKILL]));
}

#[tokio::test]
async fn what_the_api_cannot_carry_is_refused_before_anything_is_asked() {
    let app = TestApp::warm(&[PATCH_API]).await;
    let id = Uuid::from_u128(7);
    for (more, pointer) in [
        (json!({"languageId": id}), "/languageId"),
        (json!({"participantId": id}), "/participantId"),
        (json!({"transferType": "attended"}), "/transferType"),
        (json!({"priority": -1}), "/priority"),
        (json!({"priority": 101}), "/priority"),
    ] {
        let answer = app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
        app.assert_problem(&answer, 422, "invalid_request").await;
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
        assert_eq!(answer.json()["transferId"], Value::Null, "{more}");
    }
    assert_eq!(app.sandbox().requests().len(), 0);
}

#[tokio::test]
async fn keep_place_adds_the_minutes_waited() {
    let app = TestApp::with(&[PATCH_API]).await;
    let more = json!({"keepPlace": true});
    let transfer = app.submit(with(seed::WAITING_CALL, "Support Tier 2", &more)).await.json();
    assert_eq!((&transfer["priority"], &transfer["waitedMinutes"]), (&json!(17), &json!(12)));
    assert_eq!(app.last_command(), routing(seed::SUPPORT_TIER_2, 17, &[seed::SKILL]));
}

#[tokio::test]
async fn a_kept_place_beyond_the_scale_is_refused() {
    let app = TestApp::with(&[PATCH_API]).await;
    let more = json!({"keepPlace": true, "priority": 95});
    let answer = app.submit(with(seed::WAITING_CALL, "Support Tier 2", &more)).await;
    app.assert_problem(&answer, 422, "invalid_request").await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/priority");
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_place_that_is_not_known_cannot_be_kept() {
    let app = TestApp::with(&[PATCH_API]).await;
    let more = json!({"keepPlace": true});
    // In the menu no queue, and so no priority, is known.
    let answer = app.submit(with(seed::IVR_CALL, "Support Tier 2", &more)).await;
    app.assert_problem(&answer, 422, "invalid_request").await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/keepPlace");
}

#[tokio::test]
async fn a_call_that_waits_in_the_target_already_is_left_alone() {
    let app = TestApp::warm(&[PATCH_API]).await;
    let answer = app.transfer(seed::WAITING_CALL, "Support Tier 1").await;
    app.assert_problem(&answer, 409, "already_in_queue").await;
    assert_eq!(app.methods(), ["GET"]);
}

#[tokio::test]
async fn a_call_that_waits_in_the_target_gets_another_priority() {
    let app = TestApp::with(&[PATCH_API]).await;
    let more = json!({"priority": 30});
    let answer = app.submit(with(seed::WAITING_CALL, "Support Tier 1", &more)).await;
    let transfer = answer.json();
    assert_eq!((answer.status.as_u16(), &transfer["priority"]), (201, &json!(30)));
    assert_eq!(transfer["previous"]["queueId"], transfer["queue"]["id"]);
    assert_eq!(app.last_command(), routing(seed::SUPPORT_TIER_1, 30, &[seed::SKILL]));
}

#[tokio::test]
async fn new_skills_where_it_waits_do_not_change_the_priority() {
    let app = TestApp::with(&[PATCH_API]).await;
    let call = NewConversation {
        shape: Shape::Waiting,
        queue: Some(seed::SUPPORT_TIER_1),
        priority: 20,
        ..NewConversation::default()
    };
    let call = app.sandbox().add_conversation(call).unwrap();
    let more = json!({"skillIds": [seed::SKILL]});
    app.submit(with(call, "Support Tier 1", &more)).await;
    assert_eq!(app.last_command(), routing(seed::SUPPORT_TIER_1, 20, &[seed::SKILL]));
}

#[tokio::test]
async fn errors_of_the_api_have_their_codes() {
    for (upstream, status, code) in [
        (400, 422, "rejected_by_genesys"),
        (403, 502, "genesys_permission_missing"),
        (409, 409, "conflict"),
    ] {
        let app = TestApp::with(&[PATCH_API]).await;
        app.answers("PATCH", PATH, 1, upstream);
        let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
        app.assert_problem(&answer, status, code).await;
        assert_eq!(answer.json()["upstream"]["status"], upstream);
        assert_eq!((app.commands(), app.moves()), (1, 0));
    }
}

/// A 404 at the command names the conversation: the address holds nothing else.
#[tokio::test]
async fn a_call_that_is_gone_when_the_command_comes_has_ended_or_is_not_found() {
    let after_the_first = |status| FaultOrder::next("GET", PATH, fault(status)).after(1).forever();
    for (later_looks, status, code) in [
        // The look after it lags, and still shows the call.
        (None, 409, "conversation_ended"),
        (Some(404), 404, "conversation_not_found"),
        (Some(500), 409, "conversation_ended"),
    ] {
        for call in [seed::CONNECTED_CALL, seed::WAITING_CALL] {
            let app = TestApp::with(&[PATCH_API]).await;
            app.answers("PATCH", PATH, 1, 404);
            if let Some(status) = later_looks {
                app.sandbox().order(after_the_first(status)).unwrap();
            }
            let answer = app.transfer(call, "Support Tier 2").await;
            app.assert_problem(&answer, status, code).await;
            let told = answer.json();
            assert_eq!(
                (&told["upstream"]["status"], &told["retryable"]),
                (&json!(404), &json!(false))
            );
            assert_eq!((app.commands(), app.moves()), (1, 0));
        }
    }
}

#[tokio::test]
async fn a_call_that_is_gone_casts_no_doubt_on_the_queue() {
    let app = TestApp::with(&[PATCH_API]).await;
    app.answers("PATCH", PATH, 1, 404);
    app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    app.sandbox().with(|state| state.ledger.clear());
    assert_eq!(app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await.status, 201);
    assert_eq!(app.methods(), ["GET", "PATCH"]);
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let app = TestApp::with(&[PATCH_API]).await;
    app.answers("PATCH", PATH, 1, 403);
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    assert!(answer.json()["hint"].as_str().unwrap().contains("conversation:update"));
}

#[tokio::test]
async fn a_move_is_confirmed_when_it_is_waited_for() {
    let app = TestApp::with(&[PATCH_API]).await;
    for call in [seed::CONNECTED_CALL, seed::WAITING_CALL] {
        let body = plain(call, "Support Tier 2");
        let answer = app.submit_with(&body, "Prefer", "wait=5").await;
        assert_eq!(answer.json()["status"], "confirmed");
    }
}
