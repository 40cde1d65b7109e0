//! Genesys has several limits, each with a counter of its own; the headers of an answer tell of one.

use std::collections::BTreeMap;

use genesys_transfer::sandbox::{
    faults::{Fault, FaultOrder, StatusAnswer},
    seed,
};
use serde_json::json;

use crate::support::{
    batches::{crowd, drain, moved},
    exposition::samples,
    service::{Answer, OBSERVATIONS, TestApp},
};

fn headers(allowed: u32, count: u32) -> BTreeMap<String, String> {
    [("allowed", allowed), ("count", count), ("reset", 50)]
        .map(|(name, value)| (format!("inin-ratelimit-{name}"), value.to_string()))
        .into()
}

/// A service whose Genesys answers the query for waiting calls as `fault` says, and tells in all
/// other answers that 70 of 300 requests are used.
async fn beside_300(fault: Fault) -> TestApp {
    let app = TestApp::with(&[("GENESYS_BULK_LOOKS", "off")]).await;
    app.get("/queues").await;
    app.sandbox().order(FaultOrder::next("POST", OBSERVATIONS, fault).forever()).unwrap();
    let others = FaultOrder::next("", "*", Fault::Headers { set: headers(300, 70) }).forever();
    app.sandbox().order(FaultOrder { method: None, ..others }).unwrap();
    let path = format!("/conversations/{}", seed::CONNECTED_CALL);
    assert_eq!(app.get(&path).await.status, 200);
    app
}

async fn look(app: &TestApp) -> Answer {
    app.post("/batches", &drain(json!({"dryRun": true}))).await
}

#[track_caller]
fn assert_limited(answer: &Answer) {
    assert_eq!(answer.outcome(), (503, "genesys_rate_limited".to_owned()));
    let told: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=51).contains(&told), "{told}");
}

#[tokio::test]
async fn the_count_of_one_limit_is_not_held_against_another() {
    let app = beside_300(Fault::Headers { set: headers(60, 1) }).await;
    crowd(app.sandbox(), 45);

    let batch = app.carried_out(&drain(json!({}))).await;

    assert_eq!((moved(&batch), app.moves()), (45, 45), "{batch}");
}

#[tokio::test]
async fn a_used_up_limit_stops_what_needs_it_and_nothing_else() {
    let app = beside_300(Fault::Headers { set: headers(60, 60) }).await;
    assert_eq!(look(&app).await.status, 200);

    let transfer = app.transfer(app.fresh_call(), "Support Tier 2").await;
    let second = look(&app).await;

    assert_eq!(transfer.status, 201, "{}", transfer.json());
    assert_limited(&second);
    assert_eq!(app.seen("/observations/"), 1);
}

#[tokio::test]
async fn a_429_that_names_the_limit_of_one_resource_pauses_that_resource_alone() {
    let throttled = StatusAnswer {
        retry_after: Some("50".to_owned()),
        headers: headers(60, 61),
        ..StatusAnswer::new(429)
    };
    let app = beside_300(Fault::Status(throttled)).await;
    assert_limited(&look(&app).await);

    let transfer = app.transfer(app.fresh_call(), "Support Tier 2").await;
    let second = look(&app).await;

    assert_eq!(transfer.status, 201, "{}", transfer.json());
    assert_limited(&second);
    assert_eq!(app.seen("/observations/"), 1);
}

#[tokio::test]
async fn each_limit_is_in_the_metrics() {
    let app = beside_300(Fault::Headers { set: headers(60, 1) }).await;
    assert_eq!(look(&app).await.status, 200);

    let text = String::from_utf8(app.get("/metrics").await.body).unwrap();

    let seen = samples(&text);
    for (allowed, left) in [(300, 230.0), (60, 59.0)] {
        let series = format!("genesys_transfer_upstream_limit_left{{allowed=\"{allowed}\"}}");
        assert_eq!(seen.get(&series), Some(&left), "{series}\n{text}");
    }
}
