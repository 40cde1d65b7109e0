//! The real router in memory, with callers of every kind.

use axum::{Router, body::Body};
use futures_util::stream;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeSet, time::Duration};
use tower::ServiceExt as _;

use super::*;
use crate::{
    auth::Keyring,
    batch::testing::placeholder,
    clock::{IdSource, ManualClock, SystemClock},
    config::{ApiKey, Auth, AuthMode, QueuePattern, Server},
    http::{RequestIds, Shutdown, router},
};

const ID: &str = "00000000-0000-4000-8000-00000000c0de";

fn entry(caller: &str, permissions: &[Permission]) -> ApiKey {
    ApiKey {
        caller: caller.to_owned(),
        sha256: vec![Sha256::digest(caller).into()],
        permissions: permissions.iter().copied().collect(),
        queues: vec![QueuePattern::new("*").unwrap()],
        max_priority: None,
        requests_per_minute: None,
    }
}

/// A service that knows the callers `entries`, whose keys are their names.
fn service(entries: Vec<ApiKey>) -> Router {
    let auth =
        Auth { mode: AuthMode::Required, api_keys: entries, api_keys_file: None, oidc: None };
    let keyring = Keyring::new(&auth, 10, Arc::new(SystemClock)).unwrap();
    let settings = Server {
        bind: ([127, 0, 0, 1], 0).into(),
        deadline: Duration::from_secs(30),
        shutdown_grace: Duration::from_secs(20),
        shutdown_delay: Duration::ZERO,
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(10),
        max_connections: 10,
        max_connections_per_address: 10,
        unlimited_addresses: Vec::new(),
        max_in_flight: 10,
        max_streams_per_caller: 8,
        tls: None,
    };
    let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
    let ids = RequestIds::new(Arc::new(clock), Arc::new(IdSource::default()));
    let shutdown = Shutdown::default();
    router(&AppState::new(placeholder(), keyring, &settings, ids, &shutdown))
}

/// One service with a caller for each permission, named after it, and one with none but its own.
fn one_caller_each() -> Router {
    service(
        Permission::ALL
            .iter()
            .map(|one| entry(one.name().replace(':', "-").as_str(), &[*one]))
            .collect(),
    )
}

fn request(method: &str, path: &str, authorization: &[&str]) -> Request {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("x-request-id", "r-1");
    for value in authorization {
        request = request.header("authorization", *value);
    }
    request.body(Body::empty()).unwrap()
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn send(service: &Router, request: Request) -> Answer {
    let response = service.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

/// Every route for callers, with what it needs.
fn closed_routes() -> Vec<(&'static str, String, Vec<Permission>)> {
    use Permission::{Admin, BatchesWrite, MetricsRead, QueuesRead, TransfersRead, TransfersWrite};
    vec![
        ("POST", "/transfers".to_owned(), vec![TransfersWrite]),
        ("GET", "/transfers".to_owned(), vec![TransfersRead]),
        ("HEAD", "/transfers".to_owned(), vec![TransfersRead]),
        ("GET", format!("/transfers/{ID}"), vec![TransfersRead]),
        ("POST", format!("/transfers/{ID}/settle"), vec![Admin]),
        ("POST", format!("/transfers/{ID}/undo"), vec![TransfersWrite]),
        ("GET", "/batches".to_owned(), vec![TransfersRead]),
        ("POST", "/batches".to_owned(), vec![BatchesWrite]),
        ("GET", format!("/batches/{ID}"), vec![TransfersRead]),
        ("DELETE", format!("/batches/{ID}"), vec![BatchesWrite]),
        ("GET", format!("/batches/{ID}/transfers"), vec![TransfersRead]),
        ("POST", format!("/batches/{ID}/undo"), vec![BatchesWrite]),
        ("GET", format!("/batches/{ID}/events"), vec![TransfersRead]),
        ("GET", format!("/conversations/{ID}"), vec![TransfersRead]),
        ("GET", "/queues".to_owned(), vec![QueuesRead]),
        ("GET", format!("/queues/{ID}"), vec![QueuesRead]),
        ("POST", "/queues/refresh".to_owned(), vec![QueuesRead, TransfersWrite]),
        ("GET", "/metrics".to_owned(), vec![MetricsRead]),
        ("GET", "/whoami".to_owned(), vec![]),
        ("GET", "/admin/log-level".to_owned(), vec![Admin]),
        ("POST", "/admin/log-level".to_owned(), vec![Admin]),
    ]
}

#[test]
fn every_route_for_callers_is_in_the_list() {
    let document = serde_json::to_value(crate::http::description(false)).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] != serde_json::json!([]) {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    let listed = closed_routes().into_iter().filter(|(method, _, _)| *method != "HEAD");
    let listed = listed.map(|(method, path, _)| (method.to_owned(), path.replace(ID, "{id}")));
    assert_eq!(listed.collect::<BTreeSet<_>>(), described);
}

#[tokio::test]
async fn each_permission_opens_its_routes_and_no_others() {
    let service = one_caller_each();
    for (method, path, needed) in closed_routes() {
        for given in Permission::ALL {
            let key = format!("Bearer {}", given.name().replace(':', "-"));
            let answer = send(&service, request(method, &path, &[&key])).await;
            let other = instead(&method.parse().unwrap(), &path) == Some(*given);
            let all = needed.iter().all(|one| one == given);
            let allowed = *given == Permission::Admin || all || other;
            assert_eq!(answer.status != 403, allowed, "{given}: {method} {path}");
            assert!(!matches!(answer.status, 401 | 429), "{given}: {method} {path}");
            if !allowed && method != "HEAD" {
                assert_eq!(answer.body["code"], "not_permitted");
                let detail = answer.body["detail"].as_str().unwrap();
                let named = needed.iter().any(|one| detail.contains(one.name()));
                assert!(named, "{detail}");
            }
        }
    }
}

#[tokio::test]
async fn several_permissions_together_open_a_route_that_needs_them() {
    let both = [Permission::QueuesRead, Permission::TransfersWrite];
    let service = service(vec![entry("crm", &both)]);
    let answer = send(&service, request("POST", "/queues/refresh", &["Bearer crm"])).await;
    assert!(!matches!(answer.status, 401 | 403), "{}", answer.status);
}

#[tokio::test]
async fn a_route_nobody_thought_of_is_the_admins() {
    assert_eq!(needed(&Method::DELETE, "/new"), [Permission::Admin]);
    assert_eq!(needed(&Method::GET, ""), [Permission::Admin]);
}

#[tokio::test]
async fn every_closed_route_asks_for_credentials() {
    let service = one_caller_each();
    for (method, path, _) in closed_routes() {
        let answer = send(&service, request(method, &path, &[])).await;
        assert_eq!(answer.status, 401, "{method} {path}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"genesys-transfer\"");
    }
}

#[tokio::test]
async fn probes_and_explanations_need_no_credentials() {
    let service = one_caller_each();
    for path in ["/health/live", "/problems", "/problems/not_found"] {
        for authorization in [&[][..], &["Bearer wrong"][..]] {
            let answer = send(&service, request("GET", path, authorization)).await;
            assert_eq!(answer.status, 200, "{path}");
        }
    }
    let ready = send(&service, request("GET", "/health/ready", &[])).await;
    assert!(matches!(ready.status, 200 | 503));
}

#[tokio::test]
async fn all_bad_credentials_get_the_same_answer() {
    let service = one_caller_each();
    let long = format!("Bearer {}", "a".repeat(9000));
    let mut bodies = Vec::new();
    for authorization in [
        &["Bearer wrong"][..],
        &["bearer admin2"],
        &["Bearer "],
        &["Bearer a.b.c"],
        &["Bearer eyJhbGciOiJub25lIn0.e30."],
        &[&long],
        &["Bearer admin", "Bearer admin"],
    ] {
        let answer = send(&service, request("GET", "/queues", authorization)).await;
        assert_eq!(answer.status, 401, "{authorization:?}");
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"genesys-transfer\", error=\"invalid_token\""
        );
        bodies.push(answer.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    assert_eq!(bodies[0]["code"], "unauthenticated");
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case_and_others_count_as_none() {
    let service = one_caller_each();
    for (authorization, status) in
        [("BEARER admin", true), ("bearer  admin", true), ("Basic admin", false), ("admin", false)]
    {
        let answer = send(&service, request("GET", "/transfers", &[authorization])).await;
        assert_eq!(answer.status == 200, status, "{authorization}: {}", answer.status);
    }
}

#[tokio::test]
async fn a_refused_caller_leaves_the_body_unread() {
    let service = one_caller_each();
    for authorization in ["Bearer wrong", "Bearer transfers-read"] {
        let unread =
            stream::poll_fn(|_| -> std::task::Poll<Option<Result<Vec<u8>, axum::Error>>> {
                panic!("the body was read")
            });
        let mut request = request("POST", "/transfers", &[authorization]);
        *request.body_mut() = Body::from_stream(unread);
        let answer = send(&service, request).await;
        assert!(matches!(answer.status, 401 | 403), "{}", answer.status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_over_its_rate_waits_and_others_do_not() {
    let limited = ApiKey { requests_per_minute: Some(2), ..entry("crm", &[Permission::Admin]) };
    let service = service(vec![limited, entry("ivr", &[Permission::Admin])]);
    let ask = |key: &'static str| send(&service, request("GET", "/transfers", &[key]));
    assert_eq!(ask("Bearer crm").await.status, 200);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(ask("Bearer crm").await.status, 200);
    let refused = ask("Bearer crm").await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &HeaderValue::from(40)));
    assert_eq!(refused.body["code"], "too_many_requests");
    assert_eq!(ask("Bearer ivr").await.status, 200);
    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(ask("Bearer crm").await.status, 200);
}
