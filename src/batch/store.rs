//! The port to the durable record of batches. `crate::store` implements it beside
//! [`TransferStore`](crate::transfer::store::TransferStore), in the same database.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Batch, BatchStatus, Item, Plan, RunningDrain, Tally};
use crate::{
    problem::Problem,
    transfer::{
        ids::{BatchId, ConversationId, PlanId, QueueId, TransferId},
        model::{CallerName, Transfer},
        store::{KeyClaim, KeyScope, StoreError, StoredResponse},
    },
};

/// What the store knows of a batch's key. A batch and its first answer are recorded in one step,
/// so a key that is there always has its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchKeyRecord {
    /// Hash of the request it was first used for.
    pub fingerprint: [u8; 32],
    /// The batch it made.
    pub batch_id: BatchId,
    /// The first response.
    pub answer: StoredResponse,
}

/// A batch to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// The record.
    pub batch: Batch,
    /// Items known so far, positions ascending.
    pub items: Vec<Item>,
    /// Its key and the response the key replays.
    pub key: Option<(KeyClaim, StoredResponse)>,
    /// The plan it carries out, which is used up with it.
    pub plan: Option<PlanId>,
}

/// What came of recording a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// Recorded.
    Done,
    /// The key is taken.
    KeyTaken(BatchKeyRecord),
    /// The plan is gone: used up or forgotten.
    PlanGone,
    /// What the batch undoes was undone before: by which batch, and whose that is.
    Undone(BatchId, CallerName),
    /// A running drain is in the way (see [`drain_in_the_way`](super::drain_in_the_way)). Its id.
    Loop(BatchId),
}

/// What came of turning an item into a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeResult {
    /// The transfer is recorded.
    Done,
    /// The batch is no longer running, or has another runner: nothing more is to be taken.
    Stopped,
    /// The item is a transfer already.
    Already(TransferId),
    /// The conversation has an unsettled transfer.
    ConversationTaken(TransferId),
    /// What the transfer undoes was undone before, by this one.
    Undone(TransferId),
}

/// What came of asking for a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookClaim {
    /// Look.
    Granted,
    /// Another process looked a moment ago.
    Seen(Vec<QueueLook>),
    /// Not before then.
    NotBefore(Timestamp),
}

/// What a look at many queues showed of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueLook {
    /// The queue.
    pub queue: QueueId,
    /// Calls that wait, when Genesys said so.
    pub waiting: Option<u64>,
    /// Agents on queue, when Genesys said so.
    pub on_queue: Option<u64>,
}

/// Which batches to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchFilter {
    /// Only this caller's; `None` for all.
    pub caller: Option<CallerName>,
    /// Only with this status.
    pub status: Option<BatchStatus>,
    /// Only older than this one: the last of the page before.
    pub before: Option<BatchId>,
}

/// The durable record of batches. Every write survives the loss of power before it returns. Every
/// method fails when the store cannot be read or written; whether a write that failed was carried
/// out is not certain.
#[async_trait]
pub trait BatchStore: Send + Sync + 'static {
    /// What is known of a key. It counts until it is reaped.
    async fn batch_key(&self, scope: &KeyScope) -> Result<Option<BatchKeyRecord>, StoreError>;

    /// Records a batch with its items and key, and uses up its plan: all or nothing. Its runner is
    /// `runner`. Of two drains that are in each other's way, recorded at the same moment by
    /// whatever process, one is refused; so is one of two that undo the same batch.
    async fn create_batch(&self, new: &NewBatch, runner: Uuid) -> Result<Created, StoreError>;

    /// Keeps a plan. Plans long expired are forgotten with it.
    async fn keep_plan(&self, plan: &Plan) -> Result<(), StoreError>;

    /// A plan, expired or not, if it is still there.
    async fn plan(&self, id: PlanId) -> Result<Option<Plan>, StoreError>;

    /// One batch.
    async fn batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError>;

    /// Batches, newest first, at most `limit`.
    async fn batches(&self, filter: &BatchFilter, limit: u32) -> Result<Vec<Batch>, StoreError>;

    /// The batch that undoes `id`, and whose it is; one that could not start does not count.
    async fn undo_of(&self, id: BatchId) -> Result<Option<(BatchId, CallerName)>, StoreError>;

    /// How the items of a batch stand; `since` bounds [`Tally::last_minute`].
    async fn tally(&self, id: BatchId, since: Timestamp) -> Result<Tally, StoreError>;

    /// Settled or unknown transfers of a batch that changed at or after `since`, by time of change
    /// (ties by id), at most `limit`; for telling watchers.
    async fn changed(
        &self,
        id: BatchId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Transfer>, StoreError>;

    /// Items of a batch that are not transfers yet, in order, from `position` on, at most `limit`.
    async fn open_items(
        &self,
        id: BatchId,
        position: u32,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError>;

    /// All conversations that are items of a batch, taken or not.
    async fn known_conversations(&self, id: BatchId) -> Result<Vec<ConversationId>, StoreError>;

    /// Adds items a look brought to light, and sets the batch's `total` (never lower than the
    /// items there are). `false`: the batch is not running or has another runner; nothing was
    /// written. A conversation that is an item already is left out; in a standing drain its item
    /// is open again, at the new position, when it was taken: it has come back.
    async fn add_items(
        &self,
        id: BatchId,
        runner: Uuid,
        items: &[Item],
        total: u32,
    ) -> Result<bool, StoreError>;

    /// Turns an item into a transfer (`transfer.batch_id` is the batch), owned by `runner`, in one
    /// step; only while the batch is running and `runner` is its runner. A transfer that is
    /// settled already (skipped, failed) takes no place on its conversation, and is recorded also
    /// while the batch is cancelled.
    ///
    /// # Errors
    /// When the store cannot be written, or it is not certain that it was; asked again it answers
    /// [`TakeResult::Already`] if it was.
    async fn take_item(
        &self,
        transfer: &Transfer,
        position: u32,
        runner: Uuid,
    ) -> Result<TakeResult, StoreError>;

    /// Settles a transfer that was sent in vain, or not at all, and makes its item open again, in
    /// one step: who dies meanwhile leaves both or neither. `transfer` is the one to be recorded,
    /// `failed`; it stays in the history, but no longer belongs to the batch. `false`: it is
    /// settled already, or not `owner`'s any more; nothing was written.
    ///
    /// # Errors
    /// When the store cannot be written, or it is not certain that it was; asked again with the
    /// same record it answers `true` if it was.
    async fn reopen_item(
        &self,
        transfer: &Transfer,
        position: u32,
        owner: Uuid,
    ) -> Result<bool, StoreError>;

    /// Does the same, for the reason `why`, to all transfers of a batch that were recorded and not
    /// sent, in whatever process; returns them. To be called by a `runner` that has none in flight.
    /// Of a process that is not the runner it does nothing.
    async fn reopen_unsent(
        &self,
        id: BatchId,
        runner: Uuid,
        why: &Problem,
        now: Timestamp,
    ) -> Result<Vec<Transfer>, StoreError>;

    /// Changes a batch's row (status, vanished, unseen, warnings, error, finished) if `runner` is its
    /// runner. Never takes back a `cancelled`. `false`: it is not.
    async fn update_batch(&self, batch: &Batch, runner: Uuid) -> Result<bool, StoreError>;

    /// Makes a running batch `cancelled`, whatever process its runner is; returns it as it then stands.
    /// One that is not running stays as it is.
    async fn cancel_batch(&self, id: BatchId, now: Timestamp) -> Result<Option<Batch>, StoreError>;

    /// Batches that are not finished and whose runner is not alive (no heartbeat since
    /// `stale_before`), handed to `runner` in the same step; oldest first, at most `limit`.
    async fn adopt_batches(
        &self,
        runner: Uuid,
        stale_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError>;

    /// The drains that run.
    async fn running_drains(&self) -> Result<Vec<RunningDrain>, StoreError>;

    /// Leave for one look of a standing drain, of which all processes together make at most
    /// `per_minute` in any minute up to `now`; without it, when to ask again. `look` is its name.
    /// `shared`: the look
    /// tells of all their queues, and what another process saw within the time given is as good.
    async fn claim_look(
        &self,
        look: Uuid,
        now: Timestamp,
        per_minute: u32,
        shared: Option<SignedDuration>,
    ) -> Result<LookClaim, StoreError>;

    /// Shares what the look claimed as `look` saw.
    async fn share_look(&self, look: Uuid, seen: &[QueueLook]) -> Result<(), StoreError>;
}
