//! Batches in memory.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use jiff::SignedDuration;

use super::*;
use crate::{
    batch::{
        Batch, BatchStatus, Drain, Item, Plan, RunningDrain, Tally, drain_in_the_way,
        store::{
            BatchFilter, BatchKeyRecord, BatchStore, Created, LookClaim, NewBatch, QueueLook,
            TakeResult,
        },
    },
    problem::Problem,
    transfer::{
        ids::{BatchId, PlanId},
        model::{CallerName, Status},
    },
};

#[derive(Default)]
pub(super) struct Batches {
    all: BTreeMap<BatchId, Row>,
    keys: HashMap<KeyScope, BatchKeyRecord>,
    plans: HashMap<PlanId, Plan>,
    looks: Vec<(Timestamp, Uuid, Option<Vec<QueueLook>>)>,
}

struct Row {
    batch: Batch,
    runner: Uuid,
    items: BTreeMap<u32, (Item, Option<TransferId>)>,
}

impl Batches {
    fn undo_of(&self, id: BatchId) -> Option<(BatchId, CallerName)> {
        let undoes =
            |row: &&Row| row.batch.undoes == Some(id) && row.batch.status != BatchStatus::Failed;
        let undo = &self.all.values().find(undoes)?.batch;
        Some((undo.id, undo.requested_by.clone()))
    }

    fn drains(&self) -> Vec<RunningDrain> {
        let running = self.all.values().filter(|row| row.batch.status == BatchStatus::Running);
        running
            .filter_map(|row| {
                let drain = row.batch.drain.as_ref()?;
                Some(RunningDrain {
                    id: row.batch.id,
                    from: drain.from.id,
                    to: drain.to.id,
                    standing: drain.is_standing(),
                })
            })
            .collect()
    }

    fn row(&mut self, id: BatchId) -> Result<&mut Row, StoreError> {
        self.all.get_mut(&id).ok_or(StoreError { operation: "batch", cause: "none".to_owned() })
    }
}

impl Row {
    fn runs_at(&self, runner: Uuid) -> bool {
        self.batch.status == BatchStatus::Running && self.runner == runner
    }
}

#[async_trait]
impl BatchStore for MemoryStore {
    async fn batch_key(&self, scope: &KeyScope) -> Result<Option<BatchKeyRecord>, StoreError> {
        Ok(self.rows.lock().unwrap().batches.keys.get(scope).cloned())
    }

    async fn create_batch(&self, new: &NewBatch, runner: Uuid) -> Result<Created, StoreError> {
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        let batches = &mut rows.batches;
        let taken = new.key.as_ref().and_then(|(claim, _)| batches.keys.get(&claim.scope));
        if let Some(record) = taken {
            return Ok(Created::KeyTaken(record.clone()));
        }
        if let Some(undoes) = new.batch.undoes
            && let Some((other, by)) = batches.undo_of(undoes)
        {
            return Ok(Created::Undone(other, by));
        }
        if new.plan.is_some_and(|plan| !batches.plans.contains_key(&plan)) {
            return Ok(Created::PlanGone);
        }
        if let Some(drain) = &new.batch.drain
            && let Some(id) = drain_in_the_way(&batches.drains(), drain)
        {
            return Ok(Created::Loop(id));
        }
        if let Some(plan) = new.plan {
            batches.plans.remove(&plan);
        }
        if let Some((claim, answer)) = &new.key {
            let record = BatchKeyRecord {
                fingerprint: claim.fingerprint,
                batch_id: new.batch.id,
                answer: answer.clone(),
            };
            batches.keys.insert(claim.scope.clone(), record);
        }
        let items = new.items.iter().map(|item| (item.position, (item.clone(), None))).collect();
        batches.all.insert(new.batch.id, Row { batch: new.batch.clone(), runner, items });
        Ok(Created::Done)
    }

    async fn undo_of(&self, id: BatchId) -> Result<Option<(BatchId, CallerName)>, StoreError> {
        Ok(self.rows.lock().unwrap().batches.undo_of(id))
    }

    async fn keep_plan(&self, plan: &Plan) -> Result<(), StoreError> {
        self.broken()?;
        self.rows.lock().unwrap().batches.plans.insert(plan.id, plan.clone());
        Ok(())
    }

    async fn plan(&self, id: PlanId) -> Result<Option<Plan>, StoreError> {
        Ok(self.rows.lock().unwrap().batches.plans.get(&id).cloned())
    }

    async fn batch(&self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        Ok(self.rows.lock().unwrap().batches.all.get(&id).map(|row| row.batch.clone()))
    }

    async fn batches(&self, filter: &BatchFilter, limit: u32) -> Result<Vec<Batch>, StoreError> {
        let rows = self.rows.lock().unwrap();
        let wanted = |batch: &&Batch| {
            filter.caller.as_ref().is_none_or(|caller| batch.requested_by == *caller)
                && filter.status.is_none_or(|status| batch.status == status)
                && filter.before.is_none_or(|before| batch.id < before)
        };
        let newest_first = rows.batches.all.values().rev().map(|row| &row.batch);
        Ok(newest_first.filter(wanted).take(limit as usize).cloned().collect())
    }

    async fn tally(&self, id: BatchId, since: Timestamp) -> Result<Tally, StoreError> {
        let rows = self.rows.lock().unwrap();
        let mut tally = Tally::default();
        for (transfer, _) in rows.transfers.values().filter(|(t, _)| t.batch_id == Some(id)) {
            let status = transfer.stage.status();
            let code = match status {
                Status::Failed | Status::Skipped => transfer.error.as_ref().map(|e| e.code),
                _ => None,
            };
            match tally.settled.iter_mut().find(|(s, c, _)| (*s, *c) == (status, code)) {
                Some((_, _, count)) => *count += 1,
                None => tally.settled.push((status, code, 1)),
            }
            tally.last_minute += u32::from(transfer.created_at >= since);
            for warning in &transfer.warnings {
                *tally.warned.entry(warning.code.clone()).or_default() += 1;
            }
        }
        Ok(tally)
    }

    async fn changed(
        &self,
        id: BatchId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Transfer>, StoreError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let rows = self.rows.lock().unwrap();
        let wanted = |transfer: &&Transfer| {
            transfer.batch_id == Some(id)
                && transfer.updated_at >= since
                && transfer.stage.status() != Status::Pending
        };
        let all = rows.transfers.values().map(|(transfer, _)| transfer);
        let mut found: Vec<Transfer> = all.filter(wanted).cloned().collect();
        found.sort_by_key(|transfer| (transfer.updated_at, transfer.id));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn open_items(
        &self,
        id: BatchId,
        position: u32,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.batches.row(id)?;
        let open = row.items.range(position..).filter(|(_, (_, taken))| taken.is_none());
        Ok(open.map(|(_, (item, _))| item.clone()).take(limit as usize).collect())
    }

    async fn known_conversations(&self, id: BatchId) -> Result<Vec<ConversationId>, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let items = rows.batches.row(id)?.items.values();
        Ok(items.map(|(item, _)| item.request.conversation_id).collect())
    }

    async fn add_items(
        &self,
        id: BatchId,
        runner: Uuid,
        items: &[Item],
        total: u32,
    ) -> Result<bool, StoreError> {
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        let row = rows.batches.row(id)?;
        if !row.runs_at(runner) {
            return Ok(false);
        }
        let standing = row.batch.drain.as_ref().is_some_and(Drain::is_standing);
        for item in items {
            if standing {
                let same =
                    |known: &Item| known.request.conversation_id == item.request.conversation_id;
                row.items.retain(|_, (known, taken)| !same(known) || taken.is_none());
            }
            let known = row
                .items
                .values()
                .any(|(known, _)| known.request.conversation_id == item.request.conversation_id);
            if !known {
                let before = row.items.insert(item.position, (item.clone(), None));
                assert!(before.is_none(), "position {} is taken", item.position);
            }
        }
        row.batch.total = total.max(u32::try_from(row.items.len()).unwrap());
        Ok(true)
    }

    async fn take_item(
        &self,
        transfer: &Transfer,
        position: u32,
        runner: Uuid,
    ) -> Result<TakeResult, StoreError> {
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        let in_the_way = rows.in_the_way(transfer).map(|other| other.id);
        let settled = !transfer.stage.is_unsettled();
        let undone = rows.undone(transfer).map(|other| other.id);
        let row = rows.batches.row(transfer.batch_id.unwrap())?;
        let cancelled = row.batch.status == BatchStatus::Cancelled;
        if row.runner != runner || !(row.runs_at(runner) || cancelled && settled) {
            return Ok(TakeResult::Stopped);
        }
        let (_, taken) = row.items.get_mut(&position).unwrap();
        if let Some(id) = taken {
            return Ok(TakeResult::Already(*id));
        }
        if let Some(other) = in_the_way.filter(|_| !settled) {
            return Ok(TakeResult::ConversationTaken(other));
        }
        if let Some(other) = undone {
            return Ok(TakeResult::Undone(other));
        }
        *taken = Some(transfer.id);
        rows.transfers.insert(transfer.id, (transfer.clone(), runner));
        if self.unheard_takes.swap(0, Ordering::SeqCst) > 0 {
            return Err(StoreError { operation: "take", cause: "end not seen".to_owned() });
        }
        Ok(TakeResult::Done)
    }

    async fn reopen_item(
        &self,
        transfer: &Transfer,
        position: u32,
        owner: Uuid,
    ) -> Result<bool, StoreError> {
        self.broken()?;
        assert_eq!(transfer.stage, Stage::Failed);
        let failed = Transfer { batch_id: None, ..transfer.clone() };
        let mut rows = self.rows.lock().unwrap();
        let (row, has_it) = rows.transfers.get_mut(&transfer.id).unwrap();
        if *has_it != owner || !row.stage.is_unsettled() {
            return Ok(*row == failed);
        }
        *row = failed;
        let (_, taken) =
            rows.batches.row(transfer.batch_id.unwrap())?.items.get_mut(&position).unwrap();
        assert_eq!(taken.take(), Some(transfer.id));
        Ok(true)
    }

    async fn reopen_unsent(
        &self,
        id: BatchId,
        runner: Uuid,
        why: &Problem,
        now: Timestamp,
    ) -> Result<Vec<Transfer>, StoreError> {
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        let Rows { transfers, batches, .. } = &mut *rows;
        let row = batches.row(id)?;
        if row.runner != runner {
            return Ok(Vec::new());
        }
        let mut reopened = Vec::new();
        for (transfer, _) in transfers.values_mut() {
            let unsent = matches!(transfer.stage, Stage::Received | Stage::Prepared);
            if transfer.batch_id != Some(id) || !unsent {
                continue;
            }
            transfer.stage = Stage::Failed;
            transfer.error = Some(why.clone());
            transfer.updated_at = now;
            reopened.push(transfer.clone());
            transfer.batch_id = None;
            for (_, taken) in row.items.values_mut() {
                *taken = taken.filter(|taken| *taken != transfer.id);
            }
        }
        Ok(reopened)
    }

    async fn update_batch(&self, batch: &Batch, runner: Uuid) -> Result<bool, StoreError> {
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        let row = rows.batches.row(batch.id)?;
        if row.runner != runner {
            return Ok(false);
        }
        let cancelled = row.batch.status == BatchStatus::Cancelled;
        row.batch = Batch { total: row.batch.total, ..batch.clone() };
        if cancelled {
            row.batch.status = BatchStatus::Cancelled;
        }
        Ok(true)
    }

    async fn cancel_batch(&self, id: BatchId, now: Timestamp) -> Result<Option<Batch>, StoreError> {
        self.broken()?;
        let mut rows = self.rows.lock().unwrap();
        let Some(row) = rows.batches.all.get_mut(&id) else { return Ok(None) };
        if row.batch.status == BatchStatus::Running {
            row.batch.status = BatchStatus::Cancelled;
            row.batch.updated_at = now;
        }
        Ok(Some(row.batch.clone()))
    }

    async fn adopt_batches(
        &self,
        runner: Uuid,
        stale_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Batch>, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let stale: Vec<BatchId> = rows
            .batches
            .all
            .values()
            .filter(|row| row.batch.finished_at.is_none() && row.runner != runner)
            .filter(|row| !rows.is_alive(row.runner, stale_before))
            .map(|row| row.batch.id)
            .take(limit as usize)
            .collect();
        let mut adopted = Vec::new();
        for id in stale {
            let row = rows.batches.row(id)?;
            row.runner = runner;
            adopted.push(row.batch.clone());
        }
        Ok(adopted)
    }

    async fn running_drains(&self) -> Result<Vec<RunningDrain>, StoreError> {
        Ok(self.rows.lock().unwrap().batches.drains())
    }

    async fn claim_look(
        &self,
        look: Uuid,
        now: Timestamp,
        per_minute: u32,
        shared: Option<SignedDuration>,
    ) -> Result<LookClaim, StoreError> {
        self.broken()?;
        let looks = &mut self.rows.lock().unwrap().batches.looks;
        looks.retain(|(at, ..)| *at > now - SignedDuration::from_mins(1));
        let fresh = |at: Timestamp| shared.is_some_and(|within| at > now - within);
        let seen = looks.iter().rev().filter(|(at, ..)| fresh(*at)).find_map(|look| look.2.clone());
        if let Some(seen) = seen {
            return Ok(LookClaim::Seen(seen));
        }
        if looks.len() >= per_minute as usize {
            let oldest = looks[looks.len() - per_minute as usize].0;
            return Ok(LookClaim::NotBefore(oldest + SignedDuration::from_mins(1)));
        }
        looks.push((now, look, None));
        Ok(LookClaim::Granted)
    }

    async fn share_look(&self, look: Uuid, seen: &[QueueLook]) -> Result<(), StoreError> {
        let mut rows = self.rows.lock().unwrap();
        for (_, id, shared) in &mut rows.batches.looks {
            if *id == look {
                *shared = Some(seen.to_vec());
            }
        }
        Ok(())
    }
}
