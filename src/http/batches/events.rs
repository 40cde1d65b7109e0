//! `GET /batches/{id}/events`: a batch's progress as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use axum::{
    Extension,
    body::Body,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    super::{
        head::{Media, chosen},
        query,
    },
    PLAIN, WATCHED_AS, batch_id,
    stream::{END, Lines},
};
use crate::{
    auth::Revoked,
    http::{answer::Failure, state::AppState},
    transfer::Caller,
};

/// What a browser sends along when it connects again (section 9.2.4 of the standard).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells a proxy not to collect events before it hands them on.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `GET /batches/{id}/events`
pub(in crate::http) async fn watch_batch(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(revoked): Extension<Revoked>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    let watch = app.batches.watch(&caller, batch_id(id)?).await?;
    if headers.get(LAST_EVENT_ID).is_some_and(|last| last == END) {
        // The caller has all events. A browser whose stream ended connects again by itself until it is
        // answered so.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let place = app.streams.open_one(&caller.name)?;
    let quiet = chosen(&headers, WATCHED_AS) == Some(Media::Text);
    let lines = Lines::new(watch, app.stopping.clone(), revoked, place, quiet);
    let form = if quiet { PLAIN } else { HeaderValue::from_static("text/event-stream") };
    let head = [(header::CONTENT_TYPE, form), (X_ACCEL_BUFFERING, HeaderValue::from_static("no"))];
    Ok((head, Body::from_stream(lines.into_stream())).into_response())
}
