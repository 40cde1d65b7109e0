//! The operators' page, and where the service's root leads.

use reqwest::{Client, Method, redirect::Policy};
use serde_json::json;

use crate::support::service::{TestApp, send};

/// Where a request is led, and how.
async fn led(app: &TestApp, path: &str, accept: &str) -> (u16, String) {
    let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
    let answer = send(client.get(app.url(path)).header("Accept", accept)).await;
    (answer.status.as_u16(), answer.header("location").unwrap().to_owned())
}

#[tokio::test]
async fn the_root_leads_browsers_to_the_page_and_tells_programs_where_to_go_on() {
    let app = TestApp::start().await;
    for accept in ["text/html", "text/html,application/xhtml+xml,*/*;q=0.8"] {
        assert_eq!(led(&app, "/", accept).await, (303, "/ops".to_owned()), "{accept}");
    }
    assert_eq!(led(&app, "/ops/", "*/*").await, (308, "../ops".to_owned()));
    for accept in ["*/*", "application/json", "application/json, text/html;q=0.5"] {
        let answer = app.ask(Method::GET, "/", ("Accept", accept)).await;
        assert_eq!(answer.status.as_u16(), 200, "{accept}");
        let service = answer.json();
        assert_eq!(service["name"], "genesys-transfer");
        assert_eq!(service["version"], env!("CARGO_PKG_VERSION"));
        for path in service["links"].as_object().unwrap().values() {
            assert_eq!(app.get(path.as_str().unwrap()).await.status, 200, "{path}");
        }
    }
    app.assert_problem(&app.get("/?x=1").await, 422, "invalid_request").await;
}

#[tokio::test]
async fn strangers_get_the_page_and_nothing_else() {
    let keys = json!([{"caller": "ops", "sha256": ["0".repeat(64)], "permissions": ["admin"]}]);
    let keys = keys.to_string();
    let app = TestApp::with(&[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys)]).await;
    for path in ["/", "/ops", "/ops/page.js"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    assert_eq!(app.get("/whoami").await.status, 401);
    for path in ["/ops/xyz", "/ops/page.js/x"] {
        app.assert_problem(&app.get(path).await, 404, "not_found").await;
    }
}

/// What a file names: files of the page, and modules beside it.
fn named_in(text: &str) -> impl Iterator<Item = String> {
    text.split(['"', '\''])
        .filter_map(|part| part.strip_prefix("ops/").or_else(|| part.strip_prefix("./")))
        .map(|file| format!("/ops/{file}"))
}

#[tokio::test]
async fn all_that_the_page_needs_comes_from_the_service_in_60_kb() {
    let app = TestApp::start().await;
    let (mut wanted, mut seen, mut bytes) = (vec!["/ops".to_owned()], Vec::new(), 0);
    while let Some(path) = wanted.pop() {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        let head = send(app.request(Method::HEAD, &path)).await;
        assert_eq!(head.status, 200, "{path}");
        bytes += answer.body.len();
        let text = String::from_utf8(answer.body).unwrap();
        for foreign in ["http:", "https:", "style=", "onclick=", "eval(", "Storage", "cookie"] {
            assert!(!text.contains(foreign), "{path}: {foreign}");
        }
        seen.push(path);
        wanted.extend(named_in(&text).filter(|path| !seen.contains(path)));
        wanted.sort();
        wanted.dedup();
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
    assert!(bytes <= 60_000, "{bytes}");
}
