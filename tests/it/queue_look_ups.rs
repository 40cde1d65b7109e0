//! What looking for a queue costs, and what it does not wait for.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;
use genesys_transfer::sandbox::{
    Sandbox,
    faults::{Fault, FaultOrder, Garbage, StatusAnswer},
    ledger::Request,
    seed,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{
    batches::drain,
    service::{Answer, QUEUES, TestApp, lone_sandbox, soon},
};

/// A transfer of a fresh call to the queue with that id.
async fn to(app: &TestApp, queue: Uuid) -> Answer {
    app.submit(json!({"conversationId": app.fresh_call(), "queueId": queue})).await
}

fn is_page(request: &Request) -> bool {
    request.path == QUEUES && !request.query.as_deref().unwrap_or_default().contains("name=")
}

fn pages(sandbox: &Sandbox) -> Vec<Request> {
    sandbox.requests().into_iter().filter(is_page).collect()
}

fn searches(app: &TestApp) -> usize {
    let searched = |it: &&Request| it.path == QUEUES && !is_page(it);
    app.sandbox().requests().iter().filter(searched).count()
}

/// A sandbox with so many queues beside the seeded ones.
async fn organisation(queues: usize) -> Arc<Sandbox> {
    let sandbox = lone_sandbox().await;
    for number in 0..queues {
        sandbox.add_queue(&format!("Queue {number:05}")).unwrap();
    }
    sandbox
}

/// A service whose queue list cannot be loaded.
async fn without_a_list(fault: Fault) -> TestApp {
    let sandbox = organisation(600).await;
    let page = format!("{QUEUES}?*pageNumber=2&*");
    sandbox.order(FaultOrder::next("GET", &page, fault).forever()).unwrap();
    TestApp::beside(&sandbox, &[]).await
}

fn faults() -> [Fault; 4] {
    let status = |status| Fault::Status(StatusAnswer::new(status));
    let html = Fault::Garbage { form: Garbage::Html, apply: false };
    [status(503), status(404), html, Fault::Hang { apply: false }]
}

#[tokio::test]
async fn a_transfer_by_id_needs_no_list() {
    for fault in faults() {
        let app = without_a_list(fault.clone()).await;
        for _ in 0..3 {
            let answer = to(&app, seed::SALES).await;
            assert_eq!(answer.status, 201, "{fault:?}: {}", answer.json());
        }
        assert_eq!(app.get("/health/ready").await.status, 503, "{fault:?}: there is no list");
        assert_eq!(app.seen(&format!("{QUEUES}/{}", seed::SALES)), 1, "{fault:?}: asked for once");
    }
}

#[tokio::test]
async fn an_unknown_id_is_not_found_without_a_list_either() {
    for fault in faults() {
        let app = without_a_list(fault).await;
        let answer = to(&app, Uuid::from_u128(7)).await;
        app.assert_problem(&answer, 422, "queue_not_found").await;
    }
}

#[tokio::test]
async fn a_preview_by_id_needs_no_list() {
    for fault in faults() {
        let app = without_a_list(fault).await;
        let path = format!("/conversations/{}?queueId={}", seed::CONNECTED_CALL, seed::SALES);
        assert_eq!(app.get(&path).await.json()["target"]["name"], "Sales");
    }
}

#[tokio::test]
async fn a_drain_by_ids_needs_no_list() {
    for fault in faults() {
        let app = without_a_list(fault.clone()).await;
        let mut body = drain(json!({
            "fromQueueId": seed::SUPPORT_TIER_1, "toQueueId": seed::SUPPORT_TIER_2,
        }));
        for name in ["fromQueueName", "toQueueName"] {
            body.as_object_mut().unwrap().remove(name);
        }
        let batch = app.post("/batches", &body).await;
        assert_eq!(batch.status, 202, "{fault:?}: {}", batch.json());
        assert_eq!(batch.json()["from"]["name"], "Support Tier 1");
        soon("the waiting call moves", app.sandbox().moves_reach(1)).await;
    }
}

/// The whole list, in as few pages as Genesys lets it.
#[tokio::test]
async fn the_list_is_read_in_the_largest_pages_that_genesys_gives() {
    for (largest, expected) in [(500, 3), (300, 5), (100, 13), (25, 49)] {
        let sandbox = organisation(1_200).await;
        sandbox.with(|state| state.behaviour.max_page_size = largest);
        let app = TestApp::beside(&sandbox, &[]).await;
        let listed = app.get("/queues").await.json();
        let items = listed["items"].as_array().unwrap();
        let ids: BTreeSet<String> = items.iter().map(|queue| queue["id"].to_string()).collect();
        assert_eq!((ids.len(), pages(&sandbox).len()), (1_207, expected), "{largest}");
    }
}

/// 41 pages, at 40 requests a minute.
#[tokio::test]
async fn a_load_takes_half_of_a_minutes_requests_and_leaves_half_to_others() {
    let sandbox = organisation(20_000).await;
    let app = TestApp::beside(&sandbox, &[("GENESYS_REQUESTS_PER_MINUTE", "40")]).await;
    let half =
        sandbox.until(|state| state.ledger.requests().filter(|it| is_page(it)).count() >= 20);
    soon("half of a minute's requests", half).await;
    for _ in 0..3 {
        let answer = to(&app, seed::SALES).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
    }
    let pages = pages(&sandbox);
    let minute = pages[0].time + jiff::SignedDuration::from_secs(59);
    assert_eq!(pages.iter().filter(|page| page.time < minute).count(), 20);
}

#[tokio::test]
async fn made_up_names_do_not_use_up_the_request_limit() {
    let app = TestApp::warm(&[]).await;
    let began = Instant::now();
    let names: Vec<String> = (0..299).map(|number| format!("Made up {number}")).collect();
    for some in names.chunks(16) {
        let answers =
            join_all(some.iter().map(|name| app.transfer(seed::CONNECTED_CALL, name))).await;
        for answer in answers {
            assert_eq!(answer.outcome(), (422, "queue_not_found".to_owned()));
        }
    }
    // One comes back in 30 s.
    let most = 10 + usize::try_from(began.elapsed().as_secs() / 30).unwrap();
    let searched = searches(&app);
    assert!((10..=most).contains(&searched), "{searched} searches");
    assert_eq!(app.transfer(seed::CONNECTED_CALL, "Sales").await.status, 201);
}

#[tokio::test]
async fn names_that_are_not_searched_for_are_named_with_the_closest_all_the_same() {
    let app = TestApp::warm(&[]).await;
    for number in 0..10 {
        app.transfer(seed::CONNECTED_CALL, &format!("Made up {number}")).await;
    }
    let answer = app.transfer(seed::CONNECTED_CALL, "Sails").await.json();
    let hint: Option<&str> = answer["hint"].as_str();
    assert!(hint.is_some_and(|hint| hint.contains("\"Sales\"")), "{answer}");
    let listed: Value = app.get("/queues?name=sales").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}
