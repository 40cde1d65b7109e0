//! `/admin/log-level` and SIGHUP: what is logged, changed for an incident.

use genesys_transfer::clock::{Clock as _, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    process::{Process, Site},
    service::{TestApp, plain},
};

const PATH: &str = "/admin/log-level";

#[tokio::test]
async fn the_filter_is_shown_and_changed() {
    let app = TestApp::start().await;
    let before = app.get(PATH).await.json();
    let changed = app.post(PATH, &json!({"filter": "warn,genesys_transfer=debug"})).await;
    assert_eq!(before, json!({"filter": "info", "configured": "info", "until": null}));
    assert_eq!(changed.status, 200);
    assert_eq!(app.get(PATH).await.json(), changed.json());
    assert_eq!(changed.json()["filter"], "warn,genesys_transfer=debug");
    assert_eq!(changed.json()["until"], Value::Null);
}

#[tokio::test]
async fn a_change_for_a_time_says_when_it_ends() {
    let app = TestApp::start().await;
    let before = SystemClock.now();
    let answer = app.post(PATH, &json!({"filter": "debug", "for": "15m"})).await.json();
    let times = before..=SystemClock.now();
    let until: jiff::Timestamp = answer["until"].as_str().unwrap().parse().unwrap();
    let changed = until - jiff::SignedDuration::from_mins(15);
    assert!(times.contains(&changed), "changed at {changed}, not in {times:?}");
}

#[tokio::test]
async fn what_is_no_filter_and_no_time_is_refused_with_a_pointer() {
    let app = TestApp::start().await;
    for (body, pointer) in [
        (json!({"filter": "debgu"}), "/filter"),
        (json!({"filter": "a=b=c"}), "/filter"),
        (json!({"filter": ""}), "/filter"),
        (json!({"filter": 7}), "/filter"),
        (json!({}), "/filter"),
        (json!({"filter": "info", "for": "15"}), "/for"),
        (json!({"filter": "info", "for": "0s"}), "/for"),
        (json!({"filter": "info", "for": "25h"}), "/for"),
        (json!({"filter": "info", "level": "debug"}), "/level"),
    ] {
        let answer = app.post(PATH, &body).await;
        assert_eq!(answer.outcome(), (422, "invalid_request".to_owned()), "{body}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{body}");
    }
    assert_eq!(app.get(PATH).await.json()["filter"], "info");
}

/// A service that logs warnings only, and a transfer that it made.
async fn quiet() -> (Site, Process) {
    let site = Site::sqlite().await.set("TELEMETRY_LOG_FILTER", "warn,genesys_transfer=info");
    let process = site.start().await;
    (site, process)
}

async fn moves_a_call(site: &Site, process: &Process) {
    let answer = process.submit(&plain(site.call(), "Support Tier 2"), &[]).await.unwrap();
    assert_eq!(answer.status, 201);
}

fn of_target<'a>(log: &'a [Value], target: &'a str) -> impl Iterator<Item = &'a Value> {
    log.iter().filter(move |line| line["target"] == target)
}

#[tokio::test]
async fn a_change_counts_at_once_is_put_down_to_its_caller_and_ends_with_sighup() {
    let (site, process) = quiet().await;
    moves_a_call(&site, &process).await;
    let body = json!({"filter": "access=info"});
    let changed = site.http().post(format!("http://{}{PATH}", process.address)).json(&body);
    assert_eq!(site.ask(changed).await.unwrap().status, 200);
    moves_a_call(&site, &process).await;
    process.signal("HUP").await;
    process.says("log filter reloaded").await;
    moves_a_call(&site, &process).await;
    process.signal("TERM").await;
    let log: Vec<Value> =
        process.end().await.log.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The change itself, and the one transfer while it was in force.
    assert_eq!(of_target(&log, "access").count(), 2, "{log:#?}");
    let audit: Vec<_> = of_target(&log, "audit").collect();
    assert_eq!(audit.iter().filter(|line| !line["transfer_id"].is_null()).count(), 3);
    let change = audit.iter().find(|line| line["message"] == "log filter changed").unwrap();
    assert_eq!(
        (&change["caller"], &change["filter"]),
        (&"anonymous".into(), &"access=info".into())
    );
}

#[tokio::test]
async fn sighup_takes_the_filter_from_the_file_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    let write = |filter: &str| {
        std::fs::write(&file, format!("[telemetry]\nlog_filter = '{filter}'\n")).unwrap();
    };
    write("info");
    let site = Site::sqlite().await.set("CONFIG_FILE", file.to_str().unwrap());
    let process = site.start().await;
    write("debug");
    process.signal("HUP").await;
    process.says("log filter reloaded").await;
    let now = process.get(PATH).await.json();
    write("debgu");
    process.signal("HUP").await;
    process.says("SIGHUP changes nothing").await;
    assert_eq!(now, json!({"filter": "debug", "configured": "debug", "until": null}));
    assert_eq!(process.get(PATH).await.json(), now);
}

#[tokio::test]
async fn other_methods_are_told_what_there_is() {
    let app = TestApp::start().await;
    let answer = crate::support::service::send(app.request(Method::DELETE, PATH)).await;
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST, OPTIONS"));
}
