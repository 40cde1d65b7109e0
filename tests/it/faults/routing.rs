//! Setting priority and skills. After a move it never turns a success into an error; on a call
//! that already waits in the target queue it is all there is.

use std::time::Duration;

use futures_util::future::join_all;
use genesys_transfer::sandbox::{
    faults::{Fault, Garbage, When},
    seed,
    world::Act,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    assert_all_well, compare, drops, garbage, given_up, hang, redirect, status, throttled,
};
use crate::support::service::{Answer, ROUTING, TestApp, plain, send, soon};

/// Longest a change of priority may take (`genesys.patch_timeout`).
const LONGEST_PATCH: Duration = Duration::from_secs(4);

/// The answer to a request under `fault`. Only a change that hangs takes time of its own, and is
/// tried so often.
async fn answered(
    app: &TestApp,
    fault: &Fault,
    tries: usize,
    request: impl Future<Output = Answer>,
) -> Answer {
    if !matches!(fault, Fault::Hang { .. }) {
        return request.await;
    }
    given_up(app, tries, LONGEST_PATCH, request).await
}

fn with_priority(queue: &str, call: uuid::Uuid) -> Value {
    let mut body = plain(call, queue);
    body["priority"] = json!(40);
    body
}

/// The priority the sandbox holds for a call.
fn priority_of(app: &TestApp, call: uuid::Uuid) -> Option<i64> {
    app.sandbox().with(|state| Some(state.world.conversation(call)?.routing()?.priority))
}

/// The answer's status, the code of its only warning, the priority at Genesys, commands and moves.
async fn moved_with_priority(fault: &Fault, times: u64) -> (u16, Value, Option<i64>, usize, usize) {
    let app = TestApp::steady(&[]).await;
    let call = app.fresh_call();
    app.fault("PATCH", ROUTING, times, fault.clone());
    let request = app.submit(with_priority("Support Tier 2", call));
    let answer = answered(&app, fault, usize::try_from(times.min(3)).unwrap(), request).await;
    let warning = answer.json()["warnings"][0]["code"].clone();
    (answer.status.as_u16(), warning, priority_of(&app, call), app.commands(), app.moves())
}

#[tokio::test]
async fn a_moved_call_whose_priority_cannot_be_set_is_a_success_with_a_warning() {
    let faults = [
        status(400),
        status(401),
        status(403),
        status(404),
        status(409),
        status(500),
        status(503),
        redirect(302),
        throttled("120"),
        drops(When::Before, false),
        garbage(Garbage::NotHttp, false),
        garbage(Garbage::Html, false),
    ];
    let warning = &json!("routing_attributes_not_applied");
    let check = async |fault| {
        let seen = moved_with_priority(&fault, 100).await;
        compare(&fault, &seen, &(201, warning.clone(), Some(0), 1, 1))
    };
    assert_all_well(join_all(faults.map(check)).await);
    assert_all_well([check(hang(false)).await]);
}

/// How often each kind of request was made after the command.
fn after_the_command(app: &TestApp) -> (usize, usize) {
    let requests = app.sandbox().requests();
    let command = requests.iter().position(|request| request.path.ends_with("/replace/queue"));
    let after = &requests[command.expect("a command")..];
    let count = |method: &str| after.iter().filter(|request| request.method == method).count();
    (count("PATCH"), count("GET"))
}

#[tokio::test]
async fn a_call_that_came_and_takes_no_priority_is_asked_three_times() {
    let app = TestApp::start().await;
    app.fault("PATCH", ROUTING, 100, status(409));

    let answer = app.submit(with_priority("Support Tier 2", app.fresh_call())).await;

    let warning = &answer.json()["warnings"][0]["code"];
    assert_eq!((answer.status.as_u16(), warning), (201, &json!("routing_attributes_not_applied")));
    assert_eq!(after_the_command(&app), (3, 3));
}

#[tokio::test]
async fn a_call_that_an_agent_answered_before_its_move_costs_three_requests_more() {
    let app = TestApp::start().await;
    app.sandbox().with(|state| state.behaviour.effect_delay_ms = 1_000);
    let request = app.request(Method::POST, "/transfers");
    let body = with_priority("Support Tier 2", seed::WAITING_CALL);
    let answer = tokio::spawn(send(request.json(&body)));
    let sent = async {
        while app.commands() == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon("the command", sent).await;

    app.sandbox().act(seed::WAITING_CALL, Act::Answer).unwrap();

    let answer = answer.await.unwrap();
    assert_eq!((answer.status.as_u16(), app.moves()), (201, 0), "{}", answer.json());
    assert_eq!(answer.json()["warnings"][0]["code"], "routing_attributes_not_applied");
    assert_eq!(after_the_command(&app), (1, 2));
}

#[tokio::test]
async fn a_priority_that_could_not_be_set_at_once_is_set_again() {
    let faults = [
        status(401),
        status(404),
        status(409),
        status(500),
        status(504),
        throttled("0"),
        drops(When::Before, true),
        drops(When::After, true),
        garbage(Garbage::NotHttp, false),
        garbage(Garbage::Html, false),
        garbage(Garbage::ShortBody, true),
    ];
    let check = async |fault| {
        let seen = moved_with_priority(&fault, 1).await;
        compare(&fault, &seen, &(201, Value::Null, Some(40), 1, 1))
    };
    assert_all_well(join_all(faults.map(check)).await);
    assert_all_well([check(hang(false)).await]);
}

/// The answer to a change of priority of a call that waits in the target queue already, its
/// record, and how many commands left.
async fn set_only(fault: &Fault) -> ((u16, String), String, usize) {
    let app = TestApp::steady(&[]).await;
    app.fault("PATCH", ROUTING, 100, fault.clone());
    let request = app.submit(with_priority("Support Tier 1", seed::WAITING_CALL));
    let answer = answered(&app, fault, 3, request).await;
    let record = app.transfer_of(seed::WAITING_CALL).await;
    let told = record["status"].as_str().unwrap_or("none").to_owned();
    (answer.outcome(), told, app.commands())
}

#[tokio::test]
async fn a_change_of_priority_alone_ends_as_its_patch_does_and_never_sends_the_command() {
    let (failed, unknown) = ("failed", "unknown");
    let rows = [
        (status(400), (422, "rejected_by_genesys"), failed),
        (status(401), (502, "genesys_credentials_rejected"), failed),
        (status(403), (502, "genesys_permission_missing"), failed),
        (status(404), (422, "rejected_by_genesys"), failed),
        (status(409), (409, "conflict"), failed),
        (throttled("120"), (503, "genesys_rate_limited"), failed),
        (status(500), (504, "outcome_unknown"), unknown),
        (drops(When::After, false), (504, "outcome_unknown"), unknown),
        (garbage(Garbage::Html, false), (504, "outcome_unknown"), unknown),
    ];
    let check = async |(fault, outcome, record): (Fault, (u16, &str), &str)| {
        let expected = ((outcome.0, outcome.1.to_owned()), record.to_owned(), 0);
        compare(&fault, &set_only(&fault).await, &expected)
    };
    assert_all_well(join_all(rows.map(check)).await);
    assert_all_well([check((hang(false), (504, "outcome_unknown"), unknown)).await]);
}

#[tokio::test]
async fn a_priority_that_was_set_unseen_is_not_reported_as_failed() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.fault("PATCH", ROUTING, 1, drops(When::After, true));
    app.fault("PATCH", ROUTING, 1, throttled("120"));
    let answer = app.submit(with_priority("Support Tier 1", seed::WAITING_CALL)).await;
    let record = app.transfer_of(seed::WAITING_CALL).await;
    assert_eq!(priority_of(&app, seed::WAITING_CALL), Some(40));
    assert_eq!(answer.outcome(), (504, "outcome_unknown".to_owned()));
    assert_eq!(record["status"], "unknown");
}

#[tokio::test]
async fn a_priority_of_unknown_fate_is_set_again_in_the_background() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    // Three tries of the request, and as many of the first attempt in the background.
    app.fault("PATCH", ROUTING, 6, status(500));
    let answer = app.submit(with_priority("Support Tier 1", seed::WAITING_CALL)).await;
    let settled = app.settled(seed::WAITING_CALL).await;
    assert_eq!(answer.outcome().1, "outcome_unknown");
    assert_eq!(settled["status"], "accepted");
    assert_eq!((priority_of(&app, seed::WAITING_CALL), app.commands()), (Some(40), 0));
}
