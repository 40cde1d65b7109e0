//! Commands that take effect long after their answer was given up.

use std::time::Duration;

use genesys_transfer::sandbox::{
    faults::{MAX_MS, When},
    world::Act,
};

use super::{drops, submit};
use crate::support::{
    frozen::Frozen,
    held::{hold_command, let_go},
    service::{REPLACE, TestApp, plain, soon},
};

/// The effect comes when the fault is taken back.
const WHEN_LET_GO: When = When::Late { ms: MAX_MS };

#[tokio::test]
async fn a_command_that_takes_effect_after_the_answer_settles_as_accepted_and_goes_once() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    let call = app.fresh_call();
    app.fault("POST", REPLACE, 1, drops(WHEN_LET_GO, false));
    let first = app.at_the_deadline(submit(&app, call)).await;
    app.sandbox().with(|state| state.faults.clear());
    soon("the late effect", app.sandbox().moves_reach(1)).await;
    let settled = app.settled(call).await;
    assert_eq!(first.outcome(), (504, "outcome_unknown".to_owned()));
    assert_eq!((&settled["status"], &settled["error"]), (&"accepted".into(), &().into()));
    assert_eq!((app.commands(), app.moves()), (1, 1));
}

#[tokio::test]
async fn the_key_of_a_transfer_that_settled_late_answers_with_the_success() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    let call = app.fresh_call();
    app.fault("POST", REPLACE, 1, drops(WHEN_LET_GO, true));
    app.at_the_deadline(submit(&app, call)).await;
    app.sandbox().with(|state| state.faults.clear());
    let settled = app.settled(call).await;
    let again = submit(&app, call).await;
    assert_eq!((again.status.as_u16(), again.json()), (201, settled));
    assert_eq!(app.commands(), 1);
}

#[tokio::test]
async fn an_unknown_transfer_whose_call_ends_without_a_sign_of_us_settles_as_failed() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    let call = app.fresh_call();
    app.fault("POST", REPLACE, 1, drops(When::Before, false));
    app.at_the_deadline(submit(&app, call)).await;
    app.sandbox().act(call, Act::HangUp).unwrap();
    let settled = app.settled(call).await;
    assert_eq!(settled["status"], "failed");
    assert_eq!(settled["error"]["code"], "conversation_ended");
    assert_eq!((app.commands(), app.moves()), (1, 0));
}

#[tokio::test]
async fn another_request_for_a_call_of_unknown_outcome_is_refused_with_that_transfers_id() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    let call = app.fresh_call();
    app.fault("POST", REPLACE, 1, drops(When::Before, false));
    let first = app.at_the_deadline(submit(&app, call)).await.json();
    let other = app.submit(plain(call, "Sales")).await;
    assert_eq!(other.outcome(), (409, "transfer_in_progress".to_owned()));
    assert_eq!(other.json()["transferId"], first["transferId"]);
    assert_eq!(app.commands(), 1);
}

#[tokio::test]
async fn a_slow_command_that_ends_in_time_is_simply_waited_for() {
    let app = TestApp::start().await;
    let call = app.fresh_call();
    let held = hold_command(app.sandbox());
    let clock = Frozen::now();
    let time = async {
        app.commands_reach(1).await;
        // One second less than the command may take.
        clock.passes(Duration::from_secs(7)).await;
        let_go(app.sandbox(), held);
    };
    let (answer, ()) = tokio::join!(submit(&app, call), time);
    assert_eq!(answer.status, 201);
    assert_eq!((app.commands(), app.moves()), (1, 1));
}
