//! From a request to its answer: key, queue, record, work, reply.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};
use tracing::Instrument as _;

use super::{
    engine::{self, Engine, Job, calls_needed},
    fingerprint::fingerprint,
    gateway::Lane,
    ids::TransferId,
    model::{Queue, Stage, Transfer, UpstreamUse},
    problems,
    progress::{Cut, Progress},
    service::{Caller, Reply, Submission, Wait},
    store::{Durability, Inserted, KeyClaim, KeyRecord, KeyScope},
};
use crate::{
    problem::{Code, Problem},
    trace,
};

/// The route under which keys of single transfers count.
const ROUTE: &str = "POST /transfers";

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

impl Engine {
    /// Moves a conversation. All of it runs in a task of its own, which a caller that hangs up
    /// does not end.
    pub(super) async fn submit(self: &Arc<Self>, submission: Submission) -> Result<Reply, Problem> {
        if self.stop.is_cancelled() {
            return Err(problems::shutting_down());
        }
        let deadline = submission.deadline;
        let progress = Arc::clone(&submission.progress);
        let (answer, answered) = oneshot::channel();
        let span = trace::transfer(&submission.request_id, &submission.request.conversation_id);
        let work = Arc::clone(self).work(submission, Arc::clone(&progress), answer);
        self.tracker.spawn(work.instrument(span));
        self.answer_of(answered, deadline, &progress).await
    }

    /// What `answered` brings; in its place the truth so far, when the deadline comes first, the
    /// end of a stop, or that of its task.
    pub(super) async fn answer_of<T>(
        &self,
        answered: oneshot::Receiver<Result<T, Problem>>,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<T, Problem> {
        let cut = tokio::select! {
            biased;
            result = answered => match result {
                Ok(result) => return result,
                Err(_) => Cut::Died,
            },
            () = tokio::time::sleep_until(deadline) => Cut::Deadline,
            () = self.over.cancelled() => Cut::Stop,
        };
        Err(progress.cut_short(cut))
    }

    async fn work(
        self: Arc<Self>,
        mut submission: Submission,
        progress: Arc<Progress>,
        answer: oneshot::Sender<Result<Reply, Problem>>,
    ) {
        let _place = submission.place.take();
        // A receiver that is gone only means that nobody waits; the work is done all the same.
        let answered = match self.begin(submission, progress).await {
            Ok(Begun::Job(job, new)) if job.wait == Wait::Nothing => {
                return self.answer_first(*job, &new, answer).await;
            }
            Ok(Begun::Job(job, new)) => self.carry_out_new(*job, &new).await,
            Ok(Begun::Known(reply)) => Ok(reply),
            Err(problem) => Err(problem),
        };
        drop(answer.send(answered));
    }

    /// `Prefer: respond-async`: a 202 names the transfer, so it is recorded before that.
    async fn answer_first(
        self: &Arc<Self>,
        mut job: Job,
        new: &New,
        answer: oneshot::Sender<Result<Reply, Problem>>,
    ) {
        crate::failpoint!(BeforeInsert);
        let recorded = self.record(&job.transfer, new).await;
        crate::failpoint!(AfterInsert);
        match recorded {
            Ok(None) => {}
            Ok(Some(reply)) => return drop(answer.send(Ok(reply))),
            Err(problem) => return drop(answer.send(Err(problem))),
        }
        let reply = self.reply(&job.transfer);
        job.given = Some(reply.answer.clone());
        drop(answer.send(Ok(reply)));
        crate::failpoint!(AfterAnswer);
        self.carry_out(job).await;
    }

    /// Carries out a transfer that is not recorded: its first record is the one that is durable
    /// before the command leaves, or the one that says why nothing was sent.
    async fn carry_out_new(self: &Arc<Self>, mut job: Job, new: &New) -> Result<Reply, Problem> {
        let prepared = self.prepare(&job).instrument(trace::stage(trace::Stage::Look)).await;
        crate::failpoint!(AfterLook);
        let plan = match prepared.and_then(|plan| engine::in_time(&job.ctx).map(|()| plan)) {
            Ok(plan) => plan,
            Err(problem) => return self.refuse(job, new, *problem).await,
        };
        engine::adopt_plan(&mut job.transfer, &plan);
        self.hide_previous_queue(&mut job);
        job.transfer.stage = Stage::Dispatching;
        crate::failpoint!(BeforeDispatching);
        let intended = Instant::now();
        if let Some(reply) = self.record(&job.transfer, new).await? {
            return Ok(reply);
        }
        let outcome = self.command(&mut job, plan, intended).await;
        Ok(self.reply(&self.finish(job, outcome).await))
    }

    /// Records a transfer that certainly was not sent, for the history; its key stays free. One
    /// that cannot be recorded is not named.
    async fn refuse(&self, job: Job, new: &New, problem: Problem) -> Result<Reply, Problem> {
        // A twin with the same key may have moved the call before this look: the key decides.
        if let Some(claim) = &new.claim
            && let Some(record) = self.key(&claim.scope).await?
        {
            return self.known(claim, record, &job.transfer.request_id).await;
        }
        let mut transfer = Transfer {
            stage: Stage::Failed,
            error: Some(problem),
            updated_at: self.clock.now(),
            ..job.transfer
        };
        engine::add_up(&mut transfer, &job.ctx);
        self.count(&transfer);
        let recorded = self.records.begin(&transfer, None, Durability::Power);
        match recorded.instrument(trace::stage(trace::Stage::Record)).await {
            Ok(_) => {
                new.progress.recorded_as(&transfer);
                Ok(self.reply(&transfer))
            }
            Err(error) => {
                let (operation, cause) = (error.operation, error.cause);
                tracing::error!(operation, %cause, "a refused transfer could not be recorded");
                Err(transfer.error.unwrap_or_else(problems::forgotten))
            }
        }
    }

    /// Records a new transfer with its key and its place on the conversation, on the disk. `Some`:
    /// the key was used before, and this is its answer.
    async fn record(&self, transfer: &Transfer, new: &New) -> Result<Option<Reply>, Problem> {
        let stage = match transfer.stage {
            Stage::Dispatching => trace::Stage::Dispatching,
            _ => trace::Stage::Record,
        };
        let inserted = self.records.begin(transfer, new.claim.as_ref(), Durability::Power);
        match inserted
            .instrument(trace::stage(stage))
            .await
            .map_err(|error| problems::from_store(&error))?
        {
            Inserted::Done => {
                new.progress.recorded_as(transfer);
                Ok(None)
            }
            Inserted::KeyTaken(record) => match &new.claim {
                Some(claim) => self.known(claim, record, &transfer.request_id).await.map(Some),
                None => Err(Problem::new(Code::InternalError, "A key was taken without a claim.")),
            },
            Inserted::ConversationTaken { transfer_id, caller } => {
                let visible = new.caller.sees(&caller).then_some(transfer_id);
                self.secure().await?;
                let id = transfer.request.conversation_id;
                Err(problems::transfer_in_progress(id, visible))
            }
        }
    }

    fn reply(&self, transfer: &Transfer) -> Reply {
        Reply {
            answer: self.answers.answer(transfer),
            replayed: false,
            transfer_id: Some(transfer.id),
            upstream_attempts: transfer.upstream.attempts,
            correlation_id: transfer.upstream.correlation_id.clone(),
        }
    }

    /// Everything that needs no look at the conversation. Nothing is recorded when it returns.
    async fn begin(
        &self,
        submission: Submission,
        progress: Arc<Progress>,
    ) -> Result<Begun, Problem> {
        let unsupported = self.gateway.unsupported(&submission.request);
        if !unsupported.is_empty() {
            return Err(Problem::invalid(unsupported));
        }
        let claim = claim(&submission);
        if let Some(claim) = &claim
            && let Some(record) = self.key(&claim.scope).await?
        {
            return self.known(claim, record, &submission.request_id).await.map(Begun::Known);
        }
        let ctx = engine::context(submission.deadline, Lane::Single);
        let mut ctx = ctx.on_behalf_of(&submission.caller.name);
        ctx.traceparent.clone_from(&submission.traceparent);
        ctx.departure = Arc::clone(&progress.departure);
        let limits = &submission.caller.limits;
        let queue = self
            .permitted_queue(&ctx, limits, &submission.request.queue)
            .instrument(trace::stage(trace::Stage::Queue))
            .await?;
        limits.check_priority(submission.request.priority).map_err(|problem| *problem)?;
        self.check_repetition(limits, submission.request.conversation_id).await?;
        let calls = calls_needed(&submission.request, self);
        let admitted =
            self.gateway.admit(&ctx, calls).instrument(trace::stage(trace::Stage::Admit));
        ctx.admission = Some(admitted.await.map_err(problems::from_gateway)?);
        let wait = submission.wait;
        let (transfer, caller) = self.new_transfer(submission, queue);
        trace::transfer_is(&transfer.id);
        let limits = caller.limits.clone();
        let job =
            Job { transfer, limits, ctx, wait, given: None, keyed: claim.is_some(), turn: None };
        Ok(Begun::Job(Box::new(job), New { caller, claim, progress }))
    }

    async fn key(&self, scope: &KeyScope) -> Result<Option<KeyRecord>, Problem> {
        self.records.store().key(scope).await.map_err(|error| problems::from_store(&error))
    }

    /// To be called before an answer names a transfer that may have been recorded a moment ago: it
    /// must be there after any crash.
    async fn secure(&self) -> Result<(), Problem> {
        self.records.store().secure().await.map_err(|error| problems::from_store(&error))
    }

    /// The answer to a request whose key was seen before.
    async fn known(
        &self,
        claim: &KeyClaim,
        record: KeyRecord,
        request_id: &str,
    ) -> Result<Reply, Problem> {
        if record.fingerprint != claim.fingerprint {
            return Err(problems::key_reused());
        }
        if let Some(answer) = record.answer {
            return Ok(Reply {
                answer,
                replayed: true,
                transfer_id: Some(record.transfer_id),
                upstream_attempts: 0,
                correlation_id: None,
            });
        }
        let runs = matches!(record.stage, Stage::Received | Stage::Prepared | Stage::Dispatching)
            && !self.records.is_unsaved(record.transfer_id);
        if runs || self.waiting.contains(record.transfer_id) {
            self.secure().await?;
            return Err(problems::key_in_use(record.transfer_id));
        }
        // Unknown, or settled in a moment between two writes: what is known now.
        let found = self.records.get(record.transfer_id).await;
        match found.map_err(|error| problems::from_store(&error))? {
            Some(mut transfer) => {
                let replayed = !transfer.stage.is_unsettled();
                if !replayed {
                    // News, not the first answer again: it belongs to this request.
                    request_id.clone_into(&mut transfer.request_id);
                }
                Ok(Reply { replayed, upstream_attempts: 0, ..self.reply(&transfer) })
            }
            None => Err(problems::key_in_use(record.transfer_id)),
        }
    }

    fn new_transfer(&self, submission: Submission, queue: Queue) -> (Transfer, Caller) {
        let now = self.clock.now();
        let has_key = submission.key.is_some();
        let Submission { caller, request, request_id, .. } = submission;
        let transfer = Transfer {
            id: TransferId::new(self.ids.next(now)),
            stage: Stage::Received,
            queue,
            requested_by: caller.name.clone(),
            request_id,
            has_key,
            batch_id: None,
            participant_id: request.participant_id,
            previous: None,
            picture: None,
            priority: request.priority,
            waited_minutes: None,
            max_priority: caller.limits.max_priority,
            // Until its queue is known.
            hides_previous_queue: caller.limits.narrows_queues(),
            warnings: Vec::new(),
            error: None,
            upstream: UpstreamUse::default(),
            awaited: false,
            created_at: now,
            updated_at: now,
            request,
        };
        (transfer, caller)
    }
}

fn claim(submission: &Submission) -> Option<KeyClaim> {
    submission.key.as_ref().map(|key| KeyClaim {
        scope: KeyScope { caller: submission.caller.name.clone(), route: ROUTE, key: key.clone() },
        fingerprint: fingerprint(&submission.request),
    })
}

#[cfg(test)]
mod tests;
