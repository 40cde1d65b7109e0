//! Every problem that can be met today: status, code, headers, and what it says about sending
//! again.

use std::{collections::BTreeSet, time::Duration};

use genesys_transfer::sandbox::{
    State,
    faults::{Fault, FaultOrder, Garbage, StatusAnswer, When},
    seed,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    frozen::Frozen,
    held::{hold_command, let_go},
    service::{CONVERSATION, QUEUES, REPLACE, TOKEN, TestApp, plain, send, soon},
};

/// Sends `text` as it stands and reads until the service closes the connection.
async fn raw(app: &TestApp, text: &str) -> String {
    let url = app.url("");
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn assert_raw(answer: &str, status: u16, code: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/problem+json"), "{head}");
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)));
    assert!(
        head.to_lowercase()
            .contains(&format!("x-request-id: {}", problem["requestId"].as_str().unwrap()))
    );
}

#[tokio::test]
async fn every_code_explains_itself() {
    let app = TestApp::start().await;
    let all = app.get("/problems").await.json();
    let mut codes = BTreeSet::new();
    for item in all["items"].as_array().unwrap() {
        assert_eq!(&app.get(item["type"].as_str().unwrap()).await.json(), item);
        assert!(!item["meaning"].as_str().unwrap().is_empty());
        assert!(!item["remedy"].as_str().unwrap().is_empty());
        codes.insert(item["code"].as_str().unwrap().to_owned());
    }
    for code in CODES.split_whitespace() {
        assert!(codes.contains(code), "{code}");
    }
}

/// The contract's table.
const CODES: &str = "malformed_json idempotency_key_invalid invalid_header unauthenticated \
    not_permitted queue_not_permitted not_found conversation_not_found method_not_allowed \
    not_acceptable invalid_host request_timeout body_too_large unsupported_media_type headers_too_large \
    conversation_ended conversation_ringing conversation_not_transferable conversation_moved \
    participant_ambiguous participant_not_found already_in_queue transfer_in_progress \
    idempotency_key_in_use drain_loop plan_expired conflict invalid_request queue_not_found \
    queue_ambiguous idempotency_key_reused rejected_by_genesys too_many_requests \
    genesys_credentials_rejected genesys_permission_missing genesys_error genesys_rate_limited \
    genesys_unavailable overloaded shutting_down store_unavailable outcome_unknown \
    deadline_exceeded";

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    for path in ["/nowhere", "/problems/nothing", "/transfers/", "/Transfers", "/queues/x"] {
        app.assert_problem(&app.get(path).await, 404, "not_found").await;
    }
}

#[tokio::test]
async fn a_wrong_method_gets_the_right_ones() {
    let app = TestApp::start().await;
    for (method, path, allowed) in [
        (Method::DELETE, "/transfers", "GET,HEAD,OPTIONS,POST"),
        (Method::POST, "/queues", "GET,HEAD,OPTIONS"),
        (Method::GET, "/queues/refresh", "OPTIONS,POST"),
        (Method::PUT, "/health/live", "GET,HEAD,OPTIONS"),
        (Method::PATCH, "/conversations/42", "GET,HEAD,OPTIONS"),
    ] {
        let answer = send(app.request(method, path)).await;
        app.assert_problem(&answer, 405, "method_not_allowed").await;
        let mut allow: Vec<_> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
        allow.sort_unstable();
        assert_eq!(allow.join(","), allowed, "{path}");
    }
}

#[tokio::test]
async fn a_format_that_is_not_spoken_is_refused_either_way() {
    let app = TestApp::start().await;
    let answer = app.ask(Method::GET, "/transfers", ("Accept", "text/html")).await;
    app.assert_problem(&answer, 406, "not_acceptable").await;
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2").to_string();
    for kind in ["text/plain", "application/xml", "application/json; charset=latin1", ""] {
        let request = app.request(Method::POST, "/transfers").body(body.clone());
        let answer = send(request.header("Content-Type", kind)).await;
        app.assert_problem(&answer, 415, "unsupported_media_type").await;
    }
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_format_that_is_not_spoken_is_answered_with_those_that_are() {
    let app = TestApp::start().await;
    let id = seed::CONNECTED_CALL;
    for (path, formats) in [
        ("/transfers".to_owned(), "application/json"),
        ("/queues".to_owned(), "application/json"),
        (format!("/conversations/{id}"), "application/json"),
        (format!("/batches/{id}"), "application/json or text/plain"),
        (format!("/batches/{id}/events"), "text/event-stream"),
    ] {
        let answer = app.ask(Method::GET, &path, ("Accept", "image/png")).await;
        app.assert_problem(&answer, 406, "not_acceptable").await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("returns {formats},")), "{path}: {detail}");
    }
}

#[tokio::test]
async fn utf8_may_be_spelled_without_its_hyphen() {
    let app = TestApp::start().await;
    for charset in ["utf8", "UTF8", "\"utf8\"", "utf-8"] {
        let body = plain(app.fresh_call(), "Support Tier 2").to_string();
        let request = app.request(Method::POST, "/transfers").body(body);
        let kind = format!("application/json; charset={charset}");
        assert_eq!(send(request.header("Content-Type", kind)).await.status, 201, "{charset}");
    }
}

#[tokio::test]
async fn too_much_is_too_much() {
    let app = TestApp::start().await;
    let mut body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    body["reason"] = json!("x".repeat(256 * 1024));
    let answer = app.submit(body).await;
    app.assert_problem(&answer, 413, "body_too_large").await;
    let answer = app.ask(Method::GET, "/transfers", ("X-Long", &"x".repeat(17 * 1024))).await;
    app.assert_problem(&answer, 431, "headers_too_large").await;
}

#[tokio::test]
async fn a_body_that_does_not_come_in_time_is_given_up() {
    let app = TestApp::with(&[("SERVER_BODY_TIMEOUT", "200ms")]).await;
    let head = "POST /transfers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\n\r\n{\"conv";
    assert_raw(&raw(&app, head).await, 408, "request_timeout");
}

#[tokio::test]
async fn headers_that_do_not_come_in_time_are_given_up() {
    let app = TestApp::with(&[("SERVER_HEADER_TIMEOUT", "200ms")]).await;
    assert_raw(
        &raw(&app, "GET /queues HTTP/1.1\r\nHost: localhost\r\nX-").await,
        408,
        "request_timeout",
    );
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_a_problem_too() {
    let app = TestApp::start().await;
    for text in [
        "GET /queues HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /queues HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        "GET /queues HTTP/1.1\nHost: localhost\n\n",
        "GET /queues HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        assert_raw(&raw(&app, text).await, 400, "invalid_header");
    }
}

#[tokio::test]
async fn the_request_id_is_the_callers_when_it_is_one() {
    let app = TestApp::start().await;
    let ask = async |id: &str| app.ask(Method::GET, "/nowhere", ("X-Request-Id", id)).await;
    for id in ["a".to_owned(), "Crm_7.x-1".to_owned(), "z".repeat(128)] {
        let answer = ask(&id).await;
        assert_eq!(answer.header("x-request-id"), Some(id.as_str()));
        assert_eq!(answer.json()["requestId"], id);
    }
    for id in [String::new(), "a b".to_owned(), "a/b".to_owned(), "z".repeat(129)] {
        let made = ask(&id).await.header("x-request-id").unwrap().to_owned();
        assert_ne!(made, id);
        assert!(!made.is_empty());
    }
}

#[tokio::test]
async fn trouble_with_the_look_has_its_code_and_no_command_leaves() {
    let status = |status| Fault::Status(StatusAnswer::new(status));
    let drop = Fault::Drop { when: When::Before, reset: true };
    let html = Fault::Garbage { form: Garbage::Html, apply: false };
    for (fault, times, status, code) in [
        (status(400), 1, 422, "rejected_by_genesys"),
        (status(403), 1, 502, "genesys_permission_missing"),
        (status(404), 1, 404, "conversation_not_found"),
        (status(409), 1, 409, "conflict"),
        (status(401), 2, 502, "genesys_credentials_rejected"),
        (status(500), 3, 502, "genesys_error"),
        (status(503), 3, 502, "genesys_error"),
        (html, 3, 502, "genesys_error"),
        (drop, 3, 503, "genesys_unavailable"),
    ] {
        let app = TestApp::start().await;
        app.fault("GET", CONVERSATION, times, fault);
        let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
        app.assert_problem(&answer, status, code).await;
        assert_eq!(app.commands(), 0, "{code}");
        let id = answer.json()["transferId"].as_str().unwrap().to_owned();
        let kept = app.get(&format!("/transfers/{id}")).await.json();
        assert_eq!((&kept["status"], &kept["error"]["code"]), (&json!("failed"), &json!(code)));
    }
}

#[tokio::test]
async fn a_refused_command_shows_what_genesys_said() {
    for (status, ours, code, retryable) in [
        (400, 422, "rejected_by_genesys", false),
        (403, 502, "genesys_permission_missing", false),
        (401, 502, "genesys_credentials_rejected", true),
    ] {
        let app = TestApp::start().await;
        app.answers("POST", REPLACE, 2, status);
        let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
        app.assert_problem(&answer, ours, code).await;
        let upstream = &answer.json()["upstream"];
        let last = app.sandbox().commands().pop().unwrap();
        assert_eq!(upstream["status"], status);
        assert_eq!(upstream["correlationId"], json!(last.correlation_id));
        assert!(upstream["code"].is_string() && upstream["message"].is_string());
        assert_eq!(answer.json()["retryable"], retryable, "{code}");
    }
}

#[tokio::test]
async fn upstream_is_only_there_when_genesys_answered() {
    let app = TestApp::start().await;
    app.fault("GET", CONVERSATION, 3, Fault::Drop { when: When::Before, reset: true });
    let silent = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await.json();
    let ours = app.transfer(seed::CONNECTED_CALL, "Nowhere").await.json();
    for problem in [silent, ours] {
        assert_eq!(problem.get("upstream"), None, "{problem}");
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let app = TestApp::start().await;
    let denied = ["conversation:communication:view".to_owned()].into();
    app.sandbox().with(|state| state.access.deny("sandbox", denied));
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    app.assert_problem(&answer, 502, "genesys_permission_missing").await;
    assert!(answer.json()["hint"].as_str().unwrap().contains("conversation:communication:view"));
}

#[tokio::test]
async fn a_secret_that_was_changed_is_refused_credentials_and_asked_for_once() {
    let app = TestApp::warm(&[]).await;
    app.sandbox().with(|state| state.access.put_client("sandbox", "other")).unwrap();
    app.sandbox().revoke_tokens();
    for _ in 0..3 {
        let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
        app.assert_problem(&answer, 502, "genesys_credentials_rejected").await;
    }
    assert_eq!((app.seen(TOKEN), app.commands()), (1, 0));
}

#[tokio::test]
async fn a_limit_that_outlasts_the_deadline_is_told_with_its_own_pause() {
    for (method, path) in [("GET", CONVERSATION), ("POST", REPLACE)] {
        let app = TestApp::start().await;
        let retry_after = Some("1200".to_owned());
        let fault = StatusAnswer { retry_after, ..StatusAnswer::new(429) };
        app.fault(method, path, 1, Fault::Status(fault));
        let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
        app.assert_problem(&answer, 503, "genesys_rate_limited").await;
        assert_eq!(answer.header("retry-after"), Some("1200"));
        assert_eq!((app.moves(), &answer.json()["retryable"]), (0, &json!(true)));
    }
}

#[tokio::test]
async fn without_a_queue_list_the_trouble_is_told_and_nothing_is_kept() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.fault("GET", QUEUES, 10, Fault::Drop { when: When::Before, reset: true });
    let answer = app.transfer(seed::CONNECTED_CALL, "Nowhere").await;
    app.assert_problem(&answer, 503, "genesys_unavailable").await;
    assert_eq!((&answer.json()["transferId"], app.listed("").await.len()), (&Value::Null, 0));
}

#[tokio::test]
async fn beyond_its_bound_of_requests_the_service_is_overloaded() {
    let app = TestApp::warm(&[("SERVER_MAX_IN_FLIGHT", "1")]).await;
    let held = hold_command(app.sandbox());
    let second = async {
        app.sandbox_sees(2).await;
        let answers = (app.get("/queues").await, app.get("/health/live").await);
        let_go(app.sandbox(), held);
        answers
    };
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let (first, (second, probe)) = tokio::join!(app.submit(body), second);
    app.assert_problem(&second, 503, "overloaded").await;
    assert_eq!((first.status.as_u16(), probe.status.as_u16()), (201, 200));
}

#[tokio::test]
async fn what_goes_on_after_its_answer_keeps_its_place() {
    let app = TestApp::warm(&[("SERVER_MAX_IN_FLIGHT", "1")]).await;
    let _held = hold_command(app.sandbox());
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let request = app.request(Method::POST, "/transfers").json(&body);
    let first = send(request.header("prefer", "respond-async")).await;
    let second = app.get("/queues").await;
    assert_eq!(first.status.as_u16(), 202);
    app.assert_problem(&second, 503, "overloaded").await;
}

#[tokio::test]
async fn a_stopping_service_releases_those_who_wait() {
    let app = TestApp::warm(&[]).await;
    let retry_after = Some("20".to_owned());
    let pause = StatusAnswer { retry_after, ..StatusAnswer::new(429) };
    app.fault("GET", CONVERSATION, 1, Fault::Status(pause));
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let request = app.request(Method::POST, "/transfers").json(&body);
    let waits = tokio::spawn(send(request));
    soon("the 429", app.sandbox().ledger_reaches(|totals| totals.finished == 1)).await;
    app.shut_down().await;
    let answer = waits.await.unwrap();
    assert_eq!(answer.outcome(), (503, "shutting_down".to_owned()));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn an_unknown_outcome_leads_to_its_transfer() {
    let app = TestApp::start().await;
    let answer = app.transfer_into_the_unknown(seed::CONNECTED_CALL).await;
    app.assert_problem(&answer, 504, "outcome_unknown").await;
    let id = answer.json()["transferId"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(format!("/transfers/{id}").as_str()));
    assert!(answer.json()["hint"].as_str().unwrap().contains(&id));
    assert_eq!(app.get(&format!("/transfers/{id}")).await.json()["status"], "unknown");
}

#[tokio::test]
async fn a_deadline_too_short_for_the_command_is_told_and_nothing_is_sent() {
    let app = TestApp::with(&[("SERVER_DEADLINE", "2s")]).await;
    let _clock = Frozen::now();
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    app.assert_problem(&answer, 504, "deadline_exceeded").await;
    assert_eq!((app.commands(), &answer.json()["retryable"]), (0, &json!(true)));
}

#[tokio::test]
async fn a_look_that_hangs_is_answered_by_the_deadline() {
    let app = TestApp::with(&[("SERVER_DEADLINE", "2s")]).await;
    let hang = FaultOrder::next("GET", CONVERSATION, Fault::Hang { apply: false }).forever();
    app.sandbox().order(hang).unwrap();
    app.get("/queues").await;
    let clock = Frozen::now();
    let time = async {
        let looks = |state: &State| state.ledger.requests().any(|it| it.fault.is_some());
        soon("a look", app.sandbox().until(looks)).await;
        clock.passes(Duration::from_millis(1_900)).await;
    };
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2");
    let (answer, ()) = tokio::join!(answer, time);
    app.assert_problem(&answer, 504, "deadline_exceeded").await;
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_problem_tells_nothing_personal_or_secret() {
    let app = TestApp::start().await;
    for call in [seed::ENDED_CALL, seed::CONFERENCE_CALL, seed::RINGING_CALL] {
        let answer = app.transfer(call, "Support Tier 2").await;
        let text = String::from_utf8(answer.body).unwrap();
        for personal in ["1317555", "Sample Customer", "Sample Agent", "sandbox-", "Bearer"] {
            assert!(!text.contains(personal), "{text}");
        }
    }
}
