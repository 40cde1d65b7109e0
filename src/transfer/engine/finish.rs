//! Recording what became of a transfer, and seeing it arrive when that was asked for.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Engine, Job, Outcome};
use crate::{
    config::Confirm,
    problem::Code,
    trace,
    transfer::{
        evidence::Seen,
        gateway::{CallContext, Lane},
        model::{Stage, Transfer},
        problems,
        service::Wait,
        store::{Answer, KeyChange},
    },
};

/// The last look comes so long before the end, to be answered by then.
const LAST_LOOK: Duration = Duration::from_millis(200);

/// How long an accepted transfer is looked for in the background with `transfers.confirm =
/// always`.
const CONFIRM_WINDOW: Duration = Duration::from_mins(1);

impl Job {
    /// What becomes of the key when the command never left.
    const fn free_key(&self) -> KeyChange {
        if self.keyed { KeyChange::Free } else { KeyChange::Keep }
    }
}

impl Engine {
    /// Records the outcome and returns the transfer as it then stands.
    pub(in crate::transfer) async fn finish(
        self: &Arc<Self>,
        mut job: Job,
        outcome: Outcome,
    ) -> Transfer {
        let from = job.transfer.stage;
        add_up(&mut job.transfer, &job.ctx);
        match outcome {
            Outcome::Accepted => self.finish_accepted(job, from).await,
            Outcome::Failed { problem, key_used } => {
                job.transfer.stage = Stage::Failed;
                let key = if key_used {
                    job.transfer.error = Some(problems::in_vain(&job.transfer, *problem));
                    self.settle_key(&mut job)
                } else {
                    job.transfer.error = Some(*problem);
                    job.free_key()
                };
                let ours = self.records.conclude(&mut job.transfer, from, key).await;
                self.settled(job.transfer, ours).await
            }
            Outcome::Unknown(problem) => {
                job.transfer.stage = Stage::Unknown;
                job.transfer.error = Some(*problem);
                if !self.records.conclude(&mut job.transfer, from, KeyChange::Keep).await {
                    return self.as_others_have_it(job.transfer).await;
                }
                self.count(&job.transfer);
                self.settle_in_background(job.transfer.clone(), self.settings.settle_window);
                job.transfer
            }
            Outcome::TakenOver => self.as_others_have_it(job.transfer).await,
        }
    }

    async fn finish_accepted(self: &Arc<Self>, mut job: Job, from: Stage) -> Transfer {
        job.transfer.stage = Stage::Accepted;
        job.transfer.awaited = self.awaits_all();
        let Wait::Confirmation(wait) = job.wait else {
            let key = self.settle_key(&mut job);
            let ours = self.records.conclude(&mut job.transfer, from, key).await;
            return self.settled(job.transfer, ours).await;
        };
        let _waits = self.waiting.enter(job.transfer.id);
        // On disk before the wait, so that the truth is there should we die waiting.
        if !self.records.conclude_for_now(&mut job.transfer, from).await {
            return self.as_others_have_it(job.transfer).await;
        }
        crate::failpoint!(BeforeConfirming);
        let until = job.ctx.deadline.min(Instant::now() + wait);
        let ctx = job.ctx.until(until);
        let span = trace::stage(trace::Stage::Confirm);
        if self.arrives(&job.transfer, &ctx).instrument(span).await {
            crate::failpoint!(BeforeConfirmed);
            job.transfer.stage = Stage::Confirmed;
            job.transfer.awaited = false;
        }
        add_up(&mut job.transfer, &job.ctx);
        let key = self.settle_key(&mut job);
        let ours = self.records.conclude_at_last(&mut job.transfer, Stage::Accepted, key).await;
        self.settled(job.transfer, ours).await
    }

    /// A settled transfer as it now stands: as it was recorded here, or as another process has it
    /// that took it over.
    async fn settled(self: &Arc<Self>, transfer: Transfer, ours: bool) -> Transfer {
        if !ours {
            return self.as_others_have_it(transfer).await;
        }
        self.count(&transfer);
        self.see_it_arrive(&transfer);
        transfer
    }

    /// Whether every accepted transfer is looked for in its queue. It is recorded with `accepted`, so
    /// that the next process goes on looking should this one die.
    pub(in crate::transfer) fn awaits_all(&self) -> bool {
        self.settings.confirm == Confirm::Always
    }

    /// Looks in the background for a transfer that is to be seen in its queue.
    pub(in crate::transfer) fn see_it_arrive(self: &Arc<Self>, transfer: &Transfer) {
        if !(transfer.awaited && self.awaits_all()) {
            return;
        }
        // Those of batches are looked for together.
        if transfer.batch_id.is_some() {
            self.await_call(transfer.clone());
        } else {
            self.confirm_in_background(transfer.clone());
        }
    }

    /// Records that an awaited transfer was seen in its queue, or that it is not looked for any more.
    pub(in crate::transfer) async fn no_longer_awaited(&self, mut transfer: Transfer, seen: bool) {
        transfer.awaited = false;
        if seen {
            transfer.stage = Stage::Confirmed;
            self.records.conclude(&mut transfer, Stage::Accepted, KeyChange::Keep).await;
        } else {
            self.records.stop_awaiting(&transfer).await;
        }
    }

    /// Looks until the conversation shows in the target queue or the context's deadline comes.
    async fn arrives(&self, transfer: &Transfer, ctx: &CallContext) -> bool {
        // A routing-only change has nothing to arrive: it waits in the queue already.
        if transfer.is_routing_only() {
            return true;
        }
        let last = ctx.deadline.checked_sub(LAST_LOOK).unwrap_or(ctx.deadline);
        let mut at = self.arrival.begin(false).next_try().min(last);
        let mut pause = Duration::from_millis(250);
        while self.pause_until(at, ctx.deadline).await {
            match self.look(transfer, ctx).await {
                Some(Seen::Moved) => return true,
                Some(Seen::Ended | Seen::MovedElsewhere) => return false,
                Some(Seen::Unmoved | Seen::Changed) | None => {}
            }
            let now = Instant::now();
            if now >= last {
                break;
            }
            at = (now + pause).min(last);
            pause = (pause * 2).min(Duration::from_secs(2));
        }
        false
    }

    fn confirm_in_background(self: &Arc<Self>, transfer: Transfer) {
        let engine = Arc::clone(self);
        let span = trace::background(
            &trace::Origin::here(),
            trace::Stage::Confirm,
            &transfer.request_id,
            &transfer.id,
        );
        let confirm = async move {
            let deadline = Instant::now() + CONFIRM_WINDOW;
            let ctx = super::context(deadline, Lane::Batch).on_behalf_of(&transfer.requested_by);
            let seen = engine.arrives(&transfer, &ctx).await;
            // After a stop the next process goes on.
            if seen || !engine.stop.is_cancelled() {
                engine.no_longer_awaited(transfer, seen).await;
            }
        };
        self.tracker.spawn(confirm.instrument(span));
    }

    /// The key is used up: the first answer is kept for it.
    fn settle_key(&self, job: &mut Job) -> KeyChange {
        if !job.keyed {
            return KeyChange::Keep;
        }
        job.transfer.updated_at = self.clock.now();
        KeyChange::Settle(job.given.clone().unwrap_or_else(|| self.answer(&job.transfer)))
    }

    fn answer(&self, transfer: &Transfer) -> Answer {
        self.answers.answer(transfer)
    }

    /// Counts what a transfer came to, and notes it on the span.
    pub(in crate::transfer) fn count(&self, transfer: &Transfer) {
        let status = transfer.stage.status();
        let code = transfer.error.as_ref().map(|problem| problem.code);
        self.metrics.transfer(status, code);
        let correlation = transfer.upstream.correlation_id.as_deref();
        trace::transfer_came_to(status.as_str(), code.map(Code::as_str), correlation);
    }

    /// Another process settles the transfer now: what it wrote is the truth.
    async fn as_others_have_it(&self, transfer: Transfer) -> Transfer {
        match self.records.get(transfer.id).await {
            Ok(Some(theirs)) => theirs,
            Ok(None) | Err(_) => transfer,
        }
    }
}

/// Notes what the transfer has cost so far, and what callers should know about its requests.
pub(in crate::transfer) fn add_up(transfer: &mut Transfer, ctx: &CallContext) {
    transfer.upstream = ctx.usage.sums();
    transfer.warnings.append(&mut ctx.usage.take_warnings());
}
