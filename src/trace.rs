//! The spans there are, and the trace context that travels with a request.
//!
//! Everything that may appear in a span is written here: ids, names of operations, statuses and
//! codes. No free text, no path, no query, nothing a caller or Genesys can choose beside ids, so
//! that a trace can be shown to anyone who runs the service. Fields whose names hold a dot are
//! OpenTelemetry's and go to the collector only; the others also appear on every log line written
//! inside the span.

use std::{fmt::Display, sync::Arc};

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

#[cfg(test)]
mod tests;

/// The target of all spans: what is exported is chosen by it.
pub const TARGET: &str = module_path!();

/// Trace context as headers carry it (W3C Trace Context).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent {
    /// `traceparent`, well-formed.
    pub parent: Arc<str>,
    /// `tracestate`, when there is one.
    pub state: Option<Arc<str>>,
}

impl TraceParent {
    /// The trace id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.parent.split('-').nth(1).unwrap_or_default()
    }

    fn context(&self) -> Option<SpanContext> {
        let mut parts = self.parent.split('-').skip(1);
        let trace = TraceId::from_hex(parts.next()?).ok()?;
        let span = SpanId::from_hex(parts.next()?).ok()?;
        // Of the flags only the lowest is defined (section 3.2.2.5).
        let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
        let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
        let state = self.state.as_deref().and_then(|text| text.parse::<TraceState>().ok());
        Some(SpanContext::new(trace, span, flags, true, state.unwrap_or_default()))
    }
}

impl From<&SpanContext> for TraceParent {
    fn from(span: &SpanContext) -> Self {
        let sampled = u8::from(span.trace_flags().is_sampled());
        let parent = format!("00-{}-{}-{sampled:02x}", span.trace_id(), span.span_id());
        let state = span.trace_state().header();
        Self { parent: parent.into(), state: (!state.is_empty()).then(|| state.into()) }
    }
}

/// What a request to Genesys carries: the span that is open here, or, when nothing is traced, what
/// the caller sent, unchanged.
#[must_use]
pub fn outgoing(sent: Option<&TraceParent>) -> Option<TraceParent> {
    let context = Span::current().context();
    let span = context.span();
    let ours = Some(span.span_context()).filter(|span| span.is_valid());
    ours.map(TraceParent::from).or_else(|| sent.cloned())
}

/// The trace a span belongs to: its own when it is traced, else the caller's.
#[must_use]
pub fn trace_id(span: &Span, sent: Option<&TraceParent>) -> Option<String> {
    let context = span.context();
    let own = context.span().span_context().trace_id();
    if own == TraceId::INVALID {
        return sent.map(|sent| sent.trace_id().to_owned());
    }
    Some(own.to_string())
}

/// The place in a trace where background work begins. Unlike a span it keeps nothing open.
#[derive(Debug, Clone)]
pub struct Origin(Option<SpanContext>);

impl Origin {
    /// The span that is open here, if it is traced.
    #[must_use]
    pub fn here() -> Self {
        let context = Span::current().context();
        let span = context.span().span_context().clone();
        Self(Some(span).filter(SpanContext::is_valid))
    }

    /// Makes `span` a child of this in the trace.
    fn adopt(&self, span: Span) -> Span {
        if let Self(Some(parent)) = self {
            hang(&span, parent.clone());
        }
        span
    }
}

/// A request of a caller. `method` is one that is known, or `_OTHER`.
#[must_use]
pub fn request(method: &'static str, request_id: &str, sent: Option<&TraceParent>) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "request",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
        genesys.correlation_id = Empty,
        request_id,
    );
    if let Some(context) = sent.and_then(TraceParent::context) {
        hang(&span, context);
    }
    span
}

/// Notes the answer to a request. `route` is the router's template.
pub fn answered(
    span: &Span,
    method: &'static str,
    route: Option<&str>,
    status: u16,
    code: Option<&'static str>,
    correlation_id: Option<&str>,
) {
    if let Some(route) = route {
        // A span that has begun can be renamed only so; `otel.name` is for the beginning.
        span.context().span().update_name(format!("{method} {route}"));
        span.record("http.route", route);
    }
    span.record("http.response.status_code", status);
    span.record("error.type", code);
    span.record("genesys.correlation_id", correlation_id);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// A transfer on its way. It may outlive the request it came with, so it is that one's child in
/// the trace only.
#[must_use]
pub fn transfer(request_id: &str, conversation_id: &dyn Display) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "transfer",
        otel.status_code = Empty,
        transfer.outcome = Empty,
        error.type = Empty,
        genesys.correlation_id = Empty,
        request_id,
        conversation_id = %conversation_id,
        transfer_id = Empty,
    );
    Origin::here().adopt(span)
}

/// Notes on the open span of a transfer which one it is.
pub fn transfer_is(id: &dyn Display) {
    Span::current().record("transfer_id", tracing::field::display(id));
}

/// Notes on the open span of a transfer what it came to.
pub fn transfer_came_to(
    outcome: &'static str,
    code: Option<&'static str>,
    correlation_id: Option<&str>,
) {
    let span = Span::current();
    span.record("transfer.outcome", outcome);
    span.record("error.type", code);
    span.record("genesys.correlation_id", correlation_id);
    if matches!(outcome, "failed" | "unknown") {
        span.record("otel.status_code", "ERROR");
    }
}

/// A stage of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceStage {
    /// The queue is looked up.
    Queue,
    /// The requests it will need are reserved in the rate budget.
    Admit,
    /// It is recorded.
    Record,
    /// The conversation is looked at.
    Look,
    /// The intention to send is recorded.
    Dispatching,
    /// The command is sent.
    Send,
    /// What became of the command is found out.
    Learn,
    /// Priority and skills are set.
    Routing,
    /// The conversation is looked for in the queue.
    Confirm,
    /// An unknown transfer is looked for, or set right.
    Settle,
    /// A turn in the rate budget is waited for.
    Wait,
}

impl TraceStage {
    const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Admit => "admit",
            Self::Record => "record",
            Self::Look => "look",
            Self::Dispatching => "dispatching",
            Self::Send => "send",
            Self::Learn => "learn",
            Self::Routing => "routing",
            Self::Confirm => "confirm",
            Self::Settle => "settle",
            Self::Wait => "wait",
        }
    }
}

/// A stage of the transfer whose span is open.
#[must_use]
pub fn stage(stage: TraceStage) -> Span {
    tracing::debug_span!("stage", otel.name = stage.name())
}

/// Work on a transfer in the background: no request waits for it.
#[must_use]
pub fn background(
    origin: &Origin,
    stage: TraceStage,
    request_id: &str,
    transfer_id: &dyn Display,
) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "background",
        otel.name = stage.name(),
        otel.status_code = Empty,
        transfer.outcome = Empty,
        error.type = Empty,
        genesys.correlation_id = Empty,
        request_id,
        transfer_id = %transfer_id,
    );
    origin.adopt(span)
}

/// One HTTP request to Genesys; `resend` counts the tries before it.
#[must_use]
pub fn attempt(operation: &'static str, method: &str, host: Option<&str>, resend: u32) -> Span {
    let span = tracing::debug_span!(
        "attempt",
        otel.name = %format_args!("{method} {operation}"),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = method,
        http.request.resend_count = Empty,
        http.response.status_code = Empty,
        server.address = host,
        genesys.operation = operation,
        genesys.correlation_id = Empty,
        error.type = Empty,
    );
    if resend > 0 {
        span.record("http.request.resend_count", resend);
    }
    span
}

/// Notes the answer to the request to Genesys whose span this is.
pub fn attempt_answered(span: &Span, status: u16, correlation_id: Option<&str>) {
    span.record("http.response.status_code", status);
    span.record("genesys.correlation_id", correlation_id);
    if status >= 400 {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", tracing::field::display(status));
    }
}

/// Notes that no answer came; `kind` says how.
pub fn attempt_failed(span: &Span, kind: &'static str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

/// One operation of the store, as part of something else that is traced: the store's own upkeep
/// would be a trace every few seconds.
#[must_use]
pub fn store(operation: &'static str) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    tracing::debug_span!(
        "store",
        otel.name = %format_args!("store {operation}"),
        otel.status_code = Empty,
        db.operation.name = operation,
    )
}

/// Notes that an operation of the store failed.
pub fn store_failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

fn hang(span: &Span, parent: SpanContext) {
    // Fails only when nothing is exported, and then there is nothing to hang up.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}
