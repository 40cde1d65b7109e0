//! What every request passes before its handler: [`arrive`] all of them, then [`operate`] those of
//! operators, [`record`] and [`admit`] those to the pretended Genesys Cloud.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Extension, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use super::{
    access::{EndpointRule, Needs, Quota},
    api::error::ApiError,
    control::ControlError,
    foreign,
    handler::{Arrived, RequestTag, text_of},
    ledger::{Effect, MAX_BODY, Request as LedgerEntry},
    misbehave::{RecordedRequest, misbehave},
    serve::SocketEnd,
    state::SandboxCore,
};

/// Longest request body, in bytes.
const MAX_REQUEST: usize = 1024 * 1024;
/// Longest a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest path and query that the ledger keeps, in characters each.
const MAX_TARGET: usize = 2_048;

/// Refuses what another site's page sent, and waits for the whole body.
pub async fn arrive(
    State(core): State<Arc<SandboxCore>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut head, body) = request.into_parts();
    if let Err((status, why)) = foreign::check(&head, core.address.ip()) {
        let hint = "use curl http://localhost with the sandbox's port";
        return ControlError::new(status, why, hint).into_response();
    }
    head.extensions.insert(Arrived(read(body).await));
    next.run(Request::from_parts(head, Body::empty())).await
}

/// The whole body, or the status that says why it is not there.
async fn read(body: Body) -> Result<Bytes, StatusCode> {
    let whole = Limited::new(body, MAX_REQUEST).collect();
    match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// The checks before each handler of the operating interface.
pub async fn operate(matched: MatchedPath, request: Request, next: Next) -> Response {
    if request.extensions().get::<Arrived>().is_some_and(|Arrived(body)| body.is_err()) {
        let text = "the body did not arrive whole or is longer than 1 MiB";
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return ControlError::new(status, text, "send less at once").into_response();
    }
    let parameters = parameters(matched.as_str(), request.uri().path());
    for (name, text) in parameters {
        if name == "{id}" && Uuid::try_parse(text).is_err() {
            return ControlError::bad("the id in the path is not a UUID").into_response();
        }
        if name == "{number}" && text.parse::<u64>().is_err() {
            return ControlError::bad("the number of an order").into_response();
        }
    }
    next.run(request).await
}

/// The parameters of a path, by their names in braces.
fn parameters<'a>(template: &'a str, path: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    template.split('/').zip(path.split('/')).filter(|(name, _)| name.starts_with('{'))
}

/// Writes the request and its answer into the ledger, and hits it with the fault that is due.
pub async fn record(
    State(core): State<Arc<SandboxCore>>,
    Extension(cuts): Extension<UnboundedSender<SocketEnd>>,
    request: Request,
    next: Next,
) -> Response {
    let (head, _) = request.into_parts();
    let arrived = head.extensions.get().cloned().unwrap_or(Arrived(Ok(Bytes::new())));
    let now = core.clock.now();
    let (correlation, seq) = core.with(|state| {
        let correlation = state.world.new_id(now);
        let entry = LedgerEntry {
            seq: 0,
            time: now,
            method: head.method.as_str().to_owned(),
            path: cut(head.uri.path()),
            query: head.uri.query().map(cut),
            status: None,
            client: None,
            token_tail: None,
            traceparent: text_of(&head, HeaderName::from_static("traceparent")).map(cut),
            body: arrived.0.as_ref().ok().and_then(|body| command_body(&head, body)),
            effect: Effect::None,
            fault: None,
            correlation_id: correlation,
        };
        (correlation, state.ledger.open(entry))
    });
    let request = RecordedRequest { core, seq, correlation, head, next, cuts };
    if let Arrived(Err(status)) = arrived {
        return request.finish(ApiError::usual(status).into_response());
    }
    let due = request.core.with(|state| {
        let (method, uri) = (request.head.method.as_str(), &request.head.uri);
        let due = state.faults.due(method, uri.path(), uri.query())?;
        state.ledger.amend(seq, |entry| entry.fault = Some(due.order));
        Some(due)
    });
    match due {
        None => request.finish(request.carry_out(false).await),
        Some(due) => misbehave(request, due).await,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TARGET).collect()
}

/// The body of a command as far as it is kept. The token request's holds secrets and is not.
fn command_body(head: &Parts, body: &Bytes) -> Option<serde_json::Value> {
    let is_command = head.method != Method::GET && head.uri.path() != "/oauth/token";
    (is_command && body.len() <= MAX_BODY).then(|| serde_json::from_slice(body).ok()).flatten()
}

/// The checks before each handler of the API: token, limit, path, method, ids, permission, content
/// type, in this order. Every answer to a valid token carries the limit's headers.
pub async fn admit(
    State(core): State<Arc<SandboxCore>>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let path = matched.as_ref().map_or("", MatchedPath::as_str);
    let rules: Vec<&EndpointRule> = core.rules.iter().filter(|rule| rule.path == path).collect();
    let rule = rules.iter().find(|rule| rule.method == request.method()).copied();
    let wrong_method = || ApiError::not_allowed(&rules);
    if rules.iter().any(|rule| matches!(rule.needs, Needs::Nothing)) {
        return match rule {
            Some(_) => next.run(request).await,
            None => wrong_method().into_response(),
        };
    }
    let (quota, denied) = match authenticate(&core, &request) {
        Ok(found) => found,
        Err(error) => return error.into_response(),
    };
    let checked = if quota.is_exceeded() {
        Err(ApiError::too_many(quota.allowed))
    } else if rules.is_empty() {
        Err(ApiError::no_such_path())
    } else {
        rule.ok_or_else(wrong_method).and_then(|rule| check(rule, &request, &denied))
    };
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    limit_headers(response.headers_mut(), quota);
    response
}

/// The permissions that a token's client lacks.
type DeniedPermissions = BTreeSet<String>;

/// Looks the token up, writes down whose it is, and counts the request against its limit.
fn authenticate(
    core: &SandboxCore,
    request: &Request,
) -> Result<(Quota, DeniedPermissions), ApiError> {
    let token = bearer(request.headers()).ok_or_else(|| {
        let message = "No bearer token was sent.";
        ApiError::new(StatusCode::UNAUTHORIZED, "authentication.required", message)
    })?;
    let invalid =
        || ApiError::new(StatusCode::UNAUTHORIZED, "bad.credentials", "Invalid login credentials.");
    let tag: RequestTag = request.extensions().get().copied().unwrap_or_default();
    let now = core.clock.now();
    core.with(|state| {
        let owner = state.access.owner(token, now).ok_or_else(invalid)?;
        let (client, denied) = (owner.id.clone(), owner.denied.clone());
        state.ledger.amend(tag.seq, |entry| entry.sent_by(client, token));
        let allowed = state.behaviour.requests_per_minute;
        let seconds = state.behaviour.rate_window_seconds;
        let quota = state.access.count(token, allowed, seconds, now).ok_or_else(invalid)?;
        Ok((quota, denied))
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn check(
    rule: &EndpointRule,
    request: &Request,
    denied: &DeniedPermissions,
) -> Result<(), ApiError> {
    let is_uuid = |id: &str| id.len() == 36 && Uuid::try_parse(id).is_ok();
    if !parameters(rule.path, request.uri().path()).all(|(_, id)| is_uuid(id)) {
        return Err(ApiError::bad("invalid.id", "An id in the path is not a UUID."));
    }
    if let Needs::AnyOf(any_of) = rule.needs
        && !any_of.is_empty()
        && any_of.iter().all(|permission| denied.contains(*permission))
    {
        return Err(ApiError::missing_permission(any_of));
    }
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
    if rule.method != Method::GET && !is_media(media, "application/json") {
        let message = "The request body must be application/json.";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, "unsupported.media.type", message));
    }
    Ok(())
}

/// Whether a `Content-Type` is that medium, whatever its parameters.
pub fn is_media(content_type: Option<&str>, wanted: &str) -> bool {
    let media = content_type.and_then(|text| text.split(';').next());
    media.is_some_and(|media| media.trim().eq_ignore_ascii_case(wanted))
}

fn limit_headers(headers: &mut HeaderMap, quota: Quota) {
    for (name, value) in [
        ("inin-ratelimit-allowed", HeaderValue::from(quota.allowed)),
        ("inin-ratelimit-count", quota.count.into()),
        ("inin-ratelimit-reset", quota.reset.into()),
    ] {
        headers.insert(HeaderName::from_static(name), value);
    }
    if quota.is_exceeded() {
        headers.insert(header::RETRY_AFTER, quota.reset.into());
    }
}
