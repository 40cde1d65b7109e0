//! Drains that stay when their queue is empty, over HTTP.

use std::collections::BTreeSet;

use genesys_transfer::{
    clock::{Clock as _, SystemClock},
    sandbox::{Sandbox, seed, world::Act},
};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::{NOBODY, assert_closed, crowd, drain, line, moved, moved_twice, waiting},
    books::{broken_promises, quiet},
    process::{Process, Site, until},
    service::{OBSERVATIONS, TestApp, send},
};

/// A time so many minutes from now.
fn in_minutes(minutes: i64) -> String {
    (SystemClock.now() + SignedDuration::from_mins(minutes)).to_string()
}

/// A standing drain of an hour, with more fields.
fn standing(more: Value) -> Value {
    let mut body = drain(more);
    if body["until"].is_null() {
        body["until"] = json!(in_minutes(60));
    }
    body
}

/// Waits until the call waits in the target queue.
async fn arrives(sandbox: &Sandbox, call: Uuid) {
    until(|| async { line(sandbox, seed::SUPPORT_TIER_2).contains(&call).then_some(()) }).await;
}

/// Waits for so many looks at the agents on queue.
async fn looks(app: &TestApp, count: usize) {
    let before = app.seen(OBSERVATIONS);
    until(|| async { (app.seen(OBSERVATIONS) >= before + count).then_some(()) }).await;
}

async fn stop(app: &TestApp, id: &str) -> Value {
    let answer = send(app.request(Method::DELETE, &format!("/batches/{id}"))).await;
    assert_eq!(answer.status, 202);
    app.finished(id).await
}

#[tokio::test]
async fn it_moves_who_waits_and_who_comes_and_stays_until_it_is_stopped() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 5);
    let body = standing(json!({}));
    let begun = app.post("/batches", &body).await;
    assert_eq!(begun.status, 202, "{}", begun.json());
    let begun = begun.json();
    assert_eq!((&begun["when"], &begun["undoes"]), (&json!("always"), &Value::Null));
    let until: Timestamp = begun["until"].as_str().unwrap().parse().unwrap();
    let asked: Timestamp = body["until"].as_str().unwrap().parse().unwrap();
    assert_eq!(until.as_millisecond(), asked.as_millisecond());
    let id = begun["id"].as_str().unwrap();
    arrives(app.sandbox(), calls[4]).await;
    let newcomer = waiting(app.sandbox(), 0);

    arrives(app.sandbox(), newcomer).await;

    let batch = app.batch(id).await;
    assert_eq!((&batch["status"], &batch["total"]), (&json!("running"), &json!(6)));
    let batch = stop(&app, id).await;
    assert_eq!((&batch["status"], moved(&batch)), (&json!("cancelled"), 6));
    assert_eq!(batch["stillWaiting"], 0);
    let late = waiting(app.sandbox(), 0);
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), [late]);
    assert_eq!(moved_twice(app.sandbox()), NOBODY);
}

#[tokio::test]
async fn it_ends_when_its_time_is_over() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 1);
    let end = (SystemClock.now() + SignedDuration::from_secs(5)).to_string();
    let id = app.begin(&standing(json!({"until": end}))).await;
    let batch = app.finished(&id).await;
    assert_eq!((&batch["status"], moved(&batch)), (&json!("completed"), 1));
    assert!(batch["finishedAt"].as_str().unwrap() >= &end[..19], "{batch}");
}

#[tokio::test]
async fn a_limit_ends_it() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 5);
    let batch = app.carried_out(&standing(json!({"limit": 3}))).await;
    assert_eq!((&batch["status"], moved(&batch)), (&json!("completed"), 3));
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), calls[3..]);
    assert_eq!(batch["stillWaiting"], 2);
}

#[tokio::test]
async fn what_it_cannot_be_is_refused() {
    let app = TestApp::start().await;
    for (more, pointer) in [
        (json!({"until": in_minutes(24 * 60 + 1)}), "/until"),
        (json!({"until": in_minutes(-1)}), "/until"),
        (json!({"until": "tomorrow"}), "/until"),
        (json!({"when": "nobody_on_queue"}), "/when"),
        (json!({"keepPlace": "order", "priority": 3}), "/priority"),
        (json!({"minWaitedMinutes": -1}), "/minWaitedMinutes"),
    ] {
        let answer = app.post("/batches", &drain(more.clone())).await;
        assert_eq!(answer.outcome(), (422, "invalid_request".to_owned()), "{more}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn one_stands_at_a_queue_and_the_other_is_named() {
    let app = TestApp::start().await;
    let id = app.begin(&standing(json!({}))).await;
    let back = json!({"fromQueueName": "Support Tier 2", "toQueueName": "Support Tier 1"});
    for other in [standing(json!({"toQueueName": "Sales"})), standing(json!({})), back] {
        let refused = app.post("/batches", &other).await;
        assert_eq!(refused.outcome(), (409, "drain_loop".to_owned()), "{other}");
        assert_eq!(refused.json()["batchId"], json!(id));
    }
    let beside = app.carried_out(&drain(json!({}))).await;
    assert_eq!(beside["status"], "completed");
    stop(&app, &id).await;
    let again = app.begin(&standing(json!({"toQueueName": "Sales"}))).await;
    stop(&app, &again).await;
}

#[tokio::test]
async fn it_moves_only_while_no_agent_is_on_queue() {
    let app = TestApp::start().await;
    let agents = |count| {
        let set = |state: &mut genesys_transfer::sandbox::State| {
            state.world.set_joined(seed::SUPPORT_TIER_1, count).unwrap();
        };
        app.sandbox().with(set);
    };
    agents(2);
    let calls = crowd(app.sandbox(), 2);
    let id = app.begin(&standing(json!({"when": "nobody_on_queue"}))).await;
    looks(&app, 3).await;
    assert_eq!((app.moves(), &app.batch(&id).await["total"]), (0, &json!(0)));

    agents(0);

    arrives(app.sandbox(), calls[1]).await;
    agents(1);
    looks(&app, 3).await;
    let stays = waiting(app.sandbox(), 0);
    looks(&app, 2).await;
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), [stays]);
    let batch = stop(&app, &id).await;
    assert_eq!((moved(&batch), &batch["stillWaiting"]), (2, &json!(1)));
}

#[tokio::test]
async fn a_plan_shows_who_waits_now_and_starts_it() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 3);
    let mut body = standing(json!({}));
    body["dryRun"] = json!(true);
    let plan = app.post("/batches", &body).await.json();
    assert_eq!((&plan["total"], plan["items"].as_array().unwrap().len()), (&json!(3), 3));
    let newcomer = waiting(app.sandbox(), 0);

    let id = app.begin(&json!({"planId": plan["planId"]})).await;

    arrives(app.sandbox(), calls[2]).await;
    arrives(app.sandbox(), newcomer).await;
    let batch = app.batch(&id).await;
    assert_eq!((&batch["status"], &batch["until"]), (&json!("running"), &batch["until"]));
    assert!(batch["until"].is_string());
    stop(&app, &id).await;
}

async fn begin(site: &Site, process: &Process, body: &Value) -> String {
    let url = format!("http://{}/batches", process.address);
    let answer = site.ask(site.http().request(Method::POST, url).json(body)).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// It goes on after the first process died, in `next`.
async fn goes_on(site: &Site, id: &str, next: &Process) {
    let newcomers: Vec<Uuid> = (0..3).map(|_| waiting(&site.sandbox, 0)).collect();
    for call in newcomers {
        arrives(&site.sandbox, call).await;
    }
    let batch = next.get(&format!("/batches/{id}")).await.json();
    assert_eq!(batch["status"], "running");
    let url = format!("http://{}/batches/{id}", next.address);
    site.ask(site.http().request(Method::DELETE, url)).await.unwrap();
    let batch = until(|| async {
        let batch = next.get(&format!("/batches/{id}")).await.json();
        (!batch["finishedAt"].is_null()).then_some(batch)
    })
    .await;
    assert_closed(&batch);
    quiet(&site.sandbox).await;
    assert_eq!(moved_twice(&site.sandbox), NOBODY);
    let broken = broken_promises(&site.sandbox, &next.transfers().await, &BTreeSet::new());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_kill_9() {
    let site = Site::sqlite().await;
    crowd(&site.sandbox, 40);
    let process = site.start().await;
    let id = begin(&site, &process, &standing(json!({}))).await;
    site.sandbox.moves_reach(10).await;
    process.kill().await;
    let answered = line(&site.sandbox, seed::SUPPORT_TIER_1).last().copied();
    if let Some(call) = answered {
        let _ = site.sandbox.act(call, Act::Answer);
    }

    let process = site.start().await;

    goes_on(&site, &id, &process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_it_over() {
    let site = Site::postgres().await.set("STORE_LEASE", "4s");
    crowd(&site.sandbox, 40);
    let (one, two) = (site.start().await, site.start().await);
    let id = begin(&site, &one, &standing(json!({}))).await;
    site.sandbox.moves_reach(10).await;

    one.kill().await;

    goes_on(&site, &id, &two).await;
}

#[tokio::test]
async fn one_that_cannot_see_agents_says_so_and_moves_nothing() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 2);
    app.answers("POST", OBSERVATIONS, 100, 400);
    let id = app.begin(&standing(json!({"when": "nobody_on_queue"}))).await;

    let batch = until(|| async {
        let batch = app.batch(&id).await;
        let codes = batch["warnings"].as_array().unwrap().iter();
        let is_told = codes.clone().any(|warning| warning["code"] == "agents_unknown");
        is_told.then_some(batch)
    })
    .await;

    assert_eq!((moved(&batch), &batch["status"]), (0, &json!("running")));
    assert_eq!(app.commands(), 0);
}
