//! From a request for a batch to its answer: key, queues, look, record.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    BatchOrder, BatchReply, BatchSubmission, Batches,
    draft::{self, Draft},
    drain::{self, drain_loop, plan_expired},
    runner,
    store::{BatchKeyRecord, Created, NewBatch},
    trouble::Pauses,
    undo,
};
use crate::{
    problem::{Code, Problem},
    transfer::{
        Cut, context,
        fingerprint::{hash, normalize},
        gateway::Lane,
        ids::BatchId,
        problems,
        store::{KeyClaim, StoreError},
    },
};

/// So long a write whose end was not seen may go on.
const MAY_STILL_COME: Duration = Duration::from_mins(5);

/// Works out a batch, records it and begins it.
pub(super) async fn begin(
    batches: Arc<Batches>,
    submission: BatchSubmission,
) -> Result<BatchReply, Problem> {
    let batches = &batches;
    let claim = claim(&submission);
    if let Some(claim) = &claim {
        let known = batches.store.batch_key(&claim.scope).await;
        if let Some(record) = known? {
            return replayed(claim, record).map_err(|problem| *problem);
        }
    }
    let caller = &submission.caller;
    let ctx = context(submission.deadline, Lane::Single);
    let mut ctx = ctx.on_behalf_of(&caller.name);
    ctx.traceparent.clone_from(&submission.traceparent);
    let draft = match &submission.order {
        BatchOrder::List { transfers, reason } => {
            draft::draft_list(batches, &ctx, caller, transfers, reason.clone()).await?
        }
        BatchOrder::Drain(order) if order.dry_run => {
            let plan = drain::plan_drain(batches, &ctx, caller, order).await?;
            return Ok(BatchReply::Planned(Box::new(plan)));
        }
        BatchOrder::Drain(order) => drain::draft_drain(batches, &ctx, caller, order).await?,
        BatchOrder::Plan(id) => drain::draft_planned(batches, &ctx, caller, *id).await?,
        BatchOrder::Undo(order) if order.dry_run => {
            let plan = undo::plan_undo(batches, &ctx, caller, order).await?;
            return Ok(BatchReply::Planned(Box::new(plan)));
        }
        BatchOrder::Undo(order) => undo::draft_undo(batches, &ctx, caller, order).await?,
    };
    if Instant::now() >= ctx.deadline {
        return Err(submission.progress.cut_short(Cut::Deadline));
    }
    record_batch(batches, &submission, claim, draft).await
}

async fn record_batch(
    batches: &Arc<Batches>,
    submission: &BatchSubmission,
    claim: Option<KeyClaim>,
    draft: Draft,
) -> Result<BatchReply, Problem> {
    let batch = draft::new_batch(batches, submission, &draft);
    let batch_id = batch.id;
    let response = (batches.render)(&draft::first_state(batches, batch.clone()));
    let new = NewBatch {
        batch: batch.clone(),
        items: draft.items,
        key: claim.map(|claim| (claim, response.clone())),
        plan: draft.plan,
    };
    crate::failpoint!(BeforeBatch);
    if submission.progress.departure.leave().is_err() {
        // Its caller was told that nothing was recorded.
        return Err(problems::shutting_down());
    }
    match batches.store.create_batch(&new, batches.transfers.records.owner()).await {
        Ok(Created::Done) => {
            crate::failpoint!(AfterBatch);
            runner::run(batches, batch);
            Ok(BatchReply::Started { response, replayed: false, batch_id })
        }
        Ok(Created::KeyTaken(record)) => match &new.key {
            Some((claim, _)) => replayed(claim, record).map_err(|problem| *problem),
            None => Err(Problem::new(Code::InternalError, "A key was taken without a claim.")),
        },
        Ok(Created::PlanGone) => Err(plan_expired()),
        Ok(Created::Loop(other)) => Err(drain_loop(other)),
        Ok(Created::Undone(other, by)) => {
            Err(undo::undone_before(submission.caller.sees(&by).then_some(other)))
        }
        Err(error) => {
            let (completion, batches) = (&batches.transfers.completion, Arc::clone(batches));
            let has_key = new.key.is_some();
            completion.spawn(async move { find_out(&batches, batch_id, has_key).await });
            Err(not_recorded(&error))
        }
    }
}

/// Whether a batch was recorded is not certain. With a key it runs if it was: the same request gets
/// its answer. Without, it is cancelled: the caller was told that there is none.
async fn find_out(batches: &Arc<Batches>, id: BatchId, has_key: bool) {
    let mut pauses = Pauses::default();
    let until = Instant::now() + MAY_STILL_COME;
    loop {
        let found = if has_key {
            batches.store.batch(id).await
        } else {
            batches.store.cancel_batch(id, batches.transfers.clock.now()).await
        };
        match found {
            Ok(Some(batch)) => return runner::run(batches, batch),
            // A write that goes on is not seen before its end.
            Ok(None) if has_key && Instant::now() < until => {}
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(batch_id = %id, cause = %error.cause, "not certain whether the batch was recorded");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pauses.next()) => {}
            () = batches.transfers.completion.stop.cancelled() => return,
        }
    }
}

fn claim(submission: &BatchSubmission) -> Option<KeyClaim> {
    // A dry run records nothing that a key could protect.
    let dry = match &submission.order {
        BatchOrder::Drain(order) => order.dry_run,
        BatchOrder::Undo(order) => order.dry_run,
        BatchOrder::List { .. } | BatchOrder::Plan(_) => false,
    };
    let scope = submission.key.clone().filter(|_| !dry)?;
    Some(KeyClaim { scope, fingerprint: fingerprint(&submission.order) })
}

/// Hash of the canonical form of `order`, as of a single transfer; the order of a list's transfers
/// matters.
fn fingerprint(order: &BatchOrder) -> [u8; 32] {
    let mut canonical = order.clone();
    match &mut canonical {
        BatchOrder::List { transfers, .. } => {
            for transfer in transfers {
                normalize(transfer.skill_ids.as_mut());
            }
        }
        BatchOrder::Drain(drain) => normalize(drain.skill_ids.as_mut()),
        BatchOrder::Plan(_) | BatchOrder::Undo(_) => {}
    }
    hash(&canonical)
}

/// The answer to a request whose key made a batch before.
fn replayed(claim: &KeyClaim, record: BatchKeyRecord) -> Result<BatchReply, Box<Problem>> {
    if record.fingerprint != claim.fingerprint {
        return Err(Box::new(problems::key_reused()));
    }
    let BatchKeyRecord { answer: response, batch_id, .. } = record;
    Ok(BatchReply::Started { response, replayed: true, batch_id })
}

fn not_recorded(error: &StoreError) -> Problem {
    let problem = problems::from_store(error);
    Problem { detail: "The batch cannot be recorded; nothing was sent.".to_owned(), ..problem }
}
