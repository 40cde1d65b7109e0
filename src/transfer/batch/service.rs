//! What the HTTP handlers call about batches: the second half of [`Service`].

use std::sync::Arc;

use tokio::time::Instant;

pub use super::watch::BatchWatch;
use super::{Batch, BatchOrder, BatchState, Plan, store::BatchFilter};
use crate::{
    problem::{Code, Problem},
    trace::TraceParent,
    transfer::{
        ids::{BatchId, TransferId},
        model::Transfer,
        problems,
        service::{Caller, Progress, Service},
        store::{Answer, TransferFilter},
    },
};

/// A request for a batch, with everything that came with it.
#[derive(Debug, Clone)]
pub struct BatchSubmission {
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub order: BatchOrder,
    /// `Idempotency-Key`, unquoted.
    pub key: Option<String>,
    /// When the answer must be given.
    pub deadline: Instant,
    /// `X-Request-Id`.
    pub request_id: String,
    /// `traceparent`.
    pub traceparent: Option<TraceParent>,
    /// How far it has come.
    pub progress: Arc<Progress>,
}

/// The answer to a [`BatchSubmission`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchReply {
    /// The batch is recorded, and runs.
    Started {
        /// What to send.
        answer: Answer,
        /// Whether it was given before (`Idempotent-Replayed`).
        replayed: bool,
        /// The batch.
        batch_id: BatchId,
    },
    /// A dry run: what would move.
    Planned(Box<Plan>),
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchEvent {
    /// How the batch stands.
    Progress(Arc<BatchState>),
    /// A transfer of it has settled. Each is told once.
    Transfer(Arc<Transfer>),
    /// Nothing of it is left to do; the last event.
    End(Arc<BatchState>),
}

impl Service {
    /// Records a batch and begins to work through it, or answers a dry run. The work goes on when
    /// the returned future is dropped.
    ///
    /// # Errors
    /// A problem for everything that ended before the batch was recorded; nothing is recorded
    /// then, and the key stays free.
    pub async fn submit_batch(&self, submission: BatchSubmission) -> Result<BatchReply, Problem> {
        self.engine.submit_batch(submission).await
    }

    /// How a batch stands.
    ///
    /// # Errors
    /// `not_found` when there is none or `caller` may not see it; `store_unavailable`.
    pub async fn batch(&self, caller: &Caller, id: BatchId) -> Result<BatchState, Problem> {
        let batch = self.visible_batch(caller, id).await?;
        self.engine.batch_state(batch).await.map_err(|error| problems::from_store(&error))
    }

    /// Batches that `caller` may see, newest first.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn batches(
        &self,
        caller: &Caller,
        filter: BatchFilter,
        limit: u32,
    ) -> Result<Vec<BatchState>, Problem> {
        let own = (!caller.admin).then(|| caller.name.clone());
        let filter = BatchFilter { caller: own, ..filter };
        let store = &self.engine.batches.store;
        let batches = store.batches(&filter, limit).await;
        let mut states = Vec::new();
        for batch in batches.map_err(|error| problems::from_store(&error))? {
            let state = self.engine.batch_state(batch).await;
            states.push(state.map_err(|error| problems::from_store(&error))?);
        }
        Ok(states)
    }

    /// The transfers of a batch, newest first; `before` is the last of the page before.
    ///
    /// # Errors
    /// As [`Service::batch`].
    pub async fn batch_transfers(
        &self,
        caller: &Caller,
        id: BatchId,
        before: Option<TransferId>,
        limit: u32,
    ) -> Result<Vec<Transfer>, Problem> {
        self.visible_batch(caller, id).await?;
        let filter = TransferFilter { batch_id: Some(id), before, ..TransferFilter::default() };
        let listed = self.engine.records.list(&filter, limit).await;
        let mut listed = listed.map_err(|error| problems::from_store(&error))?;
        self.engine.records.before_naming(&listed).await;
        for transfer in &mut listed {
            caller.reveal(transfer);
        }
        Ok(listed)
    }

    /// Stops a batch: what was not yet sent is skipped. One that has ended stays as it is.
    ///
    /// # Errors
    /// As [`Service::batch`].
    pub async fn cancel_batch(&self, caller: &Caller, id: BatchId) -> Result<BatchState, Problem> {
        self.visible_batch(caller, id).await?;
        self.engine.cancel_batch(id).await?.ok_or_else(|| no_batch(id))
    }

    /// Watches a batch from its beginning.
    ///
    /// # Errors
    /// As [`Service::batch`].
    pub async fn watch_batch(&self, caller: &Caller, id: BatchId) -> Result<BatchWatch, Problem> {
        let batch = self.visible_batch(caller, id).await?;
        Ok(BatchWatch::new(&self.engine, &batch))
    }

    async fn visible_batch(&self, caller: &Caller, id: BatchId) -> Result<Batch, Problem> {
        let found = self.engine.batches.store.batch(id).await;
        let found = found.map_err(|error| problems::from_store(&error))?;
        found.filter(|batch| caller.sees(&batch.requested_by)).ok_or_else(|| no_batch(id))
    }
}

fn no_batch(id: BatchId) -> Problem {
    Problem::new(Code::NotFound, format!("There is no batch {id}."))
}
