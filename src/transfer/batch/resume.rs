//! Taking over from a process that died: its batches, and the one call of each that was recorded
//! and not sent.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Batch, BatchStatus, Item,
    item::{Run, context, far},
    judge::{self, Refusal},
    pause::Pauses,
    trouble::{MOST_LOOKS, Strikes, Trouble},
};
use crate::{
    problem::Problem,
    transfer::{
        engine::{Engine, Job},
        ids::BatchId,
        model::{Stage, Transfer},
        plan,
        service::Wait,
        store::{KeyChange, StoreError},
    },
};

/// Batches taken in one step.
const AT_ONCE: u32 = 50;

/// How often a ringing call is looked at again, and when.
const LATERS: u32 = 3;
const LATER: Duration = Duration::from_secs(10);

impl Engine {
    /// Takes over the unfinished batches of processes that are gone, and works through them.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::transfer) async fn adopt_batches(
        self: &Arc<Self>,
        stale_before: Timestamp,
    ) -> Result<(), StoreError> {
        loop {
            let owner = self.records.owner();
            let store = &self.batches.store;
            let adopted = store.adopt_batches(owner, stale_before, AT_ONCE).await?;
            let last = adopted.len() < AT_ONCE as usize;
            for batch in adopted {
                tracing::warn!(batch_id = %batch.id, "taking over a batch of a process that is gone");
                self.run_batch(batch);
            }
            if last {
                return Ok(());
            }
        }
    }

    /// A call of a batch that was recorded and not sent goes on, however long ago that was: the
    /// batch is still wanted, unless a caller stopped it.
    pub(in crate::transfer) async fn resume_item(self: &Arc<Self>, mut transfer: Transfer) {
        let Some(batch) = self.batch_of(&transfer).await else { return };
        if batch.status == BatchStatus::Cancelled {
            return self.end_item(&mut transfer, Stage::Skipped, judge::cancelled()).await;
        }
        let run = Run::new(Arc::clone(self), batch);
        let item = Item {
            position: 0,
            request: transfer.request.clone(),
            queue: transfer.queue.clone(),
            waiting_since: None,
        };
        let (mut pauses, mut strikes, mut laters) = (Pauses::default(), Strikes::default(), 0);
        loop {
            let pause = match self.plan_item(&run, &item, &transfer).await {
                Ok(plan) => return self.carry_item(run, transfer, plan).await,
                Err(Held::For(Refusal::Skip(problem))) => {
                    return self.end_item(&mut transfer, Stage::Skipped, *problem).await;
                }
                Err(Held::For(Refusal::Later(_))) if laters < LATERS => {
                    laters += 1;
                    LATER
                }
                Err(Held::For(Refusal::Fail(problem) | Refusal::Later(problem))) => {
                    return self.end_item(&mut transfer, Stage::Failed, *problem).await;
                }
                Err(Held::By(trouble)) if trouble.own && strikes.strike(MOST_LOOKS, 0, false) => {
                    return self.end_item(&mut transfer, Stage::Failed, *trouble.problem).await;
                }
                Err(Held::By(trouble)) => trouble.pause.unwrap_or_else(|| pauses.next()),
            };
            if !self.pause_until(Instant::now() + pause, far()).await {
                return;
            }
        }
    }

    async fn batch_of(&self, transfer: &Transfer) -> Option<Batch> {
        let id: BatchId = transfer.batch_id?;
        let mut pauses = Pauses::default();
        loop {
            match self.batches.store.batch(id).await {
                Ok(found) => return found,
                Err(error) => tracing::debug!(cause = %error.cause, "cannot read the batch"),
            }
            if !self.pause_until(Instant::now() + pauses.next(), far()).await {
                return None;
            }
        }
    }

    async fn plan_item(
        &self,
        run: &Run,
        item: &Item,
        transfer: &Transfer,
    ) -> Result<plan::Plan, Held> {
        let blind = !self.settings.verify && plan::blind(&item.request).is_some();
        let seen = if blind {
            None
        } else {
            let id = item.request.conversation_id;
            let looked = self.gateway.conversation(&context(), id).await;
            let looked = looked.map_err(|error| match Trouble::of(error) {
                Ok(trouble) => Held::By(trouble),
                Err(problem) => Held::For(Refusal::Fail(problem)),
            });
            Some(looked?)
        };
        // As many minutes as were worked out when its turn had come.
        let most = transfer.waited_minutes.unwrap_or(i64::MAX);
        run.judge(item, seen.as_ref(), most).map_err(Held::For)
    }

    async fn carry_item(self: &Arc<Self>, run: Run, transfer: Transfer, plan: plan::Plan) {
        let mut job = Job {
            transfer,
            ctx: context(),
            wait: Wait::Outcome,
            given: None,
            sent: Arc::default(),
            turn: None,
        };
        let outcome = self.dispatch(&mut job, plan).await;
        let transfer = self.finish(job, outcome).await;
        if transfer.stage == Stage::Accepted {
            run.confirmer.add(transfer);
        }
    }

    async fn end_item(&self, transfer: &mut Transfer, stage: Stage, problem: Problem) {
        let from = transfer.stage;
        transfer.stage = stage;
        transfer.error = Some(Problem { retryable: Some(false), ..problem });
        self.records.conclude(transfer, from, KeyChange::Free).await;
        self.count(transfer);
    }
}

/// Why a recorded call does not go on now.
enum Held {
    For(Refusal),
    By(Trouble),
}
