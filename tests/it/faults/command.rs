//! The command, by both APIs. It leaves once, unless it is certain that the earlier one was not
//! carried out.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use genesys_transfer::{
    clock::SystemClock,
    sandbox::{
        Options, Sandbox, State,
        faults::{Fault, Garbage, StatusAnswer, When},
        seed,
    },
};
use serde_json::json;
use tokio::net::TcpSocket;
use uuid::Uuid;

use super::{
    Key::{self, Free, Open, Used},
    assert_all_well, compare, done_but, drops, garbage, hang, key_after, redirect, status, submit,
    throttled,
};
use crate::support::{
    frozen::Frozen,
    service::{Answer, REPLACE, TestApp, plain, soon},
};

/// A fault, how many commands it hits; the answer, the record, the key, commands and moves.
type Row = (Fault, u64, (u16, &'static str), &'static str, Key, (usize, usize));

/// One of the two ways to move a call.
#[derive(Clone, Copy)]
struct Api {
    name: &'static str,
    method: &'static str,
    path: &'static str,
}

const APIS: [Api; 2] = [
    Api { name: "participant-replace", method: "POST", path: REPLACE },
    Api {
        name: "conversation-patch",
        method: "PATCH",
        path: "/api/v2/communications/conversations/*",
    },
];

async fn check(api: Api, settings: &[(&str, &str)], row: Row) -> Option<String> {
    let (app, call) = ready(api, settings, &row).await;
    let first = submit(&app, call).await;
    judge(api, row, &app, call, &first).await
}

/// A service whose next commands are hit by the row's fault, and a call.
async fn ready(api: Api, settings: &[(&str, &str)], row: &Row) -> (TestApp, Uuid) {
    let api_setting = [("GENESYS_TRANSFER_API", api.name)];
    let app = TestApp::with(&[&api_setting, settings].concat()).await;
    app.get("/queues").await;
    app.fault(api.method, api.path, row.1, row.0.clone());
    let call = app.fresh_call();
    (app, call)
}

async fn judge(api: Api, row: Row, app: &TestApp, call: Uuid, first: &Answer) -> Option<String> {
    let (fault, _, outcome, record, key, counts) = row;
    let told = app.transfer_of(call).await["status"].as_str().unwrap_or("none").to_owned();
    let counted = (app.commands(), app.moves());
    let key_seen = key_after(app, call, first).await;
    let expected = ((outcome.0, outcome.1.to_owned()), record.to_owned(), key, counts);
    compare(&fault, &(first.outcome(), told, key_seen, counted), &expected)
        .map(|line| format!("{} {line}", api.name))
}

async fn check_all(settings: &[(&str, &str)], rows: &[Row]) {
    let both = APIS.iter().flat_map(|api| rows.iter().map(|row| (*api, row.clone())));
    assert_all_well(join_all(both.map(|(api, row)| check(api, settings, row))).await);
}

#[tokio::test]
async fn a_refused_command_is_never_sent_again() {
    let refused = |code, told: (u16, &'static str)| (status(code), 1, told, "failed", Used, (1, 0));
    let rejected = (422, "rejected_by_genesys");
    let rows = [
        refused(400, rejected),
        refused(403, (502, "genesys_permission_missing")),
        refused(405, rejected),
        refused(409, (409, "conflict")),
        refused(410, rejected),
        refused(413, rejected),
        refused(415, rejected),
        refused(422, rejected),
    ];
    check_all(&[], &rows).await;
    // A leg that is not there says nothing of the call; where the path names the call alone, the
    // call is no longer there.
    let [replace, patch] = APIS;
    let not_found = [
        check(replace, &[], refused(404, rejected)).await,
        check(patch, &[], refused(404, (409, "conversation_ended"))).await,
    ];
    assert_all_well(not_found.to_vec());
}

#[tokio::test]
async fn a_command_that_was_certainly_not_looked_at_goes_again_or_leaves_the_key_free() {
    let limited = (503, "genesys_rate_limited");
    let rejected = (502, "genesys_credentials_rejected");
    let rows = [
        (status(401), 1, (201, ""), "accepted", Used, (2, 1)),
        (status(401), 2, rejected, "failed", Free, (2, 0)),
        (throttled("0"), 1, (201, ""), "accepted", Used, (2, 1)),
        (throttled("120"), 1, limited, "failed", Free, (1, 0)),
    ];
    check_all(&[], &rows).await;
}

#[tokio::test]
async fn after_a_500_or_503_the_command_goes_once_more_when_every_look_shows_the_call_unmoved() {
    let failed = (502, "genesys_error");
    let rows = [
        (status(500), 1, (201, ""), "accepted", Used, (2, 1)),
        (status(503), 1, (201, ""), "accepted", Used, (2, 1)),
        (status(500), 2, failed, "failed", Used, (2, 0)),
        (status(503), 2, failed, "failed", Used, (2, 0)),
        (done_but(500), 1, (201, ""), "accepted", Used, (1, 1)),
        (done_but(503), 1, (201, ""), "accepted", Used, (1, 1)),
    ];
    check_all(&[], &rows).await;
}

#[tokio::test]
async fn after_a_500_the_command_does_not_go_again_when_that_is_switched_off() {
    let row = (status(500), 1, (502, "genesys_error"), "failed", Used, (1, 0));
    check_all(&[("TRANSFERS_RESEND_AFTER_5XX", "false")], &[row]).await;
}

#[tokio::test]
async fn a_host_that_takes_no_connection_got_no_command_and_the_key_stays_free() {
    // Two sockets of one port, so that no other process gets it when the one that listens is closed.
    let [kept, listening] = [(); 2].map(|()| TcpSocket::new_v4().unwrap());
    for socket in [&kept, &listening] {
        socket.set_reuseport(true).unwrap();
    }
    kept.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    listening.bind(kept.local_addr().unwrap()).unwrap();
    let listener = listening.listen(64).unwrap();
    let sandbox = Sandbox::start(listener, Options::default(), Arc::new(SystemClock)).unwrap();
    let sandbox = Arc::new(sandbox);
    let app = TestApp::beside(&sandbox, &[("TRANSFERS_VERIFY", "false")]).await;
    app.get("/queues").await;
    sandbox.stop().await;
    let mut body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    body["participantId"] = json!(seed::leg(seed::CONNECTED_CALL, 3));
    let first = app.submit_with(&body, "Idempotency-Key", "k").await;
    let record = app.transfer_of(seed::CONNECTED_CALL).await;
    let again = app.submit_with(&body, "Idempotency-Key", "k").await;
    assert_eq!(first.outcome(), (503, "genesys_unavailable".to_owned()));
    assert_eq!((record["status"].as_str(), app.commands()), (Some("failed"), 0));
    assert_eq!(again.header("idempotent-replayed"), None);
}

/// How long after the end of a command of unclear outcome its call is looked at first.
const FIRST_LOOK: Duration = Duration::from_millis(250);

/// Longest the command may take (`genesys.command_timeout`).
const LONGEST_COMMAND: Duration = Duration::from_secs(8);

/// Whether the call was looked at after its command.
fn looked_after(state: &State) -> bool {
    let after = state.ledger.requests().skip_while(|request| !request.is_command()).skip(1);
    after.into_iter().any(|look| look.status.is_some())
}

/// As [`check_all`], for commands of unclear outcome. So much time passes that each call is looked
/// at, and `more` after that.
async fn check_unclear(rows: &[Row], more: Duration) {
    let both = APIS.iter().flat_map(|api| rows.iter().map(|row| (*api, row.clone())));
    let benches = both.map(async |(api, row)| {
        let (app, call) = ready(api, &[], &row).await;
        (api, row, app, call)
    });
    let benches = join_all(benches).await;
    let clock = Frozen::now();
    let time = async {
        for (_, _, app, _) in &benches {
            app.commands_reach(1).await;
        }
        // Those whose command has ended are looked at first, then those whose command hangs.
        for time in [FIRST_LOOK, LONGEST_COMMAND, FIRST_LOOK] {
            clock.passes(time).await;
        }
        for (_, _, app, _) in &benches {
            soon("a look", app.sandbox().until(looked_after)).await;
        }
        if !more.is_zero() {
            clock.passes(more).await;
        }
    };
    let answers = join_all(benches.iter().map(|(_, _, app, call)| submit(app, *call)));
    let (answers, ()) = tokio::join!(answers, time);
    let judged = benches.iter().zip(&answers).map(async |((api, row, app, call), first)| {
        judge(*api, row.clone(), app, *call, first).await
    });
    assert_all_well(join_all(judged).await);
}

#[tokio::test]
async fn a_command_that_may_still_be_running_is_only_looked_after() {
    let faults = [
        status(408),
        status(502),
        status(504),
        redirect(301),
        redirect(302),
        redirect(307),
        redirect(308),
        drops(When::Before, false),
        drops(When::Before, true),
        hang(false),
        garbage(Garbage::NotHttp, false),
        garbage(Garbage::ShortHead, false),
        garbage(Garbage::Html, false),
    ];
    let unknown = |fault| (fault, 1, (504, "outcome_unknown"), "unknown", Open, (1, 0));
    // After the 8.5 s to the looks: to a moment before the deadline of 30 s.
    check_unclear(&faults.map(unknown), Duration::from_millis(21_400)).await;
}

#[tokio::test]
async fn a_call_that_is_seen_moved_is_a_success_whatever_was_answered() {
    let faults = [
        done_but(408),
        done_but(502),
        done_but(504),
        done_but(302),
        drops(When::After, false),
        drops(When::After, true),
        hang(true),
        garbage(Garbage::NotHttp, true),
        garbage(Garbage::ShortHead, true),
        garbage(Garbage::Html, true),
    ];
    let moved = |fault| (fault, 1, (201, ""), "accepted", Used, (1, 1));
    check_unclear(&faults.map(moved), Duration::ZERO).await;
}

#[tokio::test]
async fn a_2xx_is_a_success_also_when_its_body_breaks_off() {
    let empty_200 = Fault::Status(StatusAnswer { apply: true, ..StatusAnswer::new(200) });
    let faults = [
        empty_200,
        garbage(Garbage::TruncatedJson, true),
        garbage(Garbage::ShortBody, true),
        Fault::SlowBody { ms: 3_000 },
        Fault::HugeBody { bytes: None },
        Fault::HugeBody { bytes: Some(1_000_000) },
    ];
    let taken = |fault| (fault, 1, (201, ""), "accepted", Used, (1, 1));
    check_all(&[], &faults.map(taken)).await;
}
