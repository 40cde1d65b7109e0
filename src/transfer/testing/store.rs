//! A store of plain memory with the same constraints as the real ones, which can be told to fail.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::transfer::{
    ids::{ConversationId, TransferId},
    model::{Stage, Transfer},
    rate::{RateShare, RateUse},
    store::*,
};

mod batches;

#[derive(Default)]
struct Rows {
    transfers: BTreeMap<TransferId, (Transfer, Uuid)>,
    keys: HashMap<KeyScope, ([u8; 32], TransferId, Option<StoredResponse>)>,
    /// When who was heard of last.
    alive: HashMap<Uuid, Timestamp>,
    batches: batches::Batches,
    /// How far reapings went.
    reach: Option<Timestamp>,
}

impl Rows {
    /// When the newest record was written.
    fn newest(&self) -> Option<Timestamp> {
        self.transfers.values().map(|(transfer, _)| transfer.updated_at).max()
    }

    fn is_alive(&self, owner: Uuid, stale_before: Timestamp) -> bool {
        self.alive.get(&owner).is_some_and(|heard| *heard >= stale_before)
    }

    /// The unsettled transfer of the same conversation.
    fn in_the_way(&self, transfer: &Transfer) -> Option<&Transfer> {
        let conversation = transfer.request.conversation_id;
        let unsettled = |other: &&Transfer| {
            other.stage.is_unsettled() && other.request.conversation_id == conversation
        };
        self.transfers.values().map(|(other, _)| other).find(unsettled)
    }

    /// The transfer that undid the same one before.
    fn undone(&self, transfer: &Transfer) -> Option<&Transfer> {
        let counts = |it: &Transfer| !matches!(it.stage, Stage::Failed | Stage::Skipped);
        let undoes = transfer.undoes().filter(|_| counts(transfer))?;
        let undid = |other: &&Transfer| other.undoes() == Some(undoes) && counts(other);
        self.transfers.values().map(|(other, _)| other).find(undid)
    }
}

#[derive(Default)]
pub(crate) struct MemoryStore {
    rows: Mutex<Rows>,
    /// How often all that was recorded was made to survive a loss of power.
    pub secured: AtomicUsize,
    /// While set, nothing can be written.
    pub broken: AtomicBool,
    /// So many next changes are carried out, but reported as failed.
    pub unheard: AtomicUsize,
    /// So many next items are taken, but reported as not.
    pub unheard_takes: AtomicUsize,
    /// How often it was asked what has changed in a batch.
    pub looks: AtomicUsize,
    /// Whether several processes share it.
    pub shared: AtomicBool,
    /// Up to when each reaping took keys.
    pub reapings: Mutex<Vec<Timestamp>>,
    /// While this is held for writing, records of transfers wait.
    pub stalled: tokio::sync::RwLock<()>,
}

impl MemoryStore {
    fn broken(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError { operation: "write", cause: "told to fail".to_owned() });
        }
        Ok(())
    }

    /// Hands a row over to another process, which moved it to `stage`.
    pub(crate) fn hand_over(&self, id: TransferId, stage: Stage) {
        let mut rows = self.rows.lock().unwrap();
        let (row, owner) = rows.transfers.get_mut(&id).unwrap();
        row.stage = stage;
        *owner = Uuid::max();
    }

    /// Forgets a row, as a crash of the database may.
    pub(crate) fn forget(&self, id: TransferId) {
        let mut rows = self.rows.lock().unwrap();
        rows.transfers.remove(&id);
        rows.keys.retain(|_, (_, transfer, _)| *transfer != id);
    }

    /// All processes were silent for a while.
    pub(crate) fn forget_heartbeats(&self) {
        self.rows.lock().unwrap().alive.clear();
    }

    /// The newest transfer of a call stands as if its command had not been sent.
    pub(crate) fn back_to_received(&self, call: ConversationId) -> TransferId {
        let mut rows = self.rows.lock().unwrap();
        let mut all = rows.transfers.values_mut().rev().map(|(transfer, _)| transfer);
        let transfer = all.find(|transfer| transfer.request.conversation_id == call).unwrap();
        transfer.stage = Stage::Received;
        transfer.id
    }

    /// Puts a row there as a dead process left it.
    pub(crate) fn left_behind(&self, transfer: Transfer) {
        self.rows.lock().unwrap().transfers.insert(transfer.id, (transfer, Uuid::nil()));
    }
}

#[async_trait]
impl TransferStore for MemoryStore {
    async fn key(&self, scope: &KeyScope) -> Result<Option<KeyRecord>, StoreError> {
        let rows = self.rows.lock().unwrap();
        Ok(rows.keys.get(scope).map(|(fingerprint, id, answer)| KeyRecord {
            fingerprint: *fingerprint,
            transfer_id: *id,
            stage: rows.transfers[id].0.stage,
            answer: answer.clone(),
        }))
    }

    async fn insert(
        &self,
        transfer: &Transfer,
        claim: Option<&KeyClaim>,
        owner: Uuid,
        _: Durability,
    ) -> Result<Inserted, StoreError> {
        drop(self.stalled.read().await);
        if let Some(claim) = claim
            && let Some(record) = self.key(&claim.scope).await?
        {
            return Ok(Inserted::KeyTaken(record));
        }
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        if let Some(other) = rows.in_the_way(transfer) {
            let caller = other.requested_by.clone();
            return Ok(Inserted::ConversationTaken { transfer_id: other.id, caller });
        }
        if let Some(other) = rows.undone(transfer) {
            let caller = other.requested_by.clone();
            return Ok(Inserted::Undone { transfer_id: other.id, caller });
        }
        rows.transfers.insert(transfer.id, (transfer.clone(), owner));
        if let Some(claim) = claim {
            rows.keys.insert(claim.scope.clone(), (claim.fingerprint, transfer.id, None));
        }
        Ok(Inserted::Done)
    }

    async fn update(
        &self,
        transfer: &Transfer,
        expected: &Expected,
        key: KeyChange,
        _: Durability,
    ) -> Result<bool, StoreError> {
        drop(self.stalled.read().await);
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        let Some((row, owner)) = rows.transfers.get_mut(&transfer.id) else { return Ok(false) };
        if row.stage != expected.stage || expected.owner.is_some_and(|wanted| wanted != *owner) {
            return Ok(false);
        }
        assert!(
            row.stage == transfer.stage || row.stage.may_become(transfer.stage),
            "{:?} may not become {:?}",
            row.stage,
            transfer.stage
        );
        *row = transfer.clone();
        match key {
            KeyChange::Keep => {}
            KeyChange::Free => rows.keys.retain(|_, (_, id, _)| *id != transfer.id),
            KeyChange::Settle(answer) => {
                for (_, id, kept) in rows.keys.values_mut() {
                    if *id == transfer.id {
                        *kept = Some(answer.clone());
                    }
                }
            }
        }
        let left = self.unheard.load(Ordering::SeqCst);
        if left > 0 {
            self.unheard.store(left - 1, Ordering::SeqCst);
            return Err(StoreError { operation: "write", cause: "end not seen".to_owned() });
        }
        Ok(true)
    }

    async fn get(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        Ok(self.rows.lock().unwrap().transfers.get(&id).map(|(transfer, _)| transfer.clone()))
    }

    async fn list(&self, filter: &TransferFilter, limit: u32) -> Result<Vec<Transfer>, StoreError> {
        let rows = self.rows.lock().unwrap();
        let newest_first = rows.transfers.values().rev().map(|(transfer, _)| transfer);
        let wanted = newest_first.filter(|transfer| filter.matches(transfer));
        Ok(wanted.take(limit as usize).cloned().collect())
    }

    async fn adopt(
        &self,
        new_owner: Uuid,
        stale_before: Timestamp,
        _: u32,
    ) -> Result<Vec<Transfer>, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let Rows { alive, transfers, .. } = &mut *rows;
        let mut adopted = Vec::new();
        for (transfer, owner) in transfers.values_mut() {
            let is_alive = alive.get(owner).is_some_and(|heard| *heard >= stale_before);
            let unfinished = transfer.stage.is_unsettled() || transfer.awaited;
            if unfinished && *owner != new_owner && !is_alive {
                *owner = new_owner;
                adopted.push(transfer.clone());
            }
        }
        Ok(adopted)
    }

    async fn heartbeat(
        &self,
        owner: Uuid,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        rows.alive.insert(owner, now);
        Ok(rows.newest())
    }

    async fn share_rate(
        &self,
        _: Uuid,
        _: Timestamp,
        mine: RateUse,
        _: Timestamp,
    ) -> Result<RateShare, StoreError> {
        Ok(RateShare::of(mine, 0, 1))
    }

    async fn retire(&self, owner: Uuid) -> Result<(), StoreError> {
        self.broken()?;
        self.rows.lock().unwrap().alive.remove(&owner);
        Ok(())
    }

    async fn unsettled(&self) -> Result<u64, StoreError> {
        let rows = self.rows.lock().unwrap();
        Ok(rows.transfers.values().filter(|(t, _)| t.stage.is_unsettled()).count() as u64)
    }

    async fn reaped(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let begin = rows.newest().unwrap_or(now);
        Ok(*rows.reach.get_or_insert(begin))
    }

    async fn reap(
        &self,
        reach: Timestamp,
        _: Timestamp,
        keys_before: Timestamp,
        _: u32,
    ) -> Result<u64, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        rows.reach = rows.reach.max(Some(reach));
        self.reapings.lock().unwrap().push(keys_before);
        Ok(0)
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::SeqCst)
    }

    async fn secure(&self) -> Result<(), StoreError> {
        self.secured.fetch_add(1, Ordering::SeqCst);
        self.broken()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.broken()
    }
}
