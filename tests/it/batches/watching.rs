//! Events: what a watcher is told, and when the stream ends.

use std::{collections::BTreeSet, sync::Arc};

use genesys_transfer::sandbox::Sandbox;
use reqwest::Method;
use serde_json::json;

use crate::support::{
    batches::{Events, assert_closed, crowd, drain, number},
    held::{Held, hold_command, let_go},
    process::until,
    service::{TestApp, lone_sandbox, send, soon},
};

#[tokio::test]
async fn a_watcher_is_told_everything_once_and_in_order() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 40);
    let id = app.begin(&drain(json!({}))).await;

    let (events, comments) = soon("the end of the stream", app.watch(&id).await.all()).await;

    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"progress"), Some(&"end")));
    assert_eq!(names.iter().filter(|name| **name == "end").count(), 1);
    let moved: Vec<_> = events.iter().filter(|event| event.name == "transfer").collect();
    let calls: BTreeSet<_> = moved.iter().map(|e| e.data["conversationId"].to_string()).collect();
    assert_eq!((moved.len(), calls.len()), (40, 40));
    assert!(moved.iter().all(|e| e.data["batchId"] == *id && e.data["status"] == "accepted"));
    let last = events.last().unwrap();
    assert_eq!((&last.data, last.id.as_str()), (&app.batch(&id).await, "end"));
    assert!(events.iter().all(|e| e.name == "transfer" || {
        assert_closed(&e.data);
        true
    }));
    assert_eq!(comments.len(), events.len());
    assert!(comments.last().unwrap().starts_with("completed 40 of 40 (100 %), 40 moved;"));
}

#[tokio::test]
async fn people_read_one_line_a_change() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 5);
    let plan = app.post("/batches", &drain(json!({"dryRun": true}))).await.json();
    app.sandbox().act(calls[2], genesys_transfer::sandbox::world::Act::Answer).unwrap();
    let id = app.begin(&json!({"planId": plan["planId"]})).await;
    let events = app.request(Method::GET, &format!("/batches/{id}/events"));

    let answer = soon("the end of the stream", send(events.header("accept", "text/plain"))).await;

    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = String::from_utf8(answer.body).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.iter().any(|line| line.ends_with("skipped: no_longer_waiting")), "{text}");
    let last = lines.last().unwrap();
    assert!(last.starts_with("completed 5 of 5 (100 %), 4 moved, 1 skipped;"), "{text}");
    assert!(last.ends_with("0 still waiting in the source queue"), "{text}");
    let mut counts: Vec<_> = lines.iter().filter_map(|line| line.split(';').next()).collect();
    let before = counts.len();
    counts.dedup();
    // The end repeats the last progress.
    assert!(before - counts.len() <= 1, "{text}");
}

#[tokio::test]
async fn ids_of_events_differ() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 5);
    let id = app.begin(&drain(json!({}))).await;
    let (events, _) = soon("the end of the stream", app.watch(&id).await.all()).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), events.len());
}

#[tokio::test]
async fn who_comes_late_is_told_all_the_same() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 5);
    let batch = app.carried_out(&drain(json!({}))).await;
    let (events, _) = app.watch(batch["id"].as_str().unwrap()).await.all().await;
    assert_eq!(events.iter().filter(|event| event.name == "transfer").count(), 5);
    assert_eq!(events.last().unwrap().data, batch);
}

#[tokio::test]
async fn a_browser_that_has_heard_the_end_is_sent_away() {
    let app = TestApp::start().await;
    let id = app.begin(&drain(json!({}))).await;
    let again = app.request(Method::GET, &format!("/batches/{id}/events"));
    let answer = send(again.header("last-event-id", "end")).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
}

/// A service beside its sandbox, with a batch whose first command is held back.
async fn busy() -> (Arc<Sandbox>, TestApp, String, Held) {
    busy_with(&[]).await
}

async fn busy_with(settings: &[(&str, &str)]) -> (Arc<Sandbox>, TestApp, String, Held) {
    let sandbox = lone_sandbox().await;
    let app = TestApp::beside(&sandbox, settings).await;
    crowd(&sandbox, 3);
    let held = hold_command(&sandbox);
    let id = app.begin(&drain(json!({}))).await;
    app.commands_reach(1).await;
    (sandbox, app, id, held)
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let (sandbox, app, id, held) = busy().await;
    let mut events = app.watch(&id).await;
    assert_eq!(events.next().await.unwrap().name, "progress");
    let ended = async {
        let (rest, _) = soon("the end of the stream", events.all()).await;
        let_go(&sandbox, held);
        rest
    };
    let ((), rest) = tokio::join!(app.shut_down(), ended);
    assert!(rest.iter().all(|event| event.name != "end"), "{rest:?}");
}

#[tokio::test]
async fn streams_are_bounded_and_leave_room_for_requests() {
    let (sandbox, app, id, held) = busy_with(&[("SERVER_MAX_STREAMS_PER_CALLER", "64")]).await;
    let mut watchers: Vec<Events> = Vec::new();
    for _ in 0..64 {
        watchers.push(app.watch(&id).await);
    }
    let path = format!("/batches/{id}/events");
    let refused = app.get(&path).await;
    assert_eq!(refused.outcome(), (503, "overloaded".to_owned()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(number(&app.batch(&id).await, "/total"), 3);

    watchers.pop();
    until(|| async {
        let response = app.request(Method::GET, &path).send().await.unwrap();
        (response.status() == 200).then_some(())
    })
    .await;
    let_go(&sandbox, held);
}
