//! The look before the command. Nothing was sent yet, so every failure leaves the key free.

use std::time::Duration;

use futures_util::future::join_all;
use genesys_transfer::sandbox::faults::{Fault, Garbage, When};
use uuid::Uuid;

use super::{
    Key::Free, assert_all_well, compare, drops, garbage, given_up, key_after, redirect, status,
    submit, throttled,
};
use crate::support::service::{Answer, CONVERSATION, TestApp};

/// A fault on every look, the answer, and how many looks there were.
type Row = (Fault, (u16, &'static str), usize);

const APIS: [(&str, &str); 2] = [
    ("participant-replace", CONVERSATION),
    ("conversation-patch", "/api/v2/communications/conversations/*"),
];

/// Longest a look may take (`genesys.read_timeout`).
const LONGEST_LOOK: Duration = Duration::from_secs(4);

async fn check(api: (&str, &str), row: &Row) -> Option<String> {
    let app = TestApp::with(&[("GENESYS_TRANSFER_API", api.0)]).await;
    let call = app.fresh_call();
    app.fault("GET", api.1, 100, row.0.clone());
    let first = submit(&app, call).await;
    judge(api, row, &app, call, &first).await
}

async fn judge(
    api: (&str, &str),
    row: &Row,
    app: &TestApp,
    call: Uuid,
    first: &Answer,
) -> Option<String> {
    let (fault, outcome, looks) = row;
    let told = app.transfer_of(call).await["status"].as_str().unwrap_or("none").to_owned();
    let looked = app.seen("/conversations/");
    let commands = app.commands();
    let key = key_after(app, call, first).await;
    let expected = ((outcome.0, outcome.1.to_owned()), "failed".to_owned(), Free, *looks, 0);
    compare(fault, &(first.outcome(), told, key, looked, commands), &expected)
        .map(|line| format!("{} {line}", api.0))
}

async fn check_all(rows: &[Row]) {
    let both = APIS.iter().flat_map(|api| rows.iter().map(|row| (*api, row)));
    assert_all_well(join_all(both.map(|(api, row)| check(api, row))).await);
}

#[tokio::test]
async fn a_look_that_is_refused_is_not_repeated_and_nothing_is_sent() {
    check_all(&[
        (status(400), (422, "rejected_by_genesys"), 1),
        (status(401), (502, "genesys_credentials_rejected"), 2),
        (status(403), (502, "genesys_permission_missing"), 1),
        (status(404), (404, "conversation_not_found"), 1),
        (status(409), (409, "conflict"), 1),
        (redirect(302), (502, "genesys_error"), 1),
        (throttled("120"), (503, "genesys_rate_limited"), 1),
    ])
    .await;
}

#[tokio::test]
async fn a_look_that_fails_is_tried_three_times_and_nothing_is_sent() {
    let (error, away) = ((502, "genesys_error"), (503, "genesys_unavailable"));
    check_all(&[
        (status(408), error, 3),
        (status(500), error, 3),
        (status(502), error, 3),
        (status(503), error, 3),
        (status(504), error, 3),
        (drops(When::Before, false), away, 3),
        (drops(When::Before, true), away, 3),
        (garbage(Garbage::NotHttp, false), error, 3),
        (garbage(Garbage::ShortHead, false), away, 3),
        (garbage(Garbage::Html, false), error, 3),
        (garbage(Garbage::TruncatedJson, false), error, 3),
        (garbage(Garbage::ShortBody, false), away, 3),
        (Fault::HugeBody { bytes: None }, error, 3),
    ])
    .await;
}

/// Answers that do not come in time.
const ENDLESS: [Fault; 2] = [Fault::Hang { apply: false }, Fault::SlowBody { ms: 20_000 }];

#[tokio::test]
async fn a_look_that_takes_too_long_is_tried_three_times_and_nothing_is_sent() {
    for api in APIS {
        for fault in ENDLESS {
            let app = TestApp::steady(&[("GENESYS_TRANSFER_API", api.0)]).await;
            let call = app.fresh_call();
            app.fault("GET", api.1, 100, fault.clone());
            let first = given_up(&app, 3, LONGEST_LOOK, submit(&app, call)).await;
            let row = (fault, (503, "genesys_unavailable"), 3);
            assert_all_well(judge(api, &row, &app, call, &first).await.map(Some));
        }
    }
}

#[tokio::test]
async fn a_look_that_takes_too_long_twice_costs_the_caller_nothing_but_time() {
    for fault in ENDLESS {
        let app = TestApp::steady(&[]).await;
        app.fault("GET", CONVERSATION, 2, fault.clone());
        let request = submit(&app, app.fresh_call());
        let answer = given_up(&app, 2, LONGEST_LOOK, request).await;
        let seen = (answer.status.as_u16(), app.commands(), app.moves());
        assert_eq!(seen, (201, 1, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_look_that_fails_twice_costs_the_caller_nothing_but_time() {
    let faults = [
        status(408),
        status(500),
        status(504),
        throttled("0"),
        drops(When::Before, false),
        garbage(Garbage::NotHttp, false),
        garbage(Garbage::TruncatedJson, false),
    ];
    let wrong = faults.map(async |fault| {
        let app = TestApp::start().await;
        app.fault("GET", CONVERSATION, 2, fault.clone());
        let answer = submit(&app, app.fresh_call()).await;
        compare(&fault, &(answer.status.as_u16(), app.commands(), app.moves()), &(201, 1, 1))
    });
    assert_all_well(join_all(wrong).await);
}
