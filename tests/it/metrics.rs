//! `GET /metrics`, and the dashboard and alerts that are built on it.

use std::collections::BTreeSet;

use genesys_transfer::sandbox::{
    faults::{Fault, StatusAnswer},
    seed,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    batches::{crowd, drain},
    exposition::{Labels, exported, families, grouped, samples, used},
    service::{REPLACE, TestApp, plain, send},
};

const DASHBOARD: &str = include_str!("../../config/grafana-dashboard.json");
const ALERTS: &str = include_str!("../../config/alerts.yml");

async fn scrape(app: &TestApp) -> String {
    let answer = app.get("/metrics").await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).unwrap()
}

/// A service to which most things have happened.
async fn session() -> TestApp {
    let app = TestApp::start().await;
    let limited = StatusAnswer { retry_after: Some("0".to_owned()), ..StatusAnswer::new(429) };
    app.fault("POST", REPLACE, 1, Fault::Status(limited));
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let moved = app.submit_with(&body, "prefer", "wait=5").await;
    assert_eq!(moved.json()["status"], "confirmed");
    assert_eq!(app.transfer(seed::CONNECTED_CALL, "No such queue").await.status, 422);
    app.answers("POST", REPLACE, 1, 400);
    assert_eq!(app.transfer(app.fresh_call(), "Sales").await.status, 422);
    app.get("/nothing").await;
    app
}

#[tokio::test]
async fn what_happened_is_counted() {
    let text = scrape(&session().await).await;
    let seen = samples(&text);
    for (series, value) in [
        ("transfers_total{code=\"none\",outcome=\"confirmed\"}", 1.0),
        ("transfers_total{code=\"rejected_by_genesys\",outcome=\"failed\"}", 1.0),
        ("http_requests_total{method=\"POST\",route=\"/transfers\",status=\"201\"}", 1.0),
        ("http_requests_total{method=\"GET\",route=\"unmatched\",status=\"404\"}", 1.0),
        ("http_problems_total{code=\"queue_not_found\"}", 1.0),
        ("http_requests_in_flight", 1.0),
        ("upstream_requests_total{operation=\"replace_with_queue\",outcome=\"rate_limited\"}", 1.0),
        ("upstream_requests_total{operation=\"replace_with_queue\",outcome=\"success\"}", 1.0),
        ("upstream_retries_total{operation=\"replace_with_queue\"}", 1.0),
        ("upstream_token_refreshes_total{outcome=\"success\"}", 1.0),
        ("upstream_breaker_state{host=\"api\",state=\"closed\"}", 1.0),
        ("upstream_rate_limit", 1_000_000.0),
        ("transfers_unsettled", 0.0),
        ("ready", 1.0),
    ] {
        let found = seen.get(&format!("genesys_transfer_{series}"));
        assert_eq!(found, Some(&value), "{series}\n{text}");
    }
    assert!(seen["process_resident_memory_bytes"] > 1e6);
}

#[tokio::test]
async fn what_the_store_does_for_a_batch_is_told_apart() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 2);
    app.carried_out(&drain(json!({}))).await;

    let text = scrape(&app).await;

    let seen = samples(&text);
    let count = |operation: &str| {
        let family = "genesys_transfer_store_operation_duration_seconds_count";
        seen.get(&format!("{family}{{operation=\"{operation}\"}}")).copied()
    };
    assert_eq!((count("batch_create"), count("batch_take_item")), (Some(1.0), Some(2.0)), "{text}");
    assert_eq!(count("other"), None);
    let moved = "genesys_transfer_batch_items_total{outcome=\"accepted\"}";
    assert_eq!(seen.get(moved), Some(&2.0), "{text}");
    for state in ["waiting", "running", "paused"] {
        let batches = format!("genesys_transfer_batches{{state=\"{state}\"}}");
        assert!(seen.contains_key(&batches), "{batches}");
    }
}

#[tokio::test]
async fn neither_paths_nor_names_nor_methods_make_series() {
    let app = session().await;
    let about = |number: usize| {
        let (app, body) = (&app, plain(seed::ENDED_CALL, &format!("Queue {number}")));
        async move {
            app.get(&format!("/nothing/{number}")).await;
            app.get(&format!("/transfers/{number}")).await;
            app.get(&format!("/queues?name={number}")).await;
            app.submit(body).await;
            let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
            send(app.request(method, "/transfers")).await;
        }
    };
    let series = |text: &str| samples(text).into_keys().collect::<BTreeSet<_>>();
    about(0).await;
    // A series is made by the first scrape itself.
    scrape(&app).await;
    let before = series(&scrape(&app).await);
    for number in 1..100 {
        about(number).await;
    }
    let after = series(&scrape(&app).await);
    assert_eq!(after.difference(&before).next(), None);
}

#[tokio::test]
async fn scrapers_of_every_age_get_the_text_format_and_head_its_head() {
    let app = TestApp::start().await;
    for accept in ["application/openmetrics-text;version=1.0.0", "text/plain;version=0.0.4"] {
        for method in [Method::GET, Method::HEAD] {
            let request = app.request(method.clone(), "/metrics").header("accept", accept);
            let answer = send(request).await;
            assert_eq!(answer.status, 200, "{method} {accept}");
            let kind = answer.header("content-type");
            assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
            assert_eq!(answer.body.is_empty(), method == Method::HEAD);
        }
    }
    assert_eq!(app.post("/metrics", &json!({})).await.status, 405);
}

#[tokio::test]
async fn metrics_are_for_those_who_may_read_them() {
    let entry = |caller: &str, permission: &str| {
        let hash: Vec<String> = Sha256::digest(caller).iter().map(|b| format!("{b:02x}")).collect();
        json!({"caller": caller, "sha256": [hash.concat()], "permissions": [permission]})
    };
    let callers = json!([
        entry("scraper", "metrics:read"),
        entry("ops", "admin"),
        entry("viewer", "queues:read"),
    ]);
    let settings = [("AUTH_MODE", "required"), ("AUTH_API_KEYS", &*callers.to_string())];
    let app = TestApp::with(&settings).await;
    for (key, status) in [("scraper", 200), ("ops", 200), ("viewer", 403), ("stranger", 401)] {
        let answer = send(app.request(Method::GET, "/metrics").bearer_auth(key)).await;
        assert_eq!(answer.status.as_u16(), status, "{key}");
    }
    assert_eq!(app.get("/metrics").await.status, StatusCode::UNAUTHORIZED);
    let other = send(app.request(Method::GET, "/transfers").bearer_auth("scraper")).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
}

/// Every text under a key called `name`, anywhere in `value`.
fn texts<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                found.extend(inner.as_str().filter(|_| key == name));
                texts(inner, name, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| texts(inner, name, found)),
        _ => {}
    }
}

/// The expressions of the dashboard.
fn dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    texts(&dashboard, "expr", &mut found);
    assert!(found.len() > 20, "the expressions were found");
    found.into_iter().map(str::to_owned).collect()
}

/// The values of `key` in the alert rules, in order. They are written as blocks (`key: |-`) or on
/// one line.
fn alerts(key: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut block = None;
    for line in ALERTS.lines() {
        let depth = line.len() - line.trim_start().len();
        if block.is_some_and(|above| depth > above || line.trim().is_empty()) {
            found.last_mut().unwrap().extend([" ", line.trim()]);
            continue;
        }
        block = None;
        let text = line.trim_start().trim_start_matches("- ");
        let Some(value) = text.strip_prefix(key).and_then(|rest| rest.strip_prefix(": ")) else {
            continue;
        };
        let is_block = value.starts_with(['|', '>']);
        block = is_block.then_some(depth);
        found.push(if is_block { String::new() } else { value.trim_matches('"').to_owned() });
    }
    found
}

/// What `expressions` use that is not exported.
fn missing(expressions: &[String], exported: &Labels) -> Vec<String> {
    let mut missing = Vec::new();
    for expression in expressions {
        let used = used(expression);
        assert!(!used.is_empty(), "names no metric: {expression}");
        let known: BTreeSet<_> =
            used.keys().filter_map(|name| exported.get(name)).flatten().collect();
        for (name, labels) in &used {
            let Some(has) = exported.get(name) else {
                missing.push(format!("{name} in {expression}"));
                continue;
            };
            // Prometheus adds these two to every series it scrapes.
            let own = |label: &&String| {
                !has.contains(*label) && !["job", "instance"].contains(&label.as_str())
            };
            missing.extend(labels.iter().filter(own).map(|label| format!("{name}{{{label}}}")));
        }
        let by = grouped(expression);
        let unknown = by.iter().filter(|label| {
            !known.contains(label) && !["job", "instance"].contains(&label.as_str())
        });
        missing.extend(unknown.map(|label| format!("by ({label}) in {expression}")));
    }
    missing
}

#[tokio::test]
async fn dashboard_and_alerts_use_only_what_is_exported() {
    let exported = exported(&scrape(&session().await).await);
    assert_eq!(missing(&dashboard(), &exported), Vec::<String>::new());
    assert_eq!(missing(&alerts("expr"), &exported), Vec::<String>::new());
}

#[tokio::test]
async fn dashboard_shows_all_that_the_service_exports() {
    let mut unseen = families(&scrape(&session().await).await);
    for expression in dashboard() {
        for name in used(&expression).into_keys() {
            let family =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            unseen.remove(family.unwrap_or(&name));
        }
    }
    unseen.retain(|name| name.starts_with("genesys_transfer_"));
    assert_eq!(unseen, BTreeSet::new());
}

#[tokio::test]
async fn the_list_of_metrics_names_all_that_the_service_exports() {
    let list = include_str!("../../config/README.md");
    let mut unnamed = families(&scrape(&session().await).await);
    unnamed.retain(|name| {
        let short = name.strip_prefix("genesys_transfer_");
        short.is_some_and(|short| !list.contains(&format!("`{short}`")))
    });
    assert_eq!(unnamed, BTreeSet::new());
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_do() {
    let names = alerts("alert");
    assert!(names.len() >= 10, "{names:?}");
    for key in ["expr", "summary", "description", "severity"] {
        let values = alerts(key);
        assert_eq!(values.len(), names.len(), "{key}");
        assert!(values.iter().all(|value| !value.trim().is_empty()), "{key}");
    }
}
