//! Who goes first when several callers wait for room in the request limit.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use genesys_transfer::sandbox::faults::Fault;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::support::{
    exposition::samples,
    service::{Answer, REPLACE, TestApp, plain, send, soon},
};

/// Requests that the busy caller has waiting.
const LOOPS: u32 = 20;

/// A caller whose key is its name.
fn entry(caller: &str) -> Value {
    let hash: Vec<String> = Sha256::digest(caller).iter().map(|b| format!("{b:02x}")).collect();
    let permissions = ["transfers:write", "metrics:read"];
    json!({
        "caller": caller, "sha256": [hash.concat()], "permissions": permissions, "queues": ["*"],
    })
}

async fn submit(app: &TestApp, caller: &str, call: Uuid) -> Answer {
    let body = plain(call, "Support Tier 2");
    send(app.request(Method::POST, "/transfers").bearer_auth(caller).json(&body)).await
}

/// Waits until that many requests wait for room.
async fn waiting(app: &TestApp, count: u32) {
    let series = "genesys_transfer_upstream_pacing_waiting{lane=\"single\"}";
    soon("the line", async {
        loop {
            let scrape = send(app.request(Method::GET, "/metrics").bearer_auth("quiet")).await;
            let seen = samples(std::str::from_utf8(&scrape.body).unwrap());
            if seen[series] >= f64::from(count) {
                return;
            }
        }
    })
    .await;
}

/// The conversations in the order in which they were first looked at, after the first `skip`.
fn looked_at(app: &TestApp, skip: usize) -> Vec<Uuid> {
    let requests = app.sandbox().requests();
    let looks = requests.iter().filter(|request| request.method == "GET");
    let ids = looks.filter_map(|look| look.path.strip_prefix("/api/v2/conversations/"));
    ids.skip(skip).map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn one_caller_with_many_requests_does_not_keep_another_waiting() {
    let keys = json!([entry("busy"), entry("quiet")]).to_string();
    let settings = [("AUTH_MODE", "required"), ("AUTH_API_KEYS", keys.as_str())];
    let app = TestApp::with(&settings).await;
    // For some seconds nothing may go, and from then on two commands at a time.
    let used: BTreeMap<String, String> = [("allowed", "2"), ("count", "2"), ("reset", "8")]
        .map(|(name, value)| (format!("inin-ratelimit-{name}"), value.to_owned()))
        .into();
    app.fault("POST", REPLACE, 1, Fault::Headers { set: used });
    assert_eq!(submit(&app, "busy", app.fresh_call()).await.status, 201);
    let many = join_all((0..LOOPS).map(|_| submit(&app, "busy", app.fresh_call())));
    let call = app.fresh_call();
    let one = async {
        waiting(&app, LOOPS).await;
        let answer = submit(&app, "quiet", call);
        let (answer, ()) = tokio::join!(answer, waiting(&app, LOOPS + 1));
        answer
    };

    let (many, one) = tokio::join!(many, one);

    let served = looked_at(&app, 1).iter().position(|looked| *looked == call).unwrap();
    assert!(served < 4, "the quiet caller was number {served} of {}", LOOPS + 1);
    assert_eq!(one.status, 201, "{}", one.json());
    assert!(many.iter().all(|answer| answer.status == 201));
}
