use serde_json::{Value, json};

use super::*;

const QUEUE: &str = "33333333-3333-4333-8333-333333333333";

fn metric(name: &str, qualifier: Option<&str>, stats: &Value) -> Value {
    json!({"metric": name, "qualifier": qualifier, "stats": stats})
}

fn users(name: &str, qualifier: &str, count: u64) -> Value {
    metric(name, Some(qualifier), &json!({"count": count}))
}

fn read(voice: &[Value], users: &[Value]) -> QueueActivity {
    let answer = json!({"results": [
        {"group": {"queueId": QUEUE, "mediaType": "voice"}, "data": voice},
        {"group": {"queueId": QUEUE, "mediaType": "email"},
         "data": [metric("oWaiting", None, &json!({"count": 99}))]},
        {"group": {"queueId": QUEUE}, "data": users},
    ]});
    let answer: Observations = serde_json::from_str(&answer.to_string()).unwrap();
    let now = "2026-01-01T00:10:00Z".parse().unwrap();
    view(&answer, QUEUE.parse().unwrap(), now, ClockOffset::default())
}

fn agents(data: &[Value]) -> (Option<u64>, Option<u64>) {
    let activity = read(&[], data);
    (activity.on_queue, activity.idle)
}

#[test]
fn the_numbers_of_voice_are_told() {
    let since: jiff::Timestamp = "2026-01-01T00:04:20Z".parse().unwrap();
    let longest = json!({"calculatedMetricValue": since.as_millisecond()});
    let activity = read(
        &[
            metric("oWaiting", None, &json!({"count": 12})),
            metric("oInteracting", None, &json!({"count": 3})),
            metric("oLongestWaiting", None, &longest),
        ],
        &[],
    );
    assert_eq!((activity.waiting, activity.interacting), (Some(12), Some(3)));
    assert_eq!(activity.longest_wait_seconds, Some(340));
}

#[test]
fn the_longest_wait_of_nobody_is_none() {
    let longest = metric("oLongestWaiting", None, &json!({"calculatedMetricValue": 1_000}));
    let activity = read(&[metric("oWaiting", None, &json!({"count": 0})), longest.clone()], &[]);
    assert_eq!((activity.waiting, activity.longest_wait_seconds), (Some(0), None));
    assert_eq!(read(&[longest], &[]).longest_wait_seconds, None);
}

#[test]
fn a_number_that_is_not_told_is_none_and_an_unmentioned_queue_is_empty() {
    let activity = read(&[], &[]);
    assert_eq!((activity.waiting, activity.interacting), (Some(0), None));
    assert_eq!((activity.on_queue, activity.idle), (None, None));
    let uncounted = read(&[metric("oWaiting", None, &json!({}))], &[]);
    assert_eq!(uncounted.waiting, None, "it is mentioned, but not counted");
}

#[test]
fn agents_on_queue_are_those_of_every_status_but_off_queue() {
    let status = |word, count| users("oUserRoutingStatuses", word, count);
    let statuses = [status("IDLE", 2), status("INTERACTING", 3), status("OFF_QUEUE", 7)];
    assert_eq!(agents(&statuses), (Some(5), Some(2)));
    let told = metric("oOnQueueUsers", None, &json!({"count": 4}));
    assert_eq!(agents(&[told, status("IDLE", 2)]), (Some(4), Some(2)));
    assert_eq!(agents(&[status("OFF_QUEUE", 7)]), (Some(0), Some(0)));
    let by_status = [users("oOnQueueUsers", "IDLE", 1), users("oOnQueueUsers", "INTERACTING", 2)];
    assert_eq!(agents(&by_status), (Some(3), Some(1)));
    // Of a status that is not named nothing is known.
    let unnamed = metric("oUserRoutingStatuses", None, &json!({"count": 9}));
    assert_eq!(agents(&[unnamed]), (None, None));
}
