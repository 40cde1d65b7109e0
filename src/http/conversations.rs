//! `/conversations`: what a transfer would do.

use axum::{
    Extension,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::Response,
};

use super::{
    answer::{Failure, ok},
    query,
    state::{AppState, Arrival},
    views::PreviewView,
};
use crate::{problem::Code, transfer::service::Caller};

/// `GET /conversations/{id}`
pub(super) async fn preview_transfer(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let target = query::target(raw.as_deref())?;
    let id = id.ok().and_then(|Path(text)| text.parse().ok()).ok_or_else(|| {
        Failure::new(Code::ConversationNotFound, "There is no such conversation: not a UUID.")
    })?;
    let preview = app.service.preview(&caller, id, target, arrival.deadline).await?;
    Ok(ok(&PreviewView::from(&preview)))
}
