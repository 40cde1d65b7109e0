//! The port, over any database.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{
    backend::Backend,
    doubt::Doubtful,
    encoding::{micros, time},
    fault::OperationError,
    operations::{
        Adopt, Count, DbOperation, FindKey, Get, Heartbeat, Insert, List, Reap, Reaped, Retire,
        ShareRate, Undo, Update, WriteProbe,
    },
};
use crate::{
    clock::Clock,
    metrics::{Label as _, Metrics},
    trace,
    transfer::{
        ids::TransferId,
        model::Transfer,
        rate::{RateShare, RateUse},
        store::{
            Durability, Expected, Inserted, KeyChange, KeyClaim, KeyRecord, KeyScope, StoreError,
            TransferFilter, TransferStore,
        },
    },
};

/// The record of transfers in database `B`.
pub(super) struct RecordStore<B> {
    backend: B,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    doubtful: Doubtful,
    /// Whether the last record of a transfer could not be written.
    failing: AtomicBool,
}

impl<B: Backend> RecordStore<B> {
    /// The record in `backend`, whose operations are measured in `metrics`.
    pub(super) fn new(backend: B, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let (doubtful, failing) = (Doubtful::default(), AtomicBool::new(false));
        Self { backend, clock, metrics, doubtful, failing }
    }

    async fn measured<O: DbOperation>(
        &self,
        work: impl Future<Output = Result<O::Output, OperationError>> + Send,
    ) -> Result<O::Output, OperationError> {
        let span = trace::store(O::NAME.label());
        let began = Instant::now();
        let done = work.instrument(span.clone()).await;
        self.metrics.stored(O::NAME, began.elapsed(), done.is_ok());
        if done.is_err() {
            trace::store_failed(&span);
        }
        done
    }

    /// Carries out an operation that writes.
    pub(super) async fn write<O: DbOperation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> Result<O::Output, OperationError> {
        self.measured::<O>(self.backend.write(operation, durability)).await
    }

    /// Carries out an operation that only reads.
    pub(super) async fn read<O: DbOperation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let read = self.measured::<O>(self.backend.read(operation)).await;
        read.map_err(|trouble| trouble.of(O::NAME))
    }

    /// Carries out an operation whose loss, should power fail, costs nothing.
    async fn note<O: DbOperation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let noted = self.write(operation, Durability::Process).await;
        noted.map_err(|trouble| trouble.of(O::NAME))
    }

    /// Notes for [`TransferStore::check`] whether a write succeeded.
    fn written<T>(&self, result: Result<T, OperationError>) -> Result<T, OperationError> {
        self.failing.store(result.is_err(), Ordering::Relaxed);
        result
    }

    /// Gives up inserts whose callers were told that they failed. What cannot be given up now
    /// is kept for the next time.
    async fn take_back_doubtful(&self) {
        for insert in self.doubtful.take() {
            let transfer_id = insert.transfer.id;
            let undo = match Undo::of(&insert) {
                Ok(undo) => undo,
                Err(error) => {
                    tracing::error!(%transfer_id, %error, "cannot undo a failed insert");
                    continue;
                }
            };
            match self.write(undo, Durability::Process).await {
                Ok(0) => {}
                Ok(_) => {
                    tracing::warn!(%transfer_id, "failed a transfer that was stored despite an insert error");
                }
                Err(_) => self.doubtful.add(insert),
            }
        }
    }
}

#[async_trait]
impl<B: Backend> TransferStore for RecordStore<B> {
    async fn key(&self, scope: &KeyScope) -> Result<Option<KeyRecord>, StoreError> {
        self.read(FindKey(scope.clone())).await
    }

    async fn insert(
        &self,
        transfer: &Transfer,
        claim: Option<&KeyClaim>,
        owner: Uuid,
        durability: Durability,
    ) -> Result<Inserted, StoreError> {
        let insert = Insert::new(transfer, claim, owner)
            .map_err(|error| OperationError::from(error).of(Insert::NAME))?;
        let watch = self.doubtful.watch(transfer, owner);
        match self.written(self.write(insert, durability).await) {
            Ok(inserted) => {
                if inserted == Inserted::Done {
                    watch.inserted();
                } else {
                    watch.settle();
                }
                Ok(inserted)
            }
            Err(trouble) => {
                if trouble.certain {
                    watch.settle();
                }
                Err(trouble.of(Insert::NAME))
            }
        }
    }

    async fn update(
        &self,
        transfer: &Transfer,
        expected: &Expected,
        key: KeyChange,
        durability: Durability,
    ) -> Result<bool, StoreError> {
        let update = Update::new(transfer, expected, key, self.clock.now())
            .map_err(|error| OperationError::from(error).of(Update::NAME))?;
        let written = self.written(self.write(update, durability).await);
        written.map_err(|trouble| trouble.of(Update::NAME))
    }

    async fn get(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.read(Get(id)).await
    }

    async fn list(&self, filter: &TransferFilter, limit: u32) -> Result<Vec<Transfer>, StoreError> {
        self.read(List { filter: filter.clone(), limit }).await
    }

    async fn adopt(
        &self,
        owner: Uuid,
        stale_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Transfer>, StoreError> {
        let adopt = Adopt { owner, stale_before: micros(stale_before), limit };
        // The adopter acts on what it gets at once; if power fails it is dead itself, and the
        // rows are adopted again.
        self.note(adopt).await
    }

    async fn heartbeat(
        &self,
        owner: Uuid,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let heartbeat = Heartbeat { owner, now: micros(now) };
        let newest = self.note(heartbeat).await?;
        self.take_back_doubtful().await;
        Ok(newest.map(time))
    }

    async fn share_rate(
        &self,
        owner: Uuid,
        now: Timestamp,
        mine: RateUse,
        alive_since: Timestamp,
    ) -> Result<RateShare, StoreError> {
        let (now, alive_since) = (micros(now), micros(alive_since));
        self.note(ShareRate { owner, now, mine, alive_since }).await
    }

    async fn retire(&self, owner: Uuid) -> Result<(), StoreError> {
        self.note(Retire { owner, now: micros(self.clock.now()) }).await
    }

    async fn unsettled(&self) -> Result<u64, StoreError> {
        self.read(Count).await
    }

    async fn reaped(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.note(Reaped { now: micros(now) }).await.map(time)
    }

    async fn reap(
        &self,
        reach: Timestamp,
        transfers_before: Timestamp,
        keys_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let (transfers_before, keys_before) = (micros(transfers_before), micros(keys_before));
        let reap = Reap { reach: micros(reach), transfers_before, keys_before, limit };
        self.note(reap).await
    }

    fn is_shared(&self) -> bool {
        B::SHARED
    }

    async fn secure(&self) -> Result<(), StoreError> {
        // Both databases write one log: what waits for its end waits for all before it.
        let probe = WriteProbe { now: micros(self.clock.now()), large: false };
        let secured = self.write(probe, Durability::Power).await;
        secured.map_err(|trouble| trouble.of(WriteProbe::NAME))
    }

    async fn check(&self) -> Result<(), StoreError> {
        let probe = WriteProbe {
            now: micros(self.clock.now()),
            large: self.failing.load(Ordering::Relaxed),
        };
        let checked = self.written(self.write(probe, Durability::Process).await);
        checked.map_err(|trouble| trouble.of(WriteProbe::NAME))
    }
}

#[cfg(test)]
mod tests;
