//! A service that asks for no credentials is used from this machine only, and by no page of another
//! site.

use genesys_transfer::sandbox::seed;
use reqwest::{Client, Method, Version};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::service::{Answer, QUEUES, TestApp, plain};

/// Asks with one header of the test's own. The API's description is that of a service that needs
/// credentials, which does not have these answers, so the answer is not held against it.
async fn ask(app: &TestApp, method: Method, path: &str, header: (&str, &str)) -> Answer {
    let request = app.request(method, path).header(header.0, header.1);
    let answer = request.json(&plain(seed::CONNECTED_CALL, "Support Tier 2")).send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, body: answer.bytes().await.unwrap().to_vec() }
}

#[tokio::test]
async fn a_name_that_is_not_this_machines_moves_no_call_and_reads_nothing() {
    let app = TestApp::warm(&[]).await;
    for host in ["evil.example", "localhost.evil.example:8080", "10.0.0.1"] {
        for (method, path) in [
            (Method::POST, "/transfers"),
            (Method::POST, "/queues/refresh"),
            (Method::GET, "/transfers"),
            (Method::GET, "/docs"),
            (Method::GET, "/ops"),
            (Method::GET, "/"),
            (Method::GET, "/openapi.json"),
            (Method::GET, "/health/live"),
            (Method::GET, "/metrics"),
            (Method::GET, "/nowhere"),
            (Method::DELETE, "/transfers"),
        ] {
            let answer = ask(&app, method.clone(), path, ("host", host)).await;
            assert_eq!(
                answer.outcome(),
                (421, "invalid_host".to_owned()),
                "{host} {method} {path}"
            );
            let hint = answer.json()["hint"].as_str().unwrap().to_owned();
            assert!(hint.contains("localhost"), "{hint}");
        }
    }
    assert_eq!(app.seen("/"), 0, "nothing reached Genesys");
}

#[tokio::test]
async fn this_machines_names_move_calls() {
    let app = TestApp::start().await;
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:8080"] {
        let request = app.request(Method::POST, "/transfers").header("host", host);
        let answer = request.json(&plain(app.fresh_call(), "Support Tier 2")).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{host}");
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_refused_over_http_2_too() {
    let app = TestApp::start().await;
    let address = app.app().address();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = Client::builder().no_proxy().resolve("evil.example", address);
        let client = match version {
            Version::HTTP_2 => client.http2_prior_knowledge(),
            _ => client.http1_only(),
        };
        let url = format!("http://evil.example:{}/queues", address.port());
        let answer = client.build().unwrap().get(url).send().await.unwrap();
        assert_eq!((answer.version(), answer.status().as_u16()), (version, 421));
    }
}

#[tokio::test]
async fn a_page_of_another_site_is_refused() {
    let app = TestApp::warm(&[]).await;
    for header in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:1"),
        ("sec-fetch-site", "cross-site"),
    ] {
        for (method, path) in [
            (Method::POST, "/transfers"),
            (Method::POST, "/queues/refresh"),
            (Method::GET, "/queues"),
            (Method::GET, "/openapi.json"),
        ] {
            let answer = ask(&app, method.clone(), path, header).await;
            let expected = (403, "not_permitted".to_owned());
            assert_eq!(answer.outcome(), expected, "{header:?} {method} {path}");
        }
    }
    assert_eq!(app.seen("/"), 0, "nothing reached Genesys");
}

/// What a browser lets any page send without asking first.
#[tokio::test]
async fn a_simple_post_of_another_site_loads_no_queues() {
    let app = TestApp::warm(&[]).await;
    let post = |header: (&'static str, String)| {
        let request = app.request(Method::POST, "/queues/refresh");
        request.header("content-type", "text/plain").header(header.0, header.1).body("x").send()
    };

    let foreign = post(("origin", "https://evil.example".to_owned())).await.unwrap().status();
    let loads = app.seen(QUEUES);
    let own = post(("origin", app.url(""))).await.unwrap().status();

    assert_eq!((foreign.as_u16(), loads, own.as_u16()), (403, 0, 200));
    assert!(app.seen(QUEUES) > 0);
}

#[tokio::test]
async fn with_credentials_the_service_may_have_any_name() {
    let hash: Vec<_> = Sha256::digest("key").iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hash.concat();
    let keys = json!([{"caller": "crm", "sha256": [hash], "permissions": ["queues:read"]}]);
    let keys = keys.to_string();
    let app = TestApp::with(&[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys)]).await;
    for header in [("host", "transfer.example"), ("origin", "https://desk.example")] {
        let request = app.request(Method::GET, "/queues").bearer_auth("key");
        let answer = request.header(header.0, header.1).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{header:?}");
    }
}

#[tokio::test]
async fn the_sandboxs_own_port_keeps_to_the_same_rules() {
    let app = TestApp::start().await;
    let client = Client::builder().no_proxy().build().unwrap();
    let reset = format!("{}/sandbox/scenarios/reset", app.sandbox().base_url());
    let status = async |name: &str, value: &str| {
        client.post(&reset).header(name, value).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("host", "evil.example").await, 421);
    assert_eq!(status("origin", "http://evil.example").await, 403);
    assert_eq!(status("sec-fetch-site", "cross-site").await, 403);
    assert_eq!(status("host", "localhost:8081").await, 200);
}

#[tokio::test]
async fn the_document_of_an_open_service_describes_these_refusals() {
    let app = TestApp::start().await;
    let document: Value = app.get("/openapi.json").await.json();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for (status, code) in [("421", "invalid_host"), ("403", "not_permitted")] {
                let answer = operation["responses"][status].to_string();
                assert!(answer.contains(code), "{}: {status}", operation["operationId"]);
            }
        }
    }
}
