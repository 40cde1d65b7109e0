//! The end of a stop: what callers are told when its time is over, and that it is kept to.

use std::sync::Arc;

use futures_util::future::join_all;
use genesys_transfer::sandbox::{
    Sandbox,
    faults::{Fault, FaultOrder, Garbage, StatusAnswer},
    ledger::Request,
    seed,
    world::MediaType,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use uuid::Uuid;

use crate::support::{
    postgres::Server,
    process::Site,
    service::{
        Answer, CONVERSATION, QUEUES, REPLACE, ROUTING, TOKEN, TestApp, lone_sandbox, plain, send,
        soon,
    },
};

const CALL: Uuid = seed::CONNECTED_CALL;

/// Whatever waits for Genesys waits for longer than the stop may take.
const PATIENT: [(&str, &str); 4] = [
    ("SERVER_SHUTDOWN_GRACE", "2s"),
    ("GENESYS_READ_TIMEOUT", "2m"),
    ("GENESYS_COMMAND_TIMEOUT", "2m"),
    ("GENESYS_PATCH_TIMEOUT", "2m"),
];

fn hang(method: &str, path: &str) -> FaultOrder {
    FaultOrder::next(method, path, Fault::Hang { apply: false }).forever()
}

/// A service with a fault at its Genesys: from its start, when it is about what a start needs.
async fn spoiled(order: FaultOrder, settings: &[(&str, &str)]) -> (Arc<Sandbox>, TestApp) {
    let sandbox = lone_sandbox().await;
    let from_the_start = [QUEUES, TOKEN].contains(&order.path.as_str());
    if from_the_start {
        sandbox.order(order.clone()).unwrap();
    }
    let app = TestApp::beside(&sandbox, settings).await;
    if !from_the_start {
        app.get("/queues").await;
        sandbox.order(order).unwrap();
    }
    (sandbox, app)
}

/// A service at whose Genesys requests with this method and path hang, and a request of a caller
/// that has come so far.
async fn hanging(
    method: &'static str,
    path: &'static str,
    body: Value,
) -> (Arc<Sandbox>, TestApp, JoinHandle<Answer>) {
    let (sandbox, app) = spoiled(hang(method, path), &PATIENT).await;
    let stuck = |state: &genesys_transfer::sandbox::State| {
        let matches = |it: &str| it.split('/').count() == path.split('/').count();
        let mut open = state.ledger.requests().filter(|it| it.status.is_none());
        open.any(|it| it.method == method && matches(&it.path))
    };
    let request = tokio::spawn(send(app.request(Method::POST, "/transfers").json(&body)));
    soon("the request that hangs", sandbox.until(stuck)).await;
    (sandbox, app, request)
}

#[tokio::test]
async fn what_was_not_sent_when_the_time_is_over_is_not_unknown() {
    for (method, path) in [("POST", TOKEN), ("GET", QUEUES), ("GET", CONVERSATION)] {
        let (sandbox, app, request) = hanging(method, path, plain(CALL, "Support Tier 2")).await;
        app.shut_down().await;
        let answer = request.await.unwrap();
        assert_eq!(answer.outcome(), (503, "shutting_down".to_owned()), "{path}");
        assert_eq!(answer.json()["retryable"], true, "{path}");
        assert!(answer.header("retry-after").is_some(), "{path}");
        assert_eq!(sandbox.commands().len(), 0, "{path}");
    }
}

#[tokio::test]
async fn what_was_sent_when_the_time_is_over_is_unknown_by_its_id_and_found_after_the_restart() {
    let (sandbox, app, request) = hanging("POST", REPLACE, plain(CALL, "Support Tier 2")).await;
    let app = app.restart().await;
    let answer = request.await.unwrap();
    assert_eq!(answer.outcome(), (504, "outcome_unknown".to_owned()));
    let id = answer.json()["transferId"].as_str().expect("it names the transfer").to_owned();
    assert_eq!(answer.header("location"), Some(format!("/transfers/{id}").as_str()));
    let status = app.get(&format!("/transfers/{id}")).await.json()["status"].clone();
    assert!(["pending", "unknown"].contains(&status.as_str().unwrap()), "{status}");
    assert_eq!(sandbox.commands().len(), 1);
}

#[tokio::test]
async fn a_call_that_moved_gets_its_priority_after_the_restart_when_the_time_is_over() {
    let body = json!({"conversationId": CALL, "queueName": "Support Tier 2", "priority": 7});
    let (sandbox, app, request) = hanging("PATCH", ROUTING, body).await;
    sandbox.with(|state| state.faults.clear());
    let app = app.restart().await;
    let answer = request.await.unwrap();
    assert_eq!(answer.outcome(), (504, "outcome_unknown".to_owned()));
    let settled = app.settled(CALL).await;
    assert_eq!(settled["id"], answer.json()["transferId"]);
    assert_eq!((&settled["status"], &settled["warnings"]), (&json!("accepted"), &json!([])));
    let served = sandbox.with(|state| {
        let line = state.world.served_next(seed::SUPPORT_TIER_2, MediaType::Voice);
        line.into_iter().map(|served| (served.conversation, served.priority)).collect::<Vec<_>>()
    });
    assert!(served.contains(&(CALL, 7)), "{served:?}");
    assert_eq!(sandbox.commands().len(), 1);
}

/// What a caller is told whose transfer, with a key or without, meets this fault.
async fn told(method: &str, path: &str, fault: Fault, key: bool) -> Value {
    // Only what hangs is answered at the deadline. The looks after a 500 take four seconds, and
    // longer on a machine that is busy.
    let deadline = if matches!(fault, Fault::Hang { .. }) { "5s" } else { "2m" };
    let settings = [
        ("TRANSFERS_RESEND_AFTER_5XX", "false"),
        ("GENESYS_COMMAND_TIMEOUT", "300ms"),
        ("SERVER_DEADLINE", deadline),
    ];
    let (_sandbox, app) = spoiled(FaultOrder::next(method, path, fault).forever(), &settings).await;
    let request = app.request(Method::POST, "/transfers").json(&plain(CALL, "Support Tier 2"));
    let request = if key { request.header("idempotency-key", "once") } else { request };
    send(request).await.json()
}

#[tokio::test]
async fn whether_and_how_to_send_again_fits_the_request() {
    let status = |status| Fault::Status(StatusAnswer::new(status));
    let hangs = || Fault::Hang { apply: false };
    let garbage = || Fault::Garbage { form: Garbage::Html, apply: false };
    // The last: whether the same request may be sent again, without a key and with one.
    let rows = [
        // Before anything was sent.
        ("GET", CONVERSATION, status(500), "genesys_error", [true, true]),
        ("GET", CONVERSATION, garbage(), "genesys_error", [true, true]),
        ("GET", QUEUES, status(500), "genesys_error", [true, true]),
        ("GET", QUEUES, garbage(), "genesys_error", [true, true]),
        ("POST", TOKEN, status(500), "genesys_error", [true, true]),
        // Sent in vain: a key is used up.
        ("POST", REPLACE, status(500), "genesys_error", [true, false]),
        ("POST", REPLACE, status(403), "genesys_permission_missing", [false, false]),
        // Perhaps sent: without a key, a repeat after it has settled would be another move.
        ("POST", REPLACE, hangs(), "outcome_unknown", [false, true]),
    ];
    let each = rows.into_iter().flat_map(|(method, path, fault, code, [without, with])| {
        [(false, without), (true, with)].map(|(key, retryable)| {
            let told = told(method, path, fault.clone(), key);
            async move { (key, retryable, code, told.await) }
        })
    });
    for (key, retryable, code, problem) in join_all(each).await {
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["retryable"], retryable, "key: {key}, {problem}");
        let hint = problem["hint"].as_str().unwrap();
        assert!(key || !hint.to_lowercase().contains(" key"), "there is no key: {hint}");
        let used_up = hint.contains("used up");
        assert_eq!(used_up, key && !retryable, "key: {key}, {hint}");
    }
}

/// Connections that keep a service that does not close them.
async fn dawdlers(address: std::net::SocketAddr) -> Vec<TcpStream> {
    let post = "POST /transfers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{";
    let begun = ["", "GET /queues HTTP/1.1\r\nhost: localhost\r\nx", post];
    join_all(begun.map(async |bytes| {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(bytes.as_bytes()).await.unwrap();
        socket
    }))
    .await
}

#[tokio::test]
async fn a_process_ends_within_its_grace_although_a_command_would_hang_for_minutes() {
    let mut site = Site::sqlite().await;
    for (name, value) in PATIENT {
        site = site.set(name, value);
    }
    let site = site.set("SERVER_DEADLINE", "10m");
    let process = site.start().await;
    site.spoil(1, Fault::Hang { apply: false });
    let mut open = dawdlers(process.address).await;
    let url = format!("http://{}/transfers", process.address);
    let request = site.http().post(url).json(&plain(site.call(), "Support Tier 2"));
    let request = tokio::spawn(request.send());
    soon(
        "the command",
        site.sandbox.until(|state| state.ledger.requests().any(Request::is_command)),
    )
    .await;

    process.signal("TERM").await;

    // Closed while the command is still waited for.
    for socket in &mut open {
        let mut rest = Vec::new();
        // What had not been read when it closed makes it a reset.
        drop(soon("it is closed", socket.read_to_end(&mut rest)).await);
    }
    assert!(!request.is_finished(), "the command is waited for");
    let answer = soon("an answer", request).await.unwrap().unwrap();
    assert_eq!(answer.status(), 504);
    assert!(answer.json::<Value>().await.unwrap()["transferId"].is_string());
    let ended = soon("the end", process.end()).await;
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_database_no_longer_answers_ends_within_its_grace() {
    let mut server = Server::start();
    let site = Site::at(&server.database().await).await.set("SERVER_SHUTDOWN_GRACE", "2s");
    let process = Arc::new(site.start().await);
    server.stall();
    let stuck = Arc::clone(&process);
    let body = plain(site.call(), "Support Tier 2");
    let request = tokio::spawn(async move { stuck.submit(&body, &[]).await });

    process.signal("TERM").await;

    let answer = soon("an answer", request).await.unwrap();
    // It may have come before the signal, or not any more.
    assert!(answer.is_none_or(|answer| answer.status == 503));
    let process = Arc::into_inner(process).unwrap();
    assert_eq!(soon("the end", process.end()).await.status.code(), Some(0));
    assert_eq!(site.sandbox.commands().len(), 0);
    server.resume();
}
