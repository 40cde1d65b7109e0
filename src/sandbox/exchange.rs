//! One request from arrival to answer: written into the ledger, held against the fault orders,
//! answered by the API or the operating interface.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use super::{
    api::{self, Asked, Reply, error::ApiError},
    faults::Struck,
    foreign,
    ledger::{Effect, MAX_BODY, Request as Entry},
    operate, play,
    serve::{Body, Cut},
    state::Shared,
};

/// Longest request body, in bytes.
const MAX_REQUEST: usize = 1024 * 1024;
/// Longest a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest path and query that the ledger keeps, in bytes each.
const MAX_TARGET: usize = 2_048;
const CORRELATION: HeaderName = HeaderName::from_static("inin-correlation-id");

/// A request that has its place in the ledger.
pub(super) struct Entered {
    pub(super) asked: Asked,
    pub(super) seq: u64,
    pub(super) correlation: Uuid,
}

/// Serves one request.
pub(super) async fn serve(
    shared: Arc<Shared>,
    cuts: UnboundedSender<Cut>,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    if let Err(refusal) = foreign::check(&head, shared.bind) {
        return operate::refuse(refusal);
    }
    if operate::is_for(head.uri.path()) {
        return operate::serve(&shared, &head, read(body).await.ok());
    }
    let arrived = read(body).await;
    let unread = arrived.as_ref().err().copied();
    let asked = Asked { head, body: arrived.unwrap_or_default() };
    let correlation = shared.with(|state| state.world.new_id(shared.clock.now()));
    let seq = enter(&shared, &asked, correlation);
    let entered = Entered { asked, seq, correlation };
    if let Some(status) = unread {
        let error = ApiError::usual(status);
        return finished(&shared, &entered, &Reply::error(&error, correlation));
    }
    match strike(&shared, &entered) {
        None => {
            let reply = answer(&shared, &entered, false);
            finished(&shared, &entered, &reply)
        }
        Some(struck) => play::out(shared, cuts, entered, struck).await,
    }
}

/// The whole body, or the status that says why it is not there.
async fn read(body: Incoming) -> Result<Bytes, StatusCode> {
    let whole = Limited::new(body, MAX_REQUEST).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

fn enter(shared: &Shared, asked: &Asked, correlation: Uuid) -> u64 {
    let entry = Entry {
        seq: 0,
        time: shared.clock.now(),
        method: asked.head.method.as_str().to_owned(),
        path: cut(asked.path()),
        query: asked.query().map(cut),
        status: None,
        client: None,
        token_tail: None,
        traceparent: asked.header(HeaderName::from_static("traceparent")).map(cut),
        body: command_body(asked),
        effect: Effect::None,
        fault: None,
        correlation_id: correlation,
    };
    shared.with(|state| state.ledger.open(entry))
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TARGET).collect()
}

/// The body of a command as far as it is kept. The token request's holds secrets and is not.
fn command_body(asked: &Asked) -> Option<serde_json::Value> {
    let is_command = asked.head.method != Method::GET && asked.path() != "/oauth/token";
    (is_command && asked.body.len() <= MAX_BODY)
        .then(|| serde_json::from_slice(&asked.body).ok())
        .flatten()
}

fn strike(shared: &Shared, entered: &Entered) -> Option<Struck> {
    let Entered { asked, seq, .. } = entered;
    shared.with(|state| {
        let method = asked.head.method.as_str();
        let struck = state.faults.strike(method, asked.path(), asked.query())?;
        state.ledger.amend(*seq, |entry| entry.fault = Some(struck.order));
        Some(struck)
    })
}

/// Lets the API answer, and sees to effects that come later.
pub(super) fn answer(shared: &Arc<Shared>, entered: &Entered, at_once: bool) -> Reply {
    let Entered { asked, seq, correlation } = entered;
    let (mut reply, delay, epoch) = shared.with(|state| {
        let reply = api::answer(shared, state, asked, *seq, *correlation, at_once);
        (reply, state.behaviour.effect_delay_ms, state.epoch)
    });
    if let Some(order) = reply.later.take() {
        shared.apply_later(order, *seq, epoch, Duration::from_millis(delay));
    }
    reply
}

/// Notes the answer's status and makes it a response.
pub(super) fn finished(shared: &Shared, entered: &Entered, reply: &Reply) -> Response<Body> {
    shared.with(|state| state.ledger.finish(entered.seq, Some(reply.status.as_u16())));
    let body = full(reply.body.clone());
    response(shared, reply, entered.correlation, body)
}

/// A response with that body instead of the reply's own.
pub(super) fn response(
    shared: &Shared,
    reply: &Reply,
    correlation: Uuid,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&correlation.to_string()) {
        headers.insert(CORRELATION, value);
    }
    // The time of this sandbox, which need not be the machine's.
    let date = httpdate::fmt_http_date(shared.clock.now().into());
    if let Ok(value) = HeaderValue::from_str(&date) {
        headers.insert(header::DATE, value);
    }
    if reply.json {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &reply.headers {
        headers.insert(name, value.clone());
    }
    response
}

/// A body that is all there.
pub(super) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
