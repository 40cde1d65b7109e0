//! One event as one line, in text or JSON. Pure: the same event gives the same line.

use std::fmt::Write as _;

use jiff::Timestamp;
use tracing::Level;

use super::fields::{EventFields, quote};
use crate::config::{LogFormat, one_line};

/// Members every JSON line has; a field of the same name gets `field_` before it.
const OWN: [&str; 4] = ["timestamp", "level", "target", "message"];

/// What a line says beside its fields.
pub(super) struct LogLine<'a> {
    pub time: Timestamp,
    pub level: Level,
    pub target: &'a str,
    pub message: &'a str,
}

impl LogLine<'_> {
    /// Writes the line in `format` to `out`, with its line end. Nothing within breaks it. `fields`
    /// are those of the outermost span to those of the event itself; of two fields with one name
    /// the inner counts.
    pub(super) fn write(&self, format: LogFormat, fields: &[&EventFields], out: &mut String) {
        let begin = out.len();
        // Microseconds: enough to order events, short enough to read. Writing to a String does not
        // fail.
        let (time, level) = (self.time, self.level);
        let _ = match format {
            LogFormat::Text => {
                write!(out, "{time:.6} {level:>5} {}: {}", self.target, self.message)
            }
            LogFormat::Json => {
                write!(out, "{{\"timestamp\":\"{time:.6}\",\"level\":\"{level}\",\"target\":")
            }
        };
        if format == LogFormat::Json {
            quote(out, self.target);
            out.push_str(",\"message\":");
            quote(out, self.message);
        }
        for (index, own) in fields.iter().enumerate() {
            let (outer, inner) = fields.split_at(index);
            for (name, value) in own.iter() {
                if outer.iter().any(|fields| fields.get(name).is_some()) {
                    continue;
                }
                let innermost = inner.iter().rev().find_map(|fields| fields.get(name));
                let value = innermost.unwrap_or(value);
                match format {
                    LogFormat::Text => out.extend([" ", name, "=", value]),
                    LogFormat::Json => {
                        let prefix = if OWN.contains(&name) { "field_" } else { "" };
                        out.extend([",\"", prefix, name, "\":", value]);
                    }
                }
            }
        }
        if format == LogFormat::Json {
            out.push('}');
        }
        // JSON leaves U+2028 and the C1 controls as they are, and a text is not escaped at all. The
        // escapes are JSON's, and none of these characters is JSON's own.
        let line = out.get(begin..).unwrap_or_default();
        if !line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let clean = one_line(line);
            out.truncate(begin);
            out.push_str(&clean);
        }
        out.push('\n');
    }
}
