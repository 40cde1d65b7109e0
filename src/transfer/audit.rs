//! The record of who moved what: one line for each transfer that is settled, on a target of its own,
//! so that it can be shipped apart.
//!
//! It holds what the caller wrote in `reason` and `reference`, which is what these are for, and
//! nothing of the people in the call.

use super::model::{CallerName, Transfer};

/// Tells of a transfer whose record was just settled.
pub(crate) fn settled(transfer: &Transfer) {
    tell(transfer, None, None);
}

/// The same for one that an operator settled, for the reason they gave.
pub(super) fn settled_by_hand(transfer: &Transfer, operator: &CallerName, why: Option<&str>) {
    tell(transfer, Some(operator), why);
}

fn tell(transfer: &Transfer, operator: Option<&CallerName>, why: Option<&str>) {
    let (request, previous) = (&transfer.request, transfer.previous.as_ref());
    tracing::info!(
        target: "audit",
        transfer_id = %transfer.id,
        outcome = transfer.stage.status().as_str(),
        code = transfer.error.as_ref().map(|problem| problem.code.as_str()),
        caller = transfer.requested_by.as_str(),
        settled_by = operator.map(CallerName::as_str),
        settled_because = why,
        conversation_id = %request.conversation_id,
        participant_id = transfer.participant_id.map(tracing::field::display),
        from_leg = previous.map(|previous| previous.purpose.as_str()),
        from_queue_id = previous.and_then(|previous| previous.queue_id).map(tracing::field::display),
        to_queue_id = %transfer.queue.id,
        to_queue = transfer.queue.name.as_str(),
        reason = request.reason.as_deref(),
        reference = request.reference.as_deref(),
        batch_id = transfer.batch_id.map(tracing::field::display),
        request_id = transfer.request_id.as_str(),
        correlation_id = transfer.upstream.correlation_id.as_deref(),
        "transfer settled"
    );
}

#[cfg(test)]
mod tests;
