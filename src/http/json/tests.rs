use proptest::prelude::*;

use super::*;

fn fault(text: &[u8]) -> (&'static str, usize, usize) {
    let error = parse(text).unwrap_err();
    (error.what, error.line, error.column)
}

#[test]
fn values_are_kept_as_written() {
    let value = parse(br#" {"a":[1.50,"\u00e9\ud83d\ude00\n"],"a":null} "#).unwrap();

    let list = Value::Array(vec![Value::Number("1.50".into()), Value::String("é😀\n".to_owned())]);
    assert_eq!(value, Value::Object(vec![("a".to_owned(), list), ("a".to_owned(), Value::Null)]));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(parse(b"\xEF\xBB\xBFtrue"), Ok(Value::Bool(true)));
}

#[test]
fn faults_are_named_with_their_place() {
    let table: &[(&[u8], &str, usize, usize)] = &[
        (b"", "the body is empty", 1, 1),
        (b" \n ", "the body is empty", 2, 2),
        (b"{", "the body ends too early", 1, 2),
        (b"{\"a\":1,}", "a member name in quotes was expected", 1, 8),
        (b"{\"a\" 1}", "a colon was expected", 1, 6),
        (b"[1 2]", "a comma or ] was expected", 1, 4),
        (b"{\"a\":1 \"b\":2}", "a comma or } was expected", 1, 8),
        (b"{\"a\":\n tru}", "a value was expected", 2, 2),
        (b"01", "a number must not begin with 0", 1, 2),
        (b"-", "the body ends too early", 1, 2),
        (b"1.x", "a digit was expected", 1, 3),
        (b"1e+", "the body ends too early", 1, 4),
        (b"+1", "a value was expected", 1, 1),
        (b"NaN", "a value was expected", 1, 1),
        (b"1 1", "unexpected text after the value", 1, 3),
        (b"{} x", "unexpected text after the value", 1, 4),
        (b"\"a", "a string is not closed", 1, 3),
        (b"\"a\tb\"", "a control character must be escaped", 1, 3),
        (b"\"\\x\"", "an unknown escape", 1, 3),
        (b"\"\\u+123\"", "four hex digits were expected", 1, 3),
        (b"\"\\u12\"", "four hex digits were expected", 1, 3),
        (b"\"\\ud800\"", "an unpaired surrogate", 1, 3),
        (b"\"\\ud800\\u0041\"", "an unpaired surrogate", 1, 3),
        (b"\"\\udc00\\udc00\"", "an unpaired surrogate", 1, 3),
        (b"{\"\xC3\xA9\":\xFF}", "invalid UTF-8", 1, 6),
        (b"\xFF\xFE{\0}\0", "invalid UTF-8", 1, 1),
    ];
    for (text, what, line, column) in table {
        assert_eq!(fault(text), (*what, *line, *column), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));

    assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).is_ok());
    assert_eq!(fault(nested(MAX_DEPTH + 2).as_bytes()).0, "nesting too deep");
    assert_eq!(fault("[".repeat(200_000).as_bytes()).0, "nesting too deep");
    assert_eq!(fault(r#"{"a":"#.repeat(50_000).as_bytes()).0, "nesting too deep");
}

#[test]
fn whole_numbers_are_read_by_value() {
    let table = [
        ("0", Whole::Is(0)),
        ("-0", Whole::Is(0)),
        ("-0.0e9", Whole::Is(0)),
        ("10", Whole::Is(10)),
        ("10.0", Whole::Is(10)),
        ("1e1", Whole::Is(10)),
        ("1E+1", Whole::Is(10)),
        ("100e-1", Whole::Is(10)),
        ("0.5e1", Whole::Is(5)),
        ("-25000000", Whole::Is(-25_000_000)),
        ("9223372036854775807", Whole::Is(i64::MAX)),
        ("9223372036854775808", Whole::TooLarge),
        ("1e400", Whole::TooLarge),
        ("1e99999999999999999999", Whole::TooLarge),
        ("0e99999999999999999999", Whole::Is(0)),
        ("1e-99999999999999999999", Whole::Fraction),
        ("10.5", Whole::Fraction),
        ("1e-1", Whole::Fraction),
    ];
    for (digits, expected) in table {
        assert_eq!(whole(digits), expected, "{digits}");
    }
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".*", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Theirs;
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::Number(a), Theirs::Number(b)) => a.parse::<f64>().ok() == b.as_f64(),
        (Value::String(a), Theirs::String(b)) => a == b,
        (Value::Array(a), Theirs::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Theirs::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn reads_back_whatever_was_written(value in tree(), pretty: bool) {
        let text = if pretty {
            serde_json::to_vec_pretty(&value).unwrap()
        } else {
            serde_json::to_vec(&value).unwrap()
        };
        prop_assert!(same(&parse(&text).unwrap(), &value));
    }

    #[test]
    fn agrees_with_another_reader_on_what_is_json(
        text in r#"[\[\]{}:, \n"\\u0-9a-fnrtlseE+.\-]{0,24}"#,
    ) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match parse(text.as_bytes()) {
            // They keep the last of two members with one name, we keep both.
            Ok(_) => prop_assert!(
                theirs.is_ok() || theirs.unwrap_err().to_string().contains("out of range")
            ),
            Err(_) => prop_assert!(theirs.is_err()),
        }
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn never_rounds(value: i64, zeros in 0_usize..5) {
        let digits = format!("{value}.{}", "0".repeat(zeros + 1));
        prop_assert_eq!(whole(&digits), if value == i64::MIN { Whole::TooLarge } else { Whole::Is(value) });
    }
}
