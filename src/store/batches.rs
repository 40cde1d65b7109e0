//! The port of batches, over any database.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{
    backend::Backend,
    encoding::micros,
    fault::{OperationError, Unreadable},
    operations::{
        AddItems, AdoptBatches, CancelBatch, Changed, ClaimLook, CreateBatch, DbOperation,
        FindBatchKey, GetBatch, GetPlan, KeepPlan, KnownConversations, ListBatches, OpenItems,
        ReopenItem, ReopenUnsent, RunningDrains, ShareLook, TakeItem, TallyOf, UndoOf, UpdateBatch,
    },
    records::RecordStore,
};
use crate::{
    batch::{
        Batch, Item, Plan, RunningDrain, Tally,
        store::{
            BatchFilter, BatchKeyRecord, BatchStore, Created, LookClaim, NewBatch, QueueLook,
            TakeResult,
        },
    },
    problem::Problem,
    transfer::{
        ids::{BatchId, ConversationId, PlanId},
        model::{CallerName, Transfer},
        store::{Durability, KeyScope, StoreError},
    },
};

impl<B: Backend> RecordStore<B> {
    async fn record<O: DbOperation>(
        &self,
        operation: Result<O, Unreadable>,
    ) -> Result<O::Output, StoreError> {
        let operation = operation.map_err(|error| OperationError::from(error).of(O::NAME))?;
        let written = self.write(operation, Durability::Power).await;
        written.map_err(|trouble| trouble.of(O::NAME))
    }
}

#[async_trait]
impl<B: Backend> BatchStore for RecordStore<B> {
    async fn batch_key(&self, scope: &KeyScope) -> Result<Option<BatchKeyRecord>, StoreError> {
        self.read(FindBatchKey(scope.clone())).await
    }

    async fn create_batch(&self, new: &NewBatch, runner: Uuid) -> Result<Created, StoreError> {
        self.record(CreateBatch::new(new, runner)).await
    }

    async fn undo_of(&self, id: BatchId) -> Result<Option<(BatchId, CallerName)>, StoreError> {
        self.read(UndoOf(id)).await
    }

    async fn keep_plan(&self, plan: &Plan) -> Result<(), StoreError> {
        self.record(KeepPlan::new(plan)).await
    }

    async fn plan(&self, id: PlanId) -> Result<Option<Plan>, StoreError> {
        self.read(GetPlan(id)).await
    }

    async fn batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        self.read(GetBatch(id)).await
    }

    async fn batches(&self, filter: &BatchFilter, limit: u32) -> Result<Vec<Batch>, StoreError> {
        self.read(ListBatches { filter: filter.clone(), limit }).await
    }

    async fn tally(&self, id: BatchId, since: Timestamp) -> Result<Tally, StoreError> {
        self.read(TallyOf { id, since: micros(since) }).await
    }

    async fn changed(
        &self,
        id: BatchId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Transfer>, StoreError> {
        self.read(Changed { id, since: micros(since), limit }).await
    }

    async fn open_items(
        &self,
        id: BatchId,
        position: u32,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError> {
        self.read(OpenItems { id, position, limit }).await
    }

    async fn known_conversations(&self, id: BatchId) -> Result<Vec<ConversationId>, StoreError> {
        self.read(KnownConversations(id)).await
    }

    async fn add_items(
        &self,
        id: BatchId,
        runner: Uuid,
        items: &[Item],
        total: u32,
    ) -> Result<bool, StoreError> {
        self.record(AddItems::new(id, runner, items, total)).await
    }

    async fn take_item(
        &self,
        transfer: &Transfer,
        position: u32,
        runner: Uuid,
    ) -> Result<TakeResult, StoreError> {
        self.record(TakeItem::new(transfer, position, runner)).await
    }

    async fn reopen_item(
        &self,
        transfer: &Transfer,
        position: u32,
        owner: Uuid,
    ) -> Result<bool, StoreError> {
        self.record(ReopenItem::new(transfer, position, owner)).await
    }

    async fn reopen_unsent(
        &self,
        id: BatchId,
        runner: Uuid,
        why: &Problem,
        now: Timestamp,
    ) -> Result<Vec<Transfer>, StoreError> {
        let reopen = ReopenUnsent { id, runner, why: why.clone(), now };
        self.record(Ok(reopen)).await
    }

    async fn update_batch(&self, batch: &Batch, runner: Uuid) -> Result<bool, StoreError> {
        self.record(Ok(UpdateBatch { batch: batch.clone(), runner })).await
    }

    async fn cancel_batch(&self, id: BatchId, now: Timestamp) -> Result<Option<Batch>, StoreError> {
        self.record(Ok(CancelBatch { id, now })).await
    }

    async fn adopt_batches(
        &self,
        runner: Uuid,
        stale_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError> {
        let adopt = AdoptBatches { runner, stale_before: micros(stale_before), limit };
        self.record(Ok(adopt)).await
    }

    async fn running_drains(&self) -> Result<Vec<RunningDrain>, StoreError> {
        self.read(RunningDrains).await
    }

    async fn claim_look(
        &self,
        look: Uuid,
        now: Timestamp,
        per_minute: u32,
        shared: Option<SignedDuration>,
    ) -> Result<LookClaim, StoreError> {
        self.record(Ok(ClaimLook { id: look, now, per_minute, shared })).await
    }

    async fn share_look(&self, look: Uuid, seen: &[QueueLook]) -> Result<(), StoreError> {
        self.record(ShareLook::new(look, seen)).await
    }
}
