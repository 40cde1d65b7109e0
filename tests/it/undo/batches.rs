//! Undo of batches.

use std::collections::{BTreeMap, BTreeSet};

use genesys_transfer::sandbox::{Sandbox, seed, world::Act};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::undo;
use crate::support::{
    batches::{NOBODY, assert_closed, crowd, drain, line, moved},
    books::{broken_promises, commands_by_conversation, quiet, uuid},
    held::{hold_command, let_go},
    keys::entry,
    process::{Process, Site, until},
    service::{Answer, TestApp, send},
};

fn path_of(batch: &Value) -> String {
    format!("/batches/{}/undo", batch["id"].as_str().unwrap())
}

async fn undo_batch(app: &TestApp, batch: &Value) -> Answer {
    app.post(&path_of(batch), &json!({})).await
}

/// The undo of the batch, once it is finished.
async fn undone(app: &TestApp, batch: &Value) -> Value {
    let answer = undo_batch(app, batch).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    app.finished(answer.json()["id"].as_str().unwrap()).await
}

fn impossible() -> (u16, String) {
    (409, "undo_impossible".to_owned())
}

/// Calls that more than `most` commands were sent for, or that moved more often.
fn moved_more_often(sandbox: &Sandbox, most: usize) -> Vec<Uuid> {
    let mut moves: BTreeMap<Uuid, usize> = BTreeMap::new();
    for entry in sandbox.moves() {
        *moves.entry(entry.conversation_id).or_default() += 1;
    }
    let commands = commands_by_conversation(sandbox).into_iter();
    let commands = commands.map(|(id, commands)| (id, commands.len()));
    let often = moves.into_iter().chain(commands).filter(|(_, count)| *count > most);
    often.map(|(id, _)| id).collect()
}

#[tokio::test]
async fn the_order_after_the_undo_is_the_order_before_the_drain() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 40);
    let first = app.carried_out(&drain(json!({"reference": "CASE-1"}))).await;
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), NOBODY);

    let body = json!({"reason": "the outage is over"});
    let answer = app.post(&path_of(&first), &body).await;

    let started = answer.json();
    assert_eq!((answer.status.as_u16(), &started["kind"]), (202, &json!("undo")));
    assert_eq!((&started["undoes"], &started["total"]), (&first["id"], &json!(40)));
    let batch = app.finished(started["id"].as_str().unwrap()).await;
    assert_eq!((moved(&batch), &batch["reason"]), (40, &body["reason"]));
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), calls);
    let transfer = app.transfer_of(calls[0]).await;
    assert_eq!((&transfer["batchId"], &transfer["reason"]), (&batch["id"], &body["reason"]));
    assert!(transfer["undoes"].is_string(), "{transfer}");
    let back: Vec<Uuid> = app.sandbox().moves()[40..].iter().map(|it| it.conversation_id).collect();
    assert_eq!(back, calls, "longest wait first");
    let text = app
        .ask(
            Method::GET,
            &format!("/batches/{}", batch["id"].as_str().unwrap()),
            ("accept", "text/plain"),
        )
        .await;
    assert!(String::from_utf8(text.body).unwrap().contains("undo"));
}

#[tokio::test]
async fn who_went_on_is_left_alone_and_the_books_close() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 30);
    let batch = app.carried_out(&drain(json!({}))).await;
    for (n, call) in calls.iter().enumerate() {
        match n % 6 {
            0 => app.sandbox().act(*call, Act::Answer).unwrap(),
            1 => app.sandbox().act(*call, Act::HangUp).unwrap(),
            2 => assert_eq!(app.transfer(*call, "Sales").await.status, 201),
            _ => {}
        }
    }
    app.sandbox().act(calls[3], Act::Ring).unwrap();

    let back = undone(&app, &batch).await;

    assert_eq!(
        (moved(&back), &back["counts"]["skipped"], &back["total"]),
        (14, &json!(16), &json!(30))
    );
    let reasons = json!({"conversation_answered": 5, "conversation_ended": 5, "conversation_moved": 5, "conversation_ringing": 1});
    assert_eq!(back["reasons"], reasons);
    let left: Vec<Uuid> = (0..30).filter(|n| n % 6 > 2 && *n != 3).map(|n| calls[n]).collect();
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), left);
    // What was skipped can be undone by itself.
    app.sandbox().act(calls[3], Act::RingOut).unwrap();
    let skipped = app.listed(&format!("?conversationId={}", calls[3])).await.pop().unwrap();
    assert_eq!(undo(&app, &skipped).await.status, 201);
}

#[tokio::test]
async fn a_batch_is_undone_once_and_its_calls_too() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 4);
    let batch = app.carried_out(&drain(json!({}))).await;
    let first_moved = app.transfer_of(calls[0]).await;
    let back = undone(&app, &batch).await;
    for (again, named) in [(&batch, &back["id"]), (&back, &json!(null))] {
        for body in [json!({}), json!({"dryRun": true})] {
            let answer = app.post(&path_of(again), &body).await;
            app.assert_problem(&answer, 409, "undo_impossible").await;
            assert_eq!(&answer.json()["batchId"], named);
        }
    }
    let single = undo(&app, &first_moved).await;
    assert_eq!(single.outcome(), impossible());
    assert_eq!(single.json()["transferId"], app.transfer_of(calls[0]).await["id"]);
    assert_eq!(moved_more_often(app.sandbox(), 2), NOBODY);
}

#[tokio::test]
async fn a_call_that_was_undone_by_itself_is_not_moved_again() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 3);
    let batch = app.carried_out(&drain(json!({}))).await;
    assert_eq!(undo(&app, &app.transfer_of(calls[1]).await).await.status, 201);
    let back = undone(&app, &batch).await;
    assert_eq!((moved(&back), &back["counts"]["skipped"]), (2, &json!(1)));
    // Two undos that do not know of each other: the odd seconds may tell in their order.
    let waiting: BTreeSet<Uuid> = line(app.sandbox(), seed::SUPPORT_TIER_1).into_iter().collect();
    assert_eq!(waiting, calls.into_iter().collect());
    assert_eq!(moved_more_often(app.sandbox(), 2), NOBODY);
}

#[tokio::test]
async fn a_running_batch_is_not_undone_and_a_cancelled_one_is() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 20);
    let held = hold_command(app.sandbox());
    let id = app.begin(&drain(json!({}))).await;
    app.commands_reach(1).await;
    let batch = json!({"id": id});
    assert_eq!(undo_batch(&app, &batch).await.outcome(), impossible());
    send(app.request(Method::DELETE, &format!("/batches/{id}"))).await;
    assert_eq!(undo_batch(&app, &batch).await.outcome(), impossible(), "not all is settled");
    let_go(app.sandbox(), held);
    let cancelled = app.finished(&id).await;
    let back = undone(&app, &batch).await;
    assert_eq!(back["total"].as_u64(), Some(moved(&cancelled)));
    let all = line(app.sandbox(), seed::SUPPORT_TIER_1);
    assert_eq!(all.len(), 20);
    // Priority gives back whole minutes: those that never moved may be ahead by the odd seconds.
    let count = usize::try_from(moved(&cancelled)).unwrap();
    let returned: Vec<Uuid> = all.into_iter().filter(|it| calls[..count].contains(it)).collect();
    assert_eq!(returned, calls[..count]);
}

#[tokio::test]
async fn an_undo_may_be_stopped_and_one_with_nothing_to_put_back_is_done_at_once() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 20);
    let batch = app.carried_out(&drain(json!({}))).await;
    let held = hold_command(app.sandbox());
    let id = undo_batch(&app, &batch).await.json()["id"].as_str().unwrap().to_owned();
    app.commands_reach(21).await;
    send(app.request(Method::DELETE, &format!("/batches/{id}"))).await;
    let_go(app.sandbox(), held);
    let back = app.finished(&id).await;
    assert!(moved(&back) >= 1 && back["reasons"]["cancelled"].is_u64(), "{back}");

    let list = json!({"transfers": [{"conversationId": seed::IVR_CALL, "queueName": "Sales"}]});
    let list = app.carried_out(&list).await;
    let back = undo_batch(&app, &list).await;
    assert_eq!((back.status.as_u16(), &back.json()["total"]), (202, &json!(0)));
    assert_eq!(back.json()["status"], "completed");
}

#[tokio::test]
async fn a_dry_run_shows_who_would_go_back_and_its_plan_carries_it_out() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 5);
    let batch = app.carried_out(&drain(json!({}))).await;
    let plan = app.post(&path_of(&batch), &json!({"dryRun": true})).await;
    let shown = plan.json();
    assert_eq!((plan.status.as_u16(), &shown["total"]), (200, &json!(5)));
    assert_eq!(
        (&shown["from"]["name"], &shown["to"]["name"]),
        (&json!("Support Tier 2"), &json!("Support Tier 1"))
    );
    let listed: Vec<Uuid> =
        shown["items"].as_array().unwrap().iter().map(|it| uuid(&it["conversationId"])).collect();
    assert_eq!(listed, calls);
    assert!(shown["items"][0]["newPriority"].as_i64().unwrap() >= 1, "{shown}");
    assert_eq!(app.moves(), 5);

    let planned = json!({"planId": shown["planId"]});
    let back = app.carried_out(&planned).await;

    assert_eq!((moved(&back), &back["undoes"]), (5, &batch["id"]));
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), calls);
    let again = app.post("/batches", &planned).await;
    assert_eq!(again.status, 409, "{}", again.json());
}

#[tokio::test]
async fn the_same_key_replays_the_undo_of_a_batch() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 2);
    let batch = app.carried_out(&drain(json!({}))).await;
    let keyed = async || {
        let request = app.request(Method::POST, &path_of(&batch)).json(&json!({}));
        send(request.header("idempotency-key", "b-1")).await
    };
    let (first, again) = (keyed().await, keyed().await);
    assert_eq!((first.status.as_u16(), &first.body), (202, &again.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    app.finished(first.json()["id"].as_str().unwrap()).await;
    assert_eq!(moved_more_often(app.sandbox(), 2), NOBODY);
}

#[tokio::test]
async fn the_undo_of_a_batch_needs_its_permission_its_queues_and_the_batch_in_sight() {
    let all = ["transfers:write", "transfers:read", "batches:write"];
    let keys = json!([
        entry("crm", &all, &["*"]),
        entry("other", &all, &["*"]),
        entry("single", &["transfers:write", "transfers:read"], &["*"]),
        entry("ops", &["admin"], &[]),
    ]);
    let narrowed = json!([entry("crm", &all, &["Support Tier 2"]), entry("ops", &["admin"], &[])]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), keys.to_string()).unwrap();
    let app = TestApp::with(&[
        ("AUTH_MODE", "required"),
        ("AUTH_API_KEYS_FILE", file.path().to_str().unwrap()),
    ])
    .await;
    crowd(app.sandbox(), 2);
    let batch = app.post_as("crm", "/batches", &drain(json!({}))).await.json();
    let path = path_of(&batch);
    until(|| async {
        let id = batch["id"].as_str().unwrap();
        let now = app.get_as("crm", &format!("/batches/{id}")).await.json();
        (!now["finishedAt"].is_null()).then_some(())
    })
    .await;
    for (caller, status, code) in [("other", 404, "not_found"), ("single", 403, "not_permitted")] {
        let answer = app.post_as(caller, &path, &json!({})).await;
        assert_eq!(answer.outcome(), (status, code.to_owned()), "{caller}");
    }
    // The caller's queues were taken away.
    std::fs::write(file.path(), narrowed.to_string()).unwrap();
    let refused = (403, "queue_not_permitted".to_owned());
    until(|| async {
        let answer = app.post_as("crm", &path, &json!({"dryRun": true})).await;
        (answer.outcome() == refused).then_some(())
    })
    .await;
    assert_eq!(app.post_as("crm", &path, &json!({})).await.outcome(), refused);
    let none = send(app.request(Method::POST, &path).bearer_auth("ops")).await;
    assert_eq!(none.outcome(), (415, "unsupported_media_type".to_owned()));
    assert_eq!(app.post_as("ops", &path, &json!({})).await.status, 202);
}

async fn begin(site: &Site, process: &Process, path: &str, body: &Value) -> Answer {
    let url = format!("http://{}{path}", process.address);
    site.ask(site.http().post(url).json(body)).await.expect("an answer")
}

async fn finished(process: &Process, id: &Value) -> Value {
    let path = format!("/batches/{}", id.as_str().unwrap());
    let batch = until(|| async {
        let batch = process.get(&path).await.json();
        (!batch["finishedAt"].is_null()).then_some(batch)
    })
    .await;
    assert_closed(&batch);
    batch
}

/// Fails unless every call was moved away and back once at most, and the books agree.
async fn assert_true(site: &Site, process: &Process) {
    quiet(&site.sandbox).await;
    assert_eq!(moved_more_often(&site.sandbox, 2), NOBODY);
    let transfers = process.transfers().await;
    let mut broken = broken_promises(&site.sandbox, &transfers, &BTreeSet::new());
    // One away and one back are no duplicates; more would have shown above.
    broken.retain(|line| !line.starts_with("duplicate"));
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_goes_on_after_kill_9() {
    let site = Site::sqlite().await;
    let calls = crowd(&site.sandbox, 60);
    let mut process = site.start().await;
    let batch = begin(&site, &process, "/batches", &drain(json!({}))).await.json();
    assert_eq!(moved(&finished(&process, &batch["id"]).await), 60);
    let back = begin(&site, &process, &path_of(&batch), &json!({})).await.json();
    let mut answered = BTreeSet::new();
    for (moves, gone) in [(70, 40), (90, 50)] {
        site.sandbox.moves_reach(moves).await;
        process.kill().await;
        if site.sandbox.act(calls[gone], Act::Answer).is_ok() {
            answered.insert(calls[gone]);
        }
        process = site.start().await;
    }

    let batch = finished(&process, &back["id"]).await;

    // Of what was about to be sent when its process died, nothing certain can be said.
    let unknown = batch["counts"]["unknown"].as_u64().unwrap();
    assert!(unknown <= 16, "{batch}");
    assert_eq!((&batch["total"], &batch["status"]), (&json!(60), &json!("completed")));
    assert_true(&site, &process).await;
    let after = line(&site.sandbox, seed::SUPPORT_TIER_1);
    let before: Vec<Uuid> = calls.iter().copied().filter(|call| after.contains(call)).collect();
    assert_eq!(after, before, "in the order they stood");
    assert!(after.len() as u64 + unknown + 2 >= 60, "{batch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_undo_a_batch_once() {
    let site = Site::postgres().await;
    let calls = crowd(&site.sandbox, 20);
    let (one, two) = (site.start().await, site.start().await);
    let batch = begin(&site, &one, "/batches", &drain(json!({}))).await.json();
    finished(&one, &batch["id"]).await;
    let (path, body) = (path_of(&batch), json!({}));
    let asks =
        [&one, &two, &one, &two, &one, &two].map(|process| begin(&site, process, &path, &body));
    let answers = futures_util::future::join_all(asks).await;
    let begun: Vec<Value> =
        answers.iter().filter(|it| it.status == 202).map(Answer::json).collect();
    assert_eq!(begun.len(), 1);
    let refused = answers.iter().filter(|it| it.status != 202);
    assert!(refused.clone().all(|it| it.outcome() == impossible()));
    assert!(refused.clone().all(|it| it.json()["batchId"] == begun[0]["id"]));
    finished(&two, &begun[0]["id"]).await;
    assert_true(&site, &one).await;
    assert_eq!(line(&site.sandbox, seed::SUPPORT_TIER_1), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_undo_a_transfer_once() {
    let site = Site::postgres().await;
    let (one, two) = (site.start().await, site.start().await);
    for _ in 0..5 {
        let call = site.call();
        let body = json!({"conversationId": call, "queueName": "Support Tier 2"});
        let made = begin(&site, &one, "/transfers", &body).await.json();
        let (path, body) = (format!("/transfers/{}/undo", made["id"].as_str().unwrap()), json!({}));
        let asks = [&one, &two, &one, &two].map(|process| begin(&site, process, &path, &body));
        let answers = futures_util::future::join_all(asks).await;
        assert_eq!(
            answers.iter().filter(|it| it.status == 201).count(),
            1,
            "{:?}",
            answers
                .iter()
                .map(|it| String::from_utf8_lossy(&it.body).into_owned())
                .collect::<Vec<_>>()
        );
        assert!(answers.iter().all(|it| matches!(it.status.as_u16(), 201 | 409)));
    }
    assert_true(&site, &one).await;
}
