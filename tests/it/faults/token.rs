//! The token request, made anew in the middle of a transfer because the old token was revoked.

use std::time::Duration;

use futures_util::future::join_all;
use genesys_transfer::sandbox::faults::{Fault, Garbage, When};
use uuid::Uuid;

use super::{
    Key::Free, assert_all_well, compare, drops, garbage, given_up, hang, key_after, redirect,
    status, submit, throttled,
};
use crate::support::service::{Answer, TOKEN, TestApp};

/// A fault on every token request, the answer, and how many token requests there were.
type Row = (Fault, (u16, &'static str), usize);

/// Longest a token request may take (`genesys.token_timeout`).
const LONGEST_FETCH: Duration = Duration::from_secs(5);

async fn check(row: &Row) -> Option<String> {
    let (app, call) = without_token(&row.0).await;
    let first = submit(&app, call).await;
    judge(row, &app, call, &first).await
}

/// A service whose token was revoked, with a fault on every token request, and a call.
async fn without_token(fault: &Fault) -> (TestApp, Uuid) {
    let app = TestApp::steady(&[]).await;
    app.sandbox().revoke_tokens();
    app.fault("POST", TOKEN, 100, fault.clone());
    let call = app.fresh_call();
    (app, call)
}

async fn judge(row: &Row, app: &TestApp, call: Uuid, first: &Answer) -> Option<String> {
    let (fault, outcome, asked) = row;
    let told = app.transfer_of(call).await["status"].as_str().unwrap_or("none").to_owned();
    let counts = (app.seen(TOKEN), app.commands());
    let key = key_after(app, call, first).await;
    let expected = ((outcome.0, outcome.1.to_owned()), "failed".to_owned(), Free, (*asked, 0));
    compare(fault, &(first.outcome(), told, key, counts), &expected)
}

async fn check_all(rows: &[Row]) {
    assert_all_well(join_all(rows.iter().map(check)).await);
}

#[tokio::test]
async fn a_token_request_that_is_refused_is_not_repeated() {
    check_all(&[
        (status(400), (502, "genesys_credentials_rejected"), 1),
        (status(401), (502, "genesys_credentials_rejected"), 1),
        (status(403), (502, "genesys_permission_missing"), 1),
        (status(404), (502, "genesys_error"), 1),
        (status(405), (502, "genesys_error"), 1),
        (status(409), (502, "genesys_error"), 1),
        (redirect(302), (502, "genesys_error"), 1),
        (throttled("120"), (503, "genesys_rate_limited"), 1),
    ])
    .await;
}

#[tokio::test]
async fn a_token_request_that_fails_is_tried_three_times() {
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

#[tokio::test]
async fn a_token_request_that_takes_too_long_is_tried_three_times() {
    for fault in [hang(false), Fault::SlowBody { ms: 20_000 }] {
        let (app, call) = without_token(&fault).await;
        let first = given_up(&app, 3, LONGEST_FETCH, submit(&app, call)).await;
        let row = (fault, (503, "genesys_unavailable"), 3);
        assert_all_well(judge(&row, &app, call, &first).await.map(Some));
    }
}

#[tokio::test]
async fn a_token_request_that_fails_twice_costs_the_caller_nothing_but_time() {
    let faults =
        [status(500), throttled("0"), drops(When::Before, true), garbage(Garbage::Html, false)];
    let wrong = faults.map(async |fault| {
        let app = TestApp::start().await;
        app.get("/queues").await;
        app.sandbox().revoke_tokens();
        app.fault("POST", TOKEN, 2, fault.clone());
        let answer = submit(&app, app.fresh_call()).await;
        compare(&fault, &(answer.status.as_u16(), app.commands(), app.moves()), &(201, 1, 1))
    });
    assert_all_well(join_all(wrong).await);
}
