use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const QUEUE: &str = "33333333-3333-4333-8333-333333333333";

fn read(answer: &Value) -> Result<WaitingCalls, GatewayError> {
    view(&serde_json::from_str(&answer.to_string()).unwrap(), QUEUE.parse().unwrap())
}

fn calls(answer: &Value) -> WaitingCalls {
    read(answer).unwrap()
}

fn answer(data: &Value) -> Value {
    json!({"results": [{"group": {"queueId": QUEUE, "mediaType": "voice"}, "data": [data]}]})
}

fn row(number: u32, since: &str) -> Value {
    json!({"conversationId": id(number), "observationDate": since, "routingPriority": 3})
}

fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-0000000{number:05}")
}

fn ids(calls: &WaitingCalls) -> Vec<String> {
    calls.rows.iter().map(|row| row.conversation_id.to_string()).collect()
}

#[test]
fn rows_come_longest_wait_first_however_they_are_sent() {
    let rows = [row(2, "2026-01-01T00:05:00Z"), row(1, "2026-01-01T00:01:00.250Z")];
    let calls = calls(&answer(&json!({
        "metric": "oWaiting", "stats": {"count": 2}, "truncated": false, "observations": rows,
    })));
    assert_eq!(ids(&calls), [id(1), id(2)]);
    assert_eq!((calls.count, calls.truncated, calls.rows[0].priority), (2, false, Some(3)));
}

#[test]
fn rows_that_name_no_conversation_or_no_time_are_left_out() {
    let rows = [
        row(1, "2026-01-01T00:01:00Z"),
        json!({"conversationId": "../../etc", "observationDate": "2026-01-01T00:01:00Z"}),
        json!({"conversationId": id(3), "observationDate": "yesterday"}),
        json!("nonsense"),
        row(1, "2026-01-01T00:09:00Z"),
    ];
    let calls = calls(&answer(&json!({"stats": {"count": 5}, "observations": rows})));
    assert_eq!((ids(&calls), calls.count), (vec![id(1)], 5));
}

#[test]
fn without_a_count_the_rows_count_and_without_a_mark_a_higher_count_means_more() {
    let rows = [row(1, "2026-01-01T00:01:00Z")];
    let uncounted = calls(&answer(&json!({"observations": rows})));
    assert_eq!((uncounted.count, uncounted.truncated), (1, false));
    let unmarked = calls(&answer(&json!({"stats": {"count": "7"}, "observations": rows})));
    assert_eq!((unmarked.count, unmarked.truncated), (7, true));
}

#[test]
fn other_queues_media_and_metrics_do_not_count() {
    let data = json!([{"metric": "oWaiting", "observations": [row(1, "2026-01-01T00:01:00Z")]}]);
    let other = json!([{"metric": "oOnQueueUsers", "stats": {"count": 9}}]);
    let calls = calls(&json!({"results": [
        {"group": {"queueId": id(7), "mediaType": "voice"}, "data": data},
        {"group": {"queueId": QUEUE, "mediaType": "email"}, "data": data},
        {"group": {"queueId": QUEUE, "mediaType": "voice"}, "data": other},
    ]}));
    assert_eq!(calls, WaitingCalls::default());
}

#[test]
fn an_answer_without_results_is_not_an_empty_queue() {
    for text in ["{}", r#"{"results":null}"#, r#"{"results":"x"}"#, r#"{"results":{}}"#, "[]"] {
        assert!(serde_json::from_str::<Observations>(text).is_err(), "{text}");
    }
    assert_eq!(calls(&json!({"results": []})), WaitingCalls::default());
}

#[test]
fn a_count_without_rows_is_kept_for_those_who_must_not_take_it_for_an_empty_queue() {
    for data in [
        json!({"stats": {"count": 30}}),
        json!({"stats": {"count": 30}, "observations": null}),
        json!({"stats": {"count": 30}, "observations": "x"}),
        json!({"stats": {"count": 30}, "observations": [{"observationDate": "2026-01-01T00:01:00Z"}]}),
        json!({"stats": {"count": 30}, "observations": [{"conversationId": id(1)}]}),
    ] {
        let calls = calls(&answer(&data));
        assert_eq!((calls.count, calls.rows), (30, vec![]), "{data}");
    }
}

#[test]
fn rows_that_are_no_objects_count_too() {
    let rows = json!([row(1, "2026-01-01T00:01:00Z"), null, 5, []]);
    let calls = calls(&answer(&json!({"observations": rows})));
    assert_eq!((ids(&calls), calls.count), (vec![id(1)], 4));
}

#[test]
fn a_queue_of_which_nothing_is_said_is_empty() {
    let group = json!({"queueId": QUEUE, "mediaType": "voice"});
    for result in [
        json!({"group": group}),
        json!({"group": group, "data": null}),
        json!({"group": group, "data": []}),
        json!({"group": group, "data": [{"metric": "oInteracting", "stats": {"count": 2}}]}),
        json!({}),
    ] {
        let calls = calls(&json!({"results": [result]}));
        assert_eq!(calls, WaitingCalls::default(), "{result}");
    }
}

#[test]
fn a_queue_of_which_nothing_can_be_read_is_not_an_empty_queue() {
    let group = json!({"queueId": QUEUE, "mediaType": "voice"});
    for result in [
        json!(null),
        json!("x"),
        json!({"group": group, "data": "x"}),
        json!({"group": group, "data": [null]}),
        json!({"group": 7, "data": []}),
    ] {
        let read = read(&json!({"results": [result]}));
        assert!(matches!(read, Err(GatewayError::Unreadable { .. })), "{result}: {read:?}");
    }
}

#[test]
fn entries_that_cannot_be_read_take_nothing_from_those_that_can() {
    let row = row(1, "2026-01-01T00:01:00.1234567890123Z");
    let data = json!({"stats": {"count": 1}, "observations": [null, row, 7]});
    let group = json!({"queueId": QUEUE, "mediaType": "voice"});
    let answer = json!({"results": [null, {"group": group, "data": [null, data]}]});
    let calls = calls(&answer);
    assert_eq!((ids(&calls), calls.count, calls.truncated), (vec![id(1)], 1, false));
}

proptest! {
    #[test]
    fn no_answer_panics(text in "[\\[\\]{}\",:a-z0-9]{0,60}") {
        if let Ok(answer) = serde_json::from_str::<Observations>(&text) {
            let _ = view(&answer, QUEUE.parse().unwrap());
        }
    }
}
