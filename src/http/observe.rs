//! The outermost layer: gives a request its id and deadline, writes the body of problems, sets
//! what every answer has, and writes one log line.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header},
    middleware::Next,
    response::Response,
};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::{
    answer::{Told, render, set},
    client_address::{PeerAddress, forwarded_for},
    head::{X_REQUEST_ID, request_id, traceparent},
    state::{AppState, Arrival},
};
use crate::{
    metrics::{self, InFlight, Label as _, Metrics},
    problem::Code,
    trace,
    transfer::Caller,
};

pub(super) async fn observe(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request_id(request.headers()).map(str::to_owned);
    let id = given.unwrap_or_else(|| app.request_ids.make());
    let (method, version) = (request.method().clone(), request.version());
    let now = Instant::now();
    let sent = traceparent(request.headers());
    let span = if is_watching(request.uri().path()) {
        Span::none()
    } else {
        trace::request(known_method(&method), &id, sent.as_ref())
    };
    let mut line = RequestLogLine::new(&id, &method, now, Arc::clone(app.transfers.metrics()));
    line.trace_id = trace::trace_id(&span, sent.as_ref());
    if let Some(PeerAddress(peer)) = request.extensions().get() {
        line.client = Some(*peer);
        line.forwarded_for = forwarded_for(request.headers(), *peer, &app.trusted_proxies);
    }
    request.extensions_mut().insert(Arrival::new(&id, now, &app));
    let response = next.run(request).instrument(span.clone()).await;
    let response = finish(response, &id, &method, version);
    line.note(&response);
    line.tell(&span);
    response
}

/// Probes and scrapes come every few seconds, and a trace of each would bury the others.
pub(super) fn is_watching(path: &str) -> bool {
    path.starts_with("/health/") || path == super::metrics::PATH
}

/// Callers may make up methods; a trace holds only names that are known (OpenTelemetry's semantic
/// conventions for HTTP spans).
fn known_method(method: &Method) -> &'static str {
    match metrics::Method::named(method.as_str()) {
        metrics::Method::Other => "_OTHER",
        known => known.label(),
    }
}

fn finish(response: Response, id: &str, method: &Method, version: Version) -> Response {
    let mut response = render(response, id);
    let stops = response.extensions().get() == Some(&Code::ShuttingDown);
    let ends = stops || ends_connection(response.status());
    let headers = response.headers_mut();
    set(headers, X_REQUEST_ID, id);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Every answer is about this moment; the few that are not say so themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    offer_options(headers);
    // HTTP/2 has no such header (RFC 9113, section 8.2.2).
    if ends && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if *method == Method::HEAD { without_body(response) } else { response }
}

/// After these answers the rest of the request may still be on its way, or never come.
fn ends_connection(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    )
}

/// OPTIONS is answered wherever a route is, which the router's own `Allow` does not know.
fn offer_options(headers: &mut HeaderMap) {
    let Some(allowed) = headers.get(header::ALLOW).and_then(|value| value.to_str().ok()) else {
        return;
    };
    let listed = allowed.split(',').map(str::trim).filter(|method| !method.is_empty());
    let all: Vec<_> = listed.chain(["OPTIONS"]).collect();
    let text = all.join(", ");
    set(headers, header::ALLOW, &text);
}

/// The head a GET would get, its length included (RFC 9110, section 9.3.2).
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let (Some(length), false) =
        (body.size_hint().exact(), parts.headers.contains_key(header::CONTENT_LENGTH))
    {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}

/// The log line of one request, and its place in the metrics. Written when it is dropped, so that
/// a caller who hung up leaves one too.
struct RequestLogLine {
    metrics: Arc<Metrics>,
    _in_flight: InFlight,
    trace_id: Option<String>,
    client: Option<IpAddr>,
    forwarded_for: Option<IpAddr>,
    request_id: String,
    method: Method,
    began: Instant,
    status: Option<StatusCode>,
    route: Option<MatchedPath>,
    code: Option<Code>,
    caller: Option<Caller>,
    told: Option<Told>,
}

impl RequestLogLine {
    fn new(request_id: &str, method: &Method, began: Instant, metrics: Arc<Metrics>) -> Self {
        Self {
            _in_flight: metrics.request_begins(),
            metrics,
            trace_id: None,
            client: None,
            forwarded_for: None,
            request_id: request_id.to_owned(),
            method: method.clone(),
            began,
            status: None,
            route: None,
            code: None,
            caller: None,
            told: None,
        }
    }

    fn note(&mut self, response: &Response) {
        let extensions = response.extensions();
        self.status = Some(response.status());
        self.route = extensions.get().cloned();
        self.code = extensions.get().copied();
        self.caller = extensions.get().cloned();
        self.told = extensions.get().cloned();
    }

    /// Notes the answer on the request's span.
    fn tell(&self, span: &Span) {
        let Some(status) = self.status else { return };
        let route = self.route.as_ref().map(MatchedPath::as_str);
        let code = self.code.map(Code::as_str);
        let correlation = self.told.as_ref().and_then(|told| told.correlation_id.as_deref());
        let method = known_method(&self.method);
        trace::answered(span, method, route, status.as_u16(), code, correlation);
    }

    fn count(&self) {
        let route = self.route.as_ref().map(MatchedPath::as_str);
        let method = metrics::Method::named(self.method.as_str());
        let status = self.status.map(|status| status.as_u16());
        self.metrics.request_ended(route, method, status, self.began.elapsed());
        if let Some(code) = self.code {
            self.metrics.problem(code);
        }
    }
}

impl Drop for RequestLogLine {
    fn drop(&mut self) {
        self.count();
        let told = self.told.take().unwrap_or_default();
        let latency = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "access",
            request_id = self.request_id.as_str(),
            method = self.method.as_str(),
            // The template, never the path: what callers write must not fill the log.
            route = self.route.as_ref().map_or("-", MatchedPath::as_str),
            status = self.status.map(|status| status.as_u16()),
            latency_ms = latency,
            code = self.code.map(Code::as_str),
            transfer_id = told.transfer_id.map(tracing::field::display),
            upstream_calls = told.upstream_calls,
            correlation_id = told.correlation_id,
            trace_id = self.trace_id,
            client = self.client.map(tracing::field::display),
            forwarded_for = self.forwarded_for.map(tracing::field::display),
            caller = self.caller.as_ref().map(|caller| caller.name.as_str()),
            "{}", if self.status.is_some() { "answered" } else { "the caller hung up" },
        );
    }
}
