//! The fields of spans and events, each as the text that stands in a line.

use std::{
    fmt::{self, Write as _},
    ops::Range,
};

use tracing::field::{Field, Visit};

use crate::config::LogFormat;

/// Longest text of one field, in characters: a field that holds what a caller or Genesys sent is
/// cut, so that a line stays a line one can read and ship.
const MAX_TEXT: usize = 8 * 1024;

/// Name and value of each field, in the order they were recorded.
#[derive(Debug, Default)]
pub(super) struct EventFields {
    /// Of an event: its message, not escaped.
    pub(super) message: String,
    /// Of an event that came through the `log` crate: its true target.
    pub(super) log_target: Option<String>,
    format: LogFormat,
    /// All values, as they stand in a line.
    text: String,
    places: Vec<(&'static str, Range<usize>)>,
    /// Where a value is written before it is escaped.
    raw: String,
}

/// Which fields are kept.
pub(super) struct Of<'a> {
    fields: &'a mut EventFields,
    span: bool,
}

impl EventFields {
    /// No fields yet.
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, ..Self::default() }
    }

    /// Takes the fields of a span, without those that are meant for the collector of traces: their
    /// names, which are OpenTelemetry's, hold dots.
    pub(super) fn of_span(&mut self) -> Of<'_> {
        Of { fields: self, span: true }
    }

    /// Takes the fields of an event.
    pub(super) fn of_event(&mut self) -> Of<'_> {
        Of { fields: self, span: false }
    }

    /// Forgets all fields, and keeps the memory.
    pub(super) fn clear(&mut self, format: LogFormat) {
        self.format = format;
        self.message.clear();
        self.log_target = None;
        self.text.clear();
        self.places.clear();
    }

    /// Each field's name and its value as it stands in a line.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let text = |place: &Range<usize>| self.text.get(place.clone()).unwrap_or_default();
        self.places.iter().map(move |(name, place)| (*name, text(place)))
    }

    /// The value of one field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Sets a field to what `write` writes; a span may record one again.
    pub(super) fn set(&mut self, name: &'static str, write: impl FnOnce(&mut String, LogFormat)) {
        let start = self.text.len();
        write(&mut self.text, self.format);
        let place = start..self.text.len();
        match self.places.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = place,
            None => self.places.push((name, place)),
        }
    }
}

impl Of<'_> {
    fn put(&mut self, field: &Field, write: impl FnOnce(&mut String, LogFormat)) {
        let name = field.name();
        let left_out = if self.span { name.contains('.') } else { name.starts_with("log.") };
        if !left_out {
            self.fields.set(name, write);
        }
    }

    fn put_shown(&mut self, field: &Field, value: impl fmt::Display) {
        self.put(field, |line, _| {
            // Writing to a String does not fail.
            let _ = write!(line, "{value}");
        });
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        let text = cut(text);
        let text = &*text;
        match (self.span, field.name()) {
            (false, "message") => text.clone_into(&mut self.fields.message),
            (false, "log.target") => self.fields.log_target = Some(text.to_owned()),
            _ => self.put(field, |line, format| match format {
                LogFormat::Text if is_plain(text) => line.push_str(text),
                _ => quote(line, text),
            }),
        }
    }
}

impl Visit for Of<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity; their names are better than null.
        match serde_json::Number::from_f64(value) {
            Some(number) => self.put_shown(field, number),
            None => self.put_text(field, &value.to_string()),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_shown(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_shown(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.put_shown(field, value),
            Err(_) => self.put_text(field, &value.to_string()),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.put_shown(field, value),
            Err(_) => self.put_text(field, &value.to_string()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put_shown(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.span && field.name().contains('.') {
            return;
        }
        let mut raw = std::mem::take(&mut self.fields.raw);
        raw.clear();
        // A value that cannot be written is shown as far as it was.
        let _ = write!(raw, "{value:?}");
        self.put_text(field, &raw);
        self.fields.raw = raw;
    }
}

/// `text` as a JSON string.
pub(super) fn quote(line: &mut String, text: &str) {
    let is_as_it_is = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_as_it_is) {
        line.extend(["\"", text, "\""]);
    } else {
        line.push_str(&serde_json::Value::from(text).to_string());
    }
}

/// Whether a value can stand without quotes and still be told from what follows.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '"' || c == '=')
}

/// The part of `text` that is shown. What was cut is marked.
fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    let end = if text.len() > MAX_TEXT { text.char_indices().nth(MAX_TEXT) } else { None };
    let shown = end.and_then(|(end, _)| text.get(..end));
    shown.map_or(text.into(), |shown| format!("{shown}…").into())
}
