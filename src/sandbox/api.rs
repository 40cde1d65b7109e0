//! The pretended Genesys Cloud API: which paths there are, who may use them, and the checks that
//! come before each of them. One call runs through without waiting for anything.

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request},
};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{
    access::Quota,
    ledger::Effect,
    state::{Shared, State},
    world::{Refused, ReplaceOrder},
};
pub(super) use endpoint::PERMISSIONS;

use endpoint::Endpoint;
use error::ApiError;

mod assertion;
mod conversations;
mod endpoint;
pub(super) mod error;
mod login;
mod observations;
mod patch;
mod queues;
mod routing;

/// A request that has arrived whole. Holds credentials, so it has no `Debug`.
pub(super) struct Asked {
    pub(super) head: request::Parts,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn path(&self) -> &str {
        self.head.uri.path()
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.head.uri.query()
    }

    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The first value of a query parameter, decoded.
    fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query().unwrap_or_default().as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// An answer to be sent. May hold a token, so it has no `Debug`.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) json: bool,
    pub(super) body: Bytes,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) later: Option<ReplaceOrder>,
}

/// What a handler answers.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    effect: Effect,
    later: Option<ReplaceOrder>,
}

impl Answer {
    fn json(body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { status: StatusCode::OK, body, effect: Effect::None, later: None }
    }
}

/// One call under way.
struct Call<'a> {
    state: &'a mut State,
    asked: &'a Asked,
    now: Timestamp,
    seq: u64,
    /// Whether effects come at once, whatever the configured delay.
    at_once: bool,
}

impl Call<'_> {
    /// The body as JSON of a known shape.
    fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let value: serde_json::Value = serde_json::from_slice(&self.asked.body)
            .map_err(|_| ApiError::bad("bad.request", "The request body is not JSON."))?;
        serde_json::from_value(value).map_err(|error| {
            let text = error.to_string();
            let unknown = text.starts_with("unknown field");
            let code = if unknown { "invalid.property" } else { "invalid.value" };
            ApiError::bad(code, format!("The request body does not fit: {text}"))
        })
    }

    fn refused(&self, refused: &Refused) -> ApiError {
        let ended = StatusCode::from_u16(self.state.behaviour.ended_status);
        ApiError::refused(refused, ended.unwrap_or(StatusCode::NOT_FOUND))
    }
}

/// Answers one request. `correlation` goes into the answer's header and error body.
pub(super) fn answer(
    shared: &Shared,
    state: &mut State,
    asked: &Asked,
    seq: u64,
    correlation: Uuid,
    at_once: bool,
) -> Reply {
    let now = shared.clock.now();
    if asked.path() == "/oauth/token" {
        return login::answer(shared, state, asked, seq, now, correlation);
    }
    let mut quota = None;
    let mut call = Call { state, asked, now, seq, at_once };
    let outcome = admitted(&mut call, &mut quota).and_then(|endpoint| endpoint.answer(&mut call));
    let mut reply = match outcome {
        Ok(done) => {
            call.state.ledger.amend(seq, |entry| entry.effect = done.effect);
            Reply {
                status: done.status,
                json: !done.body.is_empty(),
                body: done.body.into(),
                headers: Vec::with_capacity(4),
                later: done.later,
            }
        }
        Err(error) => Reply::error(&error, correlation),
    };
    if let Some(quota) = quota {
        reply.quota(quota);
    }
    reply
}

/// The checks before any endpoint's own: path, method, token, limit, permission, content type.
fn admitted(call: &mut Call<'_>, quota: &mut Option<Quota>) -> Result<Endpoint, ApiError> {
    let endpoint = Endpoint::find(&call.asked.head.method, call.asked.path());
    let token = bearer(call.asked)?;
    let owner = call.state.access.owner(token, call.now).ok_or_else(|| {
        ApiError::new(StatusCode::UNAUTHORIZED, "bad.credentials", "Invalid login credentials.")
    })?;
    let lacks = |permission: &&&str| owner.denied.contains(**permission);
    let permissions = endpoint.as_ref().map_or(&[][..], |found| found.permissions());
    let permitted =
        permissions.is_empty() || permissions.iter().filter(lacks).count() < permissions.len();
    let (client, tail) = (owner.id.clone(), tail(token));
    call.state.ledger.amend(call.seq, |entry| {
        entry.client = Some(client);
        entry.token_tail = Some(tail);
    });
    let allowed = call.state.behaviour.requests_per_minute;
    let seconds = call.state.behaviour.rate_window_seconds;
    *quota = call.state.access.count(token, allowed, seconds, call.now);
    if quota.is_some_and(|quota| quota.is_exceeded()) {
        return Err(ApiError::too_many(allowed));
    }
    let endpoint = endpoint?;
    if !permitted {
        return Err(ApiError::missing_permission(permissions));
    }
    let takes_body = call.asked.head.method != Method::GET;
    if takes_body && !is_json(call.asked) {
        let message = "The request body must be application/json.";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, "unsupported.media.type", message));
    }
    Ok(endpoint)
}

impl Reply {
    pub(super) fn error(error: &ApiError, correlation: Uuid) -> Self {
        let allow = error.allow.map(|allow| (header::ALLOW, HeaderValue::from_static(allow)));
        Self {
            status: error.status,
            json: true,
            body: error.body(correlation).into(),
            headers: allow.into_iter().collect(),
            later: None,
        }
    }

    fn quota(&mut self, quota: Quota) {
        self.headers
            .push((HeaderName::from_static("inin-ratelimit-allowed"), quota.allowed.into()));
        self.headers.push((HeaderName::from_static("inin-ratelimit-count"), quota.count.into()));
        self.headers.push((HeaderName::from_static("inin-ratelimit-reset"), quota.reset.into()));
        if quota.is_exceeded() {
            self.headers.push((header::RETRY_AFTER, quota.reset.into()));
        }
    }
}

fn bearer(asked: &Asked) -> Result<&str, ApiError> {
    let missing = || {
        let message = "No bearer token was sent.";
        ApiError::new(StatusCode::UNAUTHORIZED, "authentication.required", message)
    };
    let text = asked.header(header::AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, token) = text.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    Ok(token.trim())
}

/// The last four characters of a token; enough to tell tokens apart.
fn tail(token: &str) -> String {
    let from = token.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    token.get(from..).unwrap_or_default().to_owned()
}

fn is_json(asked: &Asked) -> bool {
    asked
        .header(header::CONTENT_TYPE)
        .and_then(|text| text.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}
