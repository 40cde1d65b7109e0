//! Holds every answer that a test gets against the API's own description: a status, a header, a
//! member that is not described fails the test. Reads the part of JSON Schema that the description
//! uses, more strictly than a client would: members must be described.

use std::{collections::BTreeSet, sync::OnceLock};

use genesys_transfer::http;
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

/// Headers that are described wherever they come.
const DESCRIBED: [&str; 6] = [
    "allow",
    "idempotent-replayed",
    "location",
    "preference-applied",
    "retry-after",
    "www-authenticate",
];

/// What the service says about itself.
pub(crate) fn description() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::to_value(http::description(false)).unwrap())
}

/// Whether `path` is one that the template `described` stands for.
pub(crate) fn stands_for(described: &str, path: &str) -> bool {
    let (left, right): (Vec<_>, Vec<_>) =
        (described.split('/').collect(), path.split('/').collect());
    let fits = |(left, right): (&&str, &&str)| {
        left == right || (left.starts_with('{') && !right.is_empty())
    };
    left.len() == right.len() && left.iter().zip(&right).all(fits)
}

fn operations(path: &str) -> Option<&'static Value> {
    let paths = description()["paths"].as_object().unwrap();
    let fitting = || paths.iter().filter(|(described, _)| stands_for(described, path));
    paths.get(path).or_else(|| fitting().map(|(_, item)| item).next())
}

/// Fails when the answer to a described request is not as the description says.
pub(crate) fn assert_described(
    (method, path): (&Method, &str),
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) {
    let head = method == Method::HEAD;
    let (Some(item), false) = (operations(path), method == Method::OPTIONS) else { return };
    let word = if head { "get".to_owned() } else { method.as_str().to_ascii_lowercase() };
    let found = match item.get(&word) {
        Some(operation) => resolved(&operation["responses"][status.to_string()]),
        None => resolved(&description()["components"]["responses"]["OtherMethod"]),
    };
    // A second form would make a generated client's answer "an object or a text": it is told in words.
    let about = item[&word]["description"].as_str().unwrap_or_default();
    let is_text =
        headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if is_text
        && found["content"].get("text/plain").is_none()
        && about.contains("`Accept: text/plain`")
    {
        return;
    }
    let what = format!("{method} {path}: {status} {}", String::from_utf8_lossy(body));
    assert!(found.is_object(), "an answer that is not described: {what}");
    let mut faults = header_faults(found, headers);
    if !head {
        faults.extend(body_faults(found, headers, body));
    }
    assert!(faults.is_empty(), "{what}\n{faults:#?}");
}

fn header_faults(described: &'static Value, headers: &HeaderMap) -> Vec<String> {
    let listed = described.get("headers").and_then(Value::as_object);
    let listed = || listed.into_iter().flatten();
    let missing = listed()
        .filter(|(name, item)| {
            resolved(item)["required"] == true && !headers.contains_key(name.as_str())
        })
        .map(|(name, _)| format!("the header {name} is missing"));
    let known: BTreeSet<_> = listed().map(|(name, _)| name.to_ascii_lowercase()).collect();
    let unknown = DESCRIBED
        .iter()
        .filter(|name| headers.contains_key(**name) && !known.contains(**name))
        .map(|name| format!("the header {name} is not described"));
    missing.chain(unknown).collect()
}

fn body_faults(described: &'static Value, headers: &HeaderMap, body: &[u8]) -> Vec<String> {
    let kind = headers.get("content-type").map_or("", |value| value.to_str().unwrap());
    let kind = kind.split(';').next().unwrap();
    let Some(content) = described["content"].get(kind) else {
        let empty = body.is_empty() && described.get("content").is_none();
        return if empty { vec![] } else { vec![format!("{kind} is not described")] };
    };
    let mut faults = Vec::new();
    if kind.ends_with("json") {
        let value = serde_json::from_slice(body).unwrap();
        check(&content["schema"], &value, "", &mut faults);
        // Every code of a status has its example, so that clients can see which there are.
        if let (Some(code), Some(examples)) = (value["code"].as_str(), content.get("examples"))
            && examples.get(code).is_none()
        {
            faults.push(format!("the code {code} is not described"));
        }
    }
    faults
}

/// What a reference stands for.
fn resolved(item: &'static Value) -> &'static Value {
    match item.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            resolved(description().pointer(reference.strip_prefix('#').unwrap()).unwrap())
        }
        None => item,
    }
}

/// Notes what is wrong with `value`.
pub(crate) fn check(schema: &'static Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        if !holds(keyword, rule, schema, value, at, faults) {
            faults.push(format!("{at}: {value} against {keyword} {rule}"));
        }
    }
    if let (Value::Object(members), Some(known)) = (value, members_of(schema)) {
        let unknown = members.keys().filter(|name| !known.contains(name.as_str()));
        faults.extend(unknown.map(|name| format!("{at}/{name} is not described")));
    }
}

fn holds(
    keyword: &str,
    rule: &'static Value,
    schema: &'static Value,
    value: &Value,
    at: &str,
    faults: &mut Vec<String>,
) -> bool {
    match keyword {
        "$ref" => check(resolved(schema), value, at, faults),
        "allOf" => rule.as_array().unwrap().iter().for_each(|part| {
            let mut found = Vec::new();
            check(part, value, at, &mut found);
            // Members described by another part are.
            found.retain(|fault| !fault.ends_with("is not described"));
            faults.extend(found);
        }),
        "oneOf" => {
            return rule.as_array().unwrap().iter().filter(|form| fits(form, value)).count() == 1;
        }
        "properties" => rule.as_object().unwrap().iter().for_each(|(name, field)| {
            if let Some(member) = value.get(name) {
                check(field, member, &format!("{at}/{name}"), faults);
            }
        }),
        "additionalProperties" if rule.is_object() => {
            others(schema, value).for_each(|(name, field)| {
                check(rule, field, &format!("{at}/{name}"), faults);
            });
        }
        "propertyNames" => value.as_object().into_iter().flatten().for_each(|(name, _)| {
            check(rule, &Value::from(name.as_str()), &format!("{at}/{name}"), faults);
        }),
        "contentSchema" => {
            let content = serde_json::from_str(value.as_str().unwrap()).unwrap();
            check(rule, &content, at, faults);
        }
        "items" => value.as_array().into_iter().flatten().enumerate().for_each(|(index, item)| {
            check(rule, item, &format!("{at}/{index}"), faults);
        }),
        "required" => {
            let names = rule.as_array().unwrap();
            return names.iter().all(|name| value.get(name.as_str().unwrap()).is_some());
        }
        "enum" => return rule.as_array().unwrap().contains(value),
        "type" => return has_type(rule, value),
        "format" => return has_format(rule.as_str().unwrap(), value),
        "minimum" => return value.is_null() || value.as_i64() >= rule.as_i64(),
        "maximum" => return value.is_null() || value.as_i64() <= rule.as_i64(),
        "description" | "examples" | "contentMediaType" => {}
        other => panic!("the keyword {other} is not known here"),
    }
    true
}

/// The members that `schema` does not name.
fn others<'v>(
    schema: &'static Value,
    value: &'v Value,
) -> impl Iterator<Item = (&'v String, &'v Value)> {
    let named = schema.get("properties");
    let members = value.as_object().into_iter().flatten();
    members.filter(move |(name, _)| named.is_none_or(|named| named.get(name.as_str()).is_none()))
}

/// Fails when a value that is no answer by itself is not as the schema `name` says.
pub(crate) fn assert_is_a(name: &str, value: &Value) {
    let mut faults = Vec::new();
    check(&description()["components"]["schemas"][name], value, "", &mut faults);
    assert!(faults.is_empty(), "{value} as {name}\n{faults:#?}");
}

fn fits(form: &'static Value, value: &Value) -> bool {
    let mut faults = Vec::new();
    check(form, value, "", &mut faults);
    faults.is_empty()
}

/// All members an object may have; `None` when it may have any.
fn members_of(schema: &'static Value) -> Option<BTreeSet<&'static str>> {
    let schema = resolved(schema);
    let parts = schema.get("allOf").and_then(Value::as_array);
    let mut known: BTreeSet<_> =
        parts.into_iter().flatten().filter_map(members_of).flatten().collect();
    let own = schema.get("properties").and_then(Value::as_object);
    known.extend(own.into_iter().flatten().map(|(name, _)| name.as_str()));
    (!known.is_empty()).then_some(known)
}

fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |word: &Value| match word.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    };
    rule.as_array().map_or_else(|| is(rule), |words| words.iter().any(is))
}

fn has_format(rule: &str, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return true };
    match rule {
        "uuid" => text.len() == 36 && text.parse::<uuid::Uuid>().is_ok(),
        // With milliseconds, so that texts sort like times.
        "date-time" => {
            let time = text.parse::<jiff::Timestamp>();
            time.is_ok_and(|time| text == format!("{time:.3}"))
        }
        other => panic!("the format {other} is not known here"),
    }
}
