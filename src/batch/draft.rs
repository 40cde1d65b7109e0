//! A batch that was worked out and is not recorded yet; how a list becomes one.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::{
    Batch, BatchState, BatchStatus, BatchSubmission, Batches, Drain, Item, Kind, Tally, state,
};
use crate::{
    problem::{Code, FieldError, Problem},
    transfer::{
        Caller,
        gateway::CallContext,
        ids::{BatchId, ConversationId, PlanId},
        model::{Queue, QueueRef, TransferRequest, Warning},
        permission,
    },
};

/// How long the list of a dry run is good.
pub(super) const PLAN_LIFETIME: SignedDuration = SignedDuration::from_mins(2);

/// What is to be recorded.
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) drain: Option<Drain>,
    pub(super) items: Vec<Item>,
    pub(super) total: u32,
    pub(super) reason: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) warnings: Vec<Warning>,
    /// Of a drain: calls the first look counted in its queue.
    pub(super) waiting: Option<u64>,
    pub(super) plan: Option<PlanId>,
    /// The batch that is undone.
    pub(super) undoes: Option<BatchId>,
}

/// Resolves a list: all its queues, all or nothing.
///
/// # Errors
/// The first problem there is, with a pointer to the member it is about.
pub(super) async fn draft_list(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    transfers: &[TransferRequest],
    reason: Option<String>,
) -> Result<Draft, Problem> {
    check_list(batches, caller, transfers).map_err(|problem| *problem)?;
    let mut queues: HashMap<&QueueRef, Queue> = HashMap::new();
    let mut items = Vec::with_capacity(transfers.len());
    for (position, request) in (0..).zip(transfers) {
        let queue = if let Some(queue) = queues.get(&request.queue) {
            queue.clone()
        } else {
            let found = permission::permitted_queue(
                &batches.transfers,
                ctx,
                &caller.limits,
                &request.queue,
            )
            .await;
            let found = found.map_err(|problem| {
                let member = queue_member(&request.queue, "queueName", "queueId");
                at(format!("/transfers/{position}/{member}"), problem)
            })?;
            queues.insert(&request.queue, found.clone());
            found
        };
        items.push(Item {
            position,
            request: request.clone(),
            queue,
            waiting_since: None,
            waiting_priority: None,
            waiting_skills: None,
            waiting_language: None,
        });
    }
    Ok(Draft {
        kind: Kind::List,
        drain: None,
        total: u32::try_from(items.len()).unwrap_or(u32::MAX),
        items,
        reason,
        reference: None,
        warnings: Vec::new(),
        waiting: None,
        plan: None,
        undoes: None,
    })
}

/// What can be said of a list without a request.
fn check_list(
    batches: &Batches,
    caller: &Caller,
    transfers: &[TransferRequest],
) -> Result<(), Box<Problem>> {
    let most = usize::try_from(batches.settings.max_size).unwrap_or(usize::MAX);
    if transfers.is_empty() || transfers.len() > most {
        return Err(Box::new(Problem::invalid(vec![FieldError {
            pointer: "/transfers".to_owned(),
            detail: format!("Expected 1 to {most} transfers."),
        }])));
    }
    let mut wrong = Vec::new();
    let mut first: HashMap<ConversationId, usize> = HashMap::new();
    for (index, request) in transfers.iter().enumerate() {
        let base = format!("/transfers/{index}");
        if let Some(earlier) = first.insert(request.conversation_id, index) {
            wrong.push(FieldError {
                pointer: format!("{base}/conversationId"),
                detail: format!("The same conversation is in /transfers/{earlier} already."),
            });
        }
        wrong.extend(
            batches
                .transfers
                .gateway
                .unsupported(request)
                .into_iter()
                .map(|error| FieldError { pointer: format!("{base}{}", error.pointer), ..error }),
        );
        let allowed = caller.limits.check_priority(request.priority);
        allowed.map_err(|problem| Box::new(at(format!("{base}/priority"), *problem)))?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(Box::new(Problem::invalid(wrong))) }
}

/// The record of a draft, as it is when nothing was done yet.
pub(super) fn new_batch(batches: &Batches, submission: &BatchSubmission, draft: &Draft) -> Batch {
    let now = batches.transfers.clock.now();
    let limits = &submission.caller.limits;
    let stands = draft.drain.as_ref().is_some_and(Drain::is_standing);
    let (status, finished_at, still_waiting) = match draft.total {
        0 if !stands => (BatchStatus::Completed, Some(now), draft.waiting),
        _ => (BatchStatus::Running, None, None),
    };
    Batch {
        id: BatchId::new(batches.transfers.ids.next(now)),
        kind: draft.kind,
        status,
        requested_by: submission.caller.name.clone(),
        request_id: submission.request_id.clone(),
        reason: draft.reason.clone(),
        reference: draft.reference.clone(),
        drain: draft.drain.clone(),
        undoes: draft.undoes,
        // An undo gives back what the calls had, and does not count as a move.
        max_priority: limits.max_priority.filter(|_| draft.undoes.is_none()),
        moves_per_conversation: limits.moves_per_conversation.filter(|_| draft.undoes.is_none()),
        queues: limits.queues.as_deref().map(<[_]>::to_vec),
        total: draft.total,
        vanished: 0,
        unseen: 0,
        still_waiting,
        waiting_until: None,
        warnings: draft.warnings.clone(),
        error: None,
        created_at: now,
        updated_at: now,
        finished_at,
    }
}

/// How a batch stands that is being recorded.
pub(super) fn first_state(batches: &Batches, batch: Batch) -> BatchState {
    let (now, most) = (batch.created_at, state::most_a_minute(batches, &batch));
    state::state(batch, &Tally::default(), now, most)
}

/// The member by which a queue was named.
pub(super) fn queue_member(queue: &QueueRef, name: &'static str, id: &'static str) -> &'static str {
    match queue {
        QueueRef::Name(_) => name,
        QueueRef::Id(_) => id,
    }
}

/// The problem with a pointer to the member it is about.
pub(super) fn at(pointer: String, mut problem: Problem) -> Problem {
    let about_request = matches!(
        problem.code,
        Code::QueueNotFound
            | Code::QueueAmbiguous
            | Code::QueueNotPermitted
            | Code::NotPermitted
            | Code::InvalidRequest
    );
    if about_request {
        let detail = problem.detail.clone();
        problem.errors.push(FieldError { pointer, detail });
    }
    problem
}
