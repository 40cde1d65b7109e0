//! `POST /transfers`: a call moves, by the fewest requests, and every field has its effect.

use genesys_transfer::sandbox::{seed, world::Shape};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::waiting,
    held::{hold_command, let_go},
    service::{REPLACE, ROUTING, TestApp, plain, soon},
    steps::with,
};

mod fields;
mod invalid;

const OTHER_SKILL: Uuid = Uuid::from_u128(0xe100_0000_0000_4000_8000_0000_0000_0002);
const LANGUAGE: Uuid = Uuid::from_u128(0xf100_0000_0000_4000_8000_0000_0000_0001);

#[tokio::test]
async fn a_call_moves_by_queue_name_with_two_requests_to_genesys() {
    let app = TestApp::warm(&[]).await;
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    assert_eq!((answer.status.as_u16(), app.moves()), (201, 1));
    assert_eq!(app.methods(), ["GET", "POST"]);
    assert_eq!(app.waits(seed::CONNECTED_CALL).unwrap().0, seed::SUPPORT_TIER_2);
}

#[tokio::test]
async fn the_answer_is_the_transfer_and_its_location_gives_it_again() {
    let app = TestApp::start().await;
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(app.get(&location).await.json(), answer.json());
}

#[tokio::test]
async fn priority_costs_one_request_more_and_ends_up_on_the_call() {
    let app = TestApp::warm(&[]).await;
    let body = with(seed::WAITING_CALL, "Support Tier 2", &json!({"priority": 40}));
    let answer = app.submit(body).await;
    assert_eq!(answer.json()["priority"], 40);
    assert_eq!(app.methods(), ["GET", "POST", "PATCH"]);
    assert_eq!(app.routing(seed::WAITING_CALL).priority, 40);
}

#[tokio::test]
async fn a_named_leg_costs_one_request_when_nothing_is_to_be_verified() {
    let app = TestApp::warm(&[("TRANSFERS_VERIFY", "false")]).await;
    let leg = seed::leg(seed::CONNECTED_CALL, 3);
    let body = with(seed::CONNECTED_CALL, "Support Tier 2", &json!({"participantId": leg}));
    let answer = app.submit(body).await;
    assert_eq!((answer.status.as_u16(), answer.json()["participantId"].clone()), (201, json!(leg)));
    assert_eq!(app.methods(), ["POST"]);
}

#[tokio::test]
async fn a_transfer_has_every_member_of_the_contract() {
    let app = TestApp::warm(&[]).await;
    let transfer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await.json();
    let correlation = app.sandbox().requests().last().unwrap().correlation_id;
    let expected = json!({
        "id": transfer["id"], "status": "accepted",
        "conversationId": seed::CONNECTED_CALL,
        "queue": {"id": seed::SUPPORT_TIER_2, "name": "Support Tier 2"},
        "participantId": seed::leg(seed::CONNECTED_CALL, 3),
        "previous": {"purpose": "agent", "state": "connected", "queueId": seed::SUPPORT_TIER_1,
            "priority": 0, "skillIds": ["e1000000-0000-4000-8000-000000000001"],
            "languageId": null, "waitingSince": null},
        "undoes": null,
        "priority": null, "waitedMinutes": null, "skillIds": null, "languageId": null,
        "transferType": "unattended", "reason": null, "reference": null,
        "requestedBy": "anonymous", "batchId": null, "warnings": [], "error": null,
        "upstream": {"calls": 2, "attempts": 2, "waitedMs": transfer["upstream"]["waitedMs"],
            "correlationId": correlation},
        "createdAt": transfer["createdAt"], "updatedAt": transfer["updatedAt"],
    });
    assert_eq!(transfer, expected);
}

#[tokio::test]
async fn ids_are_version_7_and_times_are_utc() {
    let app = TestApp::start().await;
    let transfer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await.json();
    let id: Uuid = transfer["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    for member in ["createdAt", "updatedAt"] {
        let text = transfer[member].as_str().unwrap();
        assert!(text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(), "{text}");
    }
}

#[tokio::test]
async fn messages_emails_and_callbacks_move_like_calls() {
    let app = TestApp::start().await;
    for (conversation, leg) in [(seed::MESSAGE, 3), (seed::EMAIL, 2), (seed::CALLBACK, 3)] {
        let body = with(conversation, "Support Tier 2", &json!({"priority": 7}));
        let answer = app.submit(body).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json());
        assert_eq!(answer.json()["participantId"], json!(seed::leg(conversation, leg)));
        let (queue, routing) = app.waits(conversation).unwrap();
        assert_eq!((queue, routing.priority), (seed::SUPPORT_TIER_2, 7));
    }
}

#[tokio::test]
async fn priority_reaches_a_call_that_shows_late_in_its_queue() {
    let app = TestApp::with(&[("SANDBOX_EFFECT_DELAY", "600ms")]).await;
    let body = with(seed::CONNECTED_CALL, "Support Tier 2", &json!({"priority": 9}));
    let answer = app.submit(body).await;
    assert_eq!(answer.json()["warnings"], json!([]));
    assert_eq!(app.routing(seed::CONNECTED_CALL).priority, 9);
}

#[tokio::test]
async fn a_moved_call_whose_priority_could_not_be_set_is_accepted_with_a_warning() {
    for status in [403, 500] {
        let app = TestApp::start().await;
        app.answers("PATCH", ROUTING, 10, status);
        let body = with(seed::CONNECTED_CALL, "Support Tier 2", &json!({"priority": 9}));
        let answer = app.submit(body).await;
        let transfer = answer.json();
        assert_eq!((answer.status.as_u16(), &transfer["status"]), (201, &json!("accepted")));
        assert_eq!(transfer["warnings"][0]["code"], "routing_attributes_not_applied");
        assert!(transfer["warnings"][0]["detail"].is_string());
        assert_eq!(app.commands(), 1);
    }
}

#[tokio::test]
async fn a_moved_call_moves_on_by_its_newest_queue_leg() {
    let app = TestApp::start().await;
    let call = app.call(Shape::Waiting, seed::SUPPORT_TIER_1);
    for queue in ["Support Tier 2", "Support Tier 1", "Support Tier 2"] {
        let newest = *app.legs(call).last().unwrap();
        let answer = app.transfer(call, queue).await;
        assert_eq!(answer.json()["participantId"], json!(newest), "{queue}");
    }
    assert_eq!(app.moves(), 3);
}

#[tokio::test]
async fn the_command_names_the_queue_and_the_kind_of_transfer_and_nothing_else() {
    let app = TestApp::start().await;
    for (more, word) in [
        (json!({}), "Unattended"),
        (json!({"transferType": "unattended"}), "Unattended"),
        (json!({"transferType": "attended"}), "Attended"),
    ] {
        let call = app.call(Shape::Connected, seed::SUPPORT_TIER_1);
        let answer = app.submit(with(call, "Support Tier 2", &more)).await;
        assert_eq!(answer.json()["transferType"], word.to_lowercase());
        let expected = json!({"queueId": seed::SUPPORT_TIER_2, "transferType": word});
        assert_eq!(app.last_command(), expected);
    }
}

#[tokio::test]
async fn a_command_goes_to_the_documented_path() {
    let app = TestApp::start().await;
    app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    let leg = seed::leg(seed::CONNECTED_CALL, 3).to_string();
    let path = REPLACE.replacen('*', &seed::CONNECTED_CALL.to_string(), 1).replacen('*', &leg, 1);
    assert_eq!(app.sandbox().commands()[0].path, path);
}

#[tokio::test]
async fn work_goes_on_when_the_caller_hangs_up() {
    let app = TestApp::warm(&[]).await;
    let held = hold_command(app.sandbox());
    let request = app.request(reqwest::Method::POST, "/transfers");
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let sent = tokio::spawn(request.json(&body).send());
    app.sandbox_sees(2).await;
    sent.abort();
    assert!(sent.await.unwrap_err().is_cancelled());
    let_go(app.sandbox(), held);
    let transfer = app.settled(seed::CONNECTED_CALL).await;
    assert_eq!((&transfer["status"], app.moves()), (&json!("accepted"), 1));
}

#[tokio::test]
async fn calls_that_waited_elsewhere_keep_what_was_asked_for_however_many_went_before() {
    let app = TestApp::with(&[("SANDBOX_EFFECT_DELAY", "170ms")]).await;
    app.sandbox().with(|state| state.behaviour.remove_skills_from_blind_transfer = true);
    for moves in 1..=12 {
        let call = waiting(app.sandbox(), 60);
        let wish = json!({"priority": 7, "skillIds": [seed::SKILL]});
        app.post("/transfers", &with(call, "Support Tier 2", &wish)).await;
        soon("the move", app.sandbox().moves_reach(moves)).await;
        let (queue, routing) = app.waits(call).unwrap();
        assert_eq!((queue, routing.skills), (seed::SUPPORT_TIER_2, vec![seed::SKILL]));
    }
}
