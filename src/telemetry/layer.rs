//! The layer that writes a line for every event.
//!
//! Not the library's own formatters: the text one lets line ends in messages through, and the
//! JSON one nests the fields of spans or leaves them out.

use std::sync::Arc;

use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::LookupSpan,
};

use super::{
    fields::Fields,
    line::Line,
    sink::{Kind, Sink},
};
use crate::{clock::Clock, config::LogFormat};

/// The target of the audit log.
const AUDIT: &str = "audit";

/// Where lines go.
#[derive(Debug, Clone)]
pub(super) enum Out {
    /// To a stream, without waiting for it.
    Sink(Sink),
    /// Kept, for tests.
    #[cfg(test)]
    Memory(Arc<std::sync::Mutex<Vec<u8>>>),
}

impl Out {
    fn take(&self, line: &str, kind: Kind) {
        match self {
            Self::Sink(sink) => sink.take(line, kind),
            #[cfg(test)]
            Self::Memory(lines) => lines.lock().unwrap().extend_from_slice(line.as_bytes()),
        }
    }
}

/// Writes a line for every event, with the fields of the spans around it.
pub(super) struct LineLayer {
    format: LogFormat,
    out: Out,
    clock: Arc<dyn Clock>,
}

impl LineLayer {
    pub(super) fn new(format: LogFormat, out: Out, clock: Arc<dyn Clock>) -> Self {
        Self { format, out, clock }
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
        let target = log_target.as_deref().unwrap_or_else(|| event.metadata().target());
        let line = Line {
            time: self.clock.now(),
            level: *event.metadata().level(),
            target,
            message: &message,
            fields,
        };
        let kind = if target == AUDIT { Kind::Audit } else { Kind::Other };
        self.out.take(&line.render(self.format), kind);
    }
}

fn plain(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        value => value.to_string(),
    }
}
