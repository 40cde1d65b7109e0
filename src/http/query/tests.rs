use proptest::prelude::*;

use super::*;
use crate::http::rules::MAX_TIME;
use crate::problem::Problem;

const ID: &str = "11111111-2222-4333-8444-55555555aaaa";

fn since(text: &str) -> Result<Time, Wrong> {
    Time::read(&format!("\"{text}\""))
}

fn pointers(failure: Failure) -> Vec<String> {
    let problem: Problem = *failure.into_problem();
    problem.errors.into_iter().map(|error| error.pointer).collect()
}

#[test]
fn a_list_without_parameters_has_the_default_page() {
    assert_eq!(transfers(None).unwrap(), (TransferFilter::default(), 50));
    assert_eq!(transfers(Some("")).unwrap(), (TransferFilter::default(), 50));
}

#[test]
fn every_parameter_of_the_list_is_read() {
    let last = TransferId::new(Uuid::from_u128(77));
    let raw = format!(
        "conversationId={ID}&queueId={}&status=unknown&reference=CASE%204711&limit=200\
         &since=2026-03-27T09%3A30%3A00Z&cursor={}",
        ID.to_uppercase(),
        cursor_after(last)
    );

    let (filter, limit) = transfers(Some(&raw)).unwrap();

    assert_eq!(limit, 200);
    assert_eq!(filter.conversation_id, Some(ID.parse().unwrap()));
    assert_eq!(filter.queue_id, Some(ID.parse().unwrap()));
    assert_eq!(filter.status, Some(Status::Unknown));
    assert_eq!(filter.reference.as_deref(), Some("CASE 4711"));
    assert_eq!(filter.since, Some("2026-03-27T09:30:00Z".parse().unwrap()));
    assert_eq!(filter.before, Some(last));
}

#[test]
fn bad_parameters_are_refused_with_their_name() {
    for (raw, expected) in [
        ("limit=0", vec!["?limit"]),
        ("limit=201", vec!["?limit"]),
        ("limit=", vec!["?limit"]),
        ("limit=%2B5", vec!["?limit"]),
        ("limit=1e1", vec!["?limit"]),
        ("limit=99999999999", vec!["?limit"]),
        ("status=done", vec!["?status"]),
        ("status=Unknown", vec!["?status"]),
        ("conversationId=5", vec!["?conversationId"]),
        ("queueId=", vec!["?queueId"]),
        ("since=yesterday", vec!["?since"]),
        ("since=2026-03-27", vec!["?since"]),
        ("cursor=abc", vec!["?cursor"]),
        ("cursor=", vec!["?cursor"]),
        ("cursor=AgAAAAAAAAAAAAAAAAAAAAA", vec!["?cursor"]),
        ("reference=%FF", vec!["?reference"]),
        ("reference=a%0Ab", vec!["?reference"]),
        ("limit=1&limit=1", vec!["?limit"]),
        ("Limit=5&stat=x&status=nope", vec!["?Limit", "?stat", "?status"]),
    ] {
        assert_eq!(pointers(transfers(Some(raw)).unwrap_err()), expected, "{raw}");
    }
}

#[test]
fn a_plus_sign_that_was_not_encoded_is_understood() {
    let (filter, _) = transfers(Some("since=2026-03-27T09:30:00+02:00")).unwrap();

    assert_eq!(filter.since, Some("2026-03-27T07:30:00Z".parse().unwrap()));
}

#[test]
fn a_second_may_have_any_number_of_digits_within_reason() {
    let time = |fraction: &str| format!("2026-03-27T09:30:00.{fraction}+00:00");
    let until_nanoseconds = time("123456789").parse().unwrap();
    for raw in [time("1234567899"), time(&format!("123456789{}", "9".repeat(90)))] {
        assert_eq!(since(&raw), Ok(Time(until_nanoseconds)), "{raw}");
    }
    for raw in [time(""), time("1x"), time("12345678901.5"), time(&"1".repeat(MAX_TIME))] {
        assert!(since(&raw).is_err(), "{raw}");
    }
}

#[test]
fn a_target_is_named_in_one_way_at_most() {
    let name = QueueName::parse("Support Tier 2").unwrap();

    assert_eq!(target(None).unwrap(), None);
    assert_eq!(target(Some("queueName=Support+Tier%202+")).unwrap(), Some(QueueRef::Name(name)));
    assert_eq!(
        target(Some(&format!("queueId={ID}"))).unwrap(),
        Some(QueueRef::Id(ID.parse().unwrap()))
    );
    assert_eq!(
        pointers(target(Some(&format!("queueName=a&queueId={ID}"))).unwrap_err()),
        ["?queueId"]
    );
    assert_eq!(
        pointers(target(Some("queueName=&queueid=x")).unwrap_err()),
        ["?queueid", "?queueName"]
    );
}

#[test]
fn a_part_of_a_name_is_trimmed_and_may_be_empty() {
    assert_eq!(queues(None).unwrap(), (String::new(), false));
    assert_eq!(queues(Some("name=")).unwrap().0, "");
    assert_eq!(queues(Some("name=%20tier+2%20")).unwrap().0, "tier 2");
    for (value, expected) in [("true", Some(true)), ("false", Some(false)), ("yes", None)] {
        let read = queues(Some(&format!("activity={value}")));
        assert_eq!(read.ok().map(|(_, activity)| activity), expected, "{value}");
    }
    assert_eq!(pointers(queues(Some("nam=x")).unwrap_err()), ["?nam"]);
}

#[test]
fn a_route_without_parameters_takes_none() {
    assert!(none(None).is_ok());
    assert!(none(Some("")).is_ok());
    assert_eq!(pointers(none(Some("a=1&b")).unwrap_err()), ["?a", "?b"]);
}

proptest! {
    #[test]
    fn a_cursor_leads_back_to_its_transfer(bits: u128) {
        let id = TransferId::new(Uuid::from_u128(bits));
        let json = format!("\"{}\"", cursor_after(id));
        prop_assert_eq!(TransferCursor::read(&json).map(|Cursor(id)| id), Ok(id.uuid()));
        prop_assert!(BatchCursor::read(&json).is_err());
    }

    #[test]
    fn no_query_makes_a_panic(raw in "\\PC{0,60}") {
        let _ = (transfers(Some(&raw)), target(Some(&raw)), queues(Some(&raw)), none(Some(&raw)));
    }
}
