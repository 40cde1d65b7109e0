//! One host of Genesys Cloud, and one try of a call to it: what it passes on its way out, and in
//! which order.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use reqwest::{
    Body as RequestBody, Client, Response,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    },
};
use tokio::time::{Instant, timeout_at};
use tower::Service;
use tracing::{Instrument as _, Span};
use url::Url;

use super::{
    SetupError,
    attempt::{Attempt, Throttle},
    breaker::Breaker,
    call::{CallKind, Operation, UpstreamRequest},
    pacing::{Pacer, RateHeaders},
    reading::{self, Body, End, Misread},
    retry::{Call, Retries},
    retry_after,
    token::TokenCache,
};
use crate::{
    clock::{Clock, Random},
    config,
    metrics::{Attempt as Label, Metrics},
    outgoing,
    support::Backoff,
    trace,
    transfer::{
        class::{Class, Trace},
        clock_offset::ClockOffset,
        gateway::{CalledOff, Departure, GatewayError},
    },
};

/// Idle connections are closed by us before the other side does: Genesys' load balancers close at
/// 60 s, and of a request written to a connection just closed it is not known whether it arrived. A
/// transfer reads before it commands, so a command follows on a connection that worked
/// milliseconds ago.
const POOL_IDLE: Duration = Duration::from_secs(45);
/// Finds out about peers that vanished without closing, and keeps address translation alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A peer that does not answer a ping for so long is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a command's body may take after its status line; the status is what matters.
const COMMAND_BODY: Duration = Duration::from_secs(1);
/// The least pause after a 429.
const THROTTLED: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(2));

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const CORRELATION: HeaderName = HeaderName::from_static("inin-correlation-id");
const RATE_ALLOWED: HeaderName = HeaderName::from_static("inin-ratelimit-allowed");
const RATE_COUNT: HeaderName = HeaderName::from_static("inin-ratelimit-count");
const RATE_RESET: HeaderName = HeaderName::from_static("inin-ratelimit-reset");

/// Builds the HTTP client for the API host and the one for the login host; one for both where
/// nothing speaks against it, because the system's certificates are loaded for each.
pub(super) fn clients(
    settings: &config::Genesys,
    api: &Url,
    login: &Url,
) -> Result<(Client, Client), SetupError> {
    let first = client(settings, api)?;
    let second =
        if outgoing::are_alike(api, login) { first.clone() } else { client(settings, login)? };
    Ok((first, second))
}

fn client(settings: &config::Genesys, host: &Url) -> Result<Client, SetupError> {
    // Retries live in one place, and a redirect would send a command somewhere else.
    let builder = outgoing::client(host)
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEP_ALIVE)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true);
    builder.build().map_err(|error| SetupError::HttpClient(outgoing::why(&error)))
}

/// What the tries of calls to one host pass.
pub(super) struct Host {
    /// This host's connections.
    pub client: Client,
    /// This host's breaker.
    pub breaker: Breaker,
    /// The rate budget; the login host has none.
    pub pacer: Option<Pacer>,
    /// The shared token; the login host is where it comes from.
    pub tokens: Option<TokenCache>,
    /// Whether a call is sent again.
    pub retries: Retries,
    /// How long a try may take, by kind.
    pub timeouts: Timeouts,
    /// For `Retry-After` as a date.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub random: Arc<dyn Random>,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
}

/// How long one try may take: to the status line for commands, else to the end of the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    token: Duration,
    read: Duration,
    command: Duration,
    patch: Duration,
}

impl Timeouts {
    /// As configured.
    pub(super) const fn new(settings: &config::Genesys) -> Self {
        Self {
            token: settings.token_timeout,
            read: settings.read_timeout,
            command: settings.command_timeout,
            patch: settings.patch_timeout,
        }
    }

    const fn of(self, kind: CallKind) -> Duration {
        match kind {
            CallKind::Token => self.token,
            CallKind::Read => self.read,
            CallKind::Command => self.command,
            CallKind::RoutingPatch => self.patch,
        }
    }
}

/// One try of a call, as the innermost service of the stack.
#[derive(Clone)]
pub(super) struct Tries(pub Arc<Host>);

impl<'a, T: Send + 'a> Service<Call<'a, T>> for Tries {
    type Response = Attempt<T>;
    type Error = Infallible;
    type Future = BoxFuture<'a, Result<Attempt<T>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A try waits for what it needs on its way; nothing holds capacity while ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<'a, T>) -> Self::Future {
        let host = Arc::clone(&self.0);
        async move { Ok(host.attempt(call).await) }.boxed()
    }
}

impl Host {
    /// One try. Each passes everything here, so that it is paced, carries the newest token, and is
    /// seen by the breaker.
    async fn attempt<T>(&self, call: Call<'_, T>) -> Attempt<T> {
        if self.retries.is_over(&call) {
            return Attempt::HeldBack(GatewayError::ShuttingDown);
        }
        let request = call.request;
        // The breaker comes before pacing: a host that is down must use up neither the rate budget
        // nor the patience of what waits for it.
        let mut permit = match self.breaker.enter(request) {
            Ok(permit) => permit,
            Err(error) => return Attempt::HeldBack(error),
        };
        let attempt = self.paced(call).await;
        permit.saw(&attempt);
        attempt
    }

    async fn paced<T>(&self, call: Call<'_, T>) -> Attempt<T> {
        let Some(pacer) = &self.pacer else {
            return self.authorized(call).await.0;
        };
        let request = call.request;
        let turn = pacer.slot(request.ctx, request.operation, request.start_by()).await;
        let mut slot = match turn {
            Ok(slot) => slot,
            Err(error) => return Attempt::HeldBack(error),
        };
        // From here on the request may be on the wire, also if this future is dropped.
        slot.sent = true;
        let (attempt, rate) = self.authorized(call).await;
        slot.answered(request.ctx.lane, &attempt, rate);
        attempt
    }

    /// The token is asked for after pacing, so that it does not get old while waiting, and anew for
    /// each try; waiting for it is not the host's slowness.
    async fn authorized<T>(&self, call: Call<'_, T>) -> (Attempt<T>, Option<RateHeaders>) {
        let request = call.request;
        let Some(tokens) = &self.tokens else {
            return self.bounded(call, request.authorization.clone()).await;
        };
        let token = match tokens.get(request.start_by()).await {
            Ok(token) => token,
            Err(error) => return (Attempt::HeldBack(error), None),
        };
        let sent_at = Instant::now();
        let (mut attempt, rate) = self.bounded(call, Some(token.header.clone())).await;
        match &mut attempt {
            Attempt::Status { answer, fresh_token, .. } if answer.status == 401 => {
                *fresh_token = tokens.refused(&token, request.operation);
            }
            // Such an answer can come before the token was looked at.
            Attempt::Status { answer, .. } if matches!(answer.status, 429 | 500..) => {}
            Attempt::Done { .. } | Attempt::Status { .. } => {
                tokens.accepted(&token, request.operation, sent_at);
            }
            _ => {}
        }
        (attempt, rate)
    }

    /// Bounds a try in time and in bytes. For a read the timeout covers the body; a command's
    /// covers the status line, and its body gets a short time of its own, because once the status is
    /// here a slow body changes nothing.
    async fn bounded<T>(
        &self,
        call: Call<'_, T>,
        authorization: Option<HeaderValue>,
    ) -> (Attempt<T>, Option<RateHeaders>) {
        let began = Instant::now();
        let (kind, deadline) = (call.request.kind(), call.request.ctx.deadline);
        if deadline.saturating_duration_since(began) < kind.needs() {
            return (Attempt::HeldBack(GatewayError::DeadlineExceeded), None);
        }
        let own_time = began + self.timeouts.of(kind);
        let head_by = own_time.min(deadline);
        let exchanged = timeout_at(head_by, self.exchanged(&call, authorization)).await;
        let Ok(exchanged) = exchanged else {
            let detail = format!("no answer within {:.1} s", began.elapsed().as_secs_f64());
            let late = deadline < own_time;
            return (if late { Attempt::Late(detail) } else { Attempt::Broken(detail) }, None);
        };
        let (mut response, correlation) = match exchanged {
            Ok(answered) => answered,
            Err(attempt) => return (attempt, None),
        };
        let clock = clock_offset(response.headers(), self.clock.now(), began);
        let body_by = match kind {
            CallKind::Command => (Instant::now() + COMMAND_BODY).min(deadline),
            _ => head_by,
        };
        let limit = call.request.operation.body_limit();
        let body = Body::receive(&mut response, limit, body_by).await;
        let attempt = self.answer(&call, &response, correlation, &body, clock);
        let is_answer = attempt.status().is_some();
        (attempt, is_answer.then(|| rate_headers(response.headers())).flatten())
    }

    /// Exactly the requests that go out are counted, measured and traced here, by names of
    /// operations only: a URL may hold a queue name. The head of the answer with its correlation id.
    async fn exchanged<T>(
        &self,
        call: &Call<'_, T>,
        authorization: Option<HeaderValue>,
    ) -> Result<(Response, Option<String>), Attempt<T>> {
        let request = call.request;
        let departing = leave(request).map_err(Attempt::HeldBack)?;
        request.ctx.usage.count_attempt();
        let mut report = AttemptReport::new(&self.metrics, request, call.attempt);
        let exchange = async {
            // Within the span, which the request names as its parent.
            self.client.execute(outgoing_request(request, authorization)).await
        };
        let result = exchange.instrument(report.span.clone()).await;
        let (result, class) = match result {
            Ok(response) => {
                let status = response.status().as_u16();
                let correlation = correlation_id(response.headers());
                if let Some(id) = &correlation {
                    request.ctx.usage.correlate(id);
                }
                report.answered(status, correlation.as_deref());
                // Of those that this is asked for the status alone tells.
                let trace = Trace::Answered { status, complete: false, genuine: false };
                (Ok((response, correlation)), Class::of(trace))
            }
            Err(error) => {
                let attempt = Attempt::failed(error);
                report.failed(&attempt);
                let class = attempt.class();
                (Err(attempt), class)
            }
        };
        if let Some(departure) = departing.filter(|_| class == Class::A) {
            departure.come_back();
        }
        result
    }

    fn answer<T>(
        &self,
        call: &Call<'_, T>,
        response: &Response,
        correlation: Option<String>,
        body: &Body,
        clock: ClockOffset,
    ) -> Attempt<T> {
        let (headers, status) = (response.headers(), response.status().as_u16());
        let answer = reading::upstream_answer(status, correlation, &body.bytes);
        if !matches!(status, 200..=299) {
            let complete = body.end == End::Complete;
            let throttle = (status == 429).then(|| self.throttle(call.attempt, headers));
            return Attempt::Status { answer, complete, throttle, fresh_token: false };
        }
        match (call.read)(text(headers, &CONTENT_TYPE), body) {
            Ok((value, left_out)) => {
                if left_out > 0 {
                    let operation = call.request.operation;
                    let name = operation.name();
                    tracing::warn!(
                        operation = name,
                        left_out,
                        "skipped unreadable entries of an answer"
                    );
                    self.metrics.left_out(operation, left_out);
                }
                Attempt::Done { value, answer, clock }
            }
            Err(Misread::Broken(detail)) => Attempt::Broken(detail),
            Err(Misread::Unreadable(detail)) => Attempt::Unreadable { detail, answer },
        }
    }

    fn throttle(&self, attempt: u32, headers: &HeaderMap) -> Throttle {
        let asked = retry_after::wait(
            text(headers, &RETRY_AFTER),
            text(headers, &RATE_RESET),
            text(headers, &DATE),
            self.clock.now(),
        );
        pause_after_429(asked, attempt, self.random.unit())
    }
}

/// The request as the HTTP client takes it.
fn outgoing_request(
    request: &UpstreamRequest<'_>,
    authorization: Option<HeaderValue>,
) -> reqwest::Request {
    let mut out = reqwest::Request::new(request.operation.method(), request.url.clone());
    let headers = out.headers_mut();
    headers.insert(ACCEPT, JSON);
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization);
    }
    if let Some(context) = trace::outgoing(request.ctx.traceparent.as_ref()) {
        insert(headers, TRACEPARENT, Some(&context.parent));
        insert(headers, TRACESTATE, context.state.as_deref());
    }
    if let Some((media_type, body)) = &request.body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        *out.body_mut() = Some(RequestBody::from(body.clone()));
    }
    out
}

/// Sets a header, unless its value cannot be sent.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.insert(name, value);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The correlation id, if it is fit to be passed on.
fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let text = text(headers, &CORRELATION)?;
    let plain = text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && !text.is_empty()).then(|| text.to_owned())
}

/// What the answer's `Date` says about Genesys' clock.
fn clock_offset(headers: &HeaderMap, now: Timestamp, began: Instant) -> ClockOffset {
    let date = text(headers, &DATE).and_then(retry_after::date);
    let date = date.and_then(|date| Timestamp::try_from(date).ok());
    let took = SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX);
    date.map(|date| ClockOffset::of(date, now, took)).unwrap_or_default()
}

fn rate_headers(headers: &HeaderMap) -> Option<RateHeaders> {
    RateHeaders::parse(
        text(headers, &RATE_ALLOWED),
        text(headers, &RATE_COUNT),
        text(headers, &RATE_RESET),
    )
}

/// Never less than asked for, nor than the back-off: "0" must not make a loop. `unit` (0.0 to 1.0)
/// draws the jitter, which keeps those that were told the same apart.
fn pause_after_429(asked: Option<Duration>, attempt: u32, unit: f64) -> Throttle {
    let backoff = THROTTLED.jittered(attempt, unit);
    let jitter = Duration::from_secs(1).mul_f64(unit.clamp(0.0, 1.0));
    let pause = asked.map_or(backoff, |asked| backoff.max(asked + jitter));
    Throttle { pause, retry_after: asked.unwrap_or(pause) }
}

/// Notes that what changes a conversation leaves now; what is to be told when it certainly was not
/// carried out, unless a try before it has left.
fn leave<'a>(request: &'a UpstreamRequest<'_>) -> Result<Option<&'a Departure>, GatewayError> {
    if !request.changes() {
        return Ok(None);
    }
    match request.ctx.departure.leave() {
        Ok(before) => Ok((!before).then_some(&*request.ctx.departure)),
        Err(CalledOff) if request.ctx.deadline <= Instant::now() => {
            Err(GatewayError::DeadlineExceeded)
        }
        Err(CalledOff) => Err(GatewayError::ShuttingDown),
    }
}

/// One request, reported when this is dropped: also when its time is over.
struct AttemptReport<'a> {
    metrics: &'a Metrics,
    span: Span,
    operation: Operation,
    attempt: u32,
    began: Instant,
    outcome: Label,
}

impl<'a> AttemptReport<'a> {
    fn new(metrics: &'a Metrics, request: &UpstreamRequest<'_>, attempt: u32) -> Self {
        let operation = request.operation;
        let (method, host) = (operation.method(), request.url.host_str());
        let span = trace::attempt(operation.name(), method.as_str(), host, attempt - 1);
        let began = Instant::now();
        Self { metrics, span, operation, attempt, began, outcome: Label::TimedOut }
    }

    fn answered(&mut self, status: u16, correlation: Option<&str>) {
        self.outcome = Label::answered(status);
        trace::attempt_answered(&self.span, status, correlation);
        tracing::debug!(
            operation = self.operation.name(),
            attempt = self.attempt,
            status,
            latency_ms = self.latency_ms(),
            correlation = correlation.unwrap_or_default(),
            "upstream answer"
        );
    }

    fn failed<T>(&mut self, came: &Attempt<T>) {
        self.outcome = Label::Broken;
        tracing::debug!(
            operation = self.operation.name(),
            attempt = self.attempt,
            latency_ms = self.latency_ms(),
            reason = came.in_words(),
            "upstream failure"
        );
    }

    fn latency_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for AttemptReport<'_> {
    fn drop(&mut self) {
        match self.outcome {
            Label::TimedOut => trace::attempt_failed(&self.span, "timeout"),
            Label::Broken => trace::attempt_failed(&self.span, "connection_error"),
            _ => {}
        }
        self.metrics.attempt(self.operation, self.outcome, self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_429_the_back_off_is_the_least_pause() {
        for asked in [None, Some(0), Some(1), Some(9)] {
            let asked = asked.map(Duration::from_secs);
            let pauses = [1, 2, 3].map(|attempt| pause_after_429(asked, attempt, 1.0).pause);
            let backoff = [1, 2, 2].map(Duration::from_secs);
            let least = |backoff: Duration| {
                asked.map_or(backoff, |asked| backoff.max(asked + Duration::from_secs(1)))
            };
            assert_eq!(pauses, backoff.map(least), "{asked:?}");
        }
    }

    #[test]
    fn a_correlation_id_that_could_break_a_log_line_is_dropped() {
        let with = |value: &'static str| {
            HeaderMap::from_iter([(CORRELATION, HeaderValue::from_static(value))])
        };
        assert_eq!(correlation_id(&with("ab-12")).as_deref(), Some("ab-12"));
        assert_eq!(correlation_id(&with("a b")), None);
        assert_eq!(correlation_id(&with("")), None);
    }
}
