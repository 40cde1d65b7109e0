//! The handlers of the pretended Genesys Cloud.

use axum::{http::StatusCode, response::Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    handler::{Context, json},
    wire::without_nulls,
    world::WorldError,
};
use error::ApiError;

pub mod analytics;
mod assertion;
pub mod conversations;
pub mod error;
pub mod login;
pub mod queues;

/// An answer of the API.
type ApiResult = Result<Response, ApiError>;

/// The body as JSON of a known shape.
fn read<T: DeserializeOwned>(context: &Context<'_>) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(context.body)
        .map_err(|_| ApiError::bad("bad.request", "The request body is not JSON."))?;
    serde_json::from_value(value).map_err(|error| {
        let text = error.to_string();
        let unknown = text.starts_with("unknown field");
        let code = if unknown { "invalid.property" } else { "invalid.value" };
        ApiError::bad(code, format!("The request body does not fit: {text}"))
    })
}

/// What a rule of the world means to a caller.
fn forbidden(context: &Context<'_>, error: &WorldError) -> ApiError {
    let ended = StatusCode::from_u16(context.state.behaviour.ended_status);
    ApiError::world(error, ended.unwrap_or(StatusCode::NOT_FOUND))
}

/// 200 with one of the SDK's models.
fn model(value: Value) -> Response {
    json(&without_nulls(value))
}
