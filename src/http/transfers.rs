//! `/transfers`: move a call, put it back, look at what was moved, settle what is not known.

use axum::{
    Extension,
    extract::{Path, RawQuery, Request, State, rejection::PathRejection},
    http::{HeaderName, HeaderValue, request::Parts},
    response::{IntoResponse, Response},
};

use super::{
    answer::{Failure, Told, ok, send, set},
    body::{MAX_BODY, take_json},
    head::{Prefer, idempotency_key, traceparent},
    query, requests,
    state::{AppState, Arrival},
    views::{TransferPage, TransferView},
};
use crate::{
    problem::Code,
    transfer::{
        Caller, Reply, Submission,
        ids::TransferId,
        model::{Transfer, TransferRequest},
        store::KeyScope,
    },
};

mod described;

pub(super) use described::{entries, example_of};

/// The route under which keys of single transfers count.
const ROUTE: &str = "POST /transfers";
/// The same of undos. A key stands for the transfer as well.
const UNDO_ROUTE: &str = "POST /transfers/{id}/undo";

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// `POST /transfers`
pub(super) async fn create_transfer(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let (head, body) = request.into_parts();
    let key = idempotency_key(&head.headers)?;
    let key = key.map(|key| KeyScope { caller: caller.name.clone(), route: ROUTE, key });
    let prefer = Prefer::read(&head.headers);
    let body = take_json(&head.headers, body, MAX_BODY, &arrival).await?;
    query::none(raw.as_deref())?;
    let request = requests::transfer(&body)?;
    let submission = submission(caller, request, (key, prefer), &arrival, &head);
    Ok(reply(app.transfers.submit(submission).await?, prefer))
}

/// `POST /transfers/{id}/undo`
pub(super) async fn undo_transfer(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let id = transfer_id(id)?;
    let (head, body) = request.into_parts();
    let key = idempotency_key(&head.headers)?;
    let key = key.map(|key| KeyScope { caller: caller.name.clone(), route: UNDO_ROUTE, key });
    let prefer = Prefer::read(&head.headers);
    let body = take_json(&head.headers, body, MAX_BODY, &arrival).await?;
    query::none(raw.as_deref())?;
    let (reason, reference) = requests::undo(&body)?;
    let request = app.transfers.undo_request(&caller, id).await?;
    let request = TransferRequest { reason, reference, ..request };
    let submission = submission(caller, request, (key, prefer), &arrival, &head);
    Ok(reply(app.transfers.submit(submission).await?, prefer))
}

fn submission(
    caller: Caller,
    request: TransferRequest,
    (key, prefer): (Option<KeyScope>, Prefer),
    arrival: &Arrival,
    head: &Parts,
) -> Submission {
    Submission {
        caller,
        request,
        key,
        wait: prefer.wait(),
        deadline: arrival.deadline,
        request_id: arrival.request_id.to_string(),
        traceparent: traceparent(&head.headers),
        place: head.extensions.get().cloned(),
        progress: head.extensions.get().cloned().unwrap_or_default(),
    }
}

fn reply(reply: Reply, prefer: Prefer) -> Response {
    let applied = prefer.applied(reply.response.status);
    let mut response = send(reply.response);
    if let Some(applied) = applied {
        set(response.headers_mut(), PREFERENCE_APPLIED, &applied);
    }
    if reply.replayed {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    response.extensions_mut().insert(Told {
        transfer_id: reply.transfer_id.map(TransferId::uuid),
        upstream_calls: Some(reply.upstream_attempts),
        correlation_id: reply.correlation_id,
    });
    response
}

/// `GET /transfers`
pub(super) async fn list_transfers(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    let (filter, limit) = query::transfers(raw.as_deref())?;
    // One more than a page tells whether another page follows.
    let transfers = app.transfers.list(&caller, filter, limit + 1).await?;
    Ok(page_of(transfers, limit))
}

/// A page of `limit` from `transfers`, which are one more when another page follows.
pub(super) fn page_of(mut transfers: Vec<Transfer>, limit: u32) -> Response {
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = transfers.len() > page;
    transfers.truncate(page);
    let last = transfers.last().filter(|_| more);
    ok(&TransferPage {
        next_cursor: last.map(|transfer| query::cursor_after(transfer.id)),
        items: transfers.iter().map(TransferView::from).collect(),
    })
}

/// `GET /transfers/{id}`
pub(super) async fn find_transfer(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Failure> {
    query::none(raw.as_deref())?;
    let transfer = app.transfers.get(&caller, transfer_id(id)?).await?;
    Ok(about(&transfer))
}

/// `POST /transfers/{id}/settle`
pub(super) async fn settle_transfer(
    State(app): State<AppState>,
    Extension(caller): Extension<Caller>,
    Extension(arrival): Extension<Arrival>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, Failure> {
    let id = transfer_id(id)?;
    let (head, body) = request.into_parts();
    let body = take_json(&head.headers, body, MAX_BODY, &arrival).await?;
    query::none(raw.as_deref())?;
    let (verdict, reason) = requests::settle(&body)?;
    let place = head.extensions.get().cloned();
    let transfer = app.transfers.settle(&caller, id, verdict, reason, place).await?;
    Ok(about(&transfer))
}

fn about(transfer: &Transfer) -> Response {
    let told = Told { transfer_id: Some(transfer.uuid()), ..Told::default() };
    (Extension(told), ok(&TransferView::from(transfer))).into_response()
}

/// An id that is no UUID names nothing, so it is 404 like any other that is not there.
fn transfer_id(id: Result<Path<String>, PathRejection>) -> Result<TransferId, Failure> {
    let parsed = id.ok().and_then(|Path(text)| text.parse().ok());
    parsed.ok_or_else(|| Failure::new(Code::NotFound, "A transfer id must be a UUID."))
}
