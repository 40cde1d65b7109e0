//! Genesys' error answers.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::sandbox::{access::EndpointRule, wire, world::WorldError};

/// An error as the API tells it.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    params: Map<String, Value>,
    field: Option<&'static str>,
    /// `Allow`, for 405.
    allow: Option<String>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let (message, params) = (message.into(), Map::new());
        Self { status, code, message, params, field: None, allow: None }
    }

    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The same error, naming the field it is about.
    pub fn at(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not.found", "The requested path was not found.")
    }

    /// Only `rules` are at that path.
    pub fn not_allowed(rules: &[&EndpointRule]) -> Self {
        let methods: Vec<&str> = rules.iter().map(|rule| rule.method.as_str()).collect();
        let allow = methods.join(", ");
        let message = format!("This path takes {allow}.");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self { allow: Some(allow), ..Self::new(status, "method.not.allowed", message) }
    }

    pub fn missing_permission(any_of: &[&str]) -> Self {
        let list = any_of.join(", ");
        let message = format!("None of the permissions that allow this is granted: [{list}]");
        let mut error = Self::new(StatusCode::FORBIDDEN, "missing.any.permissions", message);
        error.params.insert("permissions".to_owned(), Value::String(format!("[{list}]")));
        error
    }

    pub fn too_many(allowed: u32) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too.many.requests",
            format!("Rate limit exceeded the maximum [{allowed}] requests within [60] seconds"),
        )
    }

    /// The usual error of a status, for faults that name only a status.
    pub fn usual(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            400 => "bad.request",
            401 => "bad.credentials",
            403 => "not.authorized",
            404 => "not.found",
            405 => "method.not.allowed",
            408 | 504 => "request.timeout",
            409 => "conflict",
            413 => "request.entity.too.large",
            415 => "unsupported.media.type",
            429 => "too.many.requests",
            503 => "service.unavailable",
            _ => "internal.server.error",
        };
        let message = status.canonical_reason().unwrap_or("The request could not be handled");
        Self::new(status, code, message)
    }

    /// What a rule of the world means to a caller. `ended` is the status for commands on a
    /// conversation that is over.
    pub fn world(error: &WorldError, ended: StatusCode) -> Self {
        use WorldError as E;
        let (status, code) = match error {
            E::ConversationEnded if ended == StatusCode::CONFLICT => (ended, "conflict"),
            E::UnknownConversation | E::UnknownParticipant | E::LegEnded | E::ConversationEnded => {
                (StatusCode::NOT_FOUND, "not.found")
            }
            E::CustomerLeg | E::DoesNotFit(_) => (StatusCode::BAD_REQUEST, "bad.request"),
            E::UnknownQueue | E::AmbiguousQueue => (StatusCode::BAD_REQUEST, "invalid.value"),
            E::NotWaiting | E::Ringing | E::Blocked | E::AlreadyThere | E::IdTaken => {
                (StatusCode::CONFLICT, "conflict")
            }
            E::Full(_) => (StatusCode::SERVICE_UNAVAILABLE, "service.unavailable"),
        };
        Self::new(status, code, error.to_string())
    }

    /// The JSON body; `context` is the answer's correlation id.
    pub fn body(&self, context: Uuid) -> Vec<u8> {
        let what = (self.status.as_u16(), self.code, self.message.as_str());
        serde_json::to_vec(&wire::error(what, &self.params, self.field, context))
            .unwrap_or_default()
    }
}

/// Without a body yet: it names the correlation id, which is known where the answer is finished.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, json).into_response();
        if let Some(Ok(allow)) = self.allow.as_deref().map(str::parse) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response.extensions_mut().insert(self);
        response
    }
}
