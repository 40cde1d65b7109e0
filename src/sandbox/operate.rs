//! The operating interface under `/sandbox/`: look at the world, change it, order faults, read
//! the ledger. For people with curl, so any content type will do and every refusal says what to
//! do. Neither tokens nor limits nor faults apply here.

use std::sync::Arc;

use axum::{
    body::Bytes,
    http::{HeaderValue, Method, Response, StatusCode, header, request::Parts},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{exchange::full, foreign::Refusal, serve::Body, state::Shared, world::Refused};

mod conversations;
mod index;
mod people;
mod queues;
mod records;

/// Whether a path belongs to the operating interface.
pub(super) fn is_for(path: &str) -> bool {
    path == "/" || path == "/sandbox" || path.starts_with("/sandbox/")
}

/// An answer of the operating interface.
struct Told {
    status: StatusCode,
    body: Value,
}

impl Told {
    fn ok(body: impl Serialize) -> Self {
        Self { status: StatusCode::OK, body: serde_json::to_value(body).unwrap_or_default() }
    }

    fn created(body: Value) -> Self {
        Self { status: StatusCode::CREATED, body }
    }
}

/// A refusal: the status, what is wrong, and what to do.
struct Oops {
    status: StatusCode,
    error: String,
    hint: &'static str,
}

impl Oops {
    fn new(status: StatusCode, error: impl Into<String>, hint: &'static str) -> Self {
        Self { status, error: error.into(), hint }
    }

    fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, "GET /sandbox/ shows what is expected")
    }
}

impl From<Refused> for Oops {
    fn from(refused: Refused) -> Self {
        let (status, hint) = match refused {
            Refused::UnknownConversation => {
                (StatusCode::NOT_FOUND, "GET /sandbox/conversations lists them")
            }
            Refused::UnknownQueue => (StatusCode::NOT_FOUND, "GET /sandbox/queues lists them"),
            Refused::AmbiguousQueue => (StatusCode::CONFLICT, "name it by queueId"),
            Refused::Full(_) => (StatusCode::INSUFFICIENT_STORAGE, "POST /sandbox/scenarios/reset"),
            _ => (StatusCode::CONFLICT, "GET /sandbox/conversations/{id} shows how it stands"),
        };
        Self::new(status, refused.to_string(), hint)
    }
}

type Outcome = Result<Told, Oops>;

/// A request to the operating interface.
struct Order<'a> {
    shared: &'a Arc<Shared>,
    query: &'a str,
    body: &'a Bytes,
}

impl Order<'_> {
    /// The body; an empty one counts as `{}`.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Oops> {
        let text: &[u8] = if self.body.is_empty() { b"{}" } else { self.body };
        serde_json::from_slice(text).map_err(|error| Oops::bad(format!("the body: {error}")))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    fn number(&self, name: &str, usual: usize) -> Result<usize, Oops> {
        let Some(text) = self.parameter(name) else { return Ok(usual) };
        text.parse().map_err(|_| Oops::bad(format!("{name}: a whole number")))
    }
}

/// Serves one request; `body` is `None` when it did not arrive whole.
pub(super) fn serve(shared: &Arc<Shared>, head: &Parts, body: Option<Bytes>) -> Response<Body> {
    let Some(body) = body else {
        let text = "the body did not arrive whole or is longer than 1 MiB";
        return respond(Err(Oops::new(StatusCode::PAYLOAD_TOO_LARGE, text, "send less at once")));
    };
    let path = head.uri.path();
    let wants_json = head
        .headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    if matches!(path, "/" | "/sandbox" | "/sandbox/") && head.method == Method::GET && !wants_json {
        return text(index::text(&shared.base_url));
    }
    let order = Order { shared, query: head.uri.query().unwrap_or_default(), body: &body };
    respond(route(&order, &head.method, path))
}

fn route(order: &Order<'_>, method: &Method, path: &str) -> Outcome {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).skip(1).collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET", []) => Ok(Told::ok(index::json())),
        ("GET", ["queues"]) => queues::list(order),
        ("POST", ["queues"]) => queues::create(order),
        ("GET", ["queues", id]) => queues::show(order, id_of(id)?),
        ("PATCH", ["queues", id]) => queues::change(order, id_of(id)?),
        ("DELETE", ["queues", id]) => queues::delete(order, id_of(id)?),
        ("GET", ["conversations"]) => conversations::list(order),
        ("POST", ["conversations"]) => conversations::create(order),
        ("GET", ["conversations", id]) => conversations::show(order, id_of(id)?),
        ("DELETE", ["conversations", id]) => conversations::delete(order, id_of(id)?),
        ("PUT", ["conversations", id, "state"]) => conversations::block(order, id_of(id)?),
        ("POST", ["conversations", id, act]) => conversations::act(order, id_of(id)?, act),
        ("GET", ["ledger"]) => records::ledger(order),
        ("GET", ["ledger", "requests"]) => records::requests(order),
        ("GET", ["ledger", "moves"]) => records::moves(order),
        ("DELETE", ["ledger"]) => Ok(records::clear_ledger(order)),
        ("GET", ["faults"]) => Ok(records::faults(order)),
        ("POST", ["faults"]) => records::place(order),
        ("DELETE", ["faults"]) => Ok(records::clear_faults(order)),
        ("DELETE", ["faults", number]) => records::cancel(order, number),
        ("GET", ["settings"]) => Ok(people::settings(order)),
        ("PATCH", ["settings"]) => people::change_settings(order),
        ("GET", ["clients"]) => Ok(people::clients(order)),
        ("POST", ["clients"]) => people::add_client(order),
        ("PATCH", ["clients", id]) => people::permit(order, id),
        ("DELETE", ["tokens"]) => Ok(people::revoke(order)),
        ("GET", ["scenarios"]) => Ok(people::scenarios()),
        ("POST", ["scenarios", name]) => people::play(order, name),
        _ => Err(Oops::new(
            StatusCode::NOT_FOUND,
            format!("{method} {path}: there is no such thing"),
            "GET /sandbox/ lists what there is",
        )),
    }
}

fn id_of(text: &str) -> Result<Uuid, Oops> {
    Uuid::try_parse(text).map_err(|_| Oops::bad("the id in the path is not a UUID"))
}

/// The answer to a request that is refused whatever it asks for.
pub(super) fn refuse((status, why): Refusal) -> Response<Body> {
    respond(Err(Oops::new(status, why, "use curl http://localhost with the sandbox's port")))
}

fn respond(outcome: Outcome) -> Response<Body> {
    let (status, body) = match outcome {
        Ok(told) => (told.status, told.body),
        Err(oops) => (oops.status, json!({"error": oops.error, "hint": oops.hint})),
    };
    let mut bytes = serde_json::to_vec_pretty(&body).unwrap_or_default();
    bytes.push(b'\n');
    let mut response = Response::new(full(bytes.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn text(body: String) -> Response<Body> {
    let mut response = Response::new(full(body.into()));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
