//! The operating interface under `/sandbox/`: look at the world, change it, order faults, read
//! the ledger. For people with curl, so any content type will do and every refusal says what to
//! do. Neither tokens nor limits nor faults apply here.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{handler::Context, world::WorldError};

pub mod index;
pub mod records;
pub mod world;

/// A refusal: the status, what is wrong, and what to do.
#[derive(Debug)]
pub struct ControlError {
    status: StatusCode,
    error: String,
    hint: &'static str,
}

impl ControlError {
    pub fn new(status: StatusCode, error: impl Into<String>, hint: &'static str) -> Self {
        Self { status, error: error.into(), hint }
    }

    pub fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, "GET /sandbox/ shows what is expected")
    }
}

impl From<WorldError> for ControlError {
    fn from(error: WorldError) -> Self {
        use WorldError as E;
        let (status, hint) = match error {
            E::UnknownConversation => {
                (StatusCode::NOT_FOUND, "GET /sandbox/conversations lists them")
            }
            E::UnknownQueue => (StatusCode::NOT_FOUND, "GET /sandbox/queues lists them"),
            E::AmbiguousQueue => (StatusCode::CONFLICT, "name it by queueId"),
            E::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "POST /sandbox/scenarios/reset"),
            _ => (StatusCode::CONFLICT, "GET /sandbox/conversations/{id} shows its legs"),
        };
        Self::new(status, error.to_string(), hint)
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        pretty(self.status, &json!({"error": self.error, "hint": self.hint}))
    }
}

type ControlResult = Result<Response, ControlError>;

/// JSON to be read on a terminal.
fn pretty(status: StatusCode, body: &impl Serialize) -> Response {
    let mut bytes = serde_json::to_vec_pretty(body).unwrap_or_default();
    bytes.push(b'\n');
    (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

fn ok(body: &impl Serialize) -> ControlResult {
    answer(StatusCode::OK, body)
}

fn created(body: &impl Serialize) -> ControlResult {
    answer(StatusCode::CREATED, body)
}

#[expect(clippy::unnecessary_wraps, reason = "it is what handlers end with")]
fn answer(status: StatusCode, body: &impl Serialize) -> ControlResult {
    Ok(pretty(status, body))
}

/// The body; an empty one counts as `{}`.
fn read<T: DeserializeOwned>(context: &Context<'_>) -> Result<T, ControlError> {
    let text: &[u8] = if context.body.is_empty() { b"{}" } else { context.body };
    serde_json::from_slice(text).map_err(|error| ControlError::bad(format!("the body: {error}")))
}

/// One page of what was found, and how much there is.
fn page<T>(
    found: &[T],
    (from, limit): (usize, usize),
    view: impl Fn(&T) -> Value,
) -> ControlResult {
    let items = found.iter().skip(from).take(limit).map(view);
    ok(&json!({"total": found.len(), "items": items.collect::<Value>()}))
}

/// A number in the query, or the usual one.
fn number(context: &Context<'_>, name: &str, usual: usize) -> Result<usize, ControlError> {
    let Some(text) = context.parameter(name) else { return Ok(usual) };
    text.parse().map_err(|_| ControlError::bad(format!("{name}: a whole number")))
}

/// An id in the query.
fn id(context: &Context<'_>, name: &str) -> Result<Option<Uuid>, ControlError> {
    let Some(text) = context.parameter(name) else { return Ok(None) };
    let id = Uuid::try_parse(&text);
    id.map(Some).map_err(|_| ControlError::bad(format!("{name}: a UUID")))
}
