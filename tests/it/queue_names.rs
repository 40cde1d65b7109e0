//! One way to compare queue names, wherever they come from.

use genesys_transfer::sandbox::Sandbox;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    keys::entry,
    service::{Answer, QUEUES, TestApp, lone_sandbox, plain, send},
};

/// A name of Genesys' with ways to write it that read alike.
const ALIKE: [(&str, &[&str]); 5] = [
    ("ΟΔΟΣ ΑΘΗΝΑΣ", &["οδος αθηνας", "οδοσ αθηνασ", "Οδος Αθηνας"]),
    ("Straße", &["STRASSE", "strasse"]),
    ("Cafe\u{301}", &["CAF\u{c9}", "caf\u{e9}"]),
    ("\u{a0}Weekend\u{3000}", &["weekend", "\u{feff}WEEKEND\u{200b}"]),
    ("ԵՐԵՎԱՆ", &["երեվան"]),
];

async fn start(sandbox: &std::sync::Arc<Sandbox>, settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::beside(sandbox, settings).await;
    app.get("/queues").await;
    app
}

async fn to(app: &TestApp, name: &str) -> Answer {
    app.transfer(app.fresh_call(), name).await
}

fn ids(found: &Value) -> Vec<&Value> {
    found["items"].as_array().unwrap().iter().map(|queue| &queue["id"]).collect()
}

#[tokio::test]
async fn a_queue_is_found_by_every_way_to_write_its_name() {
    let sandbox = lone_sandbox().await;
    let queues = ALIKE.map(|(name, _)| json!(sandbox.add_queue(name).unwrap()));
    let app = start(&sandbox, &[]).await;
    for ((name, ways), queue) in ALIKE.iter().zip(&queues) {
        for way in ways.iter().chain([name]) {
            let moved = to(&app, way).await.json();
            assert_eq!(moved["queue"]["id"], *queue, "{way:?}: {moved}");
            let part: String = way.chars().take(6).collect();
            let search = app.request(Method::GET, "/queues").query(&[("name", &part)]);
            let found = send(search).await.json();
            assert_eq!(ids(&found), [queue], "{part:?}");
        }
    }
    let searches = app.sandbox().requests().into_iter().filter(|it| {
        it.path == QUEUES && it.query.as_deref().is_some_and(|query| query.contains("name="))
    });
    assert_eq!(searches.count(), 0, "all were in the list");
}

#[tokio::test]
async fn a_callers_patterns_match_every_way_to_write_a_name() {
    let sandbox = lone_sandbox().await;
    for (name, _) in ALIKE {
        sandbox.add_queue(name).unwrap();
    }
    let all = ["transfers:write"];
    let patterns = ["οδοΣ*", "straSSe", "CAF\u{c9}*", " weekEND\u{200b}", "եՐԵՎԱՆ"];
    let keys: Vec<Value> = (0..patterns.len())
        .map(|index| entry(&format!("k{index}"), &all, &[patterns[index]]))
        .collect();
    let keys = Value::from(keys).to_string();
    let app =
        TestApp::beside(&sandbox, &[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys)]).await;
    for (of_pattern, pattern) in patterns.iter().enumerate() {
        for (of_name, (name, ways)) in ALIKE.iter().enumerate() {
            for way in ways.iter().chain([name]) {
                let body = plain(app.fresh_call(), way);
                let answer = app.post_as(&format!("k{of_pattern}"), "/transfers", &body).await;
                let expected = if of_pattern == of_name { 201 } else { 403 };
                assert_eq!(answer.status, expected, "{pattern:?}, {way:?}: {}", answer.json());
            }
        }
    }
}

#[tokio::test]
async fn queues_whose_names_differ_only_so_are_all_candidates() {
    let sandbox = lone_sandbox().await;
    for (one, other, asked) in [
        ("ΟΔΟΣ", "οδος", "Οδος"),
        ("Straße", "strasse", "STRASSE"),
        // Written in two ways, they look the same: neither is more exact.
        ("Caf\u{e9}", "Cafe\u{301}", "Caf\u{e9}"),
        ("Weekend", "\u{2003}Weekend\u{200b}", "Weekend"),
    ] {
        let queues = [one, other].map(|name| json!(sandbox.add_queue(name).unwrap()));
        let app = start(&sandbox, &[]).await;
        let answer = to(&app, asked).await;
        assert_eq!(answer.outcome(), (422, "queue_ambiguous".to_owned()), "{asked:?}");
        let answer = answer.json();
        let candidates: Vec<_> =
            answer["candidates"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(candidates.len(), 2, "{candidates:?}");
        assert!(queues.iter().all(|queue| candidates.contains(&queue)), "{candidates:?}");
    }
}

#[tokio::test]
async fn a_name_of_nothing_but_what_does_not_show_is_no_name() {
    let app = TestApp::start().await;
    let answer = to(&app, "\u{200b}\u{a0}\u{feff}").await;
    assert_eq!(answer.outcome(), (422, "invalid_request".to_owned()));
}
