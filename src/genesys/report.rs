//! The layer next to the wire: exactly the requests that go out are counted, measured, traced.
//! Names of operations only: a URL may hold a queue name.

use std::sync::Arc;

use reqwest::Response;
use tokio::time::Instant;
use tower::ServiceExt;
use tracing::{Instrument as _, Span};

use super::{
    answer::Failure,
    call::{Call, Operation},
    error,
    layer::Next,
    transport::correlation_id,
};
use crate::{
    metrics::{Attempt, Metrics},
    trace,
    transfer::{
        class::{Class, Trace},
        gateway::{CalledOff, Departure, GatewayError},
    },
};

/// Counts and reports one HTTP request.
pub(super) async fn report(
    metrics: Arc<Metrics>,
    call: Call,
    next: Next<Response>,
) -> Result<Response, Failure> {
    let usage = Arc::clone(&call.ctx.usage);
    let departing = leave(&call)?;
    usage.count_attempt();
    let mut seen = Seen::new(metrics, &call);
    let result = next.oneshot(call).instrument(seen.span.clone()).await;
    match &result {
        Ok(response) => {
            let correlation = correlation_id(response.headers());
            if let Some(id) = &correlation {
                usage.correlate(id);
            }
            seen.answered(response.status().as_u16(), correlation.as_deref());
        }
        Err(failure) => seen.failed(failure),
    }
    if let Some(departure) = departing.filter(|_| is_certainly_not_done(&result)) {
        departure.come_back();
    }
    result
}

/// Notes that what changes a conversation leaves now; what is to be told when it certainly was not
/// carried out, unless a try before it has left.
fn leave(call: &Call) -> Result<Option<Arc<Departure>>, Failure> {
    if !call.changes() {
        return Ok(None);
    }
    let departure = &call.ctx.departure;
    match departure.leave() {
        Ok(before) => Ok((!before).then(|| Arc::clone(departure))),
        Err(CalledOff) if call.ctx.deadline <= Instant::now() => {
            Err(Failure::HeldBack(GatewayError::DeadlineExceeded))
        }
        Err(CalledOff) => Err(Failure::HeldBack(GatewayError::ShuttingDown)),
    }
}

fn is_certainly_not_done(result: &Result<Response, Failure>) -> bool {
    let trace = match result {
        // Of those that this is asked for the status alone tells.
        Ok(response) => {
            let status = response.status().as_u16();
            Trace::Answered { status, complete: false, genuine: false }
        }
        Err(failure) => failure.trace(),
    };
    Class::of(trace) == Class::A
}

/// One request, reported when this is dropped: also when the layer above gave it up.
struct Seen {
    metrics: Arc<Metrics>,
    span: Span,
    operation: Operation,
    attempt: u32,
    began: Instant,
    outcome: Option<Attempt>,
}

impl Seen {
    fn new(metrics: Arc<Metrics>, call: &Call) -> Self {
        let (operation, attempt) = (call.operation, call.attempt);
        let (method, host) = (operation.method(), call.url.host_str());
        let resend = attempt.saturating_sub(1);
        let span = trace::attempt(operation.name(), method.as_str(), host, resend);
        Self { metrics, span, operation, attempt, began: Instant::now(), outcome: None }
    }

    fn answered(&mut self, status: u16, correlation: Option<&str>) {
        self.outcome = Some(Attempt::answered(status));
        trace::attempt_answered(&self.span, status, correlation);
        let (operation, attempt) = (self.operation.name(), self.attempt);
        let correlation = correlation.unwrap_or_default();
        let latency_ms = self.latency_ms();
        tracing::debug!(operation, attempt, status, latency_ms, correlation, "upstream answer");
    }

    fn failed(&mut self, failure: &Failure) {
        self.outcome = Some(Attempt::Broken);
        let (operation, attempt) = (self.operation.name(), self.attempt);
        let (reason, latency_ms) = (error::failure_in_words(failure), self.latency_ms());
        tracing::debug!(operation, attempt, latency_ms, reason, "upstream failure");
    }

    fn latency_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or(Attempt::TimedOut);
        match outcome {
            Attempt::TimedOut => trace::attempt_failed(&self.span, "timeout"),
            Attempt::Broken => trace::attempt_failed(&self.span, "connection_error"),
            _ => {}
        }
        self.metrics.attempt(self.operation, outcome, self.began.elapsed());
    }
}
