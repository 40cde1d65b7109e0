//! `Prefer: respond-async` and `Prefer: wait=N`.

use genesys_transfer::sandbox::{faults::Fault, faults::FaultOrder, seed, world::Act};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::support::{
    service::{Answer, CONVERSATION, TestApp, plain, soon},
    steps::with,
};

async fn prefer(app: &TestApp, preference: &str) -> Answer {
    app.submit_with(&plain(seed::CONNECTED_CALL, "Support Tier 2"), "Prefer", preference).await
}

#[tokio::test]
async fn respond_async_answers_at_once_and_the_work_goes_on() {
    let app = TestApp::start().await;
    app.command_takes(300);
    let answer = prefer(&app, "respond-async").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("pending")));
    assert_eq!(answer.header("preference-applied"), Some("respond-async"));
    let location = answer.header("location").unwrap();
    assert_eq!(location, format!("/transfers/{}", answer.json()["id"].as_str().unwrap()));
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
    let app = TestApp::with(&[("SANDBOX_EFFECT_DELAY", "500ms")]).await;
    let began = Instant::now();
    let answer = prefer(&app, "wait=20").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (201, &json!("confirmed")));
    assert_eq!(answer.header("preference-applied"), Some("wait=20"));
    assert!(began.elapsed() < Duration::from_secs(10));
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
    let slow = FaultOrder::next("GET", CONVERSATION, Fault::Delay { ms: 300 }).after(1);
    app.sandbox().order(slow).unwrap();
    let answered = async {
        app.sandbox_sees(3).await;
        app.sandbox().act(seed::CONNECTED_CALL, Act::Answer).unwrap();
    };
    let (answer, ()) = tokio::join!(prefer(&app, "wait=10"), answered);
    assert_eq!(answer.json()["status"], "confirmed");
}

#[tokio::test]
async fn wait_without_seeing_it_in_time_is_accepted() {
    let app = TestApp::with(&[("SANDBOX_EFFECT_DELAY", "1m")]).await;
    for (preference, at_least) in [("wait=1", 1), ("wait=0", 0)] {
        let call = app.call(genesys_transfer::sandbox::world::Shape::Held, seed::SALES);
        let began = Instant::now();
        let body = plain(call, "Support Tier 2");
        let answer = app.submit_with(&body, "Prefer", preference).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (201, &json!("accepted")));
        assert_eq!(answer.header("preference-applied"), Some(preference));
        assert!(began.elapsed() < Duration::from_secs(at_least + 3));
    }
}

#[tokio::test]
async fn wait_is_cut_to_what_the_deadline_leaves() {
    let app = TestApp::with(&[("SANDBOX_EFFECT_DELAY", "1m"), ("SERVER_DEADLINE", "4s")]).await;
    let began = Instant::now();
    let answer = prefer(&app, "wait=100000").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (201, &json!("accepted")));
    assert!(began.elapsed() <= Duration::from_millis(4_200));
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

#[tokio::test]
async fn wait_looks_until_its_very_end() {
    let app = TestApp::with(&[("SANDBOX_EFFECT_DELAY", "700ms")]).await;
    // A slow arrival before makes the first look of later ones late.
    let slow = with(app.fresh_call(), "Support Tier 2", &json!({"priority": 1}));
    app.post("/transfers", &slow).await;
    for _ in 0..3 {
        let body = plain(app.fresh_call(), "Support Tier 2");
        let answer = app.submit_with(&body, "Prefer", "wait=1").await;
        assert_eq!(answer.json()["status"], "confirmed");
    }
}
