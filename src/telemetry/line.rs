//! One event as one line, in text or JSON. Pure: the same event gives the same line.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;
use tracing::Level;

use super::fields::Fields;
use crate::config::{LogFormat, one_line};

/// Members every JSON line has; a field of the same name gets `field_` before it.
const OWN: [&str; 4] = ["timestamp", "level", "target", "message"];

/// What a line says.
pub(super) struct Line<'a> {
    pub time: Timestamp,
    pub level: Level,
    pub target: &'a str,
    pub message: &'a str,
    /// From the outermost span to the event itself; of two fields with one name the inner counts.
    pub fields: Vec<Fields>,
}

impl Line<'_> {
    /// The line in `format`, with its line end. Nothing within breaks it.
    pub(super) fn render(&self, format: LogFormat) -> String {
        let line = match format {
            LogFormat::Text => self.text(),
            LogFormat::Json => self.json(),
        };
        // serde_json leaves U+2028 and the C1 controls as they are, and a text is not escaped at
        // all. The escapes are JSON's, and none of these characters is JSON's own.
        one_line(&line) + "\n"
    }

    /// Microseconds: enough to order events, short enough to read.
    fn time(&self) -> String {
        format!("{:.6}", self.time)
    }

    fn text(&self) -> String {
        let mut line = format!("{} {:>5} {}: ", self.time(), self.level, self.target);
        line.push_str(self.message);
        for (name, value) in self.merged() {
            // Writing to a String does not fail.
            let _ = match value {
                Value::String(text) if is_plain(&text) => write!(line, " {name}={text}"),
                value => write!(line, " {name}={value}"),
            };
        }
        line
    }

    fn json(&self) -> String {
        let own: [Value; 4] = [
            self.time().into(),
            self.level.as_str().into(),
            self.target.into(),
            self.message.into(),
        ];
        let mut object = String::from("{");
        let fields = self.merged().into_iter().map(|(name, value)| {
            let name = if OWN.contains(&name) { format!("field_{name}") } else { name.to_owned() };
            (name, value)
        });
        let own = OWN.into_iter().map(str::to_owned).zip(own);
        for (index, (name, value)) in own.chain(fields).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(object, "{comma}{}:{value}", Value::from(name));
        }
        object + "}"
    }

    /// The fields of all spans and the event, each name once.
    fn merged(&self) -> Vec<(&'static str, Value)> {
        let mut merged: Vec<(&'static str, Value)> = Vec::new();
        for (name, value) in self.fields.iter().flat_map(|fields| &fields.0) {
            match merged.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value.clone(),
                None => merged.push((name, value.clone())),
            }
        }
        merged
    }
}

/// Whether a value can stand without quotes and still be told from what follows.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '"' || c == '=')
}
