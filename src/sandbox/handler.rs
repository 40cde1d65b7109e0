//! What a handler gets, and how it becomes one of axum's routes. A handler runs through without
//! waiting for anything, so nothing else happens to the sandbox meanwhile.

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::Bytes,
    extract::{self, Path, Request},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    ledger::Effect,
    state::{SandboxCore, State},
};

/// Request extension: the body, or the status that says why it did not arrive whole.
#[derive(Clone)]
pub struct Arrived(pub(super) Result<Bytes, StatusCode>);

/// Request extension: the request's number in the ledger.
#[derive(Clone, Copy, Default)]
pub struct RequestTag {
    pub seq: u64,
    /// Whether effects come at once, whatever the configured delay.
    pub at_once: bool,
}

/// One request and the sandbox, which is locked while the handler runs. Holds credentials, so it
/// has no `Debug`.
pub struct Context<'a> {
    pub core: &'a Arc<SandboxCore>,
    pub state: &'a mut State,
    pub now: Timestamp,
    pub tag: RequestTag,
    pub head: &'a Parts,
    pub body: &'a Bytes,
}

impl Context<'_> {
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        text_of(self.head, name)
    }

    /// The query's names and values, decoded.
    pub fn query(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        url::form_urlencoded::parse(self.head.uri.query().unwrap_or_default().as_bytes())
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// Writes down what the request did.
    pub fn note(&mut self, effect: Effect) {
        self.state.ledger.amend(self.tag.seq, |entry| entry.effect = effect);
    }
}

/// A header's value, when it is text.
pub fn text_of(head: &Parts, name: HeaderName) -> Option<&str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

/// A handler: the ids or names in the path are its second argument.
pub type Handler<P, E> = fn(&mut Context<'_>, P) -> Result<Response, E>;

/// Makes a handler a route. A path that does not fit `P` is refused before (`layers`).
pub fn route<P, E>(method: MethodFilter, run: Handler<P, E>) -> MethodRouter<Arc<SandboxCore>>
where
    P: DeserializeOwned + Send + 'static,
    E: IntoResponse + 'static,
{
    let serve = move |core: extract::State<Arc<SandboxCore>>, path: Path<P>, request: Request| {
        let (extract::State(core), Path(path), (head, _)) = (core, path, request.into_parts());
        let arrived = head.extensions.get::<Arrived>().cloned();
        let body = arrived.and_then(|Arrived(body)| body.ok()).unwrap_or_default();
        let tag = head.extensions.get().copied().unwrap_or_default();
        let now = core.clock.now();
        let response = core.with(|state| {
            let mut context = Context { core: &core, state, now, tag, head: &head, body: &body };
            run(&mut context, path).into_response()
        });
        std::future::ready(response)
    };
    on(method, serve)
}

/// 200 with a JSON body.
pub fn json(body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
