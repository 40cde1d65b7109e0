//! Stores to test, each on a database of its own.

use std::{sync::Arc, time::Duration};

use genesys_transfer::{
    batch::store::BatchStore,
    clock::{Clock, ManualClock},
    config,
    store::{OpenError, Stores, open},
    transfer::{
        model::{Stage, Transfer},
        store::{Durability, Expected, Inserted, KeyChange, KeyClaim, StoreError, TransferStore},
    },
};
use jiff::Timestamp;
use tempfile::TempDir;
use uuid::Uuid;

use super::{postgres, records::fresh_id};

/// A store, the clock it sees, and a process that uses it.
pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn TransferStore>,
    pub(crate) batches: Arc<dyn BatchStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) owner: Uuid,
    pub(crate) url: String,
    _dir: Option<TempDir>,
}

impl Fixture {
    /// On an SQLite file that goes with the fixture.
    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("new/transfers.db").display());
        Self { _dir: Some(dir), ..Self::at(url).await }
    }

    /// On a new database of the shared PostgreSQL.
    pub(crate) async fn postgres() -> Self {
        Self::at(postgres::database().await).await
    }

    /// On the database `url` names.
    pub(crate) async fn at(url: String) -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-22T10:00:00.123456789Z".parse().unwrap()));
        let Stores { transfers, batches } = open_stores(&url, Arc::clone(&clock)).await.unwrap();
        let owner = fresh_id(Timestamp::UNIX_EPOCH);
        Self { store: transfers, batches, clock, owner, url, _dir: None }
    }

    /// Another process on the same database; where only one is allowed, the same one.
    pub(crate) async fn replica(&self) -> Arc<dyn TransferStore> {
        if self.url.starts_with("sqlite") {
            return Arc::clone(&self.store);
        }
        open_with(&self.url, Arc::clone(&self.clock)).await.unwrap()
    }

    /// Batches as another process on the same database sees them.
    pub(crate) async fn batches_replica(&self) -> Arc<dyn BatchStore> {
        if self.url.starts_with("sqlite") {
            return Arc::clone(&self.batches);
        }
        open_stores(&self.url, Arc::clone(&self.clock)).await.unwrap().batches
    }

    /// Deletes what is older, and says how much that was.
    pub(crate) async fn reap(&self, transfers: Timestamp, keys: Timestamp, limit: u32) -> u64 {
        self.store.reap(self.clock.now(), transfers, keys, limit).await.unwrap()
    }

    /// Inserts `transfer`, safe against a loss of power.
    pub(crate) async fn insert(
        &self,
        transfer: &Transfer,
        claim: Option<&KeyClaim>,
    ) -> Result<Inserted, StoreError> {
        self.store.insert(transfer, claim, self.owner, Durability::Power).await
    }

    /// Inserts `transfer`, which must work.
    pub(crate) async fn record(&self, transfer: &Transfer) {
        assert_eq!(self.insert(transfer, None).await.unwrap(), Inserted::Done);
    }

    /// Moves `transfer` to `stage`, as its owner; whether the row was as expected.
    pub(crate) async fn step(
        &self,
        transfer: &mut Transfer,
        stage: Stage,
        key: KeyChange,
    ) -> Result<bool, StoreError> {
        let expected = Expected { stage: transfer.stage, owner: Some(self.owner) };
        transfer.stage = stage;
        self.store.update(transfer, &expected, key, Durability::Power).await
    }

    /// Moves `transfer` step by step to `stage`, which must work.
    pub(crate) async fn settle(&self, transfer: &mut Transfer, stage: Stage) {
        let way = match stage {
            Stage::Failed | Stage::Skipped => vec![stage],
            _ => vec![Stage::Prepared, Stage::Dispatching, stage],
        };
        for stage in way {
            assert!(self.step(transfer, stage, KeyChange::Keep).await.unwrap());
        }
    }
}

/// Opens the store of transfers at `url`.
pub(crate) async fn open_with(
    url: &str,
    clock: Arc<ManualClock>,
) -> Result<Arc<dyn TransferStore>, OpenError> {
    open_stores(url, clock).await.map(|stores| stores.transfers)
}

async fn open_stores(url: &str, clock: Arc<ManualClock>) -> Result<Stores, OpenError> {
    let settings = config::StoreSettings {
        url: url.to_owned().into(),
        retention: Duration::from_hours(90 * 24),
        key_retention: Duration::from_hours(72),
        lease: Duration::from_secs(20),
    };
    open(&settings, clock, Arc::default()).await
}
