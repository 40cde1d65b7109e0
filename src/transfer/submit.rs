//! From a request to its answer: key, queue, record, work, reply.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Transfers,
    caller::Caller,
    completion::{AnswerSender, Progress},
    context,
    engine::{
        self, Job, calls_needed,
        finish::{add_up, finish},
    },
    fingerprint::fingerprint,
    gateway::Lane,
    ids::TransferId,
    model::{Stage, Transfer},
    permission, problems,
    store::{Durability, Inserted, KeyClaim, KeyRecord, KeyScope},
    submission::{Reply, Submission, Wait},
    undo,
};
use crate::{
    problem::{Code, Problem},
    trace,
};

/// What a submission came to before any work was done.
enum Begun {
    /// The answer is known already.
    Known(Reply),
    /// This is the work. Nothing is recorded yet.
    Job(Box<Job>, New),
}

/// What a transfer is recorded with.
struct New {
    caller: Caller,
    claim: Option<KeyClaim>,
    progress: Arc<Progress>,
}

/// Carries `submission` from its key to its outcome, and sends the answer as soon as it is known.
pub(super) async fn work(
    transfers: Arc<Transfers>,
    submission: Submission,
    answer: AnswerSender<Reply>,
) {
    let transfers = &transfers;
    // A receiver that is gone only means that no caller waits; the work is done all the same.
    let answered = match begin(transfers, submission).await {
        Ok(Begun::Job(job, new)) if job.wait == Wait::Nothing => {
            return answer_first(transfers, *job, &new, answer).await;
        }
        Ok(Begun::Job(job, new)) => carry_out_new(transfers, *job, &new).await,
        Ok(Begun::Known(reply)) => Ok(reply),
        Err(problem) => Err(problem),
    };
    drop(answer.send(answered));
}

/// `Prefer: respond-async`: a 202 names the transfer, so it is recorded before that.
async fn answer_first(
    transfers: &Arc<Transfers>,
    mut job: Job,
    new: &New,
    answer: AnswerSender<Reply>,
) {
    crate::failpoint!(BeforeInsert);
    let recorded = record(transfers, &job.transfer, new).await;
    crate::failpoint!(AfterInsert);
    match recorded {
        Ok(None) => {}
        Ok(Some(reply)) => return drop(answer.send(Ok(reply))),
        Err(problem) => return drop(answer.send(Err(problem))),
    }
    let reply = reply(transfers, &job.transfer);
    job.given = Some(reply.response.clone());
    drop(answer.send(Ok(reply)));
    crate::failpoint!(AfterAnswer);
    engine::carry_out(transfers, job).await;
}

/// Carries out a transfer that is not recorded: its first record is the one that is durable
/// before the command leaves, or the one that says why nothing was sent.
async fn carry_out_new(
    transfers: &Arc<Transfers>,
    mut job: Job,
    new: &New,
) -> Result<Reply, Problem> {
    let prepared =
        engine::prepare(transfers, &job).instrument(trace::stage(trace::TraceStage::Look)).await;
    crate::failpoint!(AfterLook);
    let plan = match prepared.and_then(|plan| engine::in_time(&job.ctx).map(|()| plan)) {
        Ok(plan) => plan,
        Err(problem) => return refuse(transfers, job, new, *problem).await,
    };
    engine::adopt_plan(&mut job.transfer, &plan);
    permission::hide_previous_queue(transfers, &mut job.transfer, &job.limits);
    job.transfer.stage = Stage::Dispatching;
    crate::failpoint!(BeforeDispatching);
    let intended = Instant::now();
    if let Some(reply) = record(transfers, &job.transfer, new).await? {
        return Ok(reply);
    }
    let outcome = engine::command(transfers, &mut job, plan, intended).await;
    Ok(reply(transfers, &finish(transfers, job, outcome).await))
}

/// Records a transfer that certainly was not sent, for the history; its key stays free. One
/// that cannot be recorded is not named.
async fn refuse(
    transfers: &Transfers,
    job: Job,
    new: &New,
    problem: Problem,
) -> Result<Reply, Problem> {
    // A twin with the same key may have moved the call before this look: the key decides.
    if let Some(claim) = &new.claim
        && let Some(record) = key(transfers, &claim.scope).await?
    {
        return known(transfers, claim, record, &job.transfer.request_id).await;
    }
    let mut transfer = Transfer {
        stage: Stage::Failed,
        error: Some(problem),
        updated_at: transfers.clock.now(),
        ..job.transfer
    };
    add_up(&mut transfer, &job.ctx);
    transfers.count(&transfer);
    let recorded = transfers.records.begin(&transfer, None, Durability::Power);
    match recorded.instrument(trace::stage(trace::TraceStage::Record)).await {
        Ok(_) => {
            new.progress.recorded_as(&transfer);
            Ok(reply(transfers, &transfer))
        }
        Err(error) => {
            let (operation, cause) = (error.operation, error.cause);
            tracing::error!(operation, %cause, "could not record a refused transfer");
            Err(transfer.error.unwrap_or_else(problems::forgotten))
        }
    }
}

/// Records a new transfer with its key and its place on the conversation, on the disk. `Some`:
/// the key was used before, and this is its answer.
async fn record(
    transfers: &Transfers,
    transfer: &Transfer,
    new: &New,
) -> Result<Option<Reply>, Problem> {
    let stage = match transfer.stage {
        Stage::Dispatching => trace::TraceStage::Dispatching,
        _ => trace::TraceStage::Record,
    };
    let inserted = transfers.records.begin(transfer, new.claim.as_ref(), Durability::Power);
    match inserted.instrument(trace::stage(stage)).await? {
        Inserted::Done => {
            new.progress.recorded_as(transfer);
            Ok(None)
        }
        Inserted::KeyTaken(record) => match &new.claim {
            Some(claim) => known(transfers, claim, record, &transfer.request_id).await.map(Some),
            None => Err(Problem::new(Code::InternalError, "A key was taken without a claim.")),
        },
        Inserted::ConversationTaken { transfer_id, caller } => {
            let visible = new.caller.sees(&caller).then_some(transfer_id);
            secure(transfers).await?;
            let id = transfer.request.conversation_id;
            Err(problems::transfer_in_progress(id, visible))
        }
        Inserted::Undone { transfer_id, caller } => {
            let visible = new.caller.sees(&caller).then_some(transfer_id);
            secure(transfers).await?;
            Err(undo::undone_before(visible))
        }
    }
}

fn reply(transfers: &Transfers, transfer: &Transfer) -> Reply {
    Reply {
        response: (transfers.render)(transfer),
        replayed: false,
        transfer_id: Some(transfer.id),
        upstream_attempts: transfer.upstream.attempts,
        correlation_id: transfer.upstream.correlation_id.clone(),
    }
}

/// Everything that needs no look at the conversation. Nothing is recorded when it returns.
async fn begin(transfers: &Transfers, mut submission: Submission) -> Result<Begun, Problem> {
    let unsupported = transfers.gateway.unsupported(&submission.request);
    if !unsupported.is_empty() {
        return Err(Problem::invalid(unsupported));
    }
    let claim = submission
        .key
        .take()
        .map(|scope| KeyClaim { scope, fingerprint: fingerprint(&submission.request) });
    if let Some(claim) = &claim
        && let Some(record) = key(transfers, &claim.scope).await?
    {
        return known(transfers, claim, record, &submission.request_id).await.map(Begun::Known);
    }
    let ctx = context(submission.deadline, Lane::Single);
    let mut ctx = ctx.on_behalf_of(&submission.caller.name);
    ctx.traceparent.clone_from(&submission.traceparent);
    ctx.departure = Arc::clone(&submission.progress.departure);
    let limits = &submission.caller.limits;
    let queue = permission::permitted_queue(transfers, &ctx, limits, &submission.request.queue)
        .instrument(trace::stage(trace::TraceStage::Queue))
        .await?;
    limits.check_priority(submission.request.priority).map_err(|problem| *problem)?;
    let undoes = submission.request.undo.is_some();
    if undoes {
        permission::check_not_undone(transfers, &submission.caller, &submission.request).await?;
    } else {
        let id = submission.request.conversation_id;
        permission::check_repetition(transfers, limits, id).await?;
    }
    let calls = calls_needed(transfers, &submission.request);
    let admitted =
        transfers.gateway.admit(&ctx, calls).instrument(trace::stage(trace::TraceStage::Admit));
    ctx.admission = Some(admitted.await.map_err(problems::from_gateway)?);
    let Submission { caller, request, request_id, wait, progress, .. } = submission;
    let now = transfers.clock.now();
    let id = TransferId::new(transfers.ids.next(now));
    trace::transfer_is(&id);
    let (keyed, limits) = (claim.is_some(), caller.limits.clone());
    let transfer = Transfer {
        has_key: keyed,
        // An undo gives back what the call had, however much that was.
        max_priority: limits.max_priority.filter(|_| !undoes),
        // Until its queue is known.
        hides_previous_queue: limits.narrows_queues(),
        ..Transfer::received(id, now, request, queue, caller.name.clone(), request_id)
    };
    let job = Job { transfer, limits, ctx, wait, given: None, keyed, on_sent: None };
    Ok(Begun::Job(Box::new(job), New { caller, claim, progress }))
}

async fn key(transfers: &Transfers, scope: &KeyScope) -> Result<Option<KeyRecord>, Problem> {
    Ok(transfers.records.store().key(scope).await?)
}

/// To be called before an answer names a transfer that may have been recorded a moment ago: it
/// must be there after any crash.
async fn secure(transfers: &Transfers) -> Result<(), Problem> {
    Ok(transfers.records.store().secure().await?)
}

/// The answer to a request whose key was seen before.
async fn known(
    transfers: &Transfers,
    claim: &KeyClaim,
    record: KeyRecord,
    request_id: &str,
) -> Result<Reply, Problem> {
    if record.fingerprint != claim.fingerprint {
        return Err(problems::key_reused());
    }
    if let Some(response) = record.answer {
        return Ok(Reply {
            response,
            replayed: true,
            transfer_id: Some(record.transfer_id),
            upstream_attempts: 0,
            correlation_id: None,
        });
    }
    let runs = matches!(record.stage, Stage::Received | Stage::Prepared | Stage::Dispatching)
        && !transfers.records.is_unsaved(record.transfer_id);
    if runs || transfers.waiting.contains(record.transfer_id) {
        secure(transfers).await?;
        return Err(problems::key_in_use(record.transfer_id));
    }
    // Unknown, or settled in a moment between two writes: what is known now.
    let found = transfers.records.get(record.transfer_id).await;
    match found? {
        Some(mut transfer) => {
            let replayed = !transfer.stage.is_unsettled();
            if !replayed {
                // News, not the first answer again: it belongs to this request.
                request_id.clone_into(&mut transfer.request_id);
            }
            Ok(Reply { replayed, upstream_attempts: 0, ..reply(transfers, &transfer) })
        }
        None => Err(problems::key_in_use(record.transfer_id)),
    }
}

#[cfg(test)]
mod tests;
