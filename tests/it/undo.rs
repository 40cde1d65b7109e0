//! Undo: a call goes back to where it was, with what it had and the time it waited.

use genesys_transfer::sandbox::{
    seed,
    world::{Act, NewConversation, Shape},
};
use jiff::SignedDuration;
use reqwest::{Method, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::{line, waiting, waiting_with},
    held::{hold_command, let_go},
    keys::entry,
    service::{Answer, REPLACE, TestApp, plain, send},
    steps::with,
};

mod batches;

const SKILL: Uuid = Uuid::from_u128(0xe1);
const LANGUAGE: Uuid = Uuid::from_u128(0xf1);

/// `POST /transfers/{id}/undo` with nothing to say.
async fn undo(app: &TestApp, transfer: &Value) -> Answer {
    app.post(&path_of(transfer), &json!({})).await
}

fn path_of(transfer: &Value) -> String {
    format!("/transfers/{}/undo", transfer["id"].as_str().unwrap())
}

/// Moves the call to Support Tier 2, which must work.
async fn moved(app: &TestApp, call: Uuid) -> Value {
    let answer = app.transfer(call, "Support Tier 2").await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    answer.json()
}

#[tokio::test]
async fn a_call_goes_back_with_its_priority_skills_language_and_its_time() {
    let app = TestApp::start().await;
    let new = NewConversation {
        shape: Shape::Waiting,
        queue: Some(seed::SUPPORT_TIER_1),
        priority: 3,
        skills: vec![SKILL],
        language: Some(LANGUAGE),
        age: SignedDuration::from_secs(630),
        ..NewConversation::default()
    };
    let call = app.sandbox().add_conversation(new).unwrap();
    app.sandbox().with(|state| state.behaviour.remove_skills_from_blind_transfer = true);
    let other =
        json!({"priority": 50, "skillIds": [Uuid::from_u128(9)], "languageId": Uuid::from_u128(8)});
    let made = app.submit(with(call, "Support Tier 2", &other)).await.json();
    let previous = &made["previous"];
    assert_eq!(
        (&previous["priority"], &previous["skillIds"], &previous["languageId"]),
        (&json!(3), &json!([SKILL]), &json!(LANGUAGE))
    );
    assert!(previous["waitingSince"].is_string() && made["undoes"].is_null(), "{made}");

    let said = json!({"reason": "by mistake", "reference": "CASE-9"});
    let answer = app.post(&path_of(&made), &said).await;

    let undone = answer.json();
    assert_eq!(answer.status, 201, "{undone}");
    assert_eq!(
        answer.header("location"),
        Some(&*format!("/transfers/{}", undone["id"].as_str().unwrap()))
    );
    assert_eq!(
        (&undone["undoes"], &undone["queue"]["id"]),
        (&made["id"], &json!(seed::SUPPORT_TIER_1))
    );
    assert_eq!((&undone["priority"], &undone["waitedMinutes"]), (&json!(13), &json!(10)));
    assert_eq!((&undone["reason"], &undone["reference"]), (&json!("by mistake"), &json!("CASE-9")));
    let (queue, routing) = app.waits(call).unwrap();
    assert_eq!((queue, routing.priority), (seed::SUPPORT_TIER_1, 13));
    assert_eq!((routing.skills, routing.language), (vec![SKILL], Some(LANGUAGE)));
    let kept = app.get(&format!("/transfers/{}", undone["id"].as_str().unwrap())).await.json();
    assert_eq!((&kept["undoes"], &kept["warnings"]), (&made["id"], &json!([])));
}

#[tokio::test]
async fn what_the_move_set_is_taken_away_again() {
    let app = TestApp::start().await;
    let call = app.fresh_call();
    let set = json!({"priority": 50, "skillIds": [SKILL], "languageId": LANGUAGE});
    let made = app.submit(with(call, "Support Tier 2", &set)).await.json();
    assert_eq!(undo(&app, &made).await.status, 201);
    let (queue, routing) = app.waits(call).unwrap();
    assert_eq!((queue, routing.priority), (seed::SUPPORT_TIER_1, 0));
    assert_eq!((routing.skills, routing.language), (vec![], None));
}

#[tokio::test]
async fn the_order_after_an_undo_is_the_order_before_the_move() {
    let app = TestApp::start().await;
    app.sandbox().act(seed::WAITING_CALL, Act::HangUp).unwrap();
    let calls =
        [waiting(app.sandbox(), 600), waiting(app.sandbox(), 400), waiting(app.sandbox(), 200)];
    let before = line(app.sandbox(), seed::SUPPORT_TIER_1);
    let made = moved(&app, calls[1]).await;
    assert_eq!(undo(&app, &made).await.status, 201);
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), before);
}

#[tokio::test]
async fn a_transfer_is_undone_once_and_an_undo_not_at_all() {
    let app = TestApp::start().await;
    let made = moved(&app, app.fresh_call()).await;
    let undone = undo(&app, &made).await.json();
    for (transfer, named) in [(&made, &undone["id"]), (&undone, &json!(null))] {
        let again = undo(&app, transfer).await;
        app.assert_problem(&again, 409, "undo_impossible").await;
        assert_eq!(&again.json()["transferId"], named);
    }
    assert_eq!(app.moves(), 2);
}

#[tokio::test]
async fn two_undos_at_the_same_moment_are_one() {
    let app = TestApp::start().await;
    let made = moved(&app, app.fresh_call()).await;
    let held = hold_command(app.sandbox());
    let first = async {
        let answer = undo(&app, &made).await;
        answer.status.as_u16()
    };
    let second = async {
        app.commands_reach(2).await;
        let answer = undo(&app, &made).await;
        let_go(app.sandbox(), held);
        answer.outcome()
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first, second), (201, (409, "transfer_in_progress".to_owned())));
    let answers = futures_util::future::join_all((0..8).map(|_| undo(&app, &made))).await;
    assert!(answers.iter().all(|it| it.outcome() == (409, "undo_impossible".to_owned())));
    assert_eq!(app.moves(), 2);
}

#[tokio::test]
async fn many_undos_at_once_move_the_call_once() {
    let app = TestApp::start().await;
    let made = moved(&app, app.fresh_call()).await;
    let answers = futures_util::future::join_all((0..12).map(|_| undo(&app, &made))).await;
    let mut outcomes: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    outcomes.sort_unstable();
    assert_eq!((outcomes[0], outcomes[1], app.moves()), (201, 409, 2), "{outcomes:?}");
}

#[tokio::test]
async fn the_same_key_replays_and_moves_nothing() {
    let app = TestApp::start().await;
    let made = moved(&app, app.fresh_call()).await;
    let keyed = async |body: &Value| {
        let request = app.request(Method::POST, &path_of(&made)).json(body);
        send(request.header("idempotency-key", "u-1")).await
    };
    let first = keyed(&json!({})).await;
    let again = keyed(&json!({})).await;
    assert_eq!((first.status.as_u16(), &first.body), (201, &again.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = keyed(&json!({"reason": "another"})).await;
    assert_eq!(other.outcome(), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(app.moves(), 2);
}

#[tokio::test]
async fn an_undo_may_be_asked_for_without_waiting() {
    let app = TestApp::start().await;
    let call = app.fresh_call();
    let made = moved(&app, call).await;
    let request = app.request(Method::POST, &path_of(&made)).json(&json!({}));
    let answer = send(request.header("prefer", "respond-async")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["undoes"]), (202, &made["id"]));
    assert_eq!(app.settled(call).await["status"], "accepted");
    assert_eq!(app.waits(call).unwrap().0, seed::SUPPORT_TIER_1);
}

#[tokio::test]
async fn a_call_that_went_on_stays_where_it_is() {
    let app = TestApp::start().await;
    let again = |call| {
        let app = &app;
        async move {
            app.sandbox().act(call, Act::Answer).unwrap();
            let back = app.transfer(call, "Support Tier 2").await;
            assert_eq!(back.status, 201, "{}", back.json());
        }
    };
    for (acts, code) in [
        (&[Act::Answer][..], "conversation_answered"),
        (&[Act::Answer, Act::Join], "conversation_answered"),
        (&[Act::Ring], "conversation_ringing"),
        (&[Act::HangUp], "conversation_ended"),
        (&[Act::CustomerLeaves], "conversation_ended"),
    ] {
        let call = app.fresh_call();
        let made = moved(&app, call).await;
        for act in acts {
            app.sandbox().act(call, *act).unwrap();
        }
        let commands = app.commands();
        app.assert_problem(&undo(&app, &made).await, 409, code).await;
        assert_eq!(app.commands(), commands, "{acts:?}");
    }
    let elsewhere = app.fresh_call();
    let made = moved(&app, elsewhere).await;
    assert_eq!(app.transfer(elsewhere, "Sales").await.status, 201);
    app.assert_problem(&undo(&app, &made).await, 409, "conversation_moved").await;
    // Answered meanwhile, and back in the same queue.
    let back = app.fresh_call();
    let made = moved(&app, back).await;
    again(back).await;
    app.assert_problem(&undo(&app, &made).await, 409, "conversation_moved").await;
}

#[tokio::test]
async fn a_call_that_rang_in_vain_goes_back_and_a_failed_undo_may_be_tried_again() {
    let app = TestApp::start().await;
    let call = app.fresh_call();
    let made = moved(&app, call).await;
    app.sandbox().act(call, Act::Ring).unwrap();
    app.assert_problem(&undo(&app, &made).await, 409, "conversation_ringing").await;
    app.sandbox().act(call, Act::RingOut).unwrap();
    app.answers("POST", REPLACE, 1, 400);
    app.assert_problem(&undo(&app, &made).await, 422, "rejected_by_genesys").await;
    assert_eq!(undo(&app, &made).await.status, 201);
}

#[tokio::test]
async fn what_moved_nothing_cannot_be_undone() {
    let app = TestApp::start().await;
    let change = with(seed::WAITING_CALL, "Support Tier 1", &json!({"priority": 4}));
    let only_changed = app.submit(change).await.json();
    app.answers("POST", REPLACE, 1, 400);
    let failed = app.transfer(seed::HELD_CALL, "Support Tier 2").await.json();
    let failed = json!({"id": failed["transferId"]});
    let from_a_menu = moved(&app, seed::IVR_CALL).await;
    for transfer in [&only_changed, &failed, &from_a_menu] {
        app.assert_problem(&undo(&app, transfer).await, 409, "undo_impossible").await;
    }
    app.command_is_lost();
    let unknown = app.at_the_deadline(app.transfer(seed::CONNECTED_CALL, "Support Tier 2")).await;
    let unknown = json!({"id": unknown.json()["transferId"]});
    app.assert_problem(&undo(&app, &unknown).await, 409, "undo_impossible").await;
}

#[tokio::test]
async fn the_body_is_needed_and_its_fields_are_checked() {
    let app = TestApp::start().await;
    let made = moved(&app, app.fresh_call()).await;
    let path = path_of(&made);
    let none = send(app.request(Method::POST, &path)).await;
    assert_eq!(none.outcome(), (415, "unsupported_media_type".to_owned()));
    let text =
        app.request(Method::POST, &path).header(header::CONTENT_TYPE, "text/plain").body("{}");
    assert_eq!(send(text).await.outcome(), (415, "unsupported_media_type".to_owned()));
    for body in
        [json!({"priority": 3}), json!({"reason": 4}), json!({"reference": "x".repeat(129)})]
    {
        assert_eq!(app.post(&path, &body).await.outcome(), (422, "invalid_request".to_owned()));
    }
    let nothing = "/transfers/0199a000-0000-7000-8000-000000000000/undo";
    for path in [nothing, "/transfers/x/undo"] {
        assert_eq!(app.post(path, &json!({})).await.outcome(), (404, "not_found".to_owned()));
    }
    assert_eq!(app.moves(), 1);
}

#[tokio::test]
async fn an_undo_needs_the_transfer_in_sight_and_the_queue_it_goes_back_to() {
    let write = ["transfers:write", "transfers:read"];
    let keys = json!([
        entry("crm", &write, &["*"]),
        entry("ivr", &write, &["*"]),
        entry("narrow", &write, &["Support Tier 2"]),
        entry("reader", &["transfers:read"], &["*"]),
        entry("ops", &["admin"], &[]),
    ]);
    let app = TestApp::with(&[
        ("AUTH_MODE", "required"),
        ("AUTH_API_KEYS", &keys.to_string()),
        ("TRANSFERS_MAX_PER_CONVERSATION_PER_HOUR", "1"),
    ])
    .await;
    let made =
        app.post_as("crm", "/transfers", &plain(app.fresh_call(), "Support Tier 2")).await.json();
    let undo_as =
        async |caller, made: &Value| app.post_as(caller, &path_of(made), &json!({})).await;
    for (caller, outcome) in [("ivr", (404, "not_found")), ("reader", (403, "not_permitted"))] {
        let (status, code) = outcome;
        assert_eq!(undo_as(caller, &made).await.outcome(), (status, code.to_owned()), "{caller}");
    }
    let narrow = app
        .post_as("narrow", "/transfers", &plain(app.fresh_call(), "Support Tier 2"))
        .await
        .json();
    assert_eq!(undo_as("narrow", &narrow).await.outcome(), (403, "queue_not_permitted".to_owned()));
    // Neither is hindered by the limit of moves an hour, nor counts towards it.
    assert_eq!(undo_as("crm", &made).await.status, 201);
    assert_eq!(undo_as("ops", &narrow).await.status, 201);
}

#[tokio::test]
async fn an_undo_through_the_other_api_goes_back_where_its_scale_allows() {
    let app = TestApp::with(&[("GENESYS_TRANSFER_API", "conversation-patch")]).await;
    let [near, far] = [40, 98].map(|priority| waiting_with(app.sandbox(), 630, priority));
    let made = [moved(&app, near).await, moved(&app, far).await];
    let undone = undo(&app, &made[0]).await;
    assert_eq!((undone.status.as_u16(), &undone.json()["priority"]), (201, &json!(50)));
    assert_eq!(app.waits(near).unwrap().0, seed::SUPPORT_TIER_1);
    app.assert_problem(&undo(&app, &made[1]).await, 409, "undo_impossible").await;
    assert_eq!(app.waits(far).unwrap().0, seed::SUPPORT_TIER_2);
}
