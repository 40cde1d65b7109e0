//! `transfers.confirm = always`: every accepted call is looked for in its queue, also by the process
//! that comes after one that died.

use std::sync::Arc;

use genesys_transfer::sandbox::{
    faults::{Fault, FaultOrder, StatusAnswer},
    seed,
};
use serde_json::{Value, json};

use crate::support::{
    process::{Process, Site, until},
    service::{CONVERSATION, TestApp, plain},
};

const ALWAYS: (&str, &str) = ("TRANSFERS_CONFIRM", "always");

/// The one transfer there is, once it is confirmed.
async fn confirmed(process: &Process) -> Value {
    until(|| async {
        let transfers = process.transfers().await;
        assert_eq!(transfers.len(), 1);
        transfers.into_iter().find(|one| one["status"] == "confirmed")
    })
    .await
}

/// A call that was accepted, and not seen when its process was killed.
async fn is_looked_for_after_a_kill(site: Site) {
    let site = site.set(ALWAYS.0, ALWAYS.1);
    let process = site.start().await;
    let blind = Fault::Status(StatusAnswer::new(503));
    // The look before the command is answered.
    let order = FaultOrder::next("GET", CONVERSATION, blind).after(1).forever();
    site.sandbox.order(order).unwrap();
    let answer = process.submit(&plain(site.call(), "Support Tier 2"), &[]).await.unwrap();
    assert_eq!(answer.json()["status"], "accepted");
    process.kill().await;
    site.sandbox.with(|state| state.faults.clear());

    let process = site.start().await;

    let found = confirmed(&process).await;
    assert_eq!(found["id"], answer.json()["id"]);
    assert_eq!(site.sandbox.commands().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_not_seen_is_looked_for_after_a_kill_on_sqlite() {
    is_looked_for_after_a_kill(Site::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_not_seen_is_looked_for_after_a_kill_on_postgresql() {
    is_looked_for_after_a_kill(Site::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_when_its_process_was_killed_is_confirmed_too() {
    let site = Arc::new(Site::sqlite().await.set(ALWAYS.0, ALWAYS.1));
    site.spoil(1, Fault::Hang { apply: true });
    let process = Arc::new(site.start().await);
    let body = plain(site.call(), "Support Tier 2");
    let (sender, asked) = (Arc::clone(&process), body.clone());
    let cut = tokio::spawn(async move { sender.submit(&asked, &[]).await.is_none() });
    site.sandbox.moves_reach(1).await;
    process.signal("KILL").await;
    assert!(cut.await.unwrap(), "its caller heard nothing");

    let process = site.start().await;

    confirmed(&process).await;
    assert_eq!(site.sandbox.commands().len(), 1);
}

#[tokio::test]
async fn a_caller_who_did_not_wait_long_enough_sees_the_confirmation_later() {
    let app = TestApp::with(&[ALWAYS, ("SANDBOX_EFFECT_DELAY", "300ms")]).await;
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let answer = app.submit_with(&body, "Prefer", "wait=0").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (201, &json!("accepted")));
    let path = answer.header("location").unwrap().to_owned();
    until(|| async { (app.get(&path).await.json()["status"] == "confirmed").then_some(()) }).await;
}
