//! Undoing a batch: which of its calls go back, and where to.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::{
    Batch, BatchStatus, Batches, Item, Kind, Plan, PlannedCall, PlannedUndo, UndoOrder,
    draft::{Draft, PLAN_LIFETIME},
    state,
};
use crate::{
    problem::{Code, Problem},
    transfer::{
        Caller,
        gateway::CallContext,
        ids::{BatchId, ConversationId, PlanId},
        model::{Priority, Queue, QueueRef, Status, Transfer, TransferRequest, UndoTerms},
        permission,
        store::TransferFilter,
        undo,
    },
};

/// Transfers read from the store at once.
const PAGE: u32 = 200;

/// A call that goes back.
struct ReturningCall {
    terms: UndoTerms,
    request: TransferRequest,
    /// The queue it waits in.
    from: Queue,
    /// The queue it goes back to.
    to: Queue,
    /// The priority it was moved with.
    priority: Option<Priority>,
}

impl ReturningCall {
    /// Since when it waits, over the move.
    fn since(&self) -> Timestamp {
        self.terms.waiting_since.unwrap_or(self.terms.moved_at)
    }

    fn planned(&self, now: Timestamp) -> PlannedCall {
        let waited = now.duration_since(self.since()).as_mins().max(0);
        let before = self.terms.priority;
        PlannedCall {
            conversation_id: self.request.conversation_id,
            waiting_since: self.since(),
            priority: self.priority.map(|priority| i64::from(priority.get())).or(before),
            skill_ids: None,
            language_id: None,
            new_priority: before.map(|before| Priority::saturating(before.saturating_add(waited))),
        }
    }
}

impl Plan {
    /// The one queue its calls would leave.
    #[must_use]
    pub fn from(&self) -> Option<&Queue> {
        let undo = self.undo.as_ref().and_then(|undo| undo.from.as_ref());
        self.drain.as_ref().map(|drain| &drain.from).or(undo)
    }

    /// The one queue they would go to.
    #[must_use]
    pub fn to(&self) -> Option<&Queue> {
        let undo = self.undo.as_ref().and_then(|undo| undo.to.as_ref());
        self.drain.as_ref().map(|drain| &drain.to).or(undo)
    }
}

/// Begins the undo of a batch.
///
/// # Errors
/// `not_found`, `undo_impossible`, queue problems, `store_unavailable`.
pub(super) async fn draft_undo(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    order: &UndoOrder,
) -> Result<Draft, Problem> {
    let calls = returning(batches, ctx, caller, order.batch).await?;
    Ok(draft(calls, order.batch, order.reason.clone(), None))
}

/// Works out what an undo would put back, and keeps that for a while.
///
/// # Errors
/// As [`draft_undo`].
pub(super) async fn plan_undo(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    order: &UndoOrder,
) -> Result<Plan, Problem> {
    let calls = returning(batches, ctx, caller, order.batch).await?;
    let now = batches.transfers.clock.now();
    let total = u32::try_from(calls.len()).unwrap_or(u32::MAX);
    let (requests, eta_seconds) = state::estimate(batches, None, total);
    let plan = Plan {
        id: PlanId::new(batches.transfers.ids.next(now)),
        requested_by: caller.name.clone(),
        drain: None,
        undo: Some(PlannedUndo {
            batch: order.batch,
            from: only(calls.iter().map(|call| &call.from)),
            to: only(calls.iter().map(|call| &call.to)),
        }),
        total,
        items: calls.iter().map(|call| call.planned(now)).collect(),
        activity: None,
        estimated_wait_seconds: None,
        requests,
        eta_seconds,
        warnings: Vec::new(),
        reason: order.reason.clone(),
        reference: None,
        created_at: now,
        expires_at: now.saturating_add(PLAN_LIFETIME).unwrap_or(Timestamp::MAX),
    };
    let kept = batches.store.keep_plan(&plan).await;
    kept?;
    Ok(plan)
}

/// Begins the undo that a dry run planned: of the calls it listed.
///
/// # Errors
/// As [`draft_undo`].
pub(super) async fn draft_planned(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    plan: Plan,
) -> Result<Draft, Problem> {
    let Some(undo) = plan.undo else {
        return Err(Problem::new(Code::InternalError, "The plan says nothing to do."));
    };
    let listed: HashSet<_> = plan.items.iter().map(|call| call.conversation_id).collect();
    let mut calls = returning(batches, ctx, caller, undo.batch).await?;
    calls.retain(|call| listed.contains(&call.request.conversation_id));
    Ok(draft(calls, undo.batch, plan.reason, Some(plan.id)))
}

fn draft(
    calls: Vec<ReturningCall>,
    batch: BatchId,
    reason: Option<String>,
    plan: Option<PlanId>,
) -> Draft {
    let item = |(position, call): (u32, ReturningCall)| Item {
        position,
        waiting_since: call.terms.waiting_since,
        request: TransferRequest { reason: reason.clone(), ..call.request },
        queue: call.to,
        waiting_priority: None,
        waiting_skills: None,
        waiting_language: None,
    };
    let items: Vec<Item> = (0..).zip(calls).map(item).collect();
    Draft {
        kind: Kind::Undo,
        drain: None,
        total: u32::try_from(items.len()).unwrap_or(u32::MAX),
        items,
        reason,
        reference: None,
        warnings: Vec::new(),
        waiting: None,
        plan,
        undoes: Some(batch),
    }
}

/// The calls that the batch moved, in the order of who waited longest. A call that it moved several
/// times counts with its last move: only that can be undone.
async fn returning(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    id: BatchId,
) -> Result<Vec<ReturningCall>, Problem> {
    let batch = batches.visible(caller, id).await?;
    check(batches, caller, &batch).await?;
    let mut queues: HashMap<QueueRef, Queue> = HashMap::new();
    let mut known: HashSet<ConversationId> = HashSet::new();
    let mut calls = Vec::new();
    let mut filter = TransferFilter { batch_id: Some(id), ..TransferFilter::default() };
    loop {
        // Newest first.
        let page = batches.transfers.records.list(&filter, PAGE).await?;
        filter.before = page.last().map(|transfer| transfer.id);
        let last = page.len() < PAGE as usize;
        for moved in page {
            if !may_have_moved(&moved) || !known.insert(moved.request.conversation_id) {
                continue;
            }
            let Ok(request) = undo::request(&moved) else { continue };
            let Some(terms) = request.undo.as_deref().cloned() else { continue };
            let to = if let Some(queue) = queues.get(&request.queue) {
                queue.clone()
            } else {
                let (transfers, limits) = (&batches.transfers, &caller.limits);
                let asked = &request.queue;
                let found = permission::permitted_queue(transfers, ctx, limits, asked).await?;
                queues.insert(asked.clone(), found.clone());
                found
            };
            calls.push(ReturningCall {
                terms,
                request,
                from: moved.queue,
                to,
                priority: moved.priority,
            });
        }
        if last {
            break;
        }
    }
    calls.sort_by_key(|call| {
        let since = call.terms.waiting_since;
        (since.is_none(), since, call.terms.moved_at)
    });
    Ok(calls)
}

fn may_have_moved(transfer: &Transfer) -> bool {
    !matches!(transfer.stage.status(), Status::Failed | Status::Skipped)
}

async fn check(batches: &Batches, caller: &Caller, batch: &Batch) -> Result<(), Problem> {
    if batch.kind == Kind::Undo {
        return Err(impossible("it is an undo itself"));
    }
    if batch.status == BatchStatus::Running || batch.finished_at.is_none() {
        return Err(impossible("it has not finished").hint("Wait for its end, or stop it first."));
    }
    match batches.store.undo_of(batch.id).await? {
        Some((other, by)) => Err(undone_before(caller.sees(&by).then_some(other))),
        None => Ok(()),
    }
}

fn impossible(why: &str) -> Problem {
    Problem::new(Code::UndoImpossible, format!("The batch cannot be undone: {why}."))
}

/// The batch was undone before, by `by` if the caller may see that one.
pub(super) fn undone_before(by: Option<BatchId>) -> Problem {
    let problem = Problem::new(Code::UndoImpossible, "The batch was undone already.")
        .hint("What that undo skipped can be undone one by one: POST /transfers/{id}/undo.");
    Problem { batch_id: by.map(BatchId::uuid), ..problem }
}

/// The queue, if it is the same one every time.
fn only<'a>(mut queues: impl Iterator<Item = &'a Queue>) -> Option<Queue> {
    let first = queues.next()?;
    queues.all(|other| other.id == first.id).then(|| first.clone())
}
