//! Genesys' error answers.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::sandbox::world::Refused;

/// An error as the API tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct ApiError {
    pub(in crate::sandbox) status: StatusCode,
    code: String,
    message: String,
    params: Map<String, Value>,
    field: Option<String>,
    /// `Allow`, for 405.
    pub(in crate::sandbox) allow: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    message: &'a str,
    code: &'a str,
    status: u16,
    message_with_params: &'a str,
    message_params: &'a Map<String, Value>,
    context_id: Uuid,
    details: Vec<Value>,
    errors: [(); 0],
}

impl ApiError {
    pub(in crate::sandbox) fn new(
        status: StatusCode,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            params: Map::new(),
            field: None,
            allow: None,
        }
    }

    pub(in crate::sandbox) fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The same error, naming the field it is about.
    pub(in crate::sandbox) fn at(self, field: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    pub(in crate::sandbox) fn not_allowed(allow: &'static str) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let message = format!("This path takes {allow}.");
        Self { allow: Some(allow), ..Self::new(status, "method.not.allowed", message) }
    }

    pub(in crate::sandbox) fn missing_permission(any_of: &[&str]) -> Self {
        let list = any_of.join(", ");
        let message = format!("None of the permissions that allow this is granted: [{list}]");
        let mut error = Self::new(StatusCode::FORBIDDEN, "missing.any.permissions", message);
        error.params.insert("permissions".to_owned(), Value::String(format!("[{list}]")));
        error
    }

    pub(in crate::sandbox) fn too_many(allowed: u32) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too.many.requests",
            format!("Rate limit exceeded the maximum [{allowed}] requests within [60] seconds"),
        )
    }

    /// The usual error of a status, for faults that name only a status.
    pub(in crate::sandbox) fn usual(status: StatusCode) -> Self {
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

    /// The JSON body.
    pub(in crate::sandbox) fn body(&self, context: Uuid) -> Vec<u8> {
        let details = self
            .field
            .as_ref()
            .map(|field| json!({"errorCode": self.code, "fieldName": field}))
            .into_iter()
            .collect();
        let body = ErrorBody {
            message: &self.message,
            code: &self.code,
            status: self.status.as_u16(),
            message_with_params: &self.message,
            message_params: &self.params,
            context_id: context,
            details,
            errors: [],
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl ApiError {
    /// What a rule of the world means to a caller of the API. `ended` is the status for commands
    /// on a conversation that is over.
    pub(in crate::sandbox) fn refused(refused: &Refused, ended: StatusCode) -> Self {
        let (status, code) = match refused {
            Refused::UnknownConversation | Refused::UnknownParticipant | Refused::LegEnded => {
                (StatusCode::NOT_FOUND, "not.found")
            }
            Refused::ConversationEnded if ended == StatusCode::CONFLICT => (ended, "conflict"),
            Refused::ConversationEnded => (StatusCode::NOT_FOUND, "not.found"),
            Refused::CustomerLeg | Refused::DoesNotFit(_) => {
                (StatusCode::BAD_REQUEST, "bad.request")
            }
            Refused::UnknownQueue | Refused::AmbiguousQueue => {
                (StatusCode::BAD_REQUEST, "invalid.value")
            }
            Refused::NotWaiting
            | Refused::Ringing
            | Refused::Blocked
            | Refused::AlreadyThere
            | Refused::IdTaken => (StatusCode::CONFLICT, "conflict"),
            Refused::Full(_) => (StatusCode::SERVICE_UNAVAILABLE, "service.unavailable"),
        };
        Self::new(status, code, refused.to_string())
    }
}
