//! Batches outlive the processes that work through them.

use std::{collections::BTreeSet, time::Duration};

use genesys_transfer::sandbox::{
    faults::{Fault, FaultOrder, StatusAnswer},
    seed,
    world::{Act, Staleness},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::crowds::assert_same_order;
use crate::support::{
    batches::{NOBODY, assert_closed, crowd, drain, line, moved, moved_twice},
    books::{broken_promises, quiet, uuid},
    process::{Process, Site, until},
    service::REPLACE,
};

/// Begins a drain; its id.
async fn begin(site: &Site, process: &Process) -> String {
    let url = format!("http://{}/batches", process.address);
    let request = site.http().request(Method::POST, url).json(&drain(json!({})));
    let answer = site.ask(request.header("idempotency-key", "k")).await.expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// The batch once it is finished and everything is settled. Of a call that was about to be sent
/// when its process died it cannot be known whether it was; its customer hangs up.
async fn finished(site: &Site, process: &Process, id: &str) -> Value {
    let look = || async { process.get(&format!("/batches/{id}")).await.json() };
    until(|| async { (!look().await["finishedAt"].is_null()).then_some(()) }).await;
    quiet(&site.sandbox).await;
    for transfer in process.transfers().await {
        if transfer["status"] == "unknown" {
            let _ = site.sandbox.act(uuid(&transfer["conversationId"]), Act::HangUp);
        }
    }
    let batch = until(|| async {
        let batch = look().await;
        (batch["counts"]["unknown"] == 0).then_some(batch)
    })
    .await;
    assert_closed(&batch);
    batch
}

/// Fails unless every call moved at most once and the service's books agree with the ledger.
async fn assert_true(site: &Site, process: &Process, batch: &Value) {
    quiet(&site.sandbox).await;
    assert_eq!(moved_twice(&site.sandbox), NOBODY);
    let transfers = process.transfers().await;
    let broken = broken_promises(&site.sandbox, &transfers, &BTreeSet::new());
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(moved(batch), site.sandbox.moves().len() as u64, "{batch}");
}

/// Rows that lag and some that stay for ever, and too many requests now and then.
fn misbehave(site: &Site) {
    site.sandbox.with(|state| {
        state.world.staleness = Staleness { lag: Duration::from_millis(300), ghost_every: 60 };
    });
    let enough = StatusAnswer { retry_after: Some("1".to_owned()), ..StatusAnswer::new(429) };
    let order = FaultOrder::next("POST", REPLACE, Fault::Status(enough));
    site.sandbox.order(order.every(83).times(3)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_goes_on_after_kill_9() {
    let site = Site::sqlite().await;
    let calls = crowd(&site.sandbox, 300);
    misbehave(&site);
    let mut process = site.start().await;
    let id = begin(&site, &process).await;
    for (moves, gone, answered) in [(40, 200, 201), (90, 210, 211), (150, 220, 221)] {
        site.sandbox.moves_reach(moves).await;
        process.kill().await;
        let _ = site.sandbox.act(calls[gone], Act::HangUp);
        let _ = site.sandbox.act(calls[answered], Act::Answer);
        process = site.start().await;
    }

    let batch = finished(&site, &process, &id).await;

    assert_eq!((&batch["total"], &batch["status"]), (&json!(300), &json!("completed")));
    assert_true(&site, &process, &batch).await;
    assert_eq!(line(&site.sandbox, seed::SUPPORT_TIER_1), NOBODY);
    assert_same_order(&calls, &line(&site.sandbox, seed::SUPPORT_TIER_2));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_a_drain_over() {
    let site = Site::postgres().await.set("STORE_LEASE", "4s");
    let calls = crowd(&site.sandbox, 300);
    let (one, two) = (site.start().await, site.start().await);
    let id = begin(&site, &one).await;
    site.sandbox.moves_reach(50).await;
    let seen = two.get(&format!("/batches/{id}")).await.json();
    assert_eq!((&seen["status"], &seen["total"]), (&json!("running"), &json!(300)));

    one.kill().await;

    let batch = finished(&site, &two, &id).await;
    assert_eq!((&batch["total"], &batch["status"]), (&json!(300), &json!("completed")));
    assert_true(&site, &two, &batch).await;
    assert_same_order(&calls, &line(&site.sandbox, seed::SUPPORT_TIER_2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_at_one_replica_stops_the_runner_at_the_other() {
    let site = Site::postgres().await;
    crowd(&site.sandbox, 300);
    let (one, two) = (site.start().await, site.start().await);
    let id = begin(&site, &one).await;
    site.sandbox.moves_reach(20).await;

    let url = format!("http://{}/batches/{id}", two.address);
    let answer = site.ask(site.http().request(Method::DELETE, url)).await.unwrap();

    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("cancelled")));
    let taken = 300 - answer.json()["counts"]["pending"].as_u64().unwrap();
    let batch = finished(&site, &two, &id).await;
    assert_true(&site, &two, &batch).await;
    assert!(moved(&batch) <= taken + 8, "{taken} were taken, then: {batch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_was_shut_down_goes_on_at_once() {
    let site = Site::sqlite().await;
    crowd(&site.sandbox, 120);
    let process = site.start().await;
    let id = begin(&site, &process).await;
    site.sandbox.moves_reach(20).await;
    process.signal("TERM").await;
    let ended = process.end().await;
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.log);

    let process = site.start().await;

    let batch = finished(&site, &process, &id).await;
    assert_eq!(moved(&batch), 120);
    assert_true(&site, &process, &batch).await;
}
