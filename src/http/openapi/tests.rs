use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn document() -> Value {
    serde_json::to_value(description(false)).unwrap()
}

/// Every `$ref` in the document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn no_two_operations_have_the_same_name() {
    let names: Vec<_> =
        operations().into_iter().map(|it| it.operation(false).operation_id.unwrap()).collect();
    let unique: BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
}

#[test]
fn every_tag_is_explained_and_used() {
    let used: BTreeSet<_> =
        operations().into_iter().flat_map(|it| it.operation(false).tags.unwrap()).collect();
    let explained: BTreeSet<_> = TAGS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(used, explained);
}

#[test]
fn where_nobody_is_asked_credentials_are_optional() {
    let security = |open| {
        let document = serde_json::to_value(description(open)).unwrap();
        document["paths"]["/transfers"]["post"]["security"].clone()
    };
    assert_eq!(security(false).as_array().unwrap().len(), 2);
    assert_eq!(security(true)[0], serde_json::json!({}));
}

#[test]
fn the_document_is_the_same_each_time_it_is_made() {
    assert_eq!(json_bytes(&description(true)), json_bytes(&description(true)));
}
