//! Lists of Genesys' in which one entry cannot be read: it is left out, and spoils nothing else.

use genesys_transfer::sandbox::{
    Sandbox,
    faults::{Fault, FaultOrder, Garbage, StatusAnswer},
    seed,
    world::Shape,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::{crowd, drain, line, moved},
    service::{CONVERSATION, OBSERVATIONS, QUEUES, TestApp, lone_sandbox, plain},
    steps::with,
};

/// Every answer of the API has bad entries in all its lists.
fn spoil(sandbox: &Sandbox) {
    for path in ["/api/v2/routing/queues*", CONVERSATION, OBSERVATIONS] {
        let fault = Fault::Garbage { form: Garbage::BadEntries, apply: false };
        let order = FaultOrder { method: None, ..FaultOrder::next("", path, fault) };
        sandbox.order(order.forever()).unwrap();
    }
}

/// A 200 with this text.
fn text(text: &str) -> Fault {
    Fault::Status(StatusAnswer { text: Some(text.to_owned()), ..StatusAnswer::new(200) })
}

/// How many entries of an operation's answers were left out.
async fn left_out(app: &TestApp, operation: &str) -> u64 {
    let metrics = String::from_utf8(app.get("/metrics").await.body).unwrap();
    let name = "genesys_transfer_upstream_entries_left_out_total";
    let series = format!("{name}{{operation=\"{operation}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
    value.expect("the operation has a series").parse().unwrap()
}

async fn names(app: &TestApp) -> Vec<Value> {
    let listed = app.get("/queues").await.json();
    listed["items"].as_array().unwrap().iter().map(|queue| queue["name"].clone()).collect()
}

#[tokio::test]
async fn with_bad_entries_in_every_list_all_that_can_be_read_is_served() {
    let sandbox = lone_sandbox().await;
    spoil(&sandbox);
    let app = TestApp::beside(&sandbox, &[("GENESYS_BULK_LOOKS", "off")]).await;

    assert_eq!(names(&app).await.len(), 7);
    assert_eq!(app.get("/health/ready").await.status, 200);
    for (call, more) in [
        (seed::CONNECTED_CALL, json!({})),
        (
            seed::SECOND_CONNECTED_CALL,
            json!({"participantId": seed::leg(seed::SECOND_CONNECTED_CALL, 3)}),
        ),
        (seed::HELD_CALL, json!({"priority": 3})),
        (seed::IVR_CALL, json!({})),
    ] {
        let answer = app.submit(with(call, "Support Tier 2", &more)).await;
        assert_eq!((answer.status.as_u16(), answer.json()["warnings"].clone()), (201, json!([])));
    }
    let waits = app.get(&format!("/conversations/{}", seed::WAITING_CALL)).await.json();
    assert_eq!((&waits["waitedMinutes"], &waits["priority"]), (&json!(12), &json!(5)));
    let calls = crowd(&sandbox, 3);
    let before = line(&sandbox, seed::SUPPORT_TIER_2);
    let batch = app.carried_out(&drain(json!({}))).await;
    assert_eq!((moved(&batch), &batch["total"]), (3, &json!(3)), "{batch}");
    assert_eq!(line(&sandbox, seed::SUPPORT_TIER_2).len(), calls.len() + before.len());

    for operation in ["list_queues", "get_conversation", "query_waiting"] {
        assert!(left_out(&app, operation).await > 0, "{operation}");
    }
}

#[tokio::test]
async fn a_move_is_confirmed_although_other_entries_cannot_be_read() {
    let app = TestApp::start().await;
    spoil(app.sandbox());
    for call in [seed::CONNECTED_CALL, seed::WAITING_CALL] {
        let body = plain(call, "Support Tier 2");
        let answer = app.submit_with(&body, "Prefer", "wait=10").await;
        assert_eq!(answer.json()["status"], "confirmed", "{}", answer.json());
    }
}

#[tokio::test]
async fn a_queue_whose_name_cannot_be_read_is_left_out_of_the_list() {
    let app = TestApp::warm(&[]).await;
    let (id, odd) = (seed::SALES, Uuid::from_u128(9));
    let before = left_out(&app, "list_queues").await;
    for (bad, entries) in [
        ("null", 1),
        ("17", 1),
        ("{}", 1),
        (&*format!(r#"{{"id":"{odd}","name":"Grüße \ud83d"}}"#), 1),
        (&format!(r#"{{"id":"{odd}","name":"\udcaa"}}"#), 1),
        (&format!(r#"{{"id":"{odd}","name":null}}"#), 1),
        (r#"{"id":"no uuid","name":"x"}"#, 1),
        // Of what is not needed nothing is left out.
        (&format!(r#"{{"id":"{odd}","name":"Odd","division":{{"name":"\ud83d"}}}}"#), 0),
        (&format!(r#"{{"id":"{odd}","name":"Odd","description":"\ud83d"}}"#), 0),
    ] {
        let body = format!(
            r#"{{"entities":[{bad},{{"id":"{id}","name":"Sales"}}],"pageCount":1,"total":2}}"#
        );
        let counted = left_out(&app, "list_queues").await;
        app.fault("GET", QUEUES, 1, text(&body));
        let refreshed = app.post("/queues/refresh", &json!({})).await;
        assert_eq!(refreshed.status, 200, "{bad}: {}", refreshed.json());
        assert!(names(&app).await.contains(&json!("Sales")), "{bad}");
        assert_eq!(names(&app).await.contains(&json!("Odd")), entries == 0, "{bad}");
        assert_eq!(left_out(&app, "list_queues").await - counted, entries, "{bad}");
        assert_eq!(app.transfer(app.fresh_call(), "Sales").await.status, 201, "{bad}");
    }
    assert_eq!(before, 0);
}

#[tokio::test]
async fn a_list_that_is_none_is_no_list_without_entries() {
    let app = TestApp::warm(&[]).await;
    for body in [r#"{"entities":null,"total":0}"#, r#"{"entities":{}}"#, "{}", "[]", "null"] {
        app.fault("GET", QUEUES, 3, text(body));
        let refreshed = app.post("/queues/refresh", &json!({})).await;
        assert_eq!(refreshed.outcome(), (502, "genesys_error".to_owned()), "{body}");
    }
    assert_eq!(names(&app).await.len(), 7);
}

/// A conversation of a customer and these entries.
fn conversation(call: Uuid, entries: &[&str]) -> String {
    let customer = r#"{"id":"00000000-0000-4000-8000-000000000001","purpose":"customer","calls":[{"state":"connected"}]}"#;
    format!(r#"{{"id":"{call}","participants":[{customer},{}]}}"#, entries.join(","))
}

/// An agent's leg with this id and these calls, as JSON.
fn agent(id: &str, calls: &str) -> String {
    format!(r#"{{"id":{id},"purpose":"agent","calls":{calls}}}"#)
}

#[tokio::test]
async fn an_entry_that_decides_and_cannot_be_read_is_told_for_that_call_alone() {
    let app = TestApp::start().await;
    let call = seed::CONNECTED_CALL;
    let leg = seed::leg(call, 3);
    let id = format!("\"{leg}\"");
    let (talks, named) = (r#"[{"state":"connected"}]"#, json!({"participantId": leg}));
    for (entries, more) in [
        (vec!["null".to_owned()], json!({})),
        (vec!["null".to_owned(), "7".to_owned()], json!({})),
        (vec![agent(r#""\ud83d""#, talks)], json!({})),
        (vec![agent("null", talks)], json!({})),
        (vec![agent(r#""7""#, talks)], json!({})),
        (vec![agent(&id, "[null]")], json!({})),
        (vec![agent(&id, r#"[{"state":"\ud83d"}]"#)], json!({})),
        (vec![agent(&id, talks).replace("agent", r"\ud83dagent")], json!({})),
        // Perhaps that was the leg that is named.
        (vec!["null".to_owned()], named.clone()),
        (vec![agent(r#""\ud83d""#, talks)], named.clone()),
    ] {
        let texts: Vec<&str> = entries.iter().map(String::as_str).collect();
        let path = format!("/api/v2/conversations/{call}");
        app.fault("GET", &path, 2, text(&conversation(call, &texts)));
        let answer = app.submit(with(call, "Support Tier 2", &more)).await;
        app.assert_problem(&answer, 502, "genesys_error").await;
        assert!(answer.json()["detail"].as_str().unwrap().contains("read"), "{entries:?}");
        let view = app.get(&format!("/conversations/{call}")).await.json();
        if more == json!({}) {
            let seen = (&view["transferable"], &view["code"]);
            assert_eq!(seen, (&json!(false), &json!("genesys_error")), "{entries:?} {view}");
        }
        app.sandbox().with(|state| state.faults.clear());
        assert_eq!(app.transfer(app.fresh_call(), "Support Tier 2").await.status, 201);
    }
    assert!(app.sandbox().moves().iter().all(|entry| entry.conversation_id != call));
}

#[tokio::test]
async fn an_entry_that_does_not_decide_changes_nothing() {
    let app = TestApp::start().await;
    for bad in [
        "null",
        "[]",
        r#"{"id":"\ud83d","purpose":"acd","endTime":"2026-01-01T00:00:00Z"}"#,
        r#"{"id":"00000000-0000-4000-8000-000000000009","purpose":"agent","calls":[null,{"state":"disconnected"}]}"#,
        r#"{"id":"00000000-0000-4000-8000-000000000009","purpose":"customer","name":"\ud83d","attributes":{"a":"\udcaa"},"calls":[{"state":"connected","self":{"name":"\ud83d"}}]}"#,
    ] {
        let call = app.call(Shape::Connected, seed::SUPPORT_TIER_1);
        let leg = *app.legs(call).last().unwrap();
        let talks = agent(&format!("\"{leg}\""), r#"[{"state":"connected"},null]"#);
        let path = format!("/api/v2/conversations/{call}");
        app.fault("GET", &path, 3, text(&conversation(call, &[bad, &talks])));
        let answer = app.transfer(call, "Support Tier 2").await;
        assert_eq!(answer.status, 201, "{bad}: {}", answer.json());
        assert_eq!(app.sandbox().moves().pop().unwrap().participant_id, Some(leg), "{bad}");
    }
}

#[tokio::test]
async fn of_a_list_of_transfers_only_the_one_that_cannot_be_read_fails() {
    let app = TestApp::start().await;
    let (good, bad) = (app.fresh_call(), app.fresh_call());
    let path = format!("/api/v2/conversations/{bad}");
    app.fault("GET", &path, 100, text(&conversation(bad, &["null"])));
    let transfers = [bad, good].map(|call| plain(call, "Support Tier 2"));
    let batch = app.carried_out(&json!({"transfers": transfers})).await;
    assert_eq!((moved(&batch), &batch["reasons"]), (1, &json!({"genesys_error": 1})), "{batch}");
}

#[tokio::test]
async fn a_queue_of_which_nothing_can_be_read_is_not_taken_for_an_empty_one() {
    let app = TestApp::with(&[("GENESYS_BULK_LOOKS", "off")]).await;
    let group = json!({"queueId": seed::SUPPORT_TIER_1, "mediaType": "voice"});
    for body in [
        json!({"results": [null]}),
        json!({"results": [{"group": group, "data": "x"}]}),
        json!({"results": [{"group": group, "data": [null]}]}),
        json!({"results": null}),
        json!({"results": "x"}),
        json!({}),
    ] {
        app.fault("POST", OBSERVATIONS, 3, text(&body.to_string()));
        let answer = app.post("/batches", &drain(json!({}))).await;
        assert_eq!(answer.outcome(), (502, "genesys_error".to_owned()), "{body}");
        app.sandbox().with(|state| state.faults.clear());
    }
    assert_eq!(app.get("/batches").await.json()["items"], json!([]));
}
