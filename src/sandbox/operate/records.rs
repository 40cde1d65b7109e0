//! `/sandbox/ledger` and `/sandbox/faults`

use axum::http::StatusCode;
use serde_json::json;

use super::{Oops, Order, Outcome, Told};
use crate::sandbox::{
    faults::FaultOrder,
    ledger::{Move, Request},
};

/// Entries listed by one request at most.
const MAX_LISTED: usize = 10_000;

/// The newest entries, oldest of them first.
pub(super) fn ledger(order: &Order<'_>) -> Outcome {
    let limit = order.number("limit", 100)?.min(MAX_LISTED);
    Ok(order.shared.with(|state| {
        let mut requests: Vec<&Request> = state.ledger.requests().rev().take(limit).collect();
        let mut moves: Vec<&Move> = state.ledger.moves().rev().take(limit).collect();
        requests.reverse();
        moves.reverse();
        let totals = state.ledger.totals();
        Told::ok(json!({
            "totals": {"requests": totals.requests, "moves": totals.moves},
            "requests": requests,
            "moves": moves,
        }))
    }))
}

/// Requests in order of arrival, filtered.
pub(super) fn requests(order: &Order<'_>) -> Outcome {
    let limit = order.number("limit", 1_000)?.min(MAX_LISTED);
    let after = u64::try_from(order.number("after", 0)?).unwrap_or(u64::MAX);
    let method = order.parameter("method");
    let path = order.parameter("path").unwrap_or_default();
    let commands = order.parameter("commands").is_some_and(|text| text != "false");
    Ok(order.shared.with(|state| {
        let fits = |entry: &&Request| {
            entry.seq > after
                && method.as_deref().is_none_or(|it| it.eq_ignore_ascii_case(&entry.method))
                && entry.path.contains(&path)
                && (!commands || entry.is_command())
        };
        let total = state.ledger.requests().filter(fits).count();
        let items: Vec<&Request> = state.ledger.requests().filter(fits).take(limit).collect();
        Told::ok(json!({"total": total, "items": items}))
    }))
}

/// Moves in the order they took effect.
pub(super) fn moves(order: &Order<'_>) -> Outcome {
    let limit = order.number("limit", 1_000)?.min(MAX_LISTED);
    let after = u64::try_from(order.number("after", 0)?).unwrap_or(u64::MAX);
    let conversation =
        order.parameter("conversationId").map(|text| super::id_of(&text)).transpose()?;
    Ok(order.shared.with(|state| {
        let fits = |entry: &&Move| {
            entry.seq > after && conversation.is_none_or(|id| id == entry.conversation_id)
        };
        let total = state.ledger.moves().filter(fits).count();
        let items: Vec<&Move> = state.ledger.moves().filter(fits).take(limit).collect();
        Told::ok(json!({"total": total, "items": items}))
    }))
}

pub(super) fn clear_ledger(order: &Order<'_>) -> Told {
    order.shared.with(|state| state.ledger.clear());
    Told::ok(json!({"cleared": true}))
}

pub(super) fn faults(order: &Order<'_>) -> Told {
    order.shared.with(|state| Told::ok(json!({"items": state.faults.orders()})))
}

pub(super) fn place(order: &Order<'_>) -> Outcome {
    let new: FaultOrder = order.body()?;
    let id = order.shared.with(|state| state.faults.place(new)).map_err(Oops::bad)?;
    Ok(Told::created(json!({"id": id})))
}

pub(super) fn clear_faults(order: &Order<'_>) -> Told {
    order.shared.with(|state| state.faults.clear());
    Told::ok(json!({"cleared": true}))
}

pub(super) fn cancel(order: &Order<'_>, number: &str) -> Outcome {
    let id = number.parse::<u64>().map_err(|_| Oops::bad("the number of an order"))?;
    if order.shared.with(|state| state.faults.cancel(id)) {
        return Ok(Told::ok(json!({"cancelled": id})));
    }
    let text = "there is no such order";
    Err(Oops::new(StatusCode::NOT_FOUND, text, "GET /sandbox/faults lists them"))
}
