use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    http::checked::members_of,
    problem::{Code, Problem},
    transfer::model::QueueRef,
};

const ID: &str = "11111111-2222-4333-8444-55555555aaaa";

fn read(body: &Json) -> Result<BatchOrder, Box<Problem>> {
    batch(body.to_string().as_bytes()).map_err(Failure::into_problem)
}

fn pointers(body: &Json) -> Vec<String> {
    let problem = read(body).unwrap_err();
    assert_eq!(problem.code, Code::InvalidRequest);
    problem.errors.into_iter().map(|error| error.pointer).collect()
}

fn transfer(queue: &str) -> Json {
    json!({"conversationId": ID, "queueName": queue})
}

#[test]
fn a_list_is_taken_with_every_field_a_transfer_has() {
    let mut one = transfer("Support");
    one["priority"] = json!(5);
    let order = read(&json!({"transfers": [one], "reason": "closed"})).unwrap();
    let BatchOrder::List { transfers, reason } = order else { panic!("a list") };
    assert_eq!(transfers[0].priority, Priority::new(5));
    assert_eq!(reason.as_deref(), Some("closed"));
}

#[test]
fn a_drain_keeps_places_unless_it_is_told_not_to() {
    let body = json!({"fromQueueName": " A ", "toQueueId": ID});
    let BatchOrder::Drain(order) = read(&body).unwrap() else { panic!("a drain") };
    assert!(order.keep_place && !order.dry_run && order.limit.is_none());
    assert!(matches!(order.from, QueueRef::Name(name) if name.as_str() == "A"));
    assert!(matches!(order.to, QueueRef::Id(_)));
    let mut body = body;
    body["keepPlace"] = json!(false);
    assert!(matches!(read(&body), Ok(BatchOrder::Drain(order)) if !order.keep_place));
}

#[test]
fn a_drain_may_keep_the_order_alone_which_sets_no_priority() {
    let mut body = json!({"fromQueueName": "A", "toQueueName": "B", "keepPlace": "order"});
    assert!(matches!(read(&body), Ok(BatchOrder::Drain(order)) if !order.keep_place));
    body["priority"] = json!(1);
    assert_eq!(pointers(&body), ["/priority"]);
    body["keepPlace"] = json!("Order");
    assert_eq!(pointers(&body), ["/keepPlace"]);
}

#[test]
fn a_drain_waits_for_agents_to_leave_only_while_it_stands() {
    let mut body = json!({"fromQueueName": "A", "toQueueName": "B", "when": "nobody_on_queue"});
    assert_eq!(pointers(&body), ["/when"]);
    body["until"] = json!("2026-03-27T09:30:00+01:00");
    body["minWaitedMinutes"] = json!(3);
    let BatchOrder::Drain(order) = read(&body).unwrap() else { panic!("a drain") };
    assert_eq!(order.until, Some("2026-03-27T08:30:00Z".parse().unwrap()));
    assert_eq!((order.when, order.min_waited_minutes), (When::NobodyOnQueue, Some(3)));
    for (member, value) in
        [("until", json!("soon")), ("when", json!("never")), ("minWaitedMinutes", json!(10_001))]
    {
        let mut wrong = body.clone();
        wrong[member] = value;
        assert_eq!(pointers(&wrong), [format!("/{member}")]);
    }
}

#[test]
fn every_field_of_a_drain_is_taken() {
    let body = json!({
        "fromQueueId": ID, "toQueueName": "B", "priority": -1, "skillIds": [], "languageId": ID,
        "keepPlace": false, "limit": 10_000, "dryRun": true, "reason": "r", "reference": "CASE",
    });
    let BatchOrder::Drain(order) = read(&body).unwrap() else { panic!("a drain") };
    assert_eq!(order.limit, Some(10_000));
    assert_eq!(order.skill_ids, Some(Vec::new()));
    assert!(order.dry_run && !order.keep_place && order.language_id.is_some());
    assert_eq!(order.reference.as_deref(), Some("CASE"));
}

#[test]
fn a_plan_stands_alone() {
    assert!(matches!(read(&json!({"planId": ID})), Ok(BatchOrder::Plan(_))));
    assert_eq!(pointers(&json!({"planId": ID, "reason": "x"})), ["/reason"]);
    assert_eq!(pointers(&json!({"planId": null})), [""]);
    assert_eq!(pointers(&json!({"planId": "x"})), ["/planId"]);
}

#[test]
fn null_fields_of_another_form_count_as_absent() {
    let mut all: Json =
        members_of(BatchBody::schema()).into_iter().map(|field| (field, Json::Null)).collect();
    for form in [
        json!({"planId": ID}),
        json!({"transfers": [transfer("Support")]}),
        json!({"fromQueueName": "A", "toQueueId": ID}),
    ] {
        let mut body = all.clone();
        body.as_object_mut().unwrap().extend(form.as_object().unwrap().clone());
        assert_eq!(read(&body), read(&form), "{form}");
    }
    all["unheardOf"] = Json::Null;
    all["planId"] = json!(ID);
    assert_eq!(pointers(&all), ["/unheardOf"]);
}

#[test]
fn every_bad_field_has_its_pointer() {
    let cases = [
        (json!({}), vec![""]),
        (json!([]), vec![""]),
        (json!({"transfers": []}), vec!["/transfers"]),
        (json!({"transfers": null}), vec![""]),
        (json!({"transferz": []}), vec!["/transferz", ""]),
        (json!({"transfers": {}}), vec!["/transfers"]),
        (json!({"transfers": [transfer("Q"), 1]}), vec!["/transfers/1"]),
        (json!({"transfers": [transfer(" ")]}), vec!["/transfers/0/queueName"]),
        (
            json!({"transfers": [{"conversationId": ID, "queueNme": "Q"}]}),
            vec!["/transfers/0/queueNme", "/transfers/0/queueName"],
        ),
        (json!({"transfers": [transfer("Q")], "toQueueName": "B"}), vec!["/toQueueName"]),
        (json!({"fromQueueName": "A"}), vec!["/toQueueName"]),
        (
            json!({"toQueueName": "A", "fromQueueName": "B", "fromQueueId": ID}),
            vec!["/fromQueueId"],
        ),
        (json!({"fromQueueName": "A", "toQueueName": "B", "limit": 0}), vec!["/limit"]),
        (json!({"fromQueueName": "A", "toQueueName": "B", "limit": 10_001}), vec!["/limit"]),
        (json!({"fromQueueName": "A", "toQueueName": "B", "dryrun": true}), vec!["/dryrun"]),
        (json!({"fromQueueName": "A", "toQueueName": "B", "dryRun": 1}), vec!["/dryRun"]),
    ];
    for (body, expected) in cases {
        assert_eq!(pointers(&body), expected, "{body}");
    }
}

#[test]
fn a_list_holds_a_thousand_and_no_more() {
    let list = |count| json!({"transfers": vec![transfer("Q"); count]});
    assert!(read(&list(1000)).is_ok());
    assert_eq!(pointers(&list(1001)), ["/transfers"]);
}

proptest! {
    #[test]
    fn no_body_makes_a_panic(text in "[\\[\\]{}:,\"a-z0-9 ]{0,60}") {
        let _ = batch(text.as_bytes());
    }
}
