//! The queue list. Whatever happens to it, a list that was there before goes on serving.

use std::time::Duration;

use futures_util::future::join_all;
use genesys_transfer::sandbox::faults::{Fault, Garbage, When};
use serde_json::json;

use super::{
    assert_all_well, compare, drops, garbage, given_up, hang, redirect, status, submit, throttled,
};
use crate::support::service::{QUEUES, TestApp};

/// A fault on every page, the answer to a refresh, and how many pages were asked for.
type Row = (Fault, (u16, &'static str), usize);

/// Longest a page may take (`genesys.read_timeout`).
const LONGEST_PAGE: Duration = Duration::from_secs(4);

async fn check(row: &Row) -> Option<String> {
    let (fault, outcome, pages) = row;
    let app = TestApp::steady(&[]).await;
    let before = app.get("/queues").await.json();
    app.fault("GET", QUEUES, 100, fault.clone());
    let refresh = json!({});
    let refresh = app.post("/queues/refresh", &refresh);
    let refreshed = if matches!(fault, Fault::Hang { .. } | Fault::SlowBody { .. }) {
        given_up(&app, *pages, LONGEST_PAGE, refresh).await
    } else {
        refresh.await
    };
    let asked = app.seen(QUEUES);
    let kept = app.get("/queues").await.json() == before;
    let expected = ((outcome.0, outcome.1.to_owned()), *pages, true);
    compare(fault, &(refreshed.outcome(), asked, kept), &expected)
}

async fn check_all(rows: &[Row]) {
    assert_all_well(join_all(rows.iter().map(check)).await);
}

#[tokio::test]
async fn a_list_that_is_refused_is_asked_for_once_and_the_old_one_stays() {
    check_all(&[
        (status(400), (422, "rejected_by_genesys"), 1),
        (status(401), (502, "genesys_credentials_rejected"), 2),
        (status(403), (502, "genesys_permission_missing"), 1),
        (status(404), (502, "genesys_error"), 1),
        (status(409), (409, "conflict"), 1),
        (redirect(302), (502, "genesys_error"), 1),
        (throttled("600"), (503, "genesys_rate_limited"), 1),
    ])
    .await;
}

#[tokio::test]
async fn a_list_that_fails_is_tried_three_times_and_the_old_one_stays() {
    let (error, away) = ((502, "genesys_error"), (503, "genesys_unavailable"));
    check_all(&[
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
async fn a_list_that_takes_too_long_is_tried_three_times_and_the_old_one_stays() {
    // One after the other: the time that passes is the same for all.
    for fault in [hang(false), Fault::SlowBody { ms: 20_000 }] {
        check_all(&[(fault, (503, "genesys_unavailable"), 3)]).await;
    }
}

#[tokio::test]
async fn a_transfer_to_a_known_queue_needs_no_list() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.fault("GET", QUEUES, 100, status(503));
    app.post("/queues/refresh", &json!({})).await;
    assert_eq!(submit(&app, app.fresh_call()).await.status, 201);
    assert_eq!((app.commands(), app.moves()), (1, 1));
}
