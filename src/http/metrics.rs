//! `/metrics`: what Prometheus asks for.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{
    openapi::{
        entry::{Answer, Entry},
        fields,
    },
    state::AppState,
};
use crate::metrics::CONTENT_TYPE;

/// Where the metrics are.
pub(super) const PATH: &str = "/metrics";

/// `GET /metrics`: all metrics in Prometheus' text format, whatever the request accepts: scrapers
/// of every age read it.
pub(super) async fn show_metrics(State(app): State<AppState>) -> Response {
    let mut readings = app.transfers.readings().await;
    readings.most_connections = Some(app.limits.max_connections);
    let dropped = app.logs.dropped();
    readings.lines_dropped = vec![("audit", dropped.audit), ("other", dropped.other)];
    if app.unready.is_cancelled() || !app.keyring.troubles().is_empty() {
        readings.ready = Some(false);
    }
    let text = app.transfers.metrics().render(&readings);
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], text).into_response()
}

/// The operations of this module.
pub(super) fn entries() -> Vec<Entry> {
    let kind = CONTENT_TYPE.split(';').next().unwrap_or_default();
    let metrics = Answer::new("All metrics.").of_type(kind, fields::any_text());
    vec![
        Entry::get(PATH, "showMetrics", "Metrics in Prometheus' text format")
            .tag("Operations")
            .watching()
            .answer(200, metrics),
    ]
}
