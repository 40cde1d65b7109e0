//! From a request to its answer: key, queue, record, work, reply.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::oneshot;
use tracing::Instrument as _;

use super::{
    engine::{self, Engine, Job, calls_needed},
    fingerprint::fingerprint,
    gateway::{CallContext, Lane},
    ids::TransferId,
    model::{Stage, Transfer, UpstreamUse},
    problems,
    service::{Caller, Reply, Submission, Wait},
    store::{Durability, Inserted, KeyClaim, KeyRecord, KeyScope},
};
use crate::{
    problem::{Code, Problem},
    trace,
};

/// The route under which keys of single transfers count.
const ROUTE: &str = "POST /transfers";

/// Where the work stands, for the one who waits at the deadline.
#[derive(Default)]
struct Progress {
    sent: Arc<AtomicBool>,
    recorded: std::sync::OnceLock<TransferId>,
}

/// What a submission came to before any work was done.
enum Begun {
    /// The answer is known already.
    Known(Reply),
    /// The transfer is recorded; this is the work.
    Job(Box<Job>),
}

impl Engine {
    /// Moves a conversation. All of it runs in a task of its own, which a caller that hangs up
    /// does not end.
    pub(super) async fn submit(self: &Arc<Self>, submission: Submission) -> Result<Reply, Problem> {
        if self.stop.is_cancelled() {
            return Err(problems::shutting_down());
        }
        let deadline = submission.deadline;
        let progress = Arc::new(Progress::default());
        let (answer, answered) = oneshot::channel();
        let span = trace::transfer(&submission.request_id, &submission.request.conversation_id);
        let work = Arc::clone(self).work(submission, Arc::clone(&progress), answer);
        self.tracker.spawn(work.instrument(span));
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(out_of_time(&progress)),
        }
    }

    async fn work(
        self: Arc<Self>,
        mut submission: Submission,
        progress: Arc<Progress>,
        answer: oneshot::Sender<Result<Reply, Problem>>,
    ) {
        let _place = submission.place.take();
        // A receiver that is gone only means that nobody waits; the work is done all the same.
        let mut job = match self.begin(submission, &progress).await {
            Ok(Begun::Job(job)) => job,
            Ok(Begun::Known(reply)) => return drop(answer.send(Ok(reply))),
            Err(problem) => return drop(answer.send(Err(problem))),
        };
        if job.wait == Wait::Nothing {
            let reply = self.reply(&job.transfer);
            job.given = Some(reply.answer.clone());
            drop(answer.send(Ok(reply)));
            crate::failpoint!(AfterAnswer);
            self.carry_out(*job).await;
        } else {
            let transfer = self.carry_out(*job).await;
            drop(answer.send(Ok(self.reply(&transfer))));
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

    /// Everything up to the record: nothing has been sent when it returns.
    async fn begin(&self, submission: Submission, progress: &Progress) -> Result<Begun, Problem> {
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
        let durability = match submission.wait {
            Wait::Nothing => Durability::Power,
            Wait::Outcome | Wait::Confirmation(_) => Durability::Process,
        };
        let transfer = self.new_transfer(&submission, queue);
        crate::failpoint!(BeforeInsert);
        trace::transfer_is(&transfer.id);
        let inserted = self.records.begin(&transfer, claim.as_ref(), durability);
        let inserted = inserted.instrument(trace::stage(trace::Stage::Record)).await;
        match inserted.map_err(|error| problems::from_store(&error))? {
            Inserted::Done => {
                crate::failpoint!(AfterInsert);
                progress.recorded.get_or_init(|| transfer.id);
                Ok(Begun::Job(Box::new(job(transfer, ctx, submission.wait, progress))))
            }
            Inserted::KeyTaken(record) => match &claim {
                Some(claim) => {
                    self.known(claim, record, &submission.request_id).await.map(Begun::Known)
                }
                None => Err(Problem::new(Code::InternalError, "A key was taken without a claim.")),
            },
            Inserted::ConversationTaken { transfer_id, caller } => {
                let visible = submission.caller.sees(&caller).then_some(transfer_id);
                self.secure().await?;
                let id = submission.request.conversation_id;
                Err(problems::transfer_in_progress(id, visible))
            }
        }
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
        let runs = matches!(record.stage, Stage::Received | Stage::Prepared | Stage::Dispatching);
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

    fn new_transfer(&self, submission: &Submission, queue: super::model::Queue) -> Transfer {
        let now = self.clock.now();
        let Caller { name, limits, .. } = &submission.caller;
        Transfer {
            id: TransferId::new(self.ids.next(now)),
            stage: Stage::Received,
            request: submission.request.clone(),
            queue,
            requested_by: name.clone(),
            request_id: submission.request_id.clone(),
            batch_id: None,
            participant_id: submission.request.participant_id,
            previous: None,
            picture: None,
            priority: submission.request.priority,
            waited_minutes: None,
            max_priority: limits.max_priority,
            warnings: Vec::new(),
            error: None,
            upstream: UpstreamUse::default(),
            created_at: now,
            updated_at: now,
        }
    }
}

fn job(transfer: Transfer, ctx: CallContext, wait: Wait, progress: &Progress) -> Job {
    Job { transfer, ctx, wait, given: None, sent: Arc::clone(&progress.sent), turn: None }
}

fn claim(submission: &Submission) -> Option<KeyClaim> {
    submission.key.as_ref().map(|key| KeyClaim {
        scope: KeyScope { caller: submission.caller.name.clone(), route: ROUTE, key: key.clone() },
        fingerprint: fingerprint(&submission.request),
    })
}

/// The deadline came before the work ended, or its task died.
fn out_of_time(progress: &Progress) -> Problem {
    let problem = if progress.sent.load(Ordering::SeqCst) {
        Problem::new(
            Code::OutcomeUnknown,
            "The command was sent, but its outcome is not recorded yet.",
        )
        .hint("Look at the transfer; do not send the request with another key meanwhile.")
    } else {
        Problem::new(Code::DeadlineExceeded, "The deadline passed before the command was sent.")
    };
    match progress.recorded.get() {
        Some(id) => problem.transfer(id.uuid()),
        None => problem,
    }
}
