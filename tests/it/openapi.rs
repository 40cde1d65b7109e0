//! The API's description and its page: complete, true, and open to every caller.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

use crate::support::{
    batches::drain,
    document::{assert_described, check, description},
    service::{TestApp, plain, send},
};
use genesys_transfer::sandbox::seed;

/// The paths that the routers are given, read from the source: a router cannot be asked.
fn routes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    found.extend(routes_in(&folders[0].with_extension("rs")));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                found.extend(routes_in(&path));
            }
        }
    }
    found
}

fn routes_in(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let text: String = text.split_whitespace().collect();
    text.split(".route(").skip(1).map(|rest| route(rest.split(',').next().unwrap())).collect()
}

/// The path that is written as `first`: a text, or `PATH` of a module.
fn route(first: &str) -> String {
    let Some(module) = first.strip_suffix("::PATH") else { return first.replace('"', "") };
    let file = format!("{}/src/http/{module}.rs", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(file).unwrap();
    let after = text.split("const PATH: &str = \"").nth(1).unwrap();
    after.split('"').next().unwrap().to_owned()
}

fn described_paths() -> BTreeSet<String> {
    description()["paths"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn what_is_served_is_described_and_the_other_way_round() {
    assert!(routes().len() >= 18, "the routes were found");
    assert_eq!(routes(), described_paths());
}

#[tokio::test]
async fn every_path_takes_the_described_methods_and_no_others() {
    let app = TestApp::start().await;
    for path in described_paths() {
        let there = path.replace("{id}", "x").replace("{code}", "x").replace("{file}", "x");
        let answer = send(app.request(Method::OPTIONS, &there)).await;
        let taken: BTreeSet<_> = answer
            .header("allow")
            .unwrap()
            .split(',')
            .map(|word| word.trim().to_ascii_lowercase())
            .filter(|word| !matches!(word.as_str(), "head" | "options"))
            .collect();
        let described =
            description()["paths"][&path].as_object().unwrap().keys().cloned().collect();
        assert_eq!(taken, described, "{path}");
    }
}

/// Metrics and probes are asked for by tools that may add parameters of their own.
const LENIENT: [&str; 3] = ["/metrics", "/health/live", "/health/ready"];

#[tokio::test]
async fn a_parameter_that_is_not_described_is_refused_everywhere() {
    let app = TestApp::start().await;
    let id = seed::CONNECTED_CALL.to_string();
    for (path, item) in description()["paths"].as_object().unwrap() {
        let there = path.replace("{id}", &id).replace("{code}", "x").replace("{file}", "x");
        for word in item.as_object().unwrap().keys() {
            let method = Method::from_bytes(word.to_uppercase().as_bytes()).unwrap();
            let request = app.request(method, &format!("{there}?unknown=1"));
            let answer =
                send(if word == "post" { request.json(&json!({})) } else { request }).await;
            if LENIENT.contains(&path.as_str()) {
                assert!(answer.status != 422, "{word} {path}");
                continue;
            }
            app.assert_problem(&answer, 422, "invalid_request").await;
            assert_eq!(answer.json()["errors"][0]["pointer"], "?unknown", "{word} {path}");
        }
    }
}

#[tokio::test]
async fn the_description_is_served() {
    let app = TestApp::start().await;
    let first = app.get("/openapi.json").await;
    assert_eq!((first.status.as_u16(), &first.json()["openapi"]), (200, &json!("3.1.0")));
    assert_eq!(first.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let page = app.get("/docs").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    for unsafe_word in ["unsafe", "http", "*"] {
        assert!(!policy.contains(unsafe_word), "{policy}");
    }
}

/// What a file names: files of the page, and modules beside it.
fn named_in(text: &str) -> Vec<String> {
    let quoted = || text.split(['"', '\'']);
    let files = quoted().filter(|part| part.starts_with("docs/")).map(|file| format!("/{file}"));
    let modules = quoted().filter_map(|part| part.strip_prefix("./"));
    files.chain(modules.map(|module| format!("/docs/{module}"))).collect()
}

/// The page and what it loads, and what that loads: all of it is there, none of it is elsewhere.
#[tokio::test]
async fn all_that_the_page_needs_is_served_by_the_service() {
    let app = TestApp::start().await;
    let mut wanted = vec!["/docs".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(path) = wanted.pop() {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let text = String::from_utf8(answer.body).unwrap();
        for foreign in ["http:", "https:", "style=", "onclick=", "innerHTML", "eval("] {
            let namespace = path == "/docs/icon.svg" && foreign == "http:";
            assert!(namespace || !text.contains(foreign), "{path}: {foreign}");
        }
        seen.insert(path);
        wanted.extend(named_in(&text).into_iter().filter(|path| !seen.contains(path)));
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[tokio::test]
async fn scripts_are_served_as_scripts_and_only_those_that_are_there() {
    let app = TestApp::start().await;
    for (file, kind) in [
        ("page.js", "text/javascript; charset=utf-8"),
        ("try.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let answer = app.get(&format!("/docs/{file}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some(kind)));
        let head = send(app.request(Method::HEAD, &format!("/docs/{file}"))).await;
        let length = answer.body.len().to_string();
        assert_eq!((head.status.as_u16(), head.header("content-length")), (200, Some(&*length)));
    }
    for path in ["/docs/xyz", "/docs/page.js/x"] {
        app.assert_problem(&app.get(path).await, 404, "not_found").await;
    }
}

#[tokio::test]
async fn strangers_may_read_the_description() {
    let keys = json!([{"caller": "ops", "sha256": ["0".repeat(64)], "permissions": ["admin"]}]);
    let keys = keys.to_string();
    let app = TestApp::with(&[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys)]).await;
    for path in ["/docs", "/docs/page.js", "/openapi.json"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    let security =
        &app.get("/openapi.json").await.json()["paths"]["/transfers"]["post"]["security"];
    assert_eq!(
        security,
        &json!([{"apiKey": ["transfers:write"]}, {"accessToken": ["transfers:write"]}])
    );
    assert_eq!(app.get("/queues").await.status, 401);
}

#[tokio::test]
async fn the_examples_are_requests_that_can_be_sent() {
    let examples = examples_of("/transfers");
    assert!(examples.len() >= 3);
    for (name, body) in examples {
        let app = TestApp::start().await;
        let answer = app.submit(body).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.json());
    }
}

#[tokio::test]
async fn the_examples_of_batches_can_be_sent() {
    let examples = examples_of("/batches");
    assert!(examples.len() >= 4);
    for (name, mut body) in examples {
        let app = TestApp::start().await;
        if body.get("planId").is_some() {
            let dry_run = app.post("/batches", &drain(json!({"dryRun": true}))).await;
            body["planId"] = dry_run.json()["planId"].clone();
        }
        let answer = app.post("/batches", &body).await;
        let expected = if body["dryRun"] == true { 200 } else { 202 };
        assert_eq!(answer.status, expected, "{name}: {}", answer.json());
    }
}

fn examples_of(path: &str) -> Vec<(&'static str, Value)> {
    let body = &description()["paths"][path]["post"]["requestBody"];
    let examples = body["content"]["application/json"]["examples"].as_object().unwrap();
    examples.iter().map(|(name, example)| (name.as_str(), example["value"].clone())).collect()
}

#[test]
fn the_examples_of_answers_are_as_described() {
    let mut seen = 0;
    for item in description()["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for answer in operation["responses"].as_object().unwrap().values() {
                let Some(content) = answer["content"].get("application/json") else { continue };
                let Some(example) = content.get("example") else { continue };
                let mut faults = Vec::new();
                check(&content["schema"], example, "", &mut faults);
                assert!(faults.is_empty(), "{}: {faults:#?}", operation["operationId"]);
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn the_example_of_every_problem_is_as_described() {
    for (name, example) in description()["components"]["examples"].as_object().unwrap() {
        let mut faults = Vec::new();
        let schema = &description()["components"]["schemas"]["Problem"];
        check(schema, &example["value"], "", &mut faults);
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

/// The helper that every other test leans on sees what it should see.
#[tokio::test]
async fn an_answer_that_is_not_described_is_noticed() {
    let app = TestApp::start().await;
    let good = app.submit(plain(seed::CONNECTED_CALL, "Support Tier 2")).await;
    let notices = |status: u16, headers: &HeaderMap, body: &Value| {
        let body = body.to_string().into_bytes();
        let headers = headers.clone();
        std::panic::catch_unwind(|| {
            assert_described((&Method::POST, "/transfers"), status, &headers, &body);
        })
        .is_err()
    };
    let with = |member: &str, value: Value| {
        let mut body = good.json();
        body[member] = value;
        body
    };
    let mut headless = good.headers.clone();
    headless.remove("location");
    assert!(!notices(201, &good.headers, &good.json()));
    assert!(notices(200, &good.headers, &good.json()), "another status");
    assert!(notices(201, &headless, &good.json()), "a header is missing");
    assert!(notices(201, &good.headers, &with("more", json!(1))), "another member");
    assert!(notices(201, &good.headers, &with("status", json!("lost"))), "another word");
    assert!(notices(201, &good.headers, &with("priority", json!("high"))), "another type");
    assert!(notices(201, &good.headers, &with("queue", json!({}))), "a member is missing");
}
