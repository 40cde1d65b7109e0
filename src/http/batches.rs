//! `/batches`: move many calls or empty a queue, look at how it goes, stop it, put it back.

use axum::{
    Extension,
    extract::{Path, RawQuery, Request, State, rejection::PathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    answer::{Failure, ok, ok_with, send},
    body::{MAX_BATCH, MAX_BODY, take_json},
    head::{Media, chosen, idempotency_key, traceparent},
    query, requests,
    state::{AppState, Arrival},
    transfers::{IDEMPOTENT_REPLAYED, page_of},
    views::{BatchPage, BatchView, PlanView},
};
use crate::{
    batch::{BatchOrder, BatchReply, BatchState, BatchSubmission},
    problem::Code,
    transfer::{Caller, ids::BatchId, store::KeyScope},
};

mod described;
mod events;
mod stream;
mod table;

pub(super) use described::entries;
pub(super) use events::watch_batch;

/// The route under which keys of batches count.
const ROUTE: &str = "POST /batches";
/// The same of undos.
const UNDO_ROUTE: &str = "POST /batches/{id}/undo";

/// What a batch can be shown as. A problem is shown as one whatever is asked for.
pub(super) const SHOWN_AS: &[Media] = &[Media::Json, Media::Problem, Media::Text];
/// What a batch's events come as.
pub(super) const WATCHED_AS: &[Media] = &[Media::Events, Media::Text];
/// The answer for a terminal.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// `POST /batches`
pub(super) async fn create_batch(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    let key = idempotency_key(&head.headers)?;
    let key = key.map(|key| KeyScope { caller: caller.name.clone(), route: ROUTE, key });
    let body = take_json(&head.headers, body, MAX_BATCH, &arrival).await?;
    query::none(raw.as_deref())?;
    let order = requests::batch(&body)?;
    submit(&app, caller, order, key, &arrival, &head).await
}

/// `POST /batches/{id}/undo`
pub(super) async fn undo_batch(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let id = batch_id(id)?;
    let (head, body) = request.into_parts();
    let key = idempotency_key(&head.headers)?;
    let key = key.map(|key| KeyScope { caller: caller.name.clone(), route: UNDO_ROUTE, key });
    let body = take_json(&head.headers, body, MAX_BODY, &arrival).await?;
    query::none(raw.as_deref())?;
    let order = requests::batch_undo(&body, id)?;
    submit(&app, caller, order, key, &arrival, &head).await
}

async fn submit(
    app: &AppState,
    caller: Caller,
    order: BatchOrder,
    key: Option<KeyScope>,
    arrival: &Arrival,
    head: &Parts,
) -> Result<Response, Failure> {
    let submission = BatchSubmission {
        caller,
        order,
        key,
        deadline: arrival.deadline,
        request_id: arrival.request_id.to_string(),
        traceparent: traceparent(&head.headers),
        place: head.extensions.get().cloned(),
        progress: head.extensions.get().cloned().unwrap_or_default(),
    };
    match app.batches.submit(submission).await? {
        BatchReply::Planned(plan) => {
            Ok(shown(&head.headers, StatusCode::OK, || table::plan(&plan))
                .unwrap_or_else(|| ok(&PlanView::from(&*plan))))
        }
        BatchReply::Started { response, replayed, .. } => {
            let mut response = send(response);
            if replayed {
                let yes = HeaderValue::from_static("true");
                response.headers_mut().insert(IDEMPOTENT_REPLAYED, yes);
            }
            Ok(response)
        }
    }
}

/// `GET /batches`
pub(super) async fn list_batches(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (filter, limit) = query::batches(raw.as_deref())?;
    // One more than a page tells whether another page follows.
    let mut states = app.batches.list(&caller, filter, limit + 1).await?;
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = states.len() > page;
    states.truncate(page);
    let last = states.last().filter(|_| more);
    let next_cursor = last.map(|state| query::cursor_after_batch(state.batch.id));
    let lines = || table::list(&states, next_cursor.as_deref());
    Ok(shown(&headers, StatusCode::OK, lines).unwrap_or_else(|| {
        let items = states.iter().map(BatchView::from).collect();
        ok(&BatchPage { items, next_cursor: next_cursor.clone() })
    }))
}

/// `GET /batches/{id}`
pub(super) async fn find_batch(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    let state = app.batches.get(&caller, batch_id(id)?).await?;
    Ok(show(StatusCode::OK, &state, &headers))
}

/// `DELETE /batches/{id}`
pub(super) async fn cancel_batch(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    let state = app.batches.cancel(&caller, batch_id(id)?).await?;
    Ok(show(StatusCode::ACCEPTED, &state, &headers))
}

/// `GET /batches/{id}/transfers`
pub(super) async fn list_batch_transfers(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let (before, limit) = query::batch_transfers(raw.as_deref())?;
    let id = batch_id(id)?;
    let transfers = app.batches.transfers(&caller, id, before, limit + 1).await?;
    Ok(page_of(transfers, limit))
}

/// The batch in the form the caller likes best.
fn show(status: StatusCode, state: &BatchState, headers: &HeaderMap) -> Response {
    shown(headers, status, || table::of(state))
        .unwrap_or_else(|| ok_with(status, &BatchView::from(state)))
}

/// The text, when the caller likes that best.
fn shown(
    headers: &HeaderMap,
    status: StatusCode,
    text: impl FnOnce() -> String,
) -> Option<Response> {
    let likes_text = chosen(headers, SHOWN_AS) == Some(Media::Text);
    likes_text.then(|| (status, [(header::CONTENT_TYPE, PLAIN)], text()).into_response())
}

/// An id that is no UUID names nothing, so it is 404 like any other that is not there.
fn batch_id(id: Result<Path<String>, PathRejection>) -> Result<BatchId, Failure> {
    let parsed = id.ok().and_then(|Path(text)| text.parse().ok());
    parsed.ok_or_else(|| Failure::new(Code::NotFound, "A batch id must be a UUID."))
}
