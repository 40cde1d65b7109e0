//! Batches: many transfers under one id, given as a list or found by draining a queue.
//!
//! Every call of a batch becomes a transfer like any other, with the same once-only guarantee. A
//! batch itself is a durable list of items and a row that says how it stands; one process at a
//! time works through it (`runner`), and another takes it over when that one is not heard of.
//! Stands above `transfer`, which does not know it.

use std::sync::Arc;

use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};

use crate::{
    config::BatchSettings,
    problem::{Code, Problem},
    transfer::{
        Caller, Transfers,
        ids::{BatchId, TransferId},
        model::Transfer,
        problems,
        store::{StoreError, StoredResponse, TransferFilter},
    },
};

mod draft;
mod drain;
mod item;
mod judge;
mod looks;
mod model;
mod places;
mod registry;
mod runner;
#[cfg(test)]
pub(crate) mod samples;
mod send_order;
mod sight;
mod state;
pub mod store;
mod submit;
#[cfg(test)]
pub(crate) mod testing;
mod trouble;
mod undo;
mod watch;

pub use model::*;
use registry::Registry;
use store::{BatchFilter, BatchStore};
use watch::Watched;
pub use watch::{BatchEvent, BatchWatch};

/// Batches of one process that run side by side; the rest wait for a place. Together they can go
/// no faster than one.
const SIDE_BY_SIDE: usize = 8;

/// Batches taken over in one step.
const ADOPTED_AT_ONCE: u32 = 50;

/// How often it is seen during a lease whether another process died.
const LOOKS_IN_A_LEASE: u32 = 4;

/// Renders the response to the request that made a batch. A pure function.
pub type RenderBatch = fn(&BatchState) -> StoredResponse;

/// Moves many calls, and answers questions about that.
pub struct Batches {
    transfers: Arc<Transfers>,
    store: Arc<dyn BatchStore>,
    settings: BatchSettings,
    render: RenderBatch,
    places: Arc<Semaphore>,
    running: Registry,
    watched: Watched,
    /// Held by the standing drain that looks at its queue.
    looking: Mutex<()>,
}

impl Batches {
    /// Batches whose calls are moved by `transfers`, with their record in the same database as
    /// theirs.
    #[must_use]
    pub fn new(
        transfers: Arc<Transfers>,
        store: Arc<dyn BatchStore>,
        settings: BatchSettings,
        render: RenderBatch,
    ) -> Arc<Self> {
        Arc::new(Self {
            transfers,
            store,
            settings,
            render,
            places: Arc::new(Semaphore::new(SIDE_BY_SIDE)),
            running: Registry::default(),
            watched: Watched::default(),
            looking: Mutex::default(),
        })
    }

    /// Takes over the unfinished batches of earlier processes, and goes on doing so if the store is
    /// shared. To be called when the transfers have started.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(self: &Arc<Self>) -> Result<(), StoreError> {
        self.adopt().await?;
        if self.transfers.records.store().is_shared() {
            let batches = Arc::clone(self);
            self.transfers.completion.spawn(async move { batches.keep_adopting().await });
        }
        Ok(())
    }

    async fn keep_adopting(self: &Arc<Self>) {
        let pause = self.transfers.lease / LOOKS_IN_A_LEASE;
        while self.transfers.completion.pause_until(Instant::now() + pause).await {
            if let Err(error) = self.adopt().await {
                let (operation, cause) = (error.operation, error.cause);
                tracing::warn!(operation, %cause, "could not take over batches");
            }
        }
    }

    /// Takes over the unfinished batches of processes that are gone, and works through them.
    async fn adopt(self: &Arc<Self>) -> Result<(), StoreError> {
        loop {
            let (owner, stale) = (self.transfers.records.owner(), self.transfers.stale_before());
            let adopted = self.store.adopt_batches(owner, stale, ADOPTED_AT_ONCE).await?;
            let last = adopted.len() < ADOPTED_AT_ONCE as usize;
            for batch in adopted {
                tracing::warn!(batch_id = %batch.id, "taking over a batch of a dead process");
                runner::run(self, batch);
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Records a batch and begins to work through it, or answers a dry run. The work goes on when
    /// the returned future is dropped.
    ///
    /// # Errors
    /// A problem for everything that ended before the batch was recorded; nothing is recorded
    /// then, and the key stays free.
    pub async fn submit(
        self: &Arc<Self>,
        mut submission: BatchSubmission,
    ) -> Result<BatchReply, Problem> {
        let (deadline, place) = (submission.deadline, submission.place.take());
        let progress = Arc::clone(&submission.progress);
        let work = submit::begin(Arc::clone(self), submission);
        let (span, cut) = (tracing::Span::none(), Some((deadline, &*progress)));
        self.transfers.completion.run_whole(span, place, cut, work).await
    }

    /// How a batch stands.
    ///
    /// # Errors
    /// `not_found` when there is none or `caller` may not see it; `store_unavailable`.
    pub async fn get(&self, caller: &Caller, id: BatchId) -> Result<BatchState, Problem> {
        let batch = self.visible(caller, id).await?;
        self.state(batch).await
    }

    /// Batches that `caller` may see, newest first, at most `limit`.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: BatchFilter,
        limit: u32,
    ) -> Result<Vec<BatchState>, Problem> {
        let own = (!caller.admin).then(|| caller.name.clone());
        let filter = BatchFilter { caller: own, ..filter };
        let batches = self.store.batches(&filter, limit).await;
        let mut states = Vec::new();
        for batch in batches? {
            states.push(self.state(batch).await?);
        }
        Ok(states)
    }

    /// The transfers of a batch, newest first; `before` is the last of the page before.
    ///
    /// # Errors
    /// As [`Batches::get`].
    pub async fn transfers(
        &self,
        caller: &Caller,
        id: BatchId,
        before: Option<TransferId>,
        limit: u32,
    ) -> Result<Vec<Transfer>, Problem> {
        let batch = self.visible(caller, id).await?;
        let filter = TransferFilter { batch_id: Some(batch.id), before, ..Default::default() };
        self.transfers.list_all(caller, &filter, limit).await
    }

    /// Stops a batch: what was not yet sent is skipped. One that has ended stays as it is.
    ///
    /// # Errors
    /// As [`Batches::get`].
    pub async fn cancel(&self, caller: &Caller, id: BatchId) -> Result<BatchState, Problem> {
        self.visible(caller, id).await?;
        let cancelled = self.store.cancel_batch(id, self.transfers.clock.now()).await?;
        let batch = cancelled.ok_or_else(|| no_batch(id))?;
        self.running.wake(id);
        self.state(batch).await
    }

    /// Watches a batch from its beginning.
    ///
    /// # Errors
    /// As [`Batches::get`].
    pub async fn watch(
        self: &Arc<Self>,
        caller: &Caller,
        id: BatchId,
    ) -> Result<BatchWatch, Problem> {
        let batch = self.visible(caller, id).await?;
        Ok(BatchWatch::new(self, &batch))
    }

    async fn state(&self, batch: Batch) -> Result<BatchState, Problem> {
        state::of(self, batch).await.map_err(|error| problems::from_store(&error))
    }

    async fn visible(&self, caller: &Caller, id: BatchId) -> Result<Batch, Problem> {
        let found = self.store.batch(id).await?;
        found.filter(|batch| caller.sees(&batch.requested_by)).ok_or_else(|| no_batch(id))
    }
}

fn no_batch(id: BatchId) -> Problem {
    Problem::new(Code::NotFound, format!("There is no batch {id}."))
}
