//! JSON as configuration values. A member given twice is refused: which of two lists of
//! permissions counts must not depend on the reader.

use std::fmt;

use config::{Map, Value, ValueKind};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// Reads a JSON text; every value gets `origin`.
///
/// # Errors
/// In words with line and column, never with a part of the text.
pub(super) fn parse(text: &str, origin: &str) -> Result<Value, String> {
    let Node(kind) = serde_json::from_str(text).map_err(|error| {
        let what = if error.is_data() { "a member is given twice" } else { "is not JSON" };
        format!("{what} (line {} column {})", error.line(), error.column())
    })?;
    Ok(with_origin(kind, origin))
}

fn with_origin(kind: ValueKind, origin: &str) -> Value {
    let kind = match kind {
        ValueKind::Array(items) => {
            ValueKind::Array(items.into_iter().map(|item| with_origin(item.kind, origin)).collect())
        }
        ValueKind::Table(members) => ValueKind::Table(
            members
                .into_iter()
                .map(|(name, item)| (name, with_origin(item.kind, origin)))
                .collect(),
        ),
        scalar => scalar,
    };
    Value::new(Some(&origin.to_owned()), kind)
}

struct Node(ValueKind);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Node)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = ValueKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<ValueKind, E> {
        Ok(ValueKind::Nil)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<ValueKind, E> {
        Ok(ValueKind::Boolean(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<ValueKind, E> {
        Ok(ValueKind::I64(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<ValueKind, E> {
        Ok(i64::try_from(number).map_or(ValueKind::U64(number), ValueKind::I64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<ValueKind, E> {
        Ok(ValueKind::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ValueKind, E> {
        Ok(ValueKind::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ValueKind, A::Error> {
        let mut list = Vec::new();
        while let Some(Node(item)) = items.next_element()? {
            list.push(Value::new(None, item));
        }
        Ok(ValueKind::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<ValueKind, A::Error> {
        let mut map = Map::new();
        while let Some((name, Node(item))) = members.next_entry::<String, Node>()? {
            if map.insert(name, Value::new(None, item)).is_some() {
                return Err(A::Error::custom("given twice"));
            }
        }
        Ok(ValueKind::Table(map))
    }
}
