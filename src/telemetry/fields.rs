//! The fields of spans and events as values.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Longest text of one field, in characters: a field that holds what a caller or Genesys sent is
/// cut, so that a line stays a line one can read and ship.
const MAX_TEXT: usize = 8 * 1024;

/// Name and value of each field, in the order they were recorded.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(pub Vec<(&'static str, Value)>);

impl Fields {
    /// Sets a field; a span may record one again.
    fn set(&mut self, field: &Field, value: Value) {
        let name = field.name();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes out the fields of spans that are meant for the collector of traces: their names, which
    /// are OpenTelemetry's, hold dots.
    pub(super) fn drop_dotted(&mut self) {
        self.0.retain(|(name, _)| !name.contains('.'));
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let position = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(position).1)
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity; their names are better than null.
        let number = serde_json::Number::from_f64(value);
        self.set(field, number.map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        let number = i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from);
        self.set(field, number);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        let number = u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from);
        self.set(field, number);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, cut(value.to_owned()).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, cut(format!("{value:?}")).into());
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
