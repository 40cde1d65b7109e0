//! From an item to a transfer, and back.

use std::sync::Arc;

use tokio::time::Instant;

use super::{End, Open, Run, far};
use crate::{
    batch::{Item, pause::Pauses, store::Taken, trouble::Trouble},
    problem::Problem,
    transfer::{
        audit,
        engine::{self, Job},
        ids::TransferId,
        model::{Stage, Transfer},
        plan::Plan,
        problems,
        store::KeyChange,
    },
};

/// How often a call that rings, or has another transfer in hand, is looked at again.
const MOST_LATERS: u32 = 3;

/// Tries to record one transfer before the batch pauses.
const TAKES: u32 = 3;

/// How a transfer came to be recorded.
pub(super) enum Found {
    /// Just now.
    New,
    /// By an earlier try whose end was not seen.
    Again,
}

impl Run {
    pub(super) async fn later(&self, open: &mut Open, problem: Problem) -> End {
        open.laters += 1;
        if open.laters > MOST_LATERS {
            return self.settle(open, Stage::Failed, problem).await;
        }
        End::Later
    }

    /// Records a call that is not moved.
    pub(in crate::batch) async fn settle(
        &self,
        open: &mut Open,
        stage: Stage,
        problem: Problem,
    ) -> End {
        let mut transfer = self.transfer(open, None);
        transfer.stage = stage;
        transfer.error = Some(Problem { retryable: Some(false), ..problem });
        let end = self.take(open, &transfer).await;
        match end {
            Ok(Found::New) => audit::settled(&transfer),
            Ok(Found::Again) => {
                // It was recorded as one that goes ahead, and did not.
                let records = &self.transfers.records;
                records.conclude(&mut transfer, Stage::Received, KeyChange::Free).await;
            }
            Err(end) => return end,
        }
        self.transfers.count(&transfer);
        End::Taken
    }

    /// Turns the item into `transfer`.
    pub(super) async fn take(&self, open: &mut Open, transfer: &Transfer) -> Result<Found, End> {
        let transfers = &self.transfers;
        let position = open.item.position;
        let mut tries = TAKES;
        loop {
            let store = &self.batches.store;
            match store.take_item(transfer, position, transfers.records.owner()).await {
                Ok(Taken::Done) => return Ok(Found::New),
                Ok(Taken::Already(id)) if id == transfer.id => return Ok(Found::Again),
                Ok(Taken::Already(_)) => return Err(End::Taken),
                Ok(Taken::Stopped) => return Err(End::Stopped),
                Ok(Taken::ConversationTaken(other)) => {
                    let id = transfer.request.conversation_id;
                    let problem = problems::transfer_in_progress(id, Some(other));
                    return Err(Box::pin(self.later(open, problem)).await);
                }
                Err(error) => {
                    // It may have been recorded: from now on under this name only.
                    open.transfer_id = Some(transfer.id);
                    tries -= 1;
                    if tries == 0 {
                        let problem = problems::from_store(&error);
                        return Err(End::Trouble(Trouble::of_store(problem)));
                    }
                }
            }
        }
    }

    pub(super) fn transfer(&self, open: &Open, plan: Option<&Plan>) -> Transfer {
        let transfers = &self.transfers;
        let now = transfers.clock.now();
        let Item { request, queue, .. } = &open.item;
        let mut transfer = Transfer {
            id: open.transfer_id.unwrap_or_else(|| TransferId::new(transfers.ids.next(now))),
            stage: Stage::Received,
            request: request.clone(),
            queue: queue.clone(),
            requested_by: self.batch.requested_by.clone(),
            request_id: self.batch.request_id.clone(),
            has_key: false,
            batch_id: Some(self.batch.id),
            participant_id: request.participant_id,
            previous: None,
            picture: None,
            priority: request.priority,
            waited_minutes: None,
            max_priority: self.batch.max_priority,
            hides_previous_queue: self.limits.narrows_queues(),
            warnings: Vec::new(),
            error: None,
            upstream: open.usage.sums(),
            awaited: false,
            created_at: now,
            updated_at: now,
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
    ) -> Result<bool, End> {
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
                        tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "cannot put a call back");
                    }
                }
            }
            if !transfers.pause_until(Instant::now() + pauses.next(), far()).await {
                return Err(End::Stopped);
            }
        }
    }
}
