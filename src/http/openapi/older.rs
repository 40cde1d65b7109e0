//! The document in OpenAPI 3.0.3, made from the one in 3.1 by one pass over its JSON.

use serde::Serialize;
use serde_json::{Map, Value, json};

#[cfg(test)]
mod tests;

/// Keywords of 3.1 that 3.0 has no word for. Without them a schema allows more, never less.
const UNKNOWN: [&str; 7] = [
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "jsonSchemaDialect",
    "propertyNames",
    "webhooks",
];

/// `document`, which is one in OpenAPI 3.1, in 3.0.3.
pub(super) fn converted(document: &impl Serialize) -> Value {
    // Plain data with string keys cannot fail to serialise.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    convert(&mut document);
    if let Some(members) = document.as_object_mut() {
        members.insert("openapi".to_owned(), json!("3.0.3"));
    }
    // 3.1 names a licence by its SPDX identifier.
    if let Some(license) = document.pointer_mut("/info/license").and_then(Value::as_object_mut) {
        license.remove("identifier");
    }
    document
}

fn convert(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(convert),
        Value::Object(members) => {
            convert_object(members);
            for (name, member) in members {
                match (name.as_str(), member) {
                    // What callers send and get is not the document's own language.
                    ("example" | "examples" | "value", _) => {}
                    // Names of members, not keywords.
                    ("properties", Value::Object(schemas)) => {
                        schemas.values_mut().for_each(convert);
                    }
                    (_, member) => convert(member),
                }
            }
        }
        _ => {}
    }
}

fn convert_object(members: &mut Map<String, Value>) {
    members.retain(|name, _| !UNKNOWN.contains(&name.as_str()));
    let mut nullable = false;
    if let Some(Value::Array(types)) = members.get_mut("type") {
        let all = types.len();
        types.retain(|kind| kind != "null");
        nullable = types.len() < all;
        if let Some(kind) = types.pop() {
            members.insert("type".to_owned(), kind);
        }
    }
    for choice in ["oneOf", "anyOf"] {
        let Some(Value::Array(forms)) = members.get_mut(choice) else { continue };
        let all = forms.len();
        forms.retain(|form| form.get("type").is_none_or(|kind| kind != "null"));
        nullable |= forms.len() < all;
        if let ([form], true) = (forms.as_slice(), nullable) {
            let form = form.clone();
            members.remove(choice);
            refer(members, form);
        }
    }
    if members.contains_key("$ref") && members.len() > 1 {
        let beside = std::mem::take(members);
        refer(members, Value::Object(beside));
    }
    if nullable {
        members.insert("nullable".to_owned(), json!(true));
    }
    if let Some(Value::Array(examples)) = members.get("examples") {
        let first = examples.first().cloned();
        members.remove("examples");
        members.extend(first.map(|example| ("example".to_owned(), example)));
    }
    if let Some(value) = members.remove("const") {
        members.insert("enum".to_owned(), json!([value]));
    }
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if members.get(exclusive).is_some_and(Value::is_number) {
            let limit = members.insert(exclusive.to_owned(), json!(true));
            members.extend(limit.map(|limit| (bound.to_owned(), limit)));
        }
    }
    // Only OAuth 2 has scopes there.
    if let Some(Value::Array(ways)) = members.get_mut("security") {
        for requirement in ways.iter_mut().filter_map(Value::as_object_mut) {
            requirement.values_mut().for_each(|scopes| *scopes = json!([]));
        }
        let mut seen: Vec<Value> = Vec::new();
        ways.retain(|way| {
            let new = !seen.contains(way);
            seen.extend(new.then(|| way.clone()));
            new
        });
    }
}

/// Puts a reference into `members`, as `allOf`: 3.0 ignores what stands beside `$ref`.
fn refer(members: &mut Map<String, Value>, form: Value) {
    let Value::Object(mut form) = form else { return };
    match form.remove("$ref") {
        Some(target) => {
            members.insert("allOf".to_owned(), json!([{"$ref": target}]));
            members.extend(form);
        }
        None => members.extend(form),
    }
}
