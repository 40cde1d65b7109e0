//! The port, over any database.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    backend::{Backend, Trouble},
    doubt::{Doubt, Doubtful},
    encoding::{micros, time},
    operations::{
        Adopt, Count, FindKey, Get, Heartbeat, Insert, List, Probe, Reap, Reaped, Retire,
        ShareRate, Undo, Update,
    },
};
use crate::{
    clock::Clock,
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
pub(super) struct Records<B> {
    pub(super) backend: B,
    clock: Arc<dyn Clock>,
    doubtful: Doubtful,
    /// Whether the last record of a transfer could not be written.
    failing: AtomicBool,
}

impl<B: Backend> Records<B> {
    /// The record in `backend`.
    pub(super) fn new(backend: B, clock: Arc<dyn Clock>) -> Self {
        Self { backend, clock, doubtful: Doubtful::default(), failing: AtomicBool::new(false) }
    }

    /// Notes for [`TransferStore::check`] whether a write succeeded.
    fn written<T>(&self, result: Result<T, Trouble>) -> Result<T, Trouble> {
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
                    tracing::error!(%transfer_id, %error, "an insert cannot be taken back");
                    continue;
                }
            };
            match self.backend.write(undo, Durability::Process).await {
                Ok(0) => {}
                Ok(_) => {
                    tracing::warn!(%transfer_id, "gave up a transfer whose insert had failed");
                }
                Err(_) => self.doubtful.add(insert),
            }
        }
    }
}

#[async_trait]
impl<B: Backend> TransferStore for Records<B> {
    async fn key(&self, scope: &KeyScope) -> Result<Option<KeyRecord>, StoreError> {
        self.backend.read(FindKey(scope.clone())).await.map_err(|trouble| trouble.of("find key"))
    }

    async fn insert(
        &self,
        transfer: &Transfer,
        claim: Option<&KeyClaim>,
        owner: Uuid,
        durability: Durability,
    ) -> Result<Inserted, StoreError> {
        let transfer = Arc::new(transfer.clone());
        let insert = Insert::new(Arc::clone(&transfer), claim, owner)
            .map_err(|error| Trouble::certain(error.to_string()).of("insert"))?;
        let watch = self.doubtful.watch(Doubt { transfer, owner });
        match self.written(self.backend.write(insert, durability).await) {
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
                Err(trouble.of("insert"))
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
            .map_err(|error| Trouble::certain(error.to_string()).of("update"))?;
        let written = self.written(self.backend.write(update, durability).await);
        written.map_err(|trouble| trouble.of("update"))
    }

    async fn get(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        self.backend.read(Get(id)).await.map_err(|trouble| trouble.of("get"))
    }

    async fn list(&self, filter: &TransferFilter, limit: u32) -> Result<Vec<Transfer>, StoreError> {
        let list = List { filter: filter.clone(), limit };
        self.backend.read(list).await.map_err(|trouble| trouble.of("list"))
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
        self.backend.write(adopt, Durability::Process).await.map_err(|trouble| trouble.of("adopt"))
    }

    async fn heartbeat(
        &self,
        owner: Uuid,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let heartbeat = Heartbeat { owner, now: micros(now) };
        let beaten = self.backend.write(heartbeat, Durability::Process).await;
        let newest = beaten.map_err(|trouble| trouble.of("heartbeat"))?;
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
        let share = ShareRate { owner, now, mine, alive_since };
        let shared = self.backend.write(share, Durability::Process).await;
        shared.map_err(|trouble| trouble.of("share rate"))
    }

    async fn retire(&self, owner: Uuid) -> Result<(), StoreError> {
        let retire = Retire { owner, now: micros(self.clock.now()) };
        self.backend
            .write(retire, Durability::Process)
            .await
            .map_err(|trouble| trouble.of("retire"))
    }

    async fn unsettled(&self) -> Result<u64, StoreError> {
        self.backend.read(Count).await.map_err(|trouble| trouble.of("count unsettled"))
    }

    async fn reaped(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let reaped = self.backend.write(Reaped { now: micros(now) }, Durability::Process).await;
        reaped.map(time).map_err(|trouble| trouble.of("reaped"))
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
        self.backend.write(reap, Durability::Process).await.map_err(|trouble| trouble.of("reap"))
    }

    fn is_shared(&self) -> bool {
        B::SHARED
    }

    async fn secure(&self) -> Result<(), StoreError> {
        // Both databases write one log: what waits for its end waits for all before it.
        let probe = Probe { now: micros(self.clock.now()), large: false };
        self.backend.write(probe, Durability::Power).await.map_err(|trouble| trouble.of("secure"))
    }

    async fn check(&self) -> Result<(), StoreError> {
        let probe =
            Probe { now: micros(self.clock.now()), large: self.failing.load(Ordering::Relaxed) };
        let checked = self.written(self.backend.write(probe, Durability::Process).await);
        checked.map_err(|trouble| trouble.of("check"))
    }
}

#[cfg(test)]
mod tests;
