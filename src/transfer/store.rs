//! The port to the durable record, in the domain's words. `crate::store` implements it.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ids::{BatchId, ConversationId, QueueId, TransferId},
    model::{CallerName, Stage, Status, Transfer},
    rate::{RateShare, RateUse},
};

/// The store could not do it. The cause goes to the log, never to a caller.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {cause}")]
pub struct StoreError {
    /// What was tried.
    pub operation: &'static str,
    /// What the database said.
    pub cause: String,
}

/// Where an idempotency key counts: per caller and route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyScope {
    /// Whose key.
    pub caller: CallerName,
    /// The route, as the side that asks names it.
    pub route: &'static str,
    /// The key, 1 to 255 visible ASCII characters.
    pub key: String,
}

/// A key together with the request it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyClaim {
    /// Where it counts.
    pub scope: KeyScope,
    /// Hash of the request's canonical form.
    pub fingerprint: [u8; 32],
}

/// A response kept to be given again, byte for byte. The domain does not look into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// `Location`, if any.
    pub location: Option<String>,
    /// `Retry-After` in whole seconds, if any.
    pub retry_after: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// What the store knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Hash of the request it was first used for.
    pub fingerprint: [u8; 32],
    /// The transfer it made.
    pub transfer_id: TransferId,
    /// That transfer's stage now.
    pub stage: Stage,
    /// The first response, once settled.
    pub answer: Option<StoredResponse>,
}

/// How safe a write must be before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Survives the death of the process (it is with the operating system).
    Process,
    /// Survives the loss of power (it is on the disk).
    Power,
}

/// What came of trying to record a new transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// Recorded.
    Done,
    /// The key is taken.
    KeyTaken(KeyRecord),
    /// The conversation has an unsettled transfer.
    ConversationTaken {
        /// That transfer.
        transfer_id: TransferId,
        /// Whose it is.
        caller: CallerName,
    },
    /// What the transfer undoes was undone before.
    Undone {
        /// The transfer that undid it.
        transfer_id: TransferId,
        /// Whose it is.
        caller: CallerName,
    },
}

/// What becomes of the key when a transfer changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// Nothing.
    Keep,
    /// The command never left: the key may be used again.
    Free,
    /// The first answer is given: keep it for the key's lifetime.
    Settle(StoredResponse),
}

/// The stage a row must still be in, and who must still own it, for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Stage before the change.
    pub stage: Stage,
    /// Process that must own the row; `None` when any may (an operator's settling).
    pub owner: Option<Uuid>,
}

/// Which transfers to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferFilter {
    /// Only this caller's; `None` for all.
    pub caller: Option<CallerName>,
    /// Only this conversation's.
    pub conversation_id: Option<ConversationId>,
    /// Only to this queue.
    pub queue_id: Option<QueueId>,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only with this reference.
    pub reference: Option<String>,
    /// Only recorded at or after this time.
    pub since: Option<Timestamp>,
    /// Only of this batch.
    pub batch_id: Option<BatchId>,
    /// Only older than this transfer: the last of the page before.
    pub before: Option<TransferId>,
}

impl TransferFilter {
    /// Whether `transfer` is to be listed.
    pub(super) fn matches(&self, transfer: &Transfer) -> bool {
        let request = &transfer.request;
        self.caller.as_ref().is_none_or(|caller| transfer.requested_by == *caller)
            && self.conversation_id.is_none_or(|id| request.conversation_id == id)
            && self.queue_id.is_none_or(|id| transfer.queue.id == id)
            && self.status.is_none_or(|status| transfer.stage.status() == status)
            && self.reference.as_ref().is_none_or(|it| request.reference.as_ref() == Some(it))
            && self.since.is_none_or(|since| transfer.created_at >= since)
            && self.batch_id.is_none_or(|id| transfer.batch_id == Some(id))
            && self.before.is_none_or(|id| transfer.id < id)
    }
}

/// The durable record of transfers and keys.
///
/// A unique index allows one unsettled transfer per conversation and one use per key; callers
/// need not check first. Every method fails when the store cannot be read or written.
#[async_trait]
pub trait TransferStore: Send + Sync + 'static {
    /// What is known of a key, unless it is free. A settled one counts until it is reaped.
    async fn key(&self, scope: &KeyScope) -> Result<Option<KeyRecord>, StoreError>;

    /// Records a new transfer, owned by `owner`, and claims its key, both or neither. A row that
    /// is already settled (a skipped one) takes no place on its conversation.
    ///
    /// # Errors
    /// When the store cannot be written. What may have been recorded all the same is given up as
    /// `failed` with the next heartbeats.
    async fn insert(
        &self,
        transfer: &Transfer,
        claim: Option<&KeyClaim>,
        owner: Uuid,
        durability: Durability,
    ) -> Result<Inserted, StoreError>;

    /// Writes a transfer's new state with its key's fate, if the row is still as expected.
    /// `Ok(false)`: it is not, nothing was written.
    ///
    /// # Errors
    /// When the store cannot be written, or it is not certain that it was.
    async fn update(
        &self,
        transfer: &Transfer,
        expected: &Expected,
        key: KeyChange,
        durability: Durability,
    ) -> Result<bool, StoreError>;

    /// One transfer.
    async fn get(&self, id: TransferId) -> Result<Option<Transfer>, StoreError>;

    /// Transfers, newest first, at most `limit`.
    async fn list(&self, filter: &TransferFilter, limit: u32) -> Result<Vec<Transfer>, StoreError>;

    /// Transfers that are not settled or still awaited ([`Transfer::awaited`]), and whose owner is not
    /// alive (its heartbeat is older than `stale_before`), handed to `owner` in the same step; oldest
    /// first, at most `limit` of each kind.
    async fn adopt(
        &self,
        owner: Uuid,
        stale_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Transfer>, StoreError>;

    /// Says that `owner` is alive at `now`. Returns when the newest record was written, by the clock
    /// of the process that wrote it.
    async fn heartbeat(&self, owner: Uuid, now: Timestamp)
    -> Result<Option<Timestamp>, StoreError>;

    /// Tells the other replicas what `owner` has used of the minute before `now`, hears the same
    /// of them, and gives it its share until the next round; the rounds of two replicas never
    /// overlap. Alive is whose heartbeat is not older than `alive_since`; what a dead one used
    /// counts until its minute is over.
    async fn share_rate(
        &self,
        owner: Uuid,
        now: Timestamp,
        mine: RateUse,
        alive_since: Timestamp,
    ) -> Result<RateShare, StoreError>;

    /// Forgets `owner`, so that others may adopt its rows at once; at an orderly end.
    async fn retire(&self, owner: Uuid) -> Result<(), StoreError>;

    /// How many transfers are not settled.
    async fn unsettled(&self) -> Result<u64, StoreError>;

    /// The greatest `reach` of all reapings so far. A store that remembers none remembers from now
    /// on the time of its newest record, or `now` when it is empty.
    async fn reaped(&self, now: Timestamp) -> Result<Timestamp, StoreError>;

    /// Deletes settled transfers last changed before `transfers_before`, and settled keys last
    /// changed before `keys_before`; at most `limit` of each. Remembers `reach`, the time it is
    /// taken to be. Returns how many went.
    async fn reap(
        &self,
        reach: Timestamp,
        transfers_before: Timestamp,
        keys_before: Timestamp,
        limit: u32,
    ) -> Result<u64, StoreError>;

    /// Whether other processes may write to the same store. If not, every row left by another
    /// owner is left over from a process that is gone.
    fn is_shared(&self) -> bool;

    /// Returns when everything recorded so far, by whatever process, survives the loss of power:
    /// what was recorded with [`Durability::Process`] may be named in an answer then.
    async fn secure(&self) -> Result<(), StoreError>;

    /// Whether the store can be written right now; for readiness.
    ///
    /// # Errors
    /// Why it cannot.
    async fn check(&self) -> Result<(), StoreError>;
}
