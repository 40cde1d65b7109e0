//! The list of callers as a text of its own, in JSON or TOML.

use std::{fmt, path::Path};

use config::{Value, ValueKind};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use super::super::files::{self, Table, toml};

/// The list in the JSON text.
///
/// # Errors
/// In words with line and column, never with a part of the text.
pub(in super::super) fn in_json(text: &str) -> Result<Vec<Value>, String> {
    match json(text).map_err(|why| format!("expected a JSON list: {why}"))?.kind {
        ValueKind::Array(list) => Ok(list),
        _ => Err("expected a JSON list of callers".to_owned()),
    }
}

/// The list in the file at `path`: JSON (the list, or an object with `api_keys`) or TOML
/// (`[[api_keys]]`, or `[[auth.api_keys]]` as in the configuration). Blocks.
///
/// # Errors
/// In words, when there is no such list, or an empty one.
pub(in super::super) fn in_file(path: &Path) -> Result<Vec<Value>, String> {
    let text = files::text(path).map_err(|why| format!("the file {why}"))?;
    let document = if is_json(path, &text) { json(&text)? } else { toml(&text, None)?.into() };
    let list = find(document);
    let list = list.ok_or("expected a JSON list, or `api_keys` as a list in JSON or TOML")?;
    // Most likely cut short while it was written; it would lock everyone out.
    if list.is_empty() { Err("the list holds no caller".to_owned()) } else { Ok(list) }
}

fn is_json(path: &Path, text: &str) -> bool {
    let extension = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("json") => true,
        Some("toml") => false,
        // A mounted secret often has no extension. A TOML document may start with `[[`, a list
        // of callers in JSON never does.
        _ => {
            let start: String = text.chars().filter(|c| !c.is_whitespace()).take(2).collect();
            start.starts_with('{') || start == "[{" || start == "[]"
        }
    }
}

fn find(document: Value) -> Option<Vec<Value>> {
    match document.kind {
        ValueKind::Array(list) => Some(list),
        ValueKind::Table(mut table) => {
            find(table.remove("api_keys").or_else(|| table.remove("auth"))?)
        }
        _ => None,
    }
}

fn json(text: &str) -> Result<Value, String> {
    let Node(value) = serde_json::from_str(text).map_err(|error| {
        let what = if error.is_data() { "a member is given twice" } else { "is not JSON" };
        format!("{what} (line {} column {})", error.line(), error.column())
    })?;
    Ok(value)
}

/// A JSON value in which no member is given twice: which of two lists of permissions counts must not
/// depend on the reader.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node(Value::new(None, ValueKind::Nil)))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Node, E> {
        Ok(Node(flag.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node(i64::try_from(number).map_or_else(|_| number.into(), Value::from)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Ok(Node(number.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(Node(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Node(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut table = Table::new();
        while let Some((name, Node(item))) = members.next_entry::<String, Node>()? {
            if table.insert(name, item).is_some() {
                return Err(A::Error::custom("given twice"));
            }
        }
        Ok(Node(table.into()))
    }
}
