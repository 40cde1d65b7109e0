//! Working through a batch: one task per batch, one process at a time.

use std::sync::Arc;

use super::{Batch, BatchState};
use crate::{
    problem::Problem,
    transfer::{engine::Engine, ids::BatchId, problems},
};

impl Engine {
    /// Works through a recorded batch whose runner this process is.
    pub(super) fn run_batch(self: &Arc<Self>, batch: Batch) {
        if batch.finished_at.is_some() {
            return;
        }
        self.batches.wake(batch.id);
    }

    /// Stops a batch, whoever its runner is; `None` when there is none of that name.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub(in crate::transfer) async fn cancel_batch(
        self: &Arc<Self>,
        id: BatchId,
    ) -> Result<Option<BatchState>, Problem> {
        let cancelled = self.batches.store.cancel_batch(id, self.clock.now()).await;
        let Some(batch) = cancelled.map_err(|error| problems::from_store(&error))? else {
            return Ok(None);
        };
        self.batches.wake(id);
        let state = self.batch_state(batch).await;
        state.map(Some).map_err(|error| problems::from_store(&error))
    }
}
