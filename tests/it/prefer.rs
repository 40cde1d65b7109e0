//! `Prefer: respond-async` and `Prefer: wait=N`.

use std::time::Duration;

use genesys_transfer::sandbox::{
    faults::FaultOrder,
    seed,
    world::{Act, Shape},
};
use serde_json::{Value, json};

use crate::support::{
    frozen::Frozen,
    held::{HOLD, hold_as, hold_command, let_go},
    service::{Answer, CONVERSATION, TestApp, plain, soon},
    steps::with,
};

async fn prefer(app: &TestApp, preference: &str) -> Answer {
    app.submit_with(&plain(seed::CONNECTED_CALL, "Support Tier 2"), "Prefer", preference).await
}

#[tokio::test]
async fn respond_async_answers_at_once_and_the_work_goes_on() {
    let app = TestApp::start().await;
    let held = hold_command(app.sandbox());
    let answer = prefer(&app, "respond-async").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("pending")));
    assert_eq!(answer.header("preference-applied"), Some("respond-async"));
    let location = answer.header("location").unwrap();
    assert_eq!(location, format!("/transfers/{}", answer.json()["id"].as_str().unwrap()));
    app.commands_reach(1).await;
    let_go(app.sandbox(), held);
    let settled = app.settled(seed::CONNECTED_CALL).await;
    assert_eq!((&settled["status"], app.moves()), (&json!("accepted"), 1));
    assert_eq!(settled["participantId"], json!(seed::leg(seed::CONNECTED_CALL, 3)));
}

#[tokio::test]
async fn what_respond_async_comes_to_is_in_the_history() {
    let app = TestApp::start().await;
    let body = plain(seed::ENDED_CALL, "Support Tier 2");
    let answer = app.submit_with(&body, "Prefer", "respond-async").await;
    assert_eq!(answer.status, 202);
    let settled = app.settled(seed::ENDED_CALL).await;
    assert_eq!(settled["status"], "failed");
    assert_eq!(settled["error"]["code"], "conversation_ended");
}

#[tokio::test]
async fn respond_async_still_refuses_at_once_what_can_never_run() {
    let app = TestApp::start().await;
    let body = plain(seed::CONNECTED_CALL, "Nowhere");
    let answer = app.submit_with(&body, "Prefer", "respond-async").await;
    app.assert_problem(&answer, 422, "queue_not_found").await;
    assert_eq!(answer.header("preference-applied"), None);
}

#[tokio::test]
async fn wait_ends_when_the_call_is_seen_in_the_queue() {
    let settings = [("SANDBOX_EFFECT_DELAY", "500ms"), ("SERVER_DEADLINE", "10m")];
    let app = TestApp::with(&settings).await;
    let answer = soon("an answer before the wait is over", prefer(&app, "wait=600")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (201, &json!("confirmed")));
    assert_eq!(answer.header("preference-applied"), Some("wait=600"));
    let kept = app.get(answer.header("location").unwrap()).await.json();
    assert_eq!(kept["status"], "confirmed");
}

#[tokio::test]
async fn wait_with_priority_confirms_and_sets_it() {
    let app = TestApp::start().await;
    let body = with(seed::CONNECTED_CALL, "Support Tier 2", &json!({"priority": 4}));
    let answer = app.submit_with(&body, "Prefer", "wait=10").await;
    assert_eq!(answer.json()["status"], "confirmed");
    assert_eq!(app.routing(seed::CONNECTED_CALL).priority, 4);
}

#[tokio::test]
async fn a_call_answered_from_the_target_queue_is_confirmed() {
    let app = TestApp::warm(&[]).await;
    let second_look = FaultOrder::next("GET", CONVERSATION, HOLD).after(1);
    let held = hold_as(app.sandbox(), second_look);
    let answered = async {
        app.sandbox_sees(3).await;
        app.sandbox().act(seed::CONNECTED_CALL, Act::Answer).unwrap();
        let_go(app.sandbox(), held);
    };
    let (answer, ()) = tokio::join!(prefer(&app, "wait=10"), answered);
    assert_eq!(answer.json()["status"], "confirmed");
}

/// The answer to a move that is never seen, when so much time passes after it was accepted.
async fn unseen(app: &TestApp, preference: &str, time: Duration) -> Answer {
    let call = app.call(Shape::Held, seed::SALES);
    let body = plain(call, "Support Tier 2");
    let clock = Frozen::now();
    let wait = async {
        soon("acceptance", async { while app.transfer_of(call).await["status"] != "accepted" {} })
            .await;
        clock.passes(time).await;
    };
    let answer = app.submit_with(&body, "Prefer", preference);
    let (answer, ()) = tokio::join!(soon("an answer", answer), wait);
    assert_eq!(answer.header("preference-applied"), Some(preference));
    answer
}

#[tokio::test]
async fn wait_without_seeing_it_in_time_is_accepted() {
    let app = TestApp::with(&[("SANDBOX_EFFECT_DELAY", "1m")]).await;
    for (preference, seconds) in [("wait=1", 1), ("wait=0", 0)] {
        let answer = unseen(&app, preference, Duration::from_secs(seconds)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (201, &json!("accepted")));
    }
}

#[tokio::test]
async fn wait_is_cut_to_what_the_deadline_leaves() {
    let app = TestApp::with(&[("SANDBOX_EFFECT_DELAY", "1m"), ("SERVER_DEADLINE", "20s")]).await;
    let answer = unseen(&app, "wait=100000", Duration::from_millis(19_900)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (201, &json!("accepted")));
}

#[tokio::test]
async fn a_wait_that_fails_is_a_problem_without_preference_applied() {
    let app = TestApp::start().await;
    let body = plain(seed::RINGING_CALL, "Support Tier 2");
    let answer = app.submit_with(&body, "Prefer", "wait=5").await;
    app.assert_problem(&answer, 409, "conversation_ringing").await;
    assert_eq!(answer.header("preference-applied"), None);
}

#[tokio::test]
async fn preferences_that_are_not_known_are_ignored() {
    for preference in ["return=minimal", "wait=soon", "wait=-1", "respond-async=no", "", ";;,="] {
        let app = TestApp::warm(&[]).await;
        let answer = prefer(&app, preference).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (201, &json!("accepted")));
        assert_eq!(answer.header("preference-applied"), None, "{preference}");
        assert_eq!(answer.json()["error"], Value::Null);
    }
}

#[tokio::test]
async fn the_one_who_asked_for_confirmations_always_gets_them_in_the_background() {
    let app = TestApp::with(&[("TRANSFERS_CONFIRM", "always")]).await;
    let answer = prefer(&app, "handling=strict").await;
    let location = answer.header("location").unwrap();
    assert_eq!(answer.json()["status"], "accepted");
    let later = soon("the status changes", async {
        loop {
            let transfer = app.get(location).await.json();
            if transfer["status"] != "accepted" {
                return transfer;
            }
        }
    });
    assert_eq!(later.await["status"], "confirmed");
}
