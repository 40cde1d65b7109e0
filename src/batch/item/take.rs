//! From an item to a transfer, and back.

use std::sync::Arc;

use tokio::time::Instant;

use super::{ItemResult, Open, Run};
use crate::{
    batch::{
        Batch, Item,
        store::TakeResult,
        trouble::{Pauses, Trouble},
    },
    problem::{Code, Problem},
    transfer::{
        audit,
        engine::{self, Job},
        ids::TransferId,
        model::{Stage, Transfer},
        plan::MovePlan,
        problems,
        store::KeyChange,
        undo,
    },
};

/// How often a call that rings, or has another transfer in progress, is looked at again.
const MOST_LATERS: u32 = 3;

/// Tries to record one transfer before the batch pauses.
const TAKES: u32 = 3;

/// How a transfer came to be recorded.
pub(super) enum Recording {
    /// Just now.
    New,
    /// By an earlier try whose end was not seen.
    Again,
}

impl Run {
    pub(super) async fn later(&self, open: &mut Open, problem: Problem) -> ItemResult {
        open.laters += 1;
        if open.laters > MOST_LATERS {
            let rings = problem.code == Code::ConversationRinging;
            let left = rings && open.item.request.undo.is_some();
            let stage = if left { Stage::Skipped } else { Stage::Failed };
            return self.settle(open, stage, problem).await;
        }
        ItemResult::Later
    }

    /// Records a call that is not moved.
    pub(in crate::batch) async fn settle(
        &self,
        open: &mut Open,
        stage: Stage,
        problem: Problem,
    ) -> ItemResult {
        let mut transfer = self.transfer(open, None);
        transfer.stage = stage;
        transfer.error = Some(Problem { retryable: Some(false), ..problem });
        let end = self.take(open, &transfer).await;
        match end {
            Ok(Recording::New) => audit::settled(&transfer),
            Ok(Recording::Again) => {
                // It was recorded as one that goes ahead, and did not.
                let records = &self.transfers.records;
                records.conclude(&mut transfer, Stage::Received, KeyChange::Free).await;
            }
            Err(end) => return end,
        }
        self.transfers.count(&transfer);
        ItemResult::Taken
    }

    /// Turns the item into `transfer`.
    pub(super) async fn take(
        &self,
        open: &mut Open,
        transfer: &Transfer,
    ) -> Result<Recording, ItemResult> {
        let transfers = &self.transfers;
        let position = open.item.position;
        let mut tries = TAKES;
        loop {
            let store = &self.batches.store;
            match store.take_item(transfer, position, transfers.records.owner()).await {
                Ok(TakeResult::Done) => return Ok(Recording::New),
                Ok(TakeResult::Already(id)) if id == transfer.id => return Ok(Recording::Again),
                Ok(TakeResult::Already(_)) => return Err(ItemResult::Taken),
                Ok(TakeResult::Stopped) => return Err(ItemResult::Stopped),
                Ok(TakeResult::ConversationTaken(other)) => {
                    let id = transfer.request.conversation_id;
                    let problem = problems::transfer_in_progress(id, Some(other));
                    return Err(Box::pin(self.later(open, problem)).await);
                }
                Ok(TakeResult::Undone(other)) => {
                    let problem = undo::undone_before(Some(other));
                    return Err(Box::pin(self.settle(open, Stage::Skipped, problem)).await);
                }
                Err(error) => {
                    // It may have been recorded: from now on under this name only.
                    open.transfer_id = Some(transfer.id);
                    tries -= 1;
                    if tries == 0 {
                        let problem = problems::from_store(&error);
                        return Err(ItemResult::Trouble(Trouble::of_store(problem)));
                    }
                }
            }
        }
    }

    pub(super) fn transfer(&self, open: &Open, plan: Option<&MovePlan>) -> Transfer {
        let transfers = &self.transfers;
        let now = transfers.clock.now();
        let Item { request, queue, .. } = &open.item;
        let id = open.transfer_id.unwrap_or_else(|| TransferId::new(transfers.ids.next(now)));
        let Batch { id: batch_id, requested_by, request_id, .. } = &self.batch;
        let (caller, request_id) = (requested_by.clone(), request_id.clone());
        let mut transfer = Transfer {
            batch_id: Some(*batch_id),
            max_priority: self.batch.max_priority,
            hides_previous_queue: self.limits.narrows_queues(),
            upstream: open.usage.sums(),
            ..Transfer::received(id, now, request.clone(), queue.clone(), caller, request_id)
        };
        if let Some(plan) = plan {
            engine::adopt_plan(&mut transfer, plan);
        }
        transfer
    }

    /// Settles the transfer whose command was certainly not sent, or in vain, and puts its item
    /// back, in one step. `false`: another process has the transfer.
    pub(super) async fn reopen(
        &self,
        open: &mut Open,
        job: &Job,
        problem: &Problem,
    ) -> Result<bool, ItemResult> {
        let transfers = &self.transfers;
        let transfer = Transfer {
            stage: Stage::Failed,
            error: Some(problem.clone()),
            upstream: job.ctx.usage.sums(),
            updated_at: transfers.clock.now(),
            ..job.transfer.clone()
        };
        let mut pauses = Pauses::default();
        loop {
            // What waits in memory would be written over it.
            if !transfers.records.is_unsaved(transfer.id) {
                let (store, owner) = (&self.batches.store, transfers.records.owner());
                match store.reopen_item(&transfer, open.item.position, owner).await {
                    Ok(true) => {
                        open.transfer_id = None;
                        // What it cost is told by the one that failed.
                        open.usage = Arc::default();
                        audit::settled(&transfer);
                        transfers.count(&transfer);
                        return Ok(true);
                    }
                    Ok(false) => return Ok(false),
                    Err(error) => {
                        tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "cannot put an item back");
                    }
                }
            }
            if !transfers.completion.pause_until(Instant::now() + pauses.next()).await {
                return Err(ItemResult::Stopped);
            }
        }
    }
}
