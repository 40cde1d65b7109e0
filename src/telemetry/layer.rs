//! The layer that writes a line for every event.
//!
//! Not the library's own formatters: the text one lets line ends in messages through, and the
//! JSON one nests the fields of spans or leaves them out.

use std::{cell::Cell, sync::Arc};

use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::{LookupSpan, Scope},
};

use super::{
    fields::EventFields,
    line::LogLine,
    sink::{LineKind, Sink},
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
    fn take(&self, line: &str, kind: LineKind) {
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
        let mut fields = EventFields::new(self.format);
        attributes.record(&mut fields.of_span());
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<EventFields>() {
            values.record(&mut fields.of_span());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Taken, not borrowed: a value that is written may itself log something.
        let (mut own, mut text) = SCRATCH.take();
        own.clear(self.format);
        event.record(&mut own.of_event());
        let spans: Vec<_> =
            context.event_scope(event).into_iter().flat_map(Scope::from_root).collect();
        let extensions: Vec<_> = spans.iter().map(|span| span.extensions()).collect();
        let of_spans = extensions.iter().filter_map(|of_span| of_span.get::<EventFields>());
        let fields: Vec<_> = of_spans.chain([&own]).collect();
        let target = own.log_target.as_deref().unwrap_or_else(|| event.metadata().target());
        let line = LogLine {
            time: self.clock.now(),
            level: *event.metadata().level(),
            target,
            message: &own.message,
        };
        text.clear();
        line.write(self.format, &fields, &mut text);
        let kind = if target == AUDIT { LineKind::Audit } else { LineKind::Other };
        self.out.take(&text, kind);
        if text.capacity() <= KEPT {
            SCRATCH.set((own, text));
        }
    }
}

/// A line's memory is kept for the next one up to this size, in bytes.
const KEPT: usize = 16 * 1024;

thread_local! {
    /// The memory of the line before.
    static SCRATCH: Cell<(EventFields, String)> = Cell::default();
}
