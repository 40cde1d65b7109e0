//! Who may call, and what each sees.

use std::time::Duration;

use genesys_transfer::sandbox::seed;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    batches::{Events, crowd, drain},
    frozen::Frozen,
    held::{hold_command, let_go},
    keys::entry,
    service::{Answer, TestApp, plain, send, soon},
};

/// A service with two callers who move calls, one of them only to some queues, and an admin.
async fn start() -> TestApp {
    let all = ["transfers:write", "transfers:read", "queues:read"];
    let keys = json!([
        entry("crm", &all, &["*"]),
        entry("ivr", &all, &["Support *"]),
        entry("ops", &["admin"], &[]),
    ]);
    let keys = keys.to_string();
    let settings = [
        ("AUTH_MODE", "required"),
        ("AUTH_API_KEYS", keys.as_str()),
        ("TRANSFERS_MAX_PER_CONVERSATION_PER_HOUR", "2"),
    ];
    TestApp::with(&settings).await
}

async fn get(app: &TestApp, caller: &str, path: &str) -> Answer {
    send(app.request(Method::GET, path).bearer_auth(caller)).await
}

async fn submit(app: &TestApp, caller: &str, body: &Value) -> Answer {
    send(app.request(Method::POST, "/transfers").bearer_auth(caller).json(body)).await
}

#[tokio::test]
async fn a_stranger_moves_nothing() {
    let app = start().await;
    let answer = app.transfer(seed::CONNECTED_CALL, "Support Tier 2").await;
    assert_eq!(answer.outcome(), (401, "unauthenticated".to_owned()));
    let answer = submit(&app, "who", &plain(seed::CONNECTED_CALL, "Support Tier 2")).await;
    assert_eq!(answer.outcome(), (401, "unauthenticated".to_owned()));
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_caller_sees_its_own_transfers_and_an_admin_all() {
    let app = start().await;
    let made = submit(&app, "crm", &plain(seed::CONNECTED_CALL, "Support Tier 2")).await;
    assert_eq!((made.status, &made.json()["requestedBy"]), (StatusCode::CREATED, &json!("crm")));
    let path = made.header("location").unwrap();
    for (caller, found, listed) in [("crm", 200, 1), ("ivr", 404, 0), ("ops", 200, 1)] {
        assert_eq!(get(&app, caller, path).await.status, found, "{caller}");
        let items = get(&app, caller, "/transfers").await.json()["items"].as_array().unwrap().len();
        assert_eq!(items, listed, "{caller}");
    }
}

#[tokio::test]
async fn a_transfer_of_somebody_else_looks_like_one_that_does_not_exist() {
    let app = start().await;
    let made = submit(&app, "crm", &plain(seed::CONNECTED_CALL, "Support Tier 2")).await.json();
    let theirs = made["id"].as_str().unwrap();
    let nobodys = "0199a000-0000-7000-8000-000000000000";
    let mut answers = Vec::new();
    for id in [theirs, nobodys] {
        let answer = get(&app, "ivr", &format!("/transfers/{id}")).await;
        let text = String::from_utf8(answer.body.clone()).unwrap();
        let own = answer.json()["requestId"].as_str().unwrap().to_owned();
        answers.push((answer.status, text.replace(id, "ID").replace(&own, "REQUEST")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_pattern_lets_its_queues_through_and_no_others() {
    let patterns = ["*", "Support *", "*Tier 2", "Sales", "Support Tier ?", "sales"];
    let allowed = |pattern: &str, queue: &str| match pattern {
        "*" => true,
        "Support *" => queue.starts_with("Support "),
        "*Tier 2" => queue == "Support Tier 2",
        // Names are found whatever their case, and so are patterns.
        other => other.eq_ignore_ascii_case(queue),
    };
    let keys: Vec<Value> = (0..patterns.len())
        .map(|i| entry(&format!("k{i}"), &["transfers:write"], &[patterns[i]]))
        .collect();
    let keys = Value::from(keys).to_string();
    let settings = [("AUTH_MODE", "required"), ("AUTH_API_KEYS", keys.as_str())];
    let app = TestApp::with(&settings).await;
    for (i, pattern) in patterns.iter().enumerate() {
        for queue in ["Support Tier 1", "Support Tier 2", "Sales"] {
            let answer = submit(&app, &format!("k{i}"), &plain(app.fresh_call(), queue)).await;
            let expected = if allowed(pattern, queue) { 201 } else { 403 };
            assert_eq!(answer.status, expected, "{pattern} for {queue}: {:?}", answer.json());
        }
    }
}

#[tokio::test]
async fn a_bad_credential_is_refused_while_the_body_is_still_withheld() {
    let app = start().await;
    for credential in ["", "Authorization: Bearer who\r\n", "Authorization: Bearer a.b.c\r\n"] {
        let mut socket = TcpStream::connect(app.app().address()).await.unwrap();
        let head = format!(
            "POST /transfers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: 200\r\n{credential}\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        soon("the answer", socket.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 401", "{credential}");
    }
}

#[tokio::test]
async fn a_megabyte_of_credentials_is_refused_and_nobody_else_is_hurt() {
    let app = start().await;
    let token = format!("{}.e30.AA", "a".repeat(1024 * 1024));
    for (size, status) in [(9_000, 401), (20_000, 431)] {
        assert_eq!(get(&app, &token[..size], "/transfers").await.status, status);
    }
    // So much is not even taken in; the answer may be lost to who goes on sending.
    let huge = app.request(Method::GET, "/transfers").bearer_auth(&token).send().await;
    assert!(huge.is_err() || huge.unwrap().status() == 431);
    assert_eq!(get(&app, "crm", "/transfers").await.status, 200);
}

#[tokio::test]
async fn a_changed_file_of_keys_counts_within_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("callers.json");
    let write = |caller: &str| {
        let keys = json!([entry(caller, &["transfers:read"], &[])]);
        std::fs::write(&file, keys.to_string()).unwrap();
    };
    write("old");
    let settings = [("AUTH_MODE", "required"), ("AUTH_API_KEYS_FILE", file.to_str().unwrap())];
    let app = TestApp::with(&settings).await;
    assert_eq!(get(&app, "old", "/transfers").await.status, 200);

    let clock = Frozen::now();
    write("new");
    clock.passes(Duration::from_secs(5)).await;

    let counts = async { while get(&app, "new", "/transfers").await.status != 200 {} };
    soon("the new key counts", counts).await;
    assert_eq!(get(&app, "old", "/transfers").await.status, 401);
}

#[tokio::test]
async fn a_stream_of_events_ends_within_five_seconds_when_its_key_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("callers.json");
    let write = |caller: &str| {
        let keys = json!([entry(caller, &["admin"], &[])]);
        std::fs::write(&file, keys.to_string()).unwrap();
    };
    write("old");
    let settings = [("AUTH_MODE", "required"), ("AUTH_API_KEYS_FILE", file.to_str().unwrap())];
    let app = TestApp::with(&settings).await;
    crowd(app.sandbox(), 2);
    let _held = hold_command(app.sandbox());
    let begin = app.request(Method::POST, "/batches").bearer_auth("old").json(&drain(json!({})));
    let batch = send(begin).await.json();
    let path = format!("/batches/{}/events", batch["id"].as_str().unwrap());
    let stream = app.request(Method::GET, &path).bearer_auth("old").send().await.unwrap();
    let mut events = Events::of(stream);
    assert_eq!(events.next().await.unwrap().name, "progress");

    let clock = Frozen::now();
    write("new");
    clock.passes(Duration::from_secs(5)).await;

    let (rest, _) = soon("the end of the stream", events.all()).await;
    assert!(rest.iter().all(|event| event.name != "end"), "{rest:?}");
}

#[tokio::test]
async fn one_caller_with_all_its_streams_leaves_room_for_another() {
    let keys = json!([entry("ops", &["admin"], &[]), entry("board", &["admin"], &[])]).to_string();
    let app = TestApp::with(&[("AUTH_MODE", "required"), ("AUTH_API_KEYS", &keys)]).await;
    crowd(app.sandbox(), 2);
    let held = hold_command(app.sandbox());
    let begin = app.request(Method::POST, "/batches").bearer_auth("ops").json(&drain(json!({})));
    let batch = send(begin).await.json();
    let path = format!("/batches/{}/events", batch["id"].as_str().unwrap());
    let watch = |caller: &str| app.request(Method::GET, &path).bearer_auth(caller).send();
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(watch("ops").await.unwrap());
    }

    let refused = send(app.request(Method::GET, &path).bearer_auth("ops")).await;
    let other = watch("board").await.unwrap();

    assert!(unread.iter().all(|stream| stream.status() == 200));
    assert_eq!(refused.outcome(), (429, "too_many_requests".to_owned()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(other.status(), 200);
    unread.pop();
    let again = async { while watch("ops").await.unwrap().status() != 200 {} };
    soon("the place of a stream that was closed", again).await;
    let_go(app.sandbox(), held);
}

#[tokio::test]
async fn a_limited_caller_learns_nothing_of_other_queues() {
    let app = start().await;
    let mut answers = Vec::new();
    for target in [
        json!({"queueName": "Sales"}),
        json!({"queueName": "No such queue"}),
        json!({"queueId": seed::SALES}),
        json!({"queueId": "00000000-0000-4000-8000-00000000dead"}),
    ] {
        let mut body = target;
        body["conversationId"] = json!(seed::CONNECTED_CALL);
        let mut answer = submit(&app, "ivr", &body).await.json();
        answer["requestId"] = Value::Null;
        answers.push(answer);
    }
    assert_eq!(answers[0]["code"], "queue_not_permitted");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    let listed = get(&app, "ivr", "/queues").await.json();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|q| &q["name"]).collect();
    assert_eq!(names, ["Support Tier 1", "Support Tier 2"]);
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn a_call_sent_back_and_forth_is_stopped_whoever_sends_it() {
    let app = start().await;
    for (caller, queue, status) in [
        ("crm", "Support Tier 2", 201),
        ("ivr", "Support Tier 1", 201),
        ("crm", "Support Tier 2", 429),
    ] {
        let answer = submit(&app, caller, &plain(seed::CONNECTED_CALL, queue)).await;
        assert_eq!(answer.status, status, "{caller}: {:?}", answer.json());
        assert_eq!(answer.header("retry-after").is_some(), status == 429);
    }
    assert_eq!(app.moves(), 2);
}
