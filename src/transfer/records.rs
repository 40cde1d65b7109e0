//! The store as the engine uses it: each step of a transfer is one call here, and what cannot be
//! written after the command left is kept in memory and tried again until it can.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    audit,
    completion::Completion,
    ids::{BatchId, TransferId},
    model::{Stage, Transfer, Whose},
    store::{
        Durability, Expected, Inserted, KeyChange, KeyClaim, StoreError, TransferFilter,
        TransferStore,
    },
};
use crate::clock::Clock;

/// Pause between two tries to write what is only in memory; grows to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The store is asked at least this often whether it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a step was not recorded.
#[derive(Debug)]
pub enum NotRecorded {
    /// The store failed; whether it wrote is not certain.
    Store(StoreError),
    /// The row is no longer where we left it: another process took it over.
    TakenOver,
}

/// Outcomes of one transfer that could not be written yet, in the order they came about. They are
/// written one after the other: two at once would each find the row where the other has left it,
/// and the later one could be lost.
struct Unsaved {
    newest: Transfer,
    outcomes: VecDeque<(Transfer, Unwritten)>,
}

/// An outcome to be written.
#[derive(Clone)]
struct Unwritten {
    from: Stage,
    key: KeyChange,
    /// Whether this write is the one to be told of.
    settles: bool,
}

/// The records of one process.
pub struct Records {
    store: Arc<dyn TransferStore>,
    owner: Uuid,
    clock: Arc<dyn Clock>,
    completion: Completion,
    unsaved: Mutex<HashMap<TransferId, Unsaved>>,
    /// Whether a write has failed since readiness last asked.
    failed: AtomicBool,
}

impl Records {
    /// Records kept under the name `owner`. Writes that have to be tried again run until the service
    /// stops.
    pub fn new(
        store: Arc<dyn TransferStore>,
        owner: Uuid,
        clock: Arc<dyn Clock>,
        completion: &Completion,
    ) -> Self {
        Self {
            store,
            owner,
            clock,
            completion: completion.clone(),
            unsaved: Mutex::default(),
            failed: AtomicBool::new(false),
        }
    }

    /// The store itself, for questions.
    pub fn store(&self) -> &dyn TransferStore {
        &*self.store
    }

    /// The name this process writes under.
    pub fn owner(&self) -> Uuid {
        self.owner
    }

    /// Records a new transfer. One that is settled already is told of.
    ///
    /// # Errors
    /// When the store cannot be written; nothing is recorded then.
    pub async fn begin(
        &self,
        transfer: &Transfer,
        claim: Option<&KeyClaim>,
        durability: Durability,
    ) -> Result<Inserted, StoreError> {
        let inserted = self.store.insert(transfer, claim, self.owner, durability).await;
        let inserted = inserted.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        if inserted == Inserted::Done && !transfer.stage.is_unsettled() {
            audit::settled(transfer);
        }
        Ok(inserted)
    }

    /// Writes `transfer`, whose row must still be in `from`. Sets its `updated_at`, unless `key`
    /// holds an answer rendered from it: who rendered that has set it before.
    ///
    /// # Errors
    /// See [`NotRecorded`].
    pub async fn step(
        &self,
        transfer: &mut Transfer,
        from: Stage,
        key: KeyChange,
    ) -> Result<(), NotRecorded> {
        self.step_if(transfer, Expected { stage: from, owner: Some(self.owner) }, key).await
    }

    async fn step_if(
        &self,
        transfer: &mut Transfer,
        expected: Expected,
        key: KeyChange,
    ) -> Result<(), NotRecorded> {
        transfer.updated_at = self.updated(transfer, &key);
        match self.store.update(transfer, &expected, key, Durability::Power).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotRecorded::TakenOver),
            Err(error) => {
                self.failed.store(true, Ordering::Relaxed);
                Err(NotRecorded::Store(error))
            }
        }
    }

    /// Whether a write has failed since this was last asked.
    pub fn take_failure(&self) -> bool {
        self.failed.swap(false, Ordering::Relaxed)
    }

    /// A rendered answer shows the time it was rendered at, and must go on being true.
    fn updated(&self, transfer: &Transfer, key: &KeyChange) -> Timestamp {
        if matches!(key, KeyChange::Settle(_)) { transfer.updated_at } else { self.clock.now() }
    }

    /// Writes the outcome in `transfer`. When the store fails, the outcome stays in memory, where
    /// [`Records::get`] finds it, and is written as soon as the store is back. The write that
    /// settles the transfer is told of in the audit log: of several processes that try, one
    /// succeeds. `false`: another process has the transfer, and what that one wrote counts.
    pub async fn conclude(
        self: &Arc<Self>,
        transfer: &mut Transfer,
        from: Stage,
        key: KeyChange,
    ) -> bool {
        let settles = from.is_unsettled() && !transfer.stage.is_unsettled();
        self.write(transfer, Unwritten { from, key, settles }).await
    }

    /// Writes an outcome that settles the transfer, but whose last word is still to come, with
    /// [`Records::conclude_at_last`]; that one is told of.
    pub async fn conclude_for_now(self: &Arc<Self>, transfer: &mut Transfer, from: Stage) -> bool {
        self.write(transfer, Unwritten { from, key: KeyChange::Keep, settles: false }).await
    }

    /// Writes the last word on a transfer that is settled already.
    pub async fn conclude_at_last(
        self: &Arc<Self>,
        transfer: &mut Transfer,
        from: Stage,
        key: KeyChange,
    ) -> bool {
        self.write(transfer, Unwritten { from, key, settles: true }).await
    }

    async fn write(self: &Arc<Self>, transfer: &mut Transfer, outcome: Unwritten) -> bool {
        crate::failpoint!(BeforeOutcome);
        if self.is_unsaved(transfer.id) {
            transfer.updated_at = self.updated(transfer, &outcome.key);
            self.keep(transfer.clone(), outcome);
            return true;
        }
        let written = self.write_outcome(transfer, &outcome).await;
        crate::failpoint!(AfterOutcome);
        match written {
            Ok(()) => true,
            Err(NotRecorded::TakenOver) => {
                tracing::warn!(transfer_id = %transfer.id, "another process settles this transfer");
                false
            }
            Err(NotRecorded::Store(error)) => {
                tracing::error!(
                    transfer_id = %transfer.id, operation = error.operation, cause = %error.cause,
                    "could not store the outcome; it is kept in memory and retried"
                );
                self.keep(transfer.clone(), outcome);
                true
            }
        }
    }

    fn keep(self: &Arc<Self>, transfer: Transfer, outcome: Unwritten) {
        let id = transfer.id;
        let mut unsaved = self.lock();
        if let Some(waiting) = unsaved.get_mut(&id) {
            waiting.newest = transfer.clone();
            waiting.outcomes.push_back((transfer, outcome));
            return;
        }
        let newest = transfer.clone();
        unsaved.insert(id, Unsaved { newest, outcomes: VecDeque::from([(transfer, outcome)]) });
        let records = Arc::clone(self);
        self.completion.spawn(async move { records.write_when_possible(id).await });
    }

    async fn write_when_possible(&self, id: TransferId) {
        let mut pause = FIRST_PAUSE;
        while let Some((mut transfer, outcome)) = self.first_unsaved(id) {
            // On the way down one more try is all there is time for.
            let stopping = self.completion.stop.is_cancelled();
            match self.write_outcome(&mut transfer, &outcome).await {
                Ok(()) => {
                    self.saved(id);
                    continue;
                }
                Err(NotRecorded::TakenOver) => {
                    self.tell_if_written(id, &outcome).await;
                    self.saved(id);
                    continue;
                }
                Err(NotRecorded::Store(_)) if stopping => {
                    tracing::error!(transfer_id = %id, "stopped before the outcome was stored");
                    self.saved(id);
                    continue;
                }
                Err(NotRecorded::Store(_)) => self.tried(id, transfer),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.completion.stop.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn first_unsaved(&self, id: TransferId) -> Option<(Transfer, Unwritten)> {
        self.lock().get(&id)?.outcomes.front().cloned()
    }

    /// The first outcome that waited is done with.
    fn saved(&self, id: TransferId) {
        let mut unsaved = self.lock();
        let Some(waiting) = unsaved.get_mut(&id) else { return };
        waiting.outcomes.pop_front();
        if waiting.outcomes.is_empty() {
            unsaved.remove(&id);
        }
    }

    /// Keeps the first outcome as it was tried last, with the time of that.
    fn tried(&self, id: TransferId, transfer: Transfer) {
        let mut unsaved = self.lock();
        let first = unsaved.get_mut(&id).and_then(|waiting| waiting.outcomes.front_mut());
        if let Some((kept, _)) = first {
            *kept = transfer;
        }
    }

    /// The row is not where it was left: perhaps because the last try to write `transfer`, which
    /// seemed to fail, was carried out after all. Then it is ours to tell of.
    async fn tell_if_written(&self, id: TransferId, outcome: &Unwritten) {
        let Some((transfer, _)) = self.first_unsaved(id).filter(|_| outcome.settles) else {
            return;
        };
        let transfer = &transfer;
        let ours = |row: &Transfer| {
            let time = |transfer: &Transfer| transfer.updated_at.as_microsecond();
            row.stage == transfer.stage && time(row) == time(transfer)
        };
        match self.store.get(transfer.id).await {
            Ok(row) if row.as_ref().is_some_and(ours) => audit::settled(transfer),
            Ok(_) => {}
            Err(error) => {
                let id = transfer.id;
                tracing::warn!(transfer_id = %id, cause = %error.cause, "missing from the audit log");
            }
        }
    }

    async fn write_outcome(
        &self,
        transfer: &mut Transfer,
        outcome: &Unwritten,
    ) -> Result<(), NotRecorded> {
        self.write_wherever_it_stands(transfer, outcome.from, outcome.key.clone()).await?;
        if outcome.settles {
            audit::settled(transfer);
        }
        Ok(())
    }

    /// Writes an outcome that was reached from `from`; the row can also be where
    /// [`Stage::outcome_also_from`] says.
    async fn write_wherever_it_stands(
        &self,
        transfer: &mut Transfer,
        from: Stage,
        key: KeyChange,
    ) -> Result<(), NotRecorded> {
        let Some(also) = Stage::outcome_also_from(from, transfer.stage) else {
            return self.step(transfer, from, key).await;
        };
        let owner = (also.whose == Whose::Ours).then_some(self.owner);
        let or_else = Expected { stage: also.stage, owner };
        match self.step(transfer, from, key.clone()).await {
            Err(NotRecorded::TakenOver) => {}
            other => return other,
        }
        match self.step_if(transfer, or_else, key).await {
            Err(NotRecorded::TakenOver) => self.record_anew(transfer).await,
            other => other,
        }
    }

    /// A database that crashed may have lost a transfer that nothing was sent for yet: its record
    /// did not wait for the disk. The answer that tells the outcome names it, so it is recorded
    /// now.
    async fn record_anew(&self, transfer: &Transfer) -> Result<(), NotRecorded> {
        if self.store.get(transfer.id).await.map_err(NotRecorded::Store)?.is_some() {
            return Err(NotRecorded::TakenOver);
        }
        let inserted = self.store.insert(transfer, None, self.owner, Durability::Power).await;
        match inserted.map_err(NotRecorded::Store)? {
            Inserted::Done => Ok(()),
            Inserted::KeyTaken(_)
            | Inserted::ConversationTaken { .. }
            | Inserted::Undone { .. } => Err(NotRecorded::TakenOver),
        }
    }

    /// Notes that an accepted transfer is no longer looked for. Should that not be written, it is
    /// looked for once more after the next start.
    pub async fn stop_awaiting(&self, transfer: &Transfer) {
        let expected = Expected { stage: Stage::Accepted, owner: Some(self.owner) };
        let (key, durability) = (KeyChange::Keep, Durability::Process);
        if let Err(error) = self.store.update(transfer, &expected, key, durability).await {
            tracing::debug!(transfer_id = %transfer.id, cause = %error.cause, "could not record that the wait for the call ended");
        }
    }

    /// One transfer, the newest truth there is.
    ///
    /// # Errors
    /// When it is not in memory and the store cannot be read.
    pub async fn get(&self, id: TransferId) -> Result<Option<Transfer>, StoreError> {
        if let Some(waiting) = self.lock().get(&id) {
            return Ok(Some(waiting.newest.clone()));
        }
        self.store.get(id).await
    }

    /// Transfers, newest first, at most `limit`; each as [`Records::get`] tells it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(
        &self,
        filter: &TransferFilter,
        limit: u32,
    ) -> Result<Vec<Transfer>, StoreError> {
        let waiting: HashMap<TransferId, Transfer> =
            self.lock().iter().map(|(id, waiting)| (*id, waiting.newest.clone())).collect();
        // As many more as may not be what was asked for any longer.
        let more = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let mut listed = self.store.list(filter, limit.saturating_add(more)).await?;
        if waiting.is_empty() {
            return Ok(listed);
        }
        listed.retain(|row| !waiting.contains_key(&row.id));
        listed.extend(waiting.into_values().filter(|newest| filter.matches(newest)));
        listed.sort_unstable_by_key(|transfer| Reverse(transfer.id));
        listed.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(listed)
    }

    /// The transfers of a batch whose outcomes wait in memory for the store: each as it stands, with
    /// the stage that the store has.
    pub fn unsaved_of(&self, id: BatchId) -> Vec<(Stage, Transfer)> {
        let unsaved = self.lock();
        let of_batch = unsaved.values().filter(|waiting| waiting.newest.batch_id == Some(id));
        let stored = |waiting: &Unsaved| {
            waiting.outcomes.front().map(|(_, outcome)| (outcome.from, waiting.newest.clone()))
        };
        of_batch.filter_map(stored).collect()
    }

    /// To be called before an answer names these transfers: what was named must be there after any
    /// crash, and the first record of a transfer is not written through to the disk by itself. A
    /// store that cannot write now is no reason to be silent about what it holds.
    pub async fn before_naming(&self, transfers: &[Transfer]) {
        if transfers.iter().all(|transfer| transfer.stage != Stage::Received) {
            return;
        }
        if let Err(error) = self.store.secure().await {
            tracing::warn!(%error, "transfers are named before they are safe from a power loss");
        }
    }

    /// Whether an outcome of this transfer waits in memory for the store.
    pub fn is_unsaved(&self, id: TransferId) -> bool {
        self.lock().contains_key(&id)
    }

    /// How many outcomes wait in memory for the store.
    pub fn unsaved(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TransferId, Unsaved>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
