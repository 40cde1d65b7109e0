//! `/admin/log-level`: what is logged, changed for an incident.

use axum::{
    Extension,
    extract::{RawQuery, Request, State},
    response::Response,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    answer::{Failure, ok},
    body::{MAX_BODY, take_json},
    openapi::entry::{Answer, Entry},
    query,
    requests::{self, LogLevelBody},
    state::{AppState, Arrival},
    views::maybe_time,
};
use crate::{problem::Code, telemetry::LogState, transfer::Caller};

/// What is logged, as admins see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogLevel)]
struct LogLevelView {
    /// The filter in force.
    filter: String,
    /// `telemetry.log_filter` of the configuration.
    configured: String,
    /// When the configured one comes back; null when another was not put in for a while.
    #[serde(serialize_with = "maybe_time")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
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
    let body = take_json(&head.headers, body, MAX_BODY, &arrival).await?;
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

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let state = |about, filter, until: Option<&str>| {
        let example = json!({"filter": filter, "configured": "info", "until": until});
        Answer::new(about).json::<LogLevelView>(example)
    };
    let more = "info,genesys_transfer=debug";
    vec![
        Entry::get("/admin/log-level", "showLogLevel", "See what is logged")
            .tag("Operations")
            .answer(200, state("The filter in force.", "info", None)),
        Entry::post("/admin/log-level", "changeLogLevel", "Log more, or less, for an incident")
            .tag("Operations")
            .body::<LogLevelBody>(&[
                ("More for a while", json!({"filter": more, "for": "15m"})),
                ("Until the service is restarted", json!({"filter": "warn"})),
            ])
            .answer(200, state("It is in force.", more, Some("2026-03-27T09:45:00.000Z"))),
    ]
}
