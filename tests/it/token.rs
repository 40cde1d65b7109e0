//! The one access token that all requests share.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use genesys_transfer::{
    clock::{Clock as _, ManualClock, SystemClock},
    sandbox::{
        Options, Sandbox,
        faults::{Fault, StatusAnswer},
    },
};
use jiff::SignedDuration;
use tokio::net::TcpListener;

use crate::support::{
    frozen::Frozen,
    held::{hold, let_go},
    service::{
        CONVERSATION, QUEUES, REPLACE, TOKEN, TestApp, lone_sandbox, lone_sandbox_with, soon,
    },
};

/// Statuses of `count` transfers of different calls at the same moment.
async fn transfers(app: &TestApp, count: usize) -> BTreeSet<u16> {
    let calls: Vec<_> = (0..count).map(|_| app.fresh_call()).collect();
    let answers = calls.into_iter().map(|call| app.transfer(call, "Support Tier 2"));
    join_all(answers).await.iter().map(|answer| answer.status.as_u16()).collect()
}

#[tokio::test]
async fn a_hundred_cold_transfers_cost_one_token_and_one_queue_list() {
    let sandbox = lone_sandbox().await;
    let held = hold(&sandbox, "POST", TOKEN);
    let app = TestApp::beside(&sandbox, &[("GENESYS_TOKEN_TIMEOUT", "2m")]).await;
    let all_there = async {
        let in_flight = "\ngenesys_transfer_http_requests_in_flight 101\n";
        let holds = async |text| {
            let metrics = app.get("/metrics").await;
            String::from_utf8(metrics.body).unwrap().contains(text)
        };
        soon("100 requests in hand", async { while !holds(in_flight).await {} }).await;
        let_go(&sandbox, held);
    };
    let (statuses, ()) = tokio::join!(transfers(&app, 100), all_there);
    assert_eq!(statuses, [201].into());
    assert_eq!((app.seen(TOKEN), app.seen(QUEUES)), (1, 1));
    assert_eq!((app.commands(), app.moves()), (100, 100));
}

#[tokio::test]
async fn a_token_revoked_under_fifty_transfers_is_replaced_once_and_all_succeed() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.sandbox().with(|state| state.ledger.clear());
    app.sandbox().revoke_tokens();
    let statuses = transfers(&app, 50).await;
    assert_eq!(statuses, [201].into());
    assert_eq!((app.seen(TOKEN), app.commands(), app.moves()), (1, 50, 50));
}

#[tokio::test]
async fn a_token_revoked_between_look_and_command_costs_one_command_that_did_nothing() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.fault("POST", REPLACE, 1, Fault::RevokeTokens);
    let answer = app.transfer(app.fresh_call(), "Support Tier 2").await;
    assert_eq!(answer.status, 201);
    assert_eq!((app.seen(TOKEN), app.commands(), app.moves()), (2, 2, 1));
}

#[tokio::test]
async fn a_second_401_ends_the_request_and_does_not_ask_for_ever_more_tokens() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.sandbox().with(|state| state.ledger.clear());
    app.fault("GET", CONVERSATION, 1_000, Fault::Status(StatusAnswer::new(401)));
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(app.transfer(app.fresh_call(), "Support Tier 2").await.outcome());
    }
    assert!(outcomes.iter().all(|it| *it == (502, "genesys_credentials_rejected".to_owned())));
    // The first asks twice, with one token more; no other request tries a third.
    assert_eq!((app.seen(TOKEN), app.seen("/conversations/"), app.commands()), (1, 6, 0));
}

#[tokio::test]
async fn a_wrong_secret_is_told_and_tried_once_however_many_ask() {
    let options = Options { client_secret: "another".to_owned(), ..Options::default() };
    let sandbox = lone_sandbox_with(options).await;
    let client = [("GENESYS_CLIENT_ID", "sandbox"), ("GENESYS_CLIENT_SECRET", "not-this-one")];
    let app = TestApp::beside(&sandbox, &client).await;
    let statuses = transfers(&app, 20).await;
    let again = app.transfer(app.fresh_call(), "Support Tier 2").await;
    assert_eq!(statuses, [502].into());
    assert_eq!(again.outcome(), (502, "genesys_credentials_rejected".to_owned()));
    assert!(!String::from_utf8(again.body).unwrap().contains("not-this-one"));
    assert_eq!(app.sandbox().requests().len(), 1);
}

#[tokio::test]
async fn without_a_token_the_service_is_not_ready_and_says_why() {
    let options = Options { client_secret: "another".to_owned(), ..Options::default() };
    let sandbox = lone_sandbox_with(options).await;
    let app = TestApp::beside(&sandbox, &[]).await;
    app.get("/queues").await;
    let ready = app.get("/health/ready").await;
    assert_eq!(ready.outcome(), (503, "not_ready".to_owned()));
    assert!(ready.json()["reasons"].to_string().contains("token"), "{ready:?}");
}

/// Answers a transfer by a service whose key is `key`, to a Genesys that knows `public`.
async fn with_keys(key: &str, public: &str) -> (u16, String) {
    let options = Options { client_key: Some(public.to_owned()), ..Options::default() };
    let sandbox = lone_sandbox_with(options).await;
    let client = [("GENESYS_CLIENT_ID", "sandbox"), ("GENESYS_PRIVATE_KEY", key)];
    let app = TestApp::beside(&sandbox, &client).await;
    app.transfer(app.fresh_call(), "Support Tier 2").await.outcome()
}

const RSA: [&str; 2] = [
    include_str!("../../src/genesys/credentials/keys/rsa.pem"),
    include_str!("../../src/genesys/credentials/keys/rsa.pub.pem"),
];
const EC: [&str; 2] = [
    include_str!("../../src/genesys/credentials/keys/ec.pem"),
    include_str!("../../src/genesys/credentials/keys/ec.pub.pem"),
];

#[tokio::test]
async fn an_assertion_signed_with_either_kind_of_key_gets_a_token() {
    for [key, public] in [RSA, EC] {
        assert_eq!(with_keys(key, public).await, (201, String::new()));
    }
}

#[tokio::test]
async fn an_assertion_signed_with_another_key_is_told_as_rejected_credentials() {
    for (key, public) in [(RSA[0], EC[1]), (EC[0], RSA[1])] {
        let outcome = with_keys(key, public).await;
        assert_eq!(outcome, (502, "genesys_credentials_rejected".to_owned()));
    }
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends_and_nobody_sees_a_401() {
    let options = Options { token_lifetime: Duration::from_mins(10), ..Options::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let genesys_clock = Arc::new(ManualClock::new(SystemClock.now()));
    let sandbox = Sandbox::start(listener, options, Arc::clone(&genesys_clock) as _).unwrap();
    let sandbox = Arc::new(sandbox);
    let app = TestApp::beside(&sandbox, &[("GENESYS_QUEUE_CACHE_TTL", "24h")]).await;
    app.get("/queues").await;
    let clock = Frozen::now();
    for tokens in 1..=3 {
        assert_eq!((app.seen(TOKEN), app.seen(QUEUES)), (tokens, 1));
        assert_eq!(transfers(&app, 5).await, [201].into());
        let before = sandbox.with(|state| state.ledger.totals().finished);
        // A moment before its end; no request is made.
        let time = Duration::from_secs(599);
        genesys_clock.advance(SignedDuration::try_from(time).unwrap());
        clock.passes(time).await;
        let refreshed = sandbox.ledger_reaches(|totals| totals.finished > before);
        soon("another token", refreshed).await;
    }
    assert!(sandbox.requests().iter().all(|request| request.status != Some(401)));
}
