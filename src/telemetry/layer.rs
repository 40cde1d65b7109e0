//! The layer that writes a line for every event.
//!
//! Not the library's own formatters: the text one lets line ends in messages through, and the
//! JSON one nests the fields of spans or leaves them out.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::LookupSpan,
};

use super::{fields::Fields, line::Line};
use crate::{clock::Clock, config::LogFormat};

/// Where lines go.
#[derive(Debug, Clone)]
pub(super) enum Sink {
    /// Standard error of the process.
    Stderr,
    /// Kept, for tests.
    #[cfg(test)]
    Memory(Arc<std::sync::Mutex<Vec<u8>>>),
}

impl Sink {
    /// Writes a whole line at once. A line that cannot be written is lost: there is nowhere left
    /// to say so, and the work goes on.
    pub(super) fn write(&self, line: &str) {
        match self {
            Self::Stderr => drop(io::stderr().lock().write_all(line.as_bytes())),
            #[cfg(test)]
            Self::Memory(lines) => lines.lock().unwrap().extend_from_slice(line.as_bytes()),
        }
    }
}

/// Writes a line for every event, with the fields of the spans around it.
pub(super) struct LineLayer {
    format: LogFormat,
    sink: Sink,
    clock: Arc<dyn Clock>,
}

impl LineLayer {
    pub(super) fn new(format: LogFormat, sink: Sink, clock: Arc<dyn Clock>) -> Self {
        Self { format, sink, clock }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LineLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        fields.drop_dotted();
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
            fields.drop_dotted();
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let message = own.take("message").map(plain).unwrap_or_default();
        // Records of the `log` crate arrive with their metadata as fields.
        let log_target = own.take("log.target").map(plain);
        own.0.retain(|(name, _)| !name.starts_with("log."));
        let mut fields = Vec::new();
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                fields.extend(span.extensions().get::<Fields>().cloned());
            }
        }
        fields.push(own);
        let line = Line {
            time: self.clock.now(),
            level: *event.metadata().level(),
            target: log_target.as_deref().unwrap_or_else(|| event.metadata().target()),
            message: &message,
            fields,
        };
        self.sink.write(&line.render(self.format));
    }
}

fn plain(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        value => value.to_string(),
    }
}
