//! `GET /transfers`, `GET /transfers/{id}` and the closing of unknown transfers.

use genesys_transfer::sandbox::{seed, world::Shape};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    service::{TestApp, plain},
    steps::with,
};

/// Moves `count` calls and answers their transfers' ids, newest first.
async fn moved(app: &TestApp, count: usize) -> Vec<Value> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let call = app.call(Shape::Connected, seed::SUPPORT_TIER_1);
        ids.insert(0, app.transfer(call, "Support Tier 2").await.json()["id"].clone());
    }
    ids
}

fn ids(items: &[Value]) -> Vec<Value> {
    items.iter().map(|item| item["id"].clone()).collect()
}

/// All ids that a walk along the cursors shows.
async fn walk(app: &TestApp, query: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/transfers{query}{cursor}")).await.json();
        seen.extend(ids(page["items"].as_array().unwrap()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

#[tokio::test]
async fn the_newest_transfer_comes_first() {
    let app = TestApp::start().await;
    let all = moved(&app, 3).await;
    assert_eq!(ids(&app.listed("").await), all);
}

#[tokio::test]
async fn an_empty_history_is_an_empty_page() {
    let app = TestApp::start().await;
    let expected = json!({"items": [], "nextCursor": null});
    assert_eq!(app.get("/transfers").await.json(), expected);
}

#[tokio::test]
async fn each_filter_narrows_and_all_together_too() {
    let app = TestApp::start().await;
    let more = json!({"reference": "CASE 47/11 ü"});
    app.submit(with(seed::CONNECTED_CALL, "Support Tier 2", &more)).await;
    app.transfer(seed::HELD_CALL, "Sales").await;
    app.transfer(seed::ENDED_CALL, "Sales").await;
    let (call, sales) = (seed::CONNECTED_CALL, seed::SALES);
    for (query, expected) in [
        (format!("conversationId={call}"), vec![seed::CONNECTED_CALL]),
        (format!("queueId={sales}"), vec![seed::ENDED_CALL, seed::HELD_CALL]),
        ("status=failed".to_owned(), vec![seed::ENDED_CALL]),
        ("status=accepted".to_owned(), vec![seed::HELD_CALL, seed::CONNECTED_CALL]),
        ("status=unknown".to_owned(), vec![]),
        ("reference=CASE%2047/11%20%C3%BC".to_owned(), vec![seed::CONNECTED_CALL]),
        ("reference=CASE".to_owned(), vec![]),
        (format!("queueId={sales}&status=accepted"), vec![seed::HELD_CALL]),
        (format!("queueId={sales}&conversationId={call}"), vec![]),
    ] {
        let items = app.listed(&format!("?{query}")).await;
        let calls: Vec<_> = items.iter().map(|item| item["conversationId"].clone()).collect();
        assert_eq!(json!(calls), json!(expected), "{query}");
    }
}

#[tokio::test]
async fn since_takes_the_time_a_transfer_shows_and_takes_it_along() {
    let app = TestApp::start().await;
    let all = moved(&app, 3).await;
    for id in &all {
        let transfer = app.get(&format!("/transfers/{}", id.as_str().unwrap())).await.json();
        let created = transfer["createdAt"].as_str().unwrap();
        let found = ids(&app.listed(&format!("?since={created}")).await);
        assert!(found.contains(id), "{created}");
    }
    assert_eq!(app.listed("?since=2100-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(app.listed("?since=2020-01-01T00:00:00%2B01:00").await.len(), 3);
}

#[tokio::test]
async fn a_walk_along_the_cursors_shows_each_transfer_once() {
    let app = TestApp::start().await;
    let all = moved(&app, 5).await;
    for limit in [1, 2, 4, 5, 200] {
        assert_eq!(walk(&app, &format!("?limit={limit}")).await, all, "{limit}");
    }
    assert_eq!(walk(&app, "?status=failed&limit=1").await, Vec::<Value>::new());
}

#[tokio::test]
async fn transfers_made_between_two_pages_do_not_shift_the_second() {
    let app = TestApp::start().await;
    let all = moved(&app, 4).await;
    let page = app.get("/transfers?limit=2").await.json();
    moved(&app, 3).await;
    let cursor = page["nextCursor"].as_str().unwrap();
    let rest = app.listed(&format!("?limit=10&cursor={cursor}")).await;
    assert_eq!(ids(&rest), all[2..]);
}

#[tokio::test]
async fn fifty_make_a_page_unless_another_number_is_asked_for() {
    let app = TestApp::start().await;
    moved(&app, 51).await;
    let page = app.get("/transfers").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 50);
    assert!(page["nextCursor"].is_string());
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let app = TestApp::start().await;
    for (query, pointer) in [
        ("limit=0", "?limit"),
        ("limit=201", "?limit"),
        ("limit=ten", "?limit"),
        ("limit=1&limit=1", "?limit"),
        ("status=done", "?status"),
        ("conversationId=42", "?conversationId"),
        ("queueId=", "?queueId"),
        ("since=yesterday", "?since"),
        ("cursor=AAAA", "?cursor"),
        ("cursor=%00", "?cursor"),
        ("caller=crm", "?caller"),
    ] {
        let answer = app.get(&format!("/transfers?{query}")).await;
        app.assert_problem(&answer, 422, "invalid_request").await;
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{query}");
    }
}

#[tokio::test]
async fn a_transfer_that_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    for id in [Uuid::from_u128(42).to_string(), "42".to_owned(), "%00".to_owned()] {
        let answer = app.get(&format!("/transfers/{id}")).await;
        app.assert_problem(&answer, 404, "not_found").await;
    }
}

#[tokio::test]
async fn a_refused_request_is_kept_only_past_validation_and_the_queue_look_up() {
    let app = TestApp::start().await;
    app.submit(json!({})).await;
    app.transfer(seed::CONNECTED_CALL, "Nowhere").await;
    app.transfer(seed::CONNECTED_CALL, "Billing").await;
    let kept = app.transfer(seed::ENDED_CALL, "Support Tier 2").await.json();
    let items = app.listed("").await;
    assert_eq!(ids(&items), [kept["transferId"].clone()]);
    assert_eq!(
        (&items[0]["status"], &items[0]["error"]["code"]),
        (&json!("failed"), &kept["code"])
    );
}

#[tokio::test]
async fn the_history_survives_a_restart() {
    let app = TestApp::start().await;
    moved(&app, 2).await;
    let before = app.get("/transfers").await.body;
    let app = app.restart().await;
    assert_eq!(app.get("/transfers").await.body, before);
}

#[tokio::test]
async fn an_operator_who_saw_the_call_moved_confirms_it_and_frees_the_conversation() {
    let app = TestApp::start().await;
    let unknown = app.transfer_into_the_unknown(seed::CONNECTED_CALL).await.json();
    let blocked = app.transfer(seed::CONNECTED_CALL, "Sales").await;
    app.assert_problem(&blocked, 409, "transfer_in_progress").await;
    assert_eq!(blocked.json()["transferId"], unknown["transferId"]);
    let settled = app.settle(&unknown["transferId"], "moved").await;
    assert_eq!((settled.status.as_u16(), &settled.json()["status"]), (200, &json!("confirmed")));
    assert_eq!(settled.json()["error"], Value::Null);
    assert_eq!(app.transfer(seed::CONNECTED_CALL, "Sales").await.status, 201);
}

#[tokio::test]
async fn an_operator_who_saw_it_unmoved_fails_it_and_keeps_his_reason() {
    let app = TestApp::start().await;
    let unknown = app.transfer_into_the_unknown(seed::CONNECTED_CALL).await.json();
    let settled = app.settle(&unknown["transferId"], "not_moved").await.json();
    assert_eq!(settled["status"], "failed");
    assert!(settled["error"]["detail"].as_str().unwrap().contains("looked at the call"));
    let again = app.settle(&unknown["transferId"], "moved").await;
    app.assert_problem(&again, 409, "conflict").await;
    assert_eq!(app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await.status, 201);
}

#[tokio::test]
async fn an_unknown_transfer_is_listed_with_what_is_known() {
    let app = TestApp::start().await;
    let answer = app.transfer_into_the_unknown(seed::CONNECTED_CALL).await;
    let items = app.listed("?status=unknown").await;
    assert_eq!(ids(&items), [answer.json()["transferId"].clone()]);
    assert_eq!(items[0]["error"]["code"], "outcome_unknown");
    assert_eq!(items[0]["participantId"], json!(seed::leg(seed::CONNECTED_CALL, 3)));
}

#[tokio::test]
async fn only_an_unknown_transfer_can_be_settled() {
    let app = TestApp::start().await;
    let accepted = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await.json();
    let failed = app.transfer(seed::ENDED_CALL, "Support Tier 2").await.json();
    for id in [&accepted["id"], &failed["transferId"]] {
        let answer = app.settle(id, "not_moved").await;
        app.assert_problem(&answer, 409, "conflict").await;
    }
    let missing = app.settle(&json!(Uuid::from_u128(42)), "moved").await;
    app.assert_problem(&missing, 404, "not_found").await;
}

#[tokio::test]
async fn a_settlement_that_is_none_is_refused_by_its_fields() {
    let app = TestApp::start().await;
    let id = app.submit(plain(seed::CONNECTED_CALL, "Sales")).await.json()["id"].clone();
    let path = format!("/transfers/{}/settle", id.as_str().unwrap());
    for (body, pointer) in [
        (json!({}), "/outcome"),
        (json!({"outcome": "done"}), "/outcome"),
        (json!({"outcome": "moved", "reason": 3}), "/reason"),
        (json!({"outcome": "moved", "by": "me"}), "/by"),
        (json!([]), ""),
    ] {
        let answer = app.post(&path, &body).await;
        app.assert_problem(&answer, 422, "invalid_request").await;
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}");
    }
}
