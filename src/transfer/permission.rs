//! Whether the caller may do what is asked, and know what is answered: the queue it names, the
//! queues it is shown, the number of moves.

use jiff::SignedDuration;

use super::{
    Transfers,
    caller::{Caller, Limits},
    gateway::{CallContext, QueueError},
    ids::{ConversationId, QueueId},
    model::{Queue, QueueRef, Stage, Transfer, TransferRequest},
    problems,
    store::{StoreError, TransferFilter},
    undo,
};
use crate::problem::{Code, Problem};

/// The time over which moves of a conversation are counted.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// Most records of a conversation that are looked through; far more than are ever allowed, since
/// those that failed are among them.
const MOST_RECORDS: u32 = 1_000;

/// The queue `asked` names, if it is there and the caller may use it. To a caller who is
/// limited to some queues, every other queue looks the same, whether it exists or not.
///
/// # Errors
/// `queue_not_permitted`, and the look-up's problems as far as the caller may know.
pub(crate) async fn permitted_queue(
    transfers: &Transfers,
    ctx: &CallContext,
    limits: &Limits,
    asked: &QueueRef,
) -> Result<Queue, Problem> {
    // Without a look: how long the answer takes must not tell whether the queue is there.
    if let QueueRef::Name(name) = asked
        && !limits.covers(name.as_str())
    {
        return Err(not_permitted());
    }
    match transfers.gateway.queue(ctx, asked).await {
        Ok(queue) if limits.covers(&queue.name) => Ok(queue),
        Ok(_) => Err(not_permitted()),
        Err(error) => Err(as_seen(error, limits, asked)),
    }
}

/// Whether the caller may know of the queue with that id. One that the queue map does not have
/// is hidden from callers who may not know of all.
pub(super) fn is_in_sight(transfers: &Transfers, limits: &Limits, id: QueueId) -> bool {
    let covered = |queue: Queue| limits.covers(&queue.name);
    !limits.narrows_queues() || transfers.gateway.known_queue(id).is_some_and(covered)
}

/// Decides whether the queue that the leg was in is hidden from the caller. To be called once the
/// leg is chosen.
pub(super) fn hide_previous_queue(transfers: &Transfers, transfer: &mut Transfer, limits: &Limits) {
    if transfer.hides_previous_queue {
        let queue = transfer.previous.as_ref().and_then(|previous| previous.queue_id);
        let other = queue.filter(|id| *id != transfer.queue.id);
        transfer.hides_previous_queue = other.is_some_and(|id| !is_in_sight(transfers, limits, id));
    }
}

/// Whether the conversation may be moved once more within the hour; undos do not count.
///
/// # Errors
/// `too_many_requests` with the time until it may; `store_unavailable`.
pub(crate) async fn check_repetition(
    transfers: &Transfers,
    limits: &Limits,
    id: ConversationId,
) -> Result<(), Problem> {
    let Some(most) = limits.moves_per_conversation else { return Ok(()) };
    let now = transfers.clock.now();
    let happened = moves_within_the_hour(transfers, id).await?;
    // Newest first: when this one leaves the window, there is room for one more.
    let index = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(1);
    let Some(last) = happened.get(index).map(|transfer| transfer.created_at) else {
        return Ok(());
    };
    let room_at = last.saturating_add(WINDOW).unwrap_or(jiff::Timestamp::MAX);
    let wait = room_at.duration_since(now).unsigned_abs();
    Err(Problem::new(
        Code::TooManyRequests,
        format!("This conversation was moved {most} times within the last hour."),
    )
    .hint(
        "Look for systems that send the call back and forth: GET \
         /transfers?conversationId=… shows who moved it where.",
    )
    .retry_after(wait))
}

/// Whether what `request` undoes was undone before.
///
/// # Errors
/// `undo_impossible`; `store_unavailable`.
pub(super) async fn check_not_undone(
    transfers: &Transfers,
    caller: &Caller,
    request: &TransferRequest,
) -> Result<(), Problem> {
    let Some(terms) = &request.undo else { return Ok(()) };
    let filter = TransferFilter {
        conversation_id: Some(request.conversation_id),
        ..TransferFilter::default()
    };
    let records = transfers.records.store().list(&filter, MOST_RECORDS).await?;
    let undid = |other: &&Transfer| {
        other.undoes() == Some(terms.undoes)
            && matches!(other.stage, Stage::Accepted | Stage::Confirmed)
    };
    match records.iter().find(undid) {
        Some(other) => {
            let visible = caller.sees(&other.requested_by).then_some(other.id);
            Err(undo::undone_before(visible))
        }
        None => Ok(()),
    }
}

/// The transfers of a conversation that moved it, or may have, within the last hour, newest first.
/// Undos do not count.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn moves_within_the_hour(
    transfers: &Transfers,
    id: ConversationId,
) -> Result<Vec<Transfer>, StoreError> {
    let since = transfers.clock.now().saturating_sub(WINDOW).unwrap_or(jiff::Timestamp::MIN);
    let filter = TransferFilter {
        conversation_id: Some(id),
        since: Some(since),
        ..TransferFilter::default()
    };
    let mut records = transfers.records.store().list(&filter, MOST_RECORDS).await?;
    records.retain(|transfer| {
        transfer.undoes().is_none() && !matches!(transfer.stage, Stage::Failed | Stage::Skipped)
    });
    Ok(records)
}

/// The same for every queue the caller may not use, so that it tells nothing about the queue.
fn not_permitted() -> Problem {
    Problem::new(Code::QueueNotPermitted, "This caller may not transfer calls to that queue.")
}

/// A failed look-up, as far as the caller may know.
fn as_seen(error: QueueError, limits: &Limits, asked: &QueueRef) -> Problem {
    let seen = match (error, asked) {
        (QueueError::NotFound { .. }, QueueRef::Id(_)) if limits.narrows_queues() => {
            return not_permitted();
        }
        (QueueError::NotFound { mut closest }, _) => {
            closest.retain(|name| limits.covers(name));
            QueueError::NotFound { closest }
        }
        (QueueError::Ambiguous(mut queues), _) => {
            limits.narrow(&mut queues);
            if queues.is_empty() {
                return not_permitted();
            }
            QueueError::Ambiguous(queues)
        }
        (QueueError::Gateway(error), _) => QueueError::Gateway(error),
    };
    problems::from_queue(seen, asked)
}

#[cfg(test)]
mod tests;
