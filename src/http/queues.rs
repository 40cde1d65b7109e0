//! `/queues`: the cached queue map.

use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};

use super::{
    answer::{Failure, ok},
    query,
    state::{AppState, Arrival},
    views::QueuesView,
};
use crate::transfer::service::Caller;

/// `GET /queues`
pub(super) async fn search_queues(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let fragment = query::queues(raw.as_deref())?;
    let listing = app.service.queues(&caller, &fragment, arrival.deadline).await?;
    Ok(ok(&QueuesView::new(&listing.items, listing.loaded_at)))
}

/// `POST /queues/refresh`; a body is not looked at.
pub(super) async fn refresh_queues(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    let listing = app.service.refresh_queues(&caller, arrival.deadline).await?;
    Ok(ok(&QueuesView::new(&listing.items, listing.loaded_at)))
}
