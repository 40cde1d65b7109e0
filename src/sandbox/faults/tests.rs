use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn order(value: Value) -> Result<FaultOrder, serde_json::Error> {
    serde_json::from_value(value)
}

fn hits(faults: &mut Faults, requests: usize) -> Vec<bool> {
    (0..requests).map(|_| faults.due("GET", "/a/b", None).is_some()).collect()
}

#[test]
fn order_skips_then_hits_then_is_spent() {
    let mut faults = Faults::default();
    let hang = Fault::Hang { apply: false };
    faults.place(FaultOrder::next("get", "/a/*", hang).after(1).times(2)).unwrap();

    assert_eq!(hits(&mut faults, 4), [false, true, true, false]);
    assert!(faults.orders()[0].spent);
}

#[test]
fn every_second_request_is_hit() {
    let mut faults = Faults::default();
    let hang = Fault::Hang { apply: false };
    faults.place(FaultOrder::next("GET", "*", hang).every(2).forever()).unwrap();

    assert_eq!(hits(&mut faults, 4), [false, true, false, true]);
}

#[test]
fn first_order_that_is_due_wins_and_the_others_wait_their_turn() {
    let mut faults = Faults::default();
    faults.place(FaultOrder::next("GET", "*", Fault::Delay { ms: 1 })).unwrap();
    faults.place(FaultOrder::next("GET", "*", Fault::RevokeTokens).forever()).unwrap();

    let numbers: Vec<u64> = (0..3).map(|_| faults.due("GET", "/x", None).unwrap().order).collect();

    assert_eq!(numbers, [1, 2, 2]);
}

#[test]
fn pattern_with_a_question_mark_is_held_against_the_query_too() {
    let mut faults = Faults::default();
    let path = "/api/v2/routing/queues?*pageNumber=3*";
    faults.place(FaultOrder::next("GET", path, Fault::RevokeTokens).forever()).unwrap();
    let mut due = |query| faults.due("GET", "/api/v2/routing/queues", query).is_some();

    assert!(due(Some("pageSize=100&pageNumber=3")));
    assert!(!due(Some("pageSize=100&pageNumber=4")));
    assert!(!due(None));
}

#[test]
fn orders_read_from_json_as_the_index_page_shows_them() {
    for value in [
        json!({"path": "*", "fault": {"kind": "status", "status": 500, "apply": true}}),
        json!({"fault": {"kind": "status", "status": 429, "retryAfter": "soon"}}),
        json!({"times": "forever", "fault": {"kind": "delay", "ms": 10}}),
        json!({"skip": 2, "times": 3, "fault": {"kind": "hang"}}),
        json!({"fault": {"kind": "drop", "when": "before"}}),
        json!({"fault": {"kind": "drop", "when": "late", "ms": 6000, "reset": true}}),
        json!({"fault": {"kind": "garbage", "form": "not-http"}}),
        json!({"fault": {"kind": "slow-body", "ms": 100}}),
        json!({"fault": {"kind": "huge-body"}}),
        json!({"fault": {"kind": "revoke-tokens"}}),
        json!({"fault": {"kind": "rate-limit", "perMinute": 100}}),
    ] {
        order(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}")).check().unwrap();
    }
}

#[test]
fn impossible_orders_are_refused() {
    for value in [
        json!({"fault": {"kind": "status", "status": 99}}),
        json!({"fault": {"kind": "status", "status": 500, "headers": {"a b": "c"}}}),
        json!({"fault": {"kind": "delay", "ms": 3_600_001}}),
        json!({"fault": {"kind": "drop", "when": "late", "ms": 3_600_001}}),
    ] {
        assert!(order(value.clone()).unwrap().check().is_err(), "{value}");
    }
    assert!(order(json!({"every": 0, "fault": {"kind": "hang"}})).unwrap().check().is_err());
    assert!(order(json!({"fault": {"kind": "explode"}})).is_err());
    assert!(order(json!({"paht": "*", "fault": {"kind": "hang"}})).is_err());
    assert!(order(json!({"times": "never", "fault": {"kind": "hang"}})).is_err());
}

proptest! {
    #[test]
    fn pattern_made_from_a_text_by_starring_parts_fits_it(
        text in "[ab/]{0,12}", from in 0_usize..12, to in 0_usize..12,
    ) {
        let (from, to) = (from.min(text.len()), to.min(text.len()));
        let (from, to) = (from.min(to), from.max(to));
        let pattern = format!("{}*{}", &text[..from], &text[to..]);
        prop_assert!(wildcard(&pattern, &text));
    }

    #[test]
    fn pattern_without_star_fits_only_itself(a in "[ab]{0,4}", b in "[ab]{0,4}") {
        prop_assert_eq!(wildcard(&a, &b), a == b);
    }

    #[test]
    fn leading_and_trailing_star_mean_contains(piece in "[ab]{0,3}", text in "[ab]{0,8}") {
        prop_assert_eq!(wildcard(&format!("*{piece}*"), &text), text.contains(&piece));
    }
}
