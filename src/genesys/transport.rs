//! The innermost layers: one try of a call over HTTP, with its timeouts and body bounds.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use reqwest::{
    Client, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::{Instant, timeout_at};
use tower::{Service, ServiceExt};
use url::Url;

use super::{
    Hosts, SetupError,
    answer::{Answer, Failure, Throttle},
    body::{self, Body, End},
    call::{Call, Kind, Payload},
    layer::Next,
    pacing::RateHeaders,
    reading,
    retry::backoff,
    retry_after,
};
use crate::{
    clock::{Clock, Random},
    config,
    metrics::Metrics,
    outgoing, trace,
    transfer::{clock_offset::ClockOffset, gateway::GatewayError},
};

/// Idle connections are closed by us before the other side does: Genesys' load balancers close at
/// 60 s, and a request written to a connection just closed is one of which nobody knows whether
/// it arrived. A transfer reads before it commands, so a command follows on a connection that
/// worked milliseconds ago.
const POOL_IDLE: Duration = Duration::from_secs(45);
/// Finds out about peers that vanished without closing, and keeps address translation alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A peer that does not answer a ping for so long is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a command's body may take after its status line; the status is what matters.
const COMMAND_BODY: Duration = Duration::from_secs(1);

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `ININ-Correlation-Id`
pub(super) const CORRELATION: &str = "inin-correlation-id";

/// Builds the HTTP client for the API host and the one for the login host; one for both where
/// nothing speaks against it, because the system's certificates are loaded for each.
pub(super) fn clients(
    settings: &config::Genesys,
    hosts: &Hosts,
) -> Result<(Client, Client), SetupError> {
    let first = client(settings, &hosts.api)?;
    let second = if outgoing::are_alike(&hosts.api, &hosts.login) {
        first.clone()
    } else {
        client(settings, &hosts.login)?
    };
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

/// The HTTP client as the innermost service: one request, the answer's head.
#[derive(Clone)]
pub(super) struct Wire(pub Client);

impl Service<Call> for Wire {
    type Response = Response;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Response, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let request = request(&self.0, call);
        async move { request.send().await.map_err(Failure::of) }.boxed()
    }
}

fn request(client: &Client, call: Call) -> reqwest::RequestBuilder {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(authorization) = call.authorization {
        headers.insert(AUTHORIZATION, authorization);
    }
    if let Some(context) = trace::outgoing(call.ctx.traceparent.as_ref()) {
        insert(&mut headers, TRACEPARENT, Some(&context.parent));
        insert(&mut headers, TRACESTATE, context.state.as_deref());
    }
    let request = client.request(call.operation.method(), call.url);
    let (kind, body) = match call.payload {
        Payload::None => return request.headers(headers),
        Payload::Json(body) => ("application/json", body),
        Payload::Form(body) => ("application/x-www-form-urlencoded", body),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    request.headers(headers).body(body.to_vec())
}

/// Sets a header, unless its value cannot be sent.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.insert(name, value);
    }
}

/// The correlation id, if it is fit to be passed on.
pub(super) fn correlation_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CORRELATION)?.to_str().ok()?;
    let plain = text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && !text.is_empty()).then(|| text.to_owned())
}

/// What a try may take, and what its answer is measured with.
#[derive(Clone)]
pub(super) struct Limits {
    /// Per-try timeouts.
    pub token: Duration,
    /// See `token`.
    pub read: Duration,
    /// See `token`; to the status line.
    pub command: Duration,
    /// See `token`.
    pub patch: Duration,
    /// For `Retry-After` as a date.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub random: Arc<dyn Random>,
    /// Where entries that cannot be read are counted.
    pub metrics: Arc<Metrics>,
}

impl Limits {
    const fn of(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Token => self.token,
            Kind::Read => self.read,
            Kind::Command => self.command,
            Kind::RoutingPatch => self.patch,
        }
    }
}

/// Bounds one try in time and in bytes. For a read the timeout covers the body; a command's
/// covers the status line, and its body gets a short time of its own, because once the status is
/// here a slow body changes nothing.
pub(super) async fn bounded(
    limits: Limits,
    call: Call,
    next: Next<Response>,
) -> Result<Answer, Failure> {
    let began = Instant::now();
    let (kind, deadline) = (call.kind(), call.ctx.deadline);
    if deadline.saturating_duration_since(began) < kind.needs() {
        return Err(Failure::HeldBack(GatewayError::DeadlineExceeded));
    }
    let own_time = began + limits.of(kind);
    let head_by = own_time.min(deadline);
    let head = timeout_at(head_by, next.oneshot(call.clone())).await;
    let Ok(head) = head else {
        let detail = format!("no answer within {:.1} s", began.elapsed().as_secs_f64());
        let late = deadline < own_time;
        return Err(if late { Failure::Late(detail) } else { Failure::Broken(detail) });
    };
    let mut response = head?;
    let clock = clock_offset(response.headers(), limits.clock.now(), began);
    let body_by =
        if kind == Kind::Command { (Instant::now() + COMMAND_BODY).min(deadline) } else { head_by };
    let body = body::read(&mut response, call.operation.body_limit(), body_by).await;
    answer(&limits, &call, &response, &body).map(|answer| Answer { clock, ..answer })
}

/// What the answer's `Date` says about Genesys' clock.
fn clock_offset(headers: &HeaderMap, now: Timestamp, began: Instant) -> ClockOffset {
    let date = text(headers, "date").and_then(retry_after::date);
    let date = date.and_then(|date| Timestamp::try_from(date).ok());
    let took = SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX);
    date.map(|date| ClockOffset::of(date, now, took)).unwrap_or_default()
}

fn answer(
    limits: &Limits,
    call: &Call,
    response: &Response,
    body: &Body,
) -> Result<Answer, Failure> {
    let (headers, status) = (response.headers(), response.status().as_u16());
    let upstream = reading::upstream_answer(status, correlation_id(headers), &body.bytes);
    let mut answer = Answer {
        upstream,
        complete: body.end == End::Complete,
        decoded: None,
        clock: ClockOffset::default(),
        rate: rate_headers(headers),
        throttle: (status == 429).then(|| throttle(limits, call, headers)),
        replay: false,
    };
    if answer.is_success() {
        let content_type = text(headers, CONTENT_TYPE.as_str());
        match (call.kind(), call.decode) {
            // Of these only the status counts, if it is Genesys' own.
            (Kind::Command, _) | (_, None) => {
                reading::taken(content_type, body).map_err(|detail| unreadable(detail, &answer))?;
            }
            (_, Some(decode)) => {
                reading::whole(body, &answer.upstream)?;
                let decoded = decode(&body.bytes).map_err(|detail| unreadable(detail, &answer));
                let (decoded, left_out) = decoded?;
                if left_out > 0 {
                    let operation = call.operation.name();
                    tracing::warn!(operation, left_out, "entries of an answer cannot be read");
                    limits.metrics.left_out(call.operation, left_out);
                }
                answer.decoded = Some(decoded);
            }
        }
    }
    Ok(answer)
}

fn unreadable(detail: String, answer: &Answer) -> Failure {
    Failure::Unreadable { detail, answer: answer.upstream.clone() }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn rate_headers(headers: &HeaderMap) -> Option<RateHeaders> {
    RateHeaders::parse(
        text(headers, "inin-ratelimit-allowed"),
        text(headers, "inin-ratelimit-count"),
        text(headers, "inin-ratelimit-reset"),
    )
}

fn throttle(limits: &Limits, call: &Call, headers: &HeaderMap) -> Throttle {
    let asked = retry_after::wait(
        text(headers, "retry-after"),
        text(headers, "inin-ratelimit-reset"),
        text(headers, "date"),
        limits.clock.now(),
    );
    pause_after_429(asked, call.attempt, limits.random.unit())
}

/// Never less than asked for, nor than the back-off: "0" must not make a loop. `unit` (0.0 to 1.0)
/// draws the jitter, which keeps those that were told the same apart.
fn pause_after_429(asked: Option<Duration>, attempt: u32, unit: f64) -> Throttle {
    let backoff = backoff::delay(backoff::BASE_THROTTLED, attempt, unit);
    let jitter = Duration::from_secs(1).mul_f64(unit.clamp(0.0, 1.0));
    let pause = asked.map_or(backoff, |asked| backoff.max(asked + jitter));
    Throttle { pause, retry_after: asked.unwrap_or(pause) }
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
            HeaderMap::from_iter([(
                HeaderName::from_static(CORRELATION),
                HeaderValue::from_static(value),
            )])
        };
        assert_eq!(correlation_id(&with("ab-12")).as_deref(), Some("ab-12"));
        assert_eq!(correlation_id(&with("a b")), None);
        assert_eq!(correlation_id(&with("")), None);
    }
}
