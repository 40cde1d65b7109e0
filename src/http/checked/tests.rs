use proptest::prelude::*;
use serde_json::json;
use utoipa::ToSchema;

use super::*;
use crate::{http::rules::Whole, problem::Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[schema(value_type = Option<i64>)]
    a: Option<Checked<Whole<-1000, 1000>>>,
    #[schema(value_type = Option<bool>)]
    b: Option<Checked<bool>>,
}

fn read(json: impl AsRef<[u8]>) -> Result<(Option<i64>, Option<bool>), Box<Problem>> {
    let values = body(json.as_ref(), |read: Sample, fields| {
        Some((fields.take("a", read.a).map(|Whole(number)| number), fields.take("b", read.b)))
    });
    values.map_err(Failure::into_problem)
}

fn noted(json: &str) -> Vec<(String, String)> {
    let errors = read(json).unwrap_err().errors;
    errors.into_iter().map(|error| (error.pointer, error.detail)).collect()
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(read(b"\xEF\xBB\xBF{\"b\":true}").unwrap(), (None, Some(true)));
}

#[test]
fn what_is_no_json_is_malformed() {
    let deep = "[".repeat(200_000);
    let inside = format!("{{\"a\":{deep}");
    let texts: [&[u8]; 15] = [
        b"",
        b" \n ",
        b"{",
        b"{\"a\":1,}",
        b"{\"a\" 1}",
        b"{\"a\":01}",
        b"{\"a\":1.x}",
        b"{\"a\":NaN}",
        b"{} x",
        b"{'a':1}",
        b"\"a\tb\"",
        b"{\"a\":\"\xff\"}",
        b"{\"zzz\":1,\"a\":tru}",
        deep.as_bytes(),
        inside.as_bytes(),
    ];
    for text in texts {
        let problem = read(text).unwrap_err();
        assert_eq!(problem.code, Code::MalformedJson, "{}", String::from_utf8_lossy(text));
    }
    let problem = read("{\"a\":\n tru}").unwrap_err();
    assert!(problem.detail.contains("line 2"), "{}", problem.detail);
}

#[test]
fn a_member_that_comes_twice_is_noted_once() {
    let twice = "appears more than once";
    assert_eq!(
        noted(r#"{"a":1,"a":2,"a":3,"c":1,"c":1}"#),
        [("/a", twice), ("/c", "is unknown; known are a, b"), ("/c", twice)]
            .map(|(pointer, detail)| (pointer.to_owned(), detail.to_owned()))
    );
}

#[test]
fn a_message_never_holds_the_value() {
    for json in [r#"{"a":"4915112345678"}"#, r#"{"a":"4915112345678","c":1}"#, "\"4915112345678\""]
    {
        let problem = read(json).unwrap_err();
        assert!(!serde_json::to_string(&problem).unwrap().contains("4915112345678"), "{json}");
    }
}

#[test]
fn a_list_is_no_object_even_when_its_items_would_fit() {
    assert_eq!(noted("[1,true]")[0].1, "must be an object, not an array");
    assert_eq!(noted(" null")[0].1, "must be an object, not null");
}

#[test]
fn whole_numbers_are_read_by_value() {
    for (number, expected) in
        [("0", 0), ("-0", 0), ("10.0", 10), ("1e1", 10), ("100e-1", 10), ("0.5e1", 5)]
    {
        assert_eq!(read(format!("{{\"a\":{number}}}")).unwrap().0, Some(expected), "{number}");
    }
    for (number, why) in [
        ("1001", "this one is outside"),
        ("1e400", "this one is outside"),
        ("-1E99999999999", "this one is outside"),
        ("10.5", "without a fraction"),
        ("0.1e-5", "without a fraction"),
        ("\"10\"", "not a string"),
        ("{}", "not an object"),
    ] {
        let noted = noted(&format!("{{\"a\":{number}}}"));
        assert!(noted[0].1.ends_with(why), "{number}: {noted:?}");
    }
}

proptest! {
    #[test]
    fn agrees_with_serde_on_what_is_json(text in r#"[\[\]{}:, \n"\\u0-9a-fnrtlseE+.\-]{0,24}"#) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        let malformed = read(&text).is_err_and(|problem| problem.code == Code::MalformedJson);
        // A number or an escape that no value has is a bad field, not bad JSON.
        if theirs.is_ok() {
            prop_assert!(!malformed);
        }
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn known_members_are_read_whatever_is_around_them(a in -1000_i64..=1000, b: bool, pretty: bool) {
        let value = json!({"a": a, "b": b});
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert_eq!(read(text).unwrap(), (Some(a), Some(b)));
    }
}
