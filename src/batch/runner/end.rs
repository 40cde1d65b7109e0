//! The end of a batch: the rest is skipped or gone, and the books are closed.

use futures_util::{StreamExt, stream};
use std::time::Duration;
use tokio::time::Instant;

use super::{Open, PAUSED, Runner, hands::IN_HAND};
use crate::{
    batch::{
        BatchStatus,
        item::{End, far},
        judge::cancelled,
        pause::Pauses,
    },
    transfer::model::{Stage, Status},
};

/// How often it is seen whether the last transfers have settled.
const SETTLED_YET: Duration = Duration::from_millis(500);

/// Items skipped in one go.
const PAGE: u32 = 200;

impl Runner {
    /// All items are transfers: when the last has settled, the batch is done.
    pub(super) async fn complete(mut self) {
        self.batch.status = BatchStatus::Completed;
        self.close_the_books().await;
    }

    /// The batch was stopped: what was not sent is skipped.
    pub(super) async fn skip_the_rest(mut self) {
        self.batch.status = BatchStatus::Cancelled;
        // Some of these may have been recorded without our knowing: they come first.
        let in_memory: Vec<Open> = std::mem::take(&mut self.open).into_values().collect();
        let mut next = in_memory;
        let mut pauses = Pauses::default();
        loop {
            if !next.is_empty() {
                match self.skip(next).await {
                    Skipped::All => pauses = Pauses::default(),
                    Skipped::NotYet => {
                        if !self.pause(&mut pauses).await {
                            return;
                        }
                    }
                    Skipped::NotOurs => return,
                }
            }
            let store = &self.batches.store;
            match store.open_items(self.batch.id, 0, PAGE).await {
                Ok(items) if items.is_empty() => break,
                Ok(items) => next = items.into_iter().map(Open::from).collect(),
                Err(error) => {
                    tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "cannot read items");
                    next = Vec::new();
                    if !self.pause(&mut pauses).await {
                        return;
                    }
                }
            }
        }
        self.close_the_books().await;
    }

    async fn skip(&self, items: Vec<Open>) -> Skipped {
        let skips = items.into_iter().map(|mut open| async move {
            self.run.settle(&mut open, Stage::Skipped, cancelled()).await
        });
        let ends: Vec<End> = stream::iter(skips).buffer_unordered(IN_HAND).collect().await;
        if ends.iter().any(|end| matches!(end, End::Stopped)) {
            Skipped::NotOurs
        } else if ends.iter().all(|end| matches!(end, End::Taken)) {
            Skipped::All
        } else {
            Skipped::NotYet
        }
    }

    async fn pause(&self, pauses: &mut Pauses) -> bool {
        self.transfers.pause_until(Instant::now() + pauses.next(), far()).await
    }

    async fn close_the_books(mut self) {
        if !self.wait_until_settled().await {
            return;
        }
        crate::failpoint!(BeforeBatchEnd);
        let mut pauses = Pauses::default();
        // From the record: a batch that was stopped before it had its turn was not read before.
        while !self.recall().await {
            if !self.pause(&mut pauses).await {
                return;
            }
        }
        let known = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let rest = self.batch.total.saturating_sub(known);
        let cancelled = self.batch.status == BatchStatus::Cancelled;
        self.batch.unseen = if cancelled { 0 } else { self.view.unseen.min(rest) };
        self.batch.vanished = rest.saturating_sub(self.batch.unseen);
        self.tell_the_unseen();
        self.batch.warnings.retain(|warning| warning.code != PAUSED);
        loop {
            self.batch.finished_at = Some(self.transfers.clock.now());
            if self.save().await {
                break;
            }
            if !self.pause(&mut pauses).await {
                return;
            }
        }
        tracing::info!(
            target: "audit",
            batch_id = %self.batch.id,
            caller = %self.batch.requested_by,
            total = self.batch.total,
            vanished = self.batch.vanished,
            unseen = self.batch.unseen,
            cancelled,
            "batch finished"
        );
    }

    /// Waits for transfers that a process before us left, and for what the store still owes.
    async fn wait_until_settled(&self) -> bool {
        let store = &self.batches.store;
        loop {
            match store.tally(self.batch.id, self.batch.created_at).await {
                Ok(tally)
                    if tally
                        .settled
                        .iter()
                        .all(|(status, _, count)| *status != Status::Pending || *count == 0) =>
                {
                    return true;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(cause = %error.cause, "cannot count the batch's transfers");
                }
            }
            if !self.transfers.pause_until(Instant::now() + SETTLED_YET, far()).await {
                return false;
            }
        }
    }

    /// Writes the batch's row. `false` when it could not be; a row that another process has now is
    /// his to write.
    pub(super) async fn save(&mut self) -> bool {
        self.batch.updated_at = self.transfers.clock.now();
        let owner = self.transfers.records.owner();
        match self.batches.store.update_batch(&self.batch, owner).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "cannot write the batch");
                false
            }
        }
    }
}

/// What came of skipping some items.
enum Skipped {
    All,
    NotYet,
    NotOurs,
}
