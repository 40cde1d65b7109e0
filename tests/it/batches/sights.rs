//! Who sees a batch, and in which form.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::support::{
    batches::{crowd, drain, waiting},
    keys::entry,
    service::{Answer, TestApp, plain, send},
};

/// A service with callers of every kind; `narrow` knows the queues of Support alone.
async fn guarded() -> TestApp {
    let keys = json!([
        entry("crm", &["batches:write"], &["*"]),
        entry("erp", &["batches:write", "transfers:read"], &["*"]),
        entry("eye", &["transfers:read"], &["*"]),
        entry("ivr", &["transfers:write", "queues:read"], &["*"]),
        entry("narrow", &["batches:write"], &["Support *"]),
        entry("ops", &["admin"], &["*"]),
    ]);
    TestApp::with(&[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys.to_string())]).await
}

async fn ask(app: &TestApp, caller: &str, method: Method, path: &str) -> Answer {
    send(app.request(method, path).bearer_auth(caller)).await
}

async fn begin(app: &TestApp, caller: &str, body: &Value) -> Answer {
    send(app.request(Method::POST, "/batches").bearer_auth(caller).json(body)).await
}

#[tokio::test]
async fn to_others_a_batch_is_not_there() {
    let app = guarded().await;
    let id = begin(&app, "crm", &drain(json!({}))).await.json()["id"].clone();
    let id = id.as_str().unwrap();
    let nothing = "/batches/01990000-0000-7000-8000-000000000000";
    for (method, rest) in [
        (Method::GET, ""),
        (Method::GET, "/transfers"),
        (Method::GET, "/events"),
        (Method::DELETE, ""),
    ] {
        let foreign = ask(&app, "erp", method.clone(), &format!("/batches/{id}{rest}")).await;
        let missing = ask(&app, "erp", method, &format!("{nothing}{rest}")).await;
        assert_eq!(foreign.outcome(), (404, "not_found".to_owned()), "{rest}");
        let differ = |answer: &Answer| answer.json()["detail"].as_str().unwrap().len();
        assert_eq!(differ(&foreign), differ(&missing), "{rest}");
    }
    assert_eq!(ask(&app, "erp", Method::GET, "/batches").await.json()["items"], json!([]));
    for caller in ["crm", "ops"] {
        let seen = ask(&app, caller, Method::GET, &format!("/batches/{id}")).await;
        assert_eq!(seen.json()["requestedBy"], "crm", "{caller}");
        let list = ask(&app, caller, Method::GET, "/batches").await.json();
        assert_eq!(list["items"][0]["id"], id, "{caller}");
    }
}

#[tokio::test]
async fn batches_need_their_permission() {
    let app = guarded().await;
    for (caller, method, path, status) in [
        ("ivr", Method::POST, "/batches", 403),
        ("eye", Method::POST, "/batches", 403),
        ("eye", Method::DELETE, "/batches/x", 403),
        ("ivr", Method::GET, "/batches", 403),
        ("eye", Method::GET, "/batches", 200),
        ("crm", Method::GET, "/batches", 200),
        ("crm", Method::GET, "/transfers", 403),
        ("crm", Method::DELETE, "/batches/x", 404),
    ] {
        let answer = ask(&app, caller, method.clone(), path).await;
        assert_eq!(answer.status, status, "{caller} {method} {path}");
    }
    let refused = ask(&app, "ivr", Method::GET, "/batches").await.json();
    let detail = "This request needs the permission transfers:read or batches:write.";
    assert_eq!(refused["detail"], detail);
}

#[tokio::test]
async fn a_caller_drains_only_queues_it_may_know_of() {
    let app = guarded().await;
    for body in [
        json!({"fromQueueName": "Sales", "toQueueName": "Support Tier 2"}),
        json!({"fromQueueName": "Support Tier 1", "toQueueName": "Sales"}),
        json!({"fromQueueName": "No Such Queue", "toQueueName": "Support Tier 2"}),
        json!({"transfers": [plain(app.fresh_call(), "Sales")]}),
    ] {
        let answer = begin(&app, "narrow", &body).await;
        assert_eq!(answer.outcome(), (403, "queue_not_permitted".to_owned()), "{body}");
    }
    assert_eq!(begin(&app, "narrow", &drain(json!({}))).await.status, 202);
}

#[tokio::test]
async fn a_plan_of_another_caller_is_no_plan() {
    let app = guarded().await;
    let plan = begin(&app, "crm", &drain(json!({"dryRun": true}))).await.json();
    let by = json!({"planId": plan["planId"]});
    let foreign = begin(&app, "erp", &by).await;
    assert_eq!(foreign.outcome(), (409, "plan_expired".to_owned()));
    assert_eq!(begin(&app, "crm", &by).await.status, 202);
}

#[tokio::test]
async fn batches_are_listed_newest_first_page_by_page() {
    let app = TestApp::start().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        let id = app.begin(&json!({"fromQueueName": "Sales", "toQueueName": "Retention"})).await;
        all.insert(0, id);
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/batches?limit=2&status=completed{cursor}")).await.json();
        let ids = page["items"].as_array().unwrap().iter().map(|batch| batch["id"].clone());
        seen.extend(ids);
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(json!(seen), json!(all));
    let running = app.get("/batches?status=running").await.json();
    assert_eq!(running, json!({"items": [], "nextCursor": null}));
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let app = TestApp::start().await;
    let id = app.begin(&json!({"fromQueueName": "Sales", "toQueueName": "Retention"})).await;
    for (path, pointer) in [
        ("/batches?status=done".to_owned(), "?status"),
        ("/batches?limit=201".to_owned(), "?limit"),
        ("/batches?cursor=x".to_owned(), "?cursor"),
        ("/batches?caller=x".to_owned(), "?caller"),
        (format!("/batches/{id}?x=1"), "?x"),
        (format!("/batches/{id}/transfers?limit=0"), "?limit"),
        (format!("/batches/{id}/transfers?status=failed"), "?status"),
        (format!("/batches/{id}/events?x=1"), "?x"),
    ] {
        let answer = app.get(&path).await;
        assert_eq!(answer.outcome(), (422, "invalid_request".to_owned()), "{path}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{path}");
    }
}

#[tokio::test]
async fn in_a_terminal_a_batch_is_a_table_with_a_bar() {
    let app = TestApp::start().await;
    waiting(app.sandbox(), 60);
    let batch = app.carried_out(&drain(json!({}))).await;
    let path = format!("/batches/{}", batch["id"].as_str().unwrap());
    let asked = app.request(Method::GET, &path).header(header::ACCEPT, "text/plain");
    let answer = send(asked).await;
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("drain      Support Tier 1 -> Support Tier 2\n"), "{text}");
    assert!(text.contains("########] 2 of 2 (100 %)\n"), "{text}");
    assert!(text.contains("\naccepted        2\n") && text.lines().all(|line| line.len() <= 80));
}

#[tokio::test]
async fn the_caller_chooses_the_form() {
    let app = TestApp::start().await;
    let id = app.begin(&json!({"fromQueueName": "Sales", "toQueueName": "Retention"})).await;
    let (one, events) = (format!("/batches/{id}"), format!("/batches/{id}/events"));
    for (path, accept, status, kind) in [
        (&*one, "*/*", 200, "application/json"),
        (&one, "text/*", 200, "text/plain; charset=utf-8"),
        (&one, "text/plain, application/json", 200, "application/json"),
        (&one, "text/plain, application/json;q=0.9", 200, "text/plain; charset=utf-8"),
        (&one, "text/html", 406, "application/problem+json"),
        (&events, "*/*", 200, "text/event-stream"),
        (&events, "text/event-stream", 200, "text/event-stream"),
        (&events, "application/json", 406, "application/problem+json"),
        (&events, "text/plain", 200, "text/plain; charset=utf-8"),
        ("/batches", "text/plain", 200, "text/plain; charset=utf-8"),
        ("/batches/x", "text/plain", 404, "application/problem+json"),
    ] {
        let answer = send(app.request(Method::GET, path).header(header::ACCEPT, accept)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (status, Some(kind)),
            "{path} {accept}"
        );
    }
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let app = TestApp::start().await;
    for (path, method, allowed) in [
        ("/batches", Method::DELETE, "GET,HEAD,POST"),
        ("/batches/x", Method::PUT, "GET,HEAD,DELETE"),
        ("/batches/x/transfers", Method::POST, "GET,HEAD"),
        ("/batches/x/events", Method::DELETE, "GET,HEAD"),
    ] {
        let answer = send(app.request(method, path)).await;
        assert_eq!(answer.outcome(), (405, "method_not_allowed".to_owned()), "{path}");
        let allow = answer.header("allow").unwrap().replace(' ', "");
        assert_eq!(allow, format!("{allowed},OPTIONS"), "{path}");
    }
}

#[tokio::test]
async fn a_head_has_no_body() {
    let app = TestApp::start().await;
    let id = app.begin(&json!({"fromQueueName": "Sales", "toQueueName": "Retention"})).await;
    for path in ["/batches".to_owned(), format!("/batches/{id}"), format!("/batches/{id}/events")] {
        let answer = send(app.request(Method::HEAD, &path)).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{path}");
    }
}

#[tokio::test]
async fn transfers_of_a_batch_come_page_by_page_each_once() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 7);
    let batch = app.carried_out(&drain(json!({}))).await;
    let transfers = app.transfers_of_batch(batch["id"].as_str().unwrap(), 3).await;
    let mut ids: Vec<_> = transfers.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older));
    ids.dedup();
    assert_eq!(ids.len(), 7);
}
