use proptest::prelude::*;
use serde_json::{Value as Json, json};
use utoipa::PartialSchema as _;

use super::*;
use crate::{
    http::checked::members_of,
    problem::{Code, Problem},
};

const ID: &str = "11111111-2222-4333-8444-55555555aaaa";
const OTHER: &str = "99999999-2222-4333-8444-55555555bbbb";

fn read(body: &str) -> Result<TransferRequest, Box<Problem>> {
    transfer(body.as_bytes()).map_err(Failure::into_problem)
}

/// A minimal request with `extra` members put in; `null` removes one.
fn with(extra: &Json) -> String {
    let mut body = json!({"conversationId": ID, "queueName": "Support"});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

fn pointers(problem: &Problem) -> Vec<&str> {
    problem.errors.iter().map(|error| error.pointer.as_str()).collect()
}

#[test]
fn a_full_request_is_taken() {
    let request = read(&with(&json!({
        "conversationId": ID.to_uppercase(), "queueName": " Support Tier 2 ", "priority": -10,
        "skillIds": [ID, OTHER], "languageId": OTHER, "keepPlace": true, "participantId": OTHER,
        "transferType": "attended", "reason": "line one\n\tline two", "reference": "CASE-4711",
    })))
    .unwrap();

    assert_eq!(
        serde_json::to_value(request).unwrap(),
        json!({
            "conversationId": ID, "queue": {"name": "Support Tier 2"}, "priority": -10,
            "skillIds": [ID, OTHER], "languageId": OTHER, "keepPlace": true,
            "participantId": OTHER, "transferType": "attended",
            "reason": "line one\n\tline two", "reference": "CASE-4711",
        })
    );
}

#[test]
fn null_counts_as_absent() {
    let nulls = json!({
        "queueId": null, "priority": null, "skillIds": null, "languageId": null,
        "keepPlace": null, "participantId": null, "transferType": null, "reason": null,
        "reference": null,
    });

    assert_eq!(read(&with(&nulls)), read(&with(&json!({}))));
}

#[test]
fn values_inside_their_bounds_are_taken() {
    let skills: Vec<_> = (0..50).map(|n| uuid::Uuid::from_u128(n).to_string()).collect();
    for extra in [
        json!({"queueName": "x"}),
        json!({"queueName": "ü".repeat(256)}),
        json!({"queueName": format!("  {}  ", "ü".repeat(256))}),
        json!({"queueName": null, "queueId": ID}),
        json!({"priority": 0}),
        json!({"priority": 25_000_000}),
        json!({"priority": -25_000_000}),
        json!({"priority": 10.0}),
        json!({"priority": 1e3}),
        json!({"skillIds": []}),
        json!({"skillIds": skills}),
        json!({"keepPlace": false}),
        json!({"transferType": "unattended"}),
        json!({"reason": ""}),
        json!({"reason": "😀".repeat(500)}),
        json!({"reference": "é".repeat(128)}),
    ] {
        assert!(read(&with(&extra)).is_ok(), "{extra}");
    }
}

#[test]
fn values_outside_their_bounds_are_refused_with_their_pointer() {
    let skills: Vec<_> = (0..51).map(|n| uuid::Uuid::from_u128(n).to_string()).collect();
    let braces = format!("{{{ID}}}");
    for (extra, expected) in [
        (json!({"conversationId": null}), vec!["/conversationId"]),
        (json!({"conversationId": "abc"}), vec!["/conversationId"]),
        (json!({"conversationId": ID.replace('-', "")}), vec!["/conversationId"]),
        (json!({"conversationId": braces}), vec!["/conversationId"]),
        (json!({"conversationId": format!(" {ID}")}), vec!["/conversationId"]),
        (json!({"conversationId": 5}), vec!["/conversationId"]),
        (json!({"queueName": null}), vec!["/queueName"]),
        (json!({"queueName": ""}), vec!["/queueName"]),
        (json!({"queueName": "   "}), vec!["/queueName"]),
        (json!({"queueName": "x".repeat(257)}), vec!["/queueName"]),
        (json!({"queueName": "a\u{0}b"}), vec!["/queueName"]),
        (json!({"queueName": "a\nb"}), vec!["/queueName"]),
        (json!({"queueName": ["Support"]}), vec!["/queueName"]),
        (json!({"queueId": ID}), vec!["/queueId"]),
        (json!({"queueName": null, "queueId": "x"}), vec!["/queueId"]),
        (json!({"priority": 25_000_001}), vec!["/priority"]),
        (json!({"priority": -25_000_001}), vec!["/priority"]),
        (json!({"priority": 1.5}), vec!["/priority"]),
        (json!({"priority": 1e300}), vec!["/priority"]),
        (json!({"priority": "10"}), vec!["/priority"]),
        (json!({"priority": true}), vec!["/priority"]),
        (json!({"skillIds": ID}), vec!["/skillIds"]),
        (json!({"skillIds": skills}), vec!["/skillIds"]),
        (json!({"skillIds": [ID, ID.to_uppercase()]}), vec!["/skillIds/1"]),
        (json!({"skillIds": [1, ID, null]}), vec!["/skillIds/0", "/skillIds/2"]),
        (json!({"languageId": ""}), vec!["/languageId"]),
        (json!({"keepPlace": "true"}), vec!["/keepPlace"]),
        (json!({"keepPlace": 1}), vec!["/keepPlace"]),
        (json!({"participantId": {}}), vec!["/participantId"]),
        (json!({"transferType": "Attended"}), vec!["/transferType"]),
        (json!({"transferType": 0}), vec!["/transferType"]),
        (json!({"reason": "x".repeat(501)}), vec!["/reason"]),
        (json!({"reason": "bell \u{7}"}), vec!["/reason"]),
        (json!({"reference": "x".repeat(129)}), vec!["/reference"]),
        (json!({"reference": "a\nb"}), vec!["/reference"]),
        (json!({"colour": 1}), vec!["/colour"]),
    ] {
        let problem = read(&with(&extra)).unwrap_err();

        assert_eq!(problem.code, Code::InvalidRequest);
        assert_eq!(pointers(&problem), expected, "{extra}");
    }
}

#[test]
fn numbers_that_fit_no_machine_are_still_told_by_name() {
    for number in ["1e400", "-1E99999999999", "99999999999999999999999999", "0.1e-5"] {
        let body = format!(r#"{{"conversationId":"{ID}","queueName":"a","priority":{number}}}"#);

        assert_eq!(pointers(&read(&body).unwrap_err()), ["/priority"], "{number}");
    }
}

#[test]
fn all_bad_fields_are_reported_at_once() {
    let problem = read(
        r#"{"conversationID":"x","queueName":"","priority":"high","skillIds":[1],
            "reason":7,"reason":"twice"}"#,
    )
    .unwrap_err();

    assert_eq!(
        pointers(&problem),
        [
            "/conversationID",
            "/reason",
            "/conversationId",
            "/queueName",
            "/priority",
            "/skillIds/0",
            "/reason",
        ]
    );
    assert_eq!(problem.errors[0].detail, "is unknown; did you mean conversationId?");
}

#[test]
fn what_is_no_object_is_refused_as_a_whole() {
    for body in ["[]", "null", "1", "\"x\"", "true"] {
        assert_eq!(pointers(&read(body).unwrap_err()), [""], "{body}");
    }
}

#[test]
fn a_settlement_needs_an_outcome() {
    let read = |body: &str| settle(body.as_bytes());

    assert_eq!(
        read(r#"{"outcome":"not_moved","reason":"looked"}"#).unwrap(),
        (Verdict::NotMoved, Some("looked".to_owned()))
    );
    assert_eq!(read(r#"{"outcome":"moved"}"#).unwrap(), (Verdict::Moved, None));
    for (body, pointer) in [
        ("{}", "/outcome"),
        (r#"{"outcome":null}"#, "/outcome"),
        (r#"{"outcome":"lost"}"#, "/outcome"),
        (r#"{"outcome":"moved","note":"x"}"#, "/note"),
    ] {
        assert_eq!(pointers(&read(body).unwrap_err().into_problem()), [pointer], "{body}");
    }
}

proptest! {
    #[test]
    fn unknown_members_are_never_accepted(name in "\\PC{0,40}", value in any::<i32>()) {
        prop_assume!(!members_of(TransferRequestBody::schema()).contains(&name));
        let body = with(&json!({name: value}));
        prop_assert!(read(&body).is_err());
    }

    #[test]
    fn any_json_is_read_without_panic(name in "[a-zA-Z]{0,12}", text in ".{0,20}", n: f64) {
        for value in [json!(text), json!([text]), json!({"a": text}), json!(n)] {
            let known = members_of(TransferRequestBody::schema());
            let known = known.into_iter().map(|field| (field, value.clone()));
            let _ = read(&json!(known.collect::<std::collections::BTreeMap<_, _>>())
                .to_string());
            let _ = read(&json!({name.clone(): value}).to_string());
        }
    }

    #[test]
    fn a_uuid_in_any_case_is_the_same(upper in any::<bool>(), bits: u128) {
        let id = uuid::Uuid::from_u128(bits).to_string();
        let sent = if upper { id.to_uppercase() } else { id.clone() };
        let request = read(&with(&json!({"conversationId": sent}))).unwrap();
        prop_assert_eq!(request.conversation_id.to_string(), id);
    }
}
