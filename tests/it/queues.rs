//! The queue map: names, what changes behind it, and large organisations.

use std::sync::Arc;

use futures_util::future::join_all;
use genesys_transfer::sandbox::{
    Sandbox,
    faults::{Fault, FaultOrder, StatusAnswer},
    ledger::Request,
    seed,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::service::{Answer, QUEUES, TestApp, lone_sandbox, soon};

/// A service that has its map, and an empty ledger.
async fn warm() -> TestApp {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.sandbox().with(|state| state.ledger.clear());
    app
}

/// The answer to a transfer of a fresh call to the queue called `name`.
async fn to(app: &TestApp, name: &str) -> Answer {
    app.transfer(app.fresh_call(), name).await
}

fn rename(app: &TestApp, queue: Uuid, name: &str) {
    let now = app.sandbox().now();
    app.sandbox().with(|state| state.world.rename_queue(queue, name, now)).unwrap();
}

#[tokio::test]
async fn a_renamed_queue_is_still_found_by_its_old_name_while_the_map_lasts() {
    let app = warm().await;
    rename(&app, seed::SALES, "New Sales");
    let answer = to(&app, "Sales").await;
    assert_eq!((answer.status.as_u16(), app.seen(QUEUES)), (201, 0));
    assert_eq!(answer.json()["queue"]["id"], seed::SALES.to_string());
}

#[tokio::test]
async fn a_map_past_its_lifetime_serves_on_while_no_newer_one_can_be_had() {
    let app = TestApp::with(&[("GENESYS_QUEUE_CACHE_TTL", "1s")]).await;
    app.get("/queues").await;
    let down = Fault::Status(StatusAnswer::new(404));
    app.sandbox().order(FaultOrder::next("GET", QUEUES, down).forever()).unwrap();
    let refused = |it: &Request| it.path == QUEUES && it.status == Some(404);
    // A request for a map past its lifetime starts the search for a newer one.
    let newer = async {
        while !app.sandbox().requests().iter().any(refused) {
            app.get("/queues").await;
        }
    };
    soon("a request for a newer map", newer).await;
    assert_eq!(to(&app, "Support Tier 2").await.status, 201);
}

#[tokio::test]
async fn a_new_name_is_found_by_one_search_and_then_known() {
    let app = warm().await;
    rename(&app, seed::SALES, "New Sales");
    let answers = [to(&app, "New Sales").await, to(&app, "new sales").await];
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
    let searches: Vec<_> = app.sandbox().requests().into_iter().filter_map(|it| it.query).collect();
    assert!(matches!(&searches[..], [one] if one.contains("name=New")), "{searches:?}");
}

#[tokio::test]
async fn a_deleted_queue_is_refused_by_genesys_once_and_then_not_found_here() {
    let app = warm().await;
    app.sandbox().with(|state| state.world.remove_queue(seed::SALES)).unwrap();
    let outcomes = [to(&app, "Sales").await.outcome(), to(&app, "Sales").await.outcome()];
    assert_eq!(outcomes[0], (422, "rejected_by_genesys".to_owned()));
    assert_eq!(outcomes[1], (422, "queue_not_found".to_owned()));
    assert_eq!((app.commands(), app.moves()), (1, 0));
}

#[tokio::test]
async fn a_name_that_two_queues_have_is_answered_with_both_and_moves_nothing() {
    let app = warm().await;
    let answer = to(&app, "Billing").await;
    let candidates = answer.json()["candidates"].clone();
    assert_eq!(answer.outcome(), (422, "queue_ambiguous".to_owned()));
    let expected = [(seed::BILLING, "Home"), (seed::BILLING_EMEA, "EMEA")];
    for (id, division) in expected {
        let candidate = json!({"id": id, "name": "Billing", "division": division});
        assert!(candidates.as_array().unwrap().contains(&candidate), "{candidates}");
    }
    assert_eq!((candidates.as_array().unwrap().len(), app.commands()), (2, 0));
}

#[tokio::test]
async fn one_of_two_queues_with_a_name_is_reached_by_its_id() {
    let app = warm().await;
    let body = json!({"conversationId": app.fresh_call(), "queueId": seed::BILLING_EMEA});
    let answer = app.submit(body).await;
    assert_eq!(answer.json()["queue"], json!({"id": seed::BILLING_EMEA, "name": "Billing"}));
    assert_eq!(app.sandbox().moves()[0].to_queue_id, seed::BILLING_EMEA);
}

#[tokio::test]
async fn names_match_trimmed_exactly_before_whatever_the_case() {
    let sandbox = lone_sandbox().await;
    let [upper, lower, weekend] =
        ["VIP", "vip", "Weekend "].map(|name| sandbox.add_queue(name).unwrap().to_string());
    let app = TestApp::beside(&sandbox, &[]).await;
    let sales = seed::SALES.to_string();
    let rows: [(&str, Result<&String, &str>); 9] = [
        ("Sales", Ok(&sales)),
        ("  Sales ", Ok(&sales)),
        ("sALES", Ok(&sales)),
        ("VIP", Ok(&upper)),
        (" vip", Ok(&lower)),
        ("Vip", Err("queue_ambiguous")),
        ("weekend", Ok(&weekend)),
        ("Sale", Err("queue_not_found")),
        ("Sales*", Err("queue_not_found")),
    ];
    for (name, expected) in rows {
        let answer = to(&app, name).await.json();
        let seen = answer["queue"]["id"].as_str().ok_or_else(|| answer["code"].clone());
        let expected = expected.map(String::as_str).map_err(|code| json!(code));
        assert_eq!(seen, expected, "{name:?}");
    }
}

#[tokio::test]
async fn a_misspelt_name_is_answered_with_the_closest_ones() {
    let app = warm().await;
    let answer = to(&app, "Suport Tier 2").await;
    let hint = answer.json()["hint"].as_str().unwrap().to_owned();
    assert_eq!(answer.outcome(), (422, "queue_not_found".to_owned()));
    assert!(hint.starts_with("Closest names: \"Support Tier 2\", \"Support Tier 1\""), "{hint}");
}

#[tokio::test]
async fn an_unknown_name_is_looked_for_once_however_often_it_comes() {
    let app = warm().await;
    let together = join_all((0..10).map(|_| to(&app, "Nobody's Queue"))).await;
    let later = to(&app, "NOBODY'S queue").await;
    let all = together.iter().chain([&later]);
    assert!(all.clone().all(|answer| answer.outcome().1 == "queue_not_found"));
    assert_eq!(app.sandbox().requests().len(), 1);
}

#[tokio::test]
async fn an_unknown_id_is_looked_for_once_however_often_it_comes() {
    let app = warm().await;
    for _ in 0..3 {
        let body = json!({"conversationId": app.fresh_call(), "queueId": Uuid::from_u128(7)});
        assert_eq!(app.submit(body).await.outcome(), (422, "queue_not_found".to_owned()));
    }
    assert_eq!(app.sandbox().requests().len(), 1);
}

#[tokio::test]
async fn a_search_that_fails_says_nothing_about_the_queue() {
    let app = warm().await;
    app.answers("GET", QUEUES, 3, 500);
    let answers = [to(&app, "Nobody's Queue").await, to(&app, "Nobody's Queue").await];
    assert_eq!(answers[0].outcome(), (502, "genesys_error".to_owned()));
    assert_eq!(answers[1].outcome(), (422, "queue_not_found".to_owned()));
}

#[tokio::test]
async fn queues_are_listed_by_any_part_of_their_name() {
    let app = warm().await;
    let found = app.get("/queues?name=tIEr").await.json();
    let names: Vec<_> = found["items"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["Support Tier 1", "Support Tier 2"]);
    assert!(app.sandbox().requests().is_empty());
}

#[tokio::test]
async fn a_refresh_shows_what_changed_at_genesys() {
    let app = warm().await;
    rename(&app, seed::SALES, "New Sales");
    app.sandbox().with(|state| state.world.remove_queue(seed::RETENTION)).unwrap();
    app.sandbox().add_queue("Weekend").unwrap();
    assert_eq!(app.post("/queues/refresh", &json!({})).await.status, 200);
    let names = names(&app.get("/queues").await.json());
    assert!(names.contains(&"New Sales".to_owned()) && names.contains(&"Weekend".to_owned()));
    assert!(!names.contains(&"Sales".to_owned()) && !names.contains(&"Retention".to_owned()));
}

fn names(found: &Value) -> Vec<String> {
    let items = found["items"].as_array().unwrap();
    items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

/// Settings under which a long list is waited for, however slow the machine is.
const PATIENT: [(&str, &str); 2] = [("SERVER_DEADLINE", "10m"), ("GENESYS_READ_TIMEOUT", "2m")];

/// A sandbox with that many queues beside the seeded ones.
async fn organisation(queues: usize) -> Arc<Sandbox> {
    let sandbox = lone_sandbox().await;
    for number in 0..queues {
        sandbox.add_queue(&format!("Queue {number:05}")).unwrap();
    }
    sandbox
}

/// A page in the middle is hit by `fault`, for every caller and however often.
fn spoil_a_page(sandbox: &Sandbox, fault: Fault) {
    let page = format!("{QUEUES}?*pageNumber=3&*");
    sandbox.order(FaultOrder::next("GET", &page, fault).forever()).unwrap();
}

#[tokio::test]
async fn twenty_thousand_queues_are_all_there() {
    let sandbox = organisation(20_000).await;
    let app = TestApp::beside(&sandbox, &PATIENT).await;
    assert_eq!(names(&app.get("/queues").await.json()).len(), 20_007);
    assert_eq!(to(&app, "queue 19999").await.status, 201);
    assert_eq!(app.seen(QUEUES), 41);
}

#[tokio::test]
async fn a_failing_page_never_leaves_a_part_of_the_list_in_place_of_the_whole() {
    let empty = json!({"entities": [], "total": 2_008, "pageCount": 5});
    let page_of_nothing = StatusAnswer { body: Some(empty), ..StatusAnswer::new(200) };
    let faults = [StatusAnswer::new(503), StatusAnswer::new(404), page_of_nothing];
    let sandbox = organisation(2_000).await;
    let app = TestApp::beside(&sandbox, &PATIENT).await;
    app.get("/queues").await;
    sandbox.add_queue("Weekend").unwrap();
    for fault in faults {
        spoil_a_page(&sandbox, Fault::Status(fault));
        let refreshed = app.post("/queues/refresh", &json!({})).await;
        sandbox.with(|state| state.faults.clear());
        assert_eq!(refreshed.outcome(), (502, "genesys_error".to_owned()));
        assert_eq!(names(&app.get("/queues").await.json()).len(), 2_007);
    }
    assert_eq!(app.post("/queues/refresh", &json!({})).await.status, 200);
    assert_eq!(names(&app.get("/queues").await.json()).len(), 2_008);
}

#[tokio::test]
async fn without_any_list_a_failing_page_is_an_error_and_not_an_unknown_queue() {
    let sandbox = organisation(2_000).await;
    spoil_a_page(&sandbox, Fault::Status(StatusAnswer::new(400)));
    let app = TestApp::beside(&sandbox, &[]).await;
    let answer = to(&app, "Support Tier 2").await;
    assert_ne!(answer.outcome().1, "queue_not_found");
    assert_eq!((answer.status.is_success(), app.commands()), (false, 0));
    assert_eq!(app.get("/health/ready").await.status, 503);
}
