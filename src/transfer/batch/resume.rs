//! Taking over from a process that died: its batches, and the calls of each that were recorded and
//! not sent.

use std::sync::Arc;

use jiff::Timestamp;

use super::Batch;
use crate::{
    problem::{Code, Problem},
    transfer::{audit, engine::Engine, store::StoreError},
};

/// Batches taken in one step.
const AT_ONCE: u32 = 50;

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

    /// What a process recorded of this batch and did not send when it died is to be done again, in
    /// its turn: the batch is still wanted, however long ago that was.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn put_back_unsent(&self, batch: &Batch) -> Result<(), StoreError> {
        let why = Problem::new(
            Code::ShuttingDown,
            "The service stopped before it sent the command; nothing was sent. The batch goes on \
             with this call in another transfer.",
        );
        let (owner, now) = (self.records.owner(), self.clock.now());
        for transfer in self.batches.store.reopen_unsent(batch.id, owner, &why, now).await? {
            audit::settled(&transfer);
            self.count(&transfer);
        }
        Ok(())
    }
}
