//! From a request for a batch to its answer: key, queues, look, record.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{
    BatchOrder,
    draft::Draft,
    drain::{drain_loop, plan_expired},
    service::{BatchReply, BatchSubmission},
    store::{BatchKeyRecord, Created, NewBatch},
};
use crate::{
    problem::{Code, Problem},
    transfer::{
        engine::{self, Engine},
        fingerprint,
        gateway::Lane,
        ids::BatchId,
        problems,
        progress::Cut,
        store::{KeyClaim, KeyScope, StoreError},
    },
};

/// The route under which keys of batches count.
const ROUTE: &str = "POST /batches";

/// So long a write whose end was not seen may go on.
const MAY_STILL_COME: Duration = Duration::from_mins(5);

impl Engine {
    /// Records a batch and begins it. All of it runs in a task of its own, which a caller that
    /// hangs up does not end.
    pub(in crate::transfer) async fn submit_batch(
        self: &Arc<Self>,
        submission: BatchSubmission,
    ) -> Result<BatchReply, Problem> {
        if self.stop.is_cancelled() {
            return Err(problems::shutting_down());
        }
        let deadline = submission.deadline;
        let progress = Arc::clone(&submission.progress);
        let (answer, answered) = oneshot::channel();
        let engine = Arc::clone(self);
        // A receiver that is gone only means that nobody waits; the work is done all the same.
        self.tracker.spawn(async move { drop(answer.send(engine.begin_batch(submission).await)) });
        self.answer_of(answered, deadline, &progress).await
    }

    async fn begin_batch(
        self: &Arc<Self>,
        submission: BatchSubmission,
    ) -> Result<BatchReply, Problem> {
        let claim = claim(&submission);
        if let Some(claim) = &claim {
            let known = self.batches.store.batch_key(&claim.scope).await;
            if let Some(record) = known.map_err(|error| problems::from_store(&error))? {
                return replayed(claim, record).map_err(|problem| *problem);
            }
        }
        let caller = &submission.caller;
        let ctx = engine::context(submission.deadline, Lane::Single);
        let mut ctx = ctx.on_behalf_of(&caller.name);
        ctx.traceparent.clone_from(&submission.traceparent);
        let draft = match &submission.order {
            BatchOrder::List { transfers, reason } => {
                self.draft_list(&ctx, caller, transfers, reason.clone()).await?
            }
            BatchOrder::Drain(order) if order.dry_run => {
                let plan = self.plan_drain(&ctx, caller, order).await?;
                return Ok(BatchReply::Planned(Box::new(plan)));
            }
            BatchOrder::Drain(order) => self.draft_drain(&ctx, caller, order).await?,
            BatchOrder::Plan(id) => self.draft_planned(&ctx, caller, *id).await?,
        };
        if Instant::now() >= ctx.deadline {
            return Err(submission.progress.cut_short(Cut::Deadline));
        }
        self.record_batch(&submission, claim, draft).await
    }

    async fn record_batch(
        self: &Arc<Self>,
        submission: &BatchSubmission,
        claim: Option<KeyClaim>,
        draft: Draft,
    ) -> Result<BatchReply, Problem> {
        let batch = self.new_batch(submission, &draft);
        let batch_id = batch.id;
        let answer = self.answers.batch(&self.first_state(batch.clone()));
        let new = NewBatch {
            batch: batch.clone(),
            items: draft.items,
            key: claim.map(|claim| (claim, answer.clone())),
            plan: draft.plan,
        };
        crate::failpoint!(BeforeBatch);
        if submission.progress.departure.leave().is_err() {
            // Its caller was told that nothing was recorded.
            return Err(problems::shutting_down());
        }
        match self.batches.store.create_batch(&new, self.records.owner()).await {
            Ok(Created::Done) => {
                crate::failpoint!(AfterBatch);
                self.run_batch(batch);
                Ok(BatchReply::Started { answer, replayed: false, batch_id })
            }
            Ok(Created::KeyTaken(record)) => match &new.key {
                Some((claim, _)) => replayed(claim, record).map_err(|problem| *problem),
                None => Err(Problem::new(Code::InternalError, "A key was taken without a claim.")),
            },
            Ok(Created::PlanGone) => Err(plan_expired()),
            Ok(Created::Loop(_)) => Err(drain_loop()),
            Err(error) => {
                let engine = Arc::clone(self);
                let has_key = new.key.is_some();
                self.tracker.spawn(async move { engine.find_out(batch_id, has_key).await });
                Err(not_recorded(&error))
            }
        }
    }

    /// Whether a batch was recorded is not certain. With a key it runs if it was: who asks again
    /// gets its answer. Without, it is cancelled: he was told that there is none.
    async fn find_out(self: &Arc<Self>, id: BatchId, has_key: bool) {
        let mut pauses = super::pause::Pauses::default();
        let until = Instant::now() + MAY_STILL_COME;
        loop {
            let found = if has_key {
                self.batches.store.batch(id).await
            } else {
                self.batches.store.cancel_batch(id, self.clock.now()).await
            };
            match found {
                Ok(Some(batch)) => return self.run_batch(batch),
                // A write that goes on is not seen before its end.
                Ok(None) if has_key && Instant::now() < until => {}
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(batch_id = %id, cause = %error.cause, "is the batch recorded?");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pauses.next()) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }
}

fn claim(submission: &BatchSubmission) -> Option<KeyClaim> {
    // A dry run records nothing that a key could protect.
    let dry = matches!(&submission.order, BatchOrder::Drain(order) if order.dry_run);
    let key = submission.key.clone().filter(|_| !dry)?;
    Some(KeyClaim {
        scope: KeyScope { caller: submission.caller.name.clone(), route: ROUTE, key },
        fingerprint: fingerprint::of_batch(&submission.order),
    })
}

/// The answer to a request whose key made a batch before.
fn replayed(claim: &KeyClaim, record: BatchKeyRecord) -> Result<BatchReply, Box<Problem>> {
    if record.fingerprint != claim.fingerprint {
        return Err(Box::new(problems::key_reused()));
    }
    let BatchKeyRecord { answer, batch_id, .. } = record;
    Ok(BatchReply::Started { answer, replayed: true, batch_id })
}

fn not_recorded(error: &StoreError) -> Problem {
    let problem = problems::from_store(error);
    Problem { detail: "The batch cannot be recorded; nothing was sent.".to_owned(), ..problem }
}
