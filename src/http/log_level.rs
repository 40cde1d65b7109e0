//! `/admin/log-level`: what is logged, changed for an incident.

use axum::{
    Extension,
    extract::{RawQuery, Request, State},
    response::Response,
};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    answer::{Failure, ok},
    body::{MAX_BODY, read_json},
    query, requests,
    state::{AppState, Arrival},
};
use crate::{problem::Code, telemetry::LogState, transfer::service::Caller};

/// What is logged, as admins see it.
#[derive(Debug, Serialize)]
struct LogLevelView {
    filter: String,
    configured: String,
    until: Option<Timestamp>,
}

impl From<LogState> for LogLevelView {
    fn from(state: LogState) -> Self {
        Self { filter: state.filter, configured: state.configured, until: state.until }
    }
}

/// `GET /admin/log-level`
pub(super) async fn show(
    State(app): State<AppState>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    Ok(ok(&LogLevelView::from(app.logs.state())))
}

/// `POST /admin/log-level`
pub(super) async fn change(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    let body = read_json(&head.headers, body, MAX_BODY, arrival.body_by).await?;
    query::none(raw.as_deref())?;
    let (filter, lasting) = requests::log_level(&body)?;
    let before = app.logs.state().filter;
    let state = app
        .logs
        .change(&filter, lasting, app.request_ids.now())
        .map_err(|error| Failure::new(Code::InternalError, error.to_string()))?;
    tracing::warn!(
        target: "audit",
        request_id = &*arrival.request_id,
        caller = caller.name.as_str(),
        before,
        filter = state.filter.as_str(),
        until = state.until.map(tracing::field::display),
        "log filter changed"
    );
    Ok(ok(&LogLevelView::from(state)))
}
