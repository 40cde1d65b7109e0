//! Recording a batch with its items and its key, all or nothing.

use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::{encode, micros, storable},
            fault::{DbError, Unreadable},
            session::{DbRow, DbSession, Dialect, Param},
        },
        DbOperation, keys,
    },
    held,
    items::NewItems,
    read::{running_drains, undo_of},
};
use crate::{
    batch::{
        BatchStatus, drain_in_the_way,
        store::{BatchKeyRecord, Created, NewBatch},
    },
    metrics::StoreOperation,
    transfer::{
        ids::{BatchId, PlanId},
        store::{KeyClaim, KeyScope, StoredResponse},
    },
};

/// Finds a key; it counts until it is reaped.
pub(in crate::store) struct FindBatchKey(pub(in crate::store) KeyScope);

impl DbOperation for FindBatchKey {
    const NAME: StoreOperation = StoreOperation::BatchFindKey;

    type Output = Option<BatchKeyRecord>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Self::Output, DbError> {
        find_key(session, &self.0).await
    }
}

async fn find_key<S: DbSession>(
    session: &mut S,
    scope: &KeyScope,
) -> Result<Option<BatchKeyRecord>, DbError> {
    let text = "SELECT fingerprint, batch_id, answer_status, answer_content_type, \
        answer_location, answer_retry_after, answer_body FROM batch_keys \
        WHERE caller = $1 AND route = $2 AND key = $3";
    let (caller, key) = keys::columns(scope);
    let values = [Param::Text(&caller), Param::Text(scope.route), Param::Text(&key)];
    let record = |row: &dyn DbRow| {
        let answer = keys::answer(row, 2)?;
        let answer = answer.ok_or_else(|| Unreadable("a batch's key has no answer".to_owned()))?;
        let batch_id = BatchId::new(row.id(1)?);
        Ok(BatchKeyRecord { fingerprint: keys::fingerprint(row)?, batch_id, answer })
    };
    session.row(text, &values, record).await
}

/// Records a batch.
pub(in crate::store) struct CreateBatch {
    new: NewBatch,
    data: String,
    items: NewItems,
    runner: Uuid,
}

impl CreateBatch {
    /// Fails when the record cannot be put into words.
    pub(in crate::store) fn new(new: &NewBatch, runner: Uuid) -> Result<Self, Unreadable> {
        Ok(Self {
            data: encode(&new.batch)?,
            items: NewItems::new(new.batch.id, &new.items)?,
            new: new.clone(),
            runner,
        })
    }

    /// Why it is not to be recorded, if so; nothing is written.
    async fn refusal<S: DbSession>(&self, session: &mut S) -> Result<Option<Created>, DbError> {
        let batch = &self.new.batch;
        if let Some((claim, _)) = &self.new.key
            && let Some(record) = find_key(session, &claim.scope).await?
        {
            // Its own: an earlier try went through although its end was not seen.
            let done = record.batch_id == batch.id;
            return Ok(Some(if done { Created::Done } else { Created::KeyTaken(record) }));
        }
        let there = "SELECT 1 FROM batches WHERE id = $1";
        if session.row(there, &[Param::Id(batch.id.uuid())], |_| Ok(())).await?.is_some() {
            return Ok(Some(Created::Done));
        }
        if let Some(undoes) = batch.undoes
            && let Some((other, caller)) = undo_of(session, undoes).await?
        {
            return Ok(Some(Created::Undone(other, caller)));
        }
        if let Some(plan) = self.new.plan
            && !has_plan(session, plan).await?
        {
            return Ok(Some(Created::PlanGone));
        }
        if let (Some(drain), BatchStatus::Running) = (&batch.drain, batch.status) {
            let running = running_drains(session).await?;
            return Ok(drain_in_the_way(&running, drain).map(Created::Loop));
        }
        Ok(None)
    }

    async fn add_batch<S: DbSession>(&self, session: &mut S) -> Result<(), DbError> {
        let batch = &self.new.batch;
        let edge = batch.drain.as_ref();
        let text = "INSERT INTO batches \
            (id, status, caller, runner, from_queue, to_queue, finished_at, data, standing_until, \
            undoes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
        let values = [
            Param::Id(batch.id.uuid()),
            Param::Text(batch.status.as_str()),
            Param::Text(&storable(batch.requested_by.as_str())),
            Param::Id(self.runner),
            Param::MaybeId(edge.map(|drain| drain.from.id.uuid())),
            Param::MaybeId(edge.map(|drain| drain.to.id.uuid())),
            Param::MaybeNumber(batch.finished_at.map(micros)),
            Param::Text(&self.data),
            Param::MaybeNumber(edge.and_then(|drain| drain.until).map(micros)),
            Param::MaybeId(batch.undoes.map(BatchId::uuid)),
        ];
        // Another process was quicker with the undo of the same batch.
        if session.execute(text, &values).await? == 0 { Err(DbError::Race) } else { Ok(()) }
    }

    async fn claim_key<S: DbSession>(
        &self,
        session: &mut S,
        claim: &KeyClaim,
        answer: &StoredResponse,
    ) -> Result<(), DbError> {
        let text = "INSERT INTO batch_keys (caller, route, key, fingerprint, batch_id, created_at, \
            answer_status, answer_content_type, answer_location, answer_retry_after, answer_body) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
            ON CONFLICT (caller, route, key) DO NOTHING";
        let (caller, key) = keys::columns(&claim.scope);
        let mut values = vec![
            Param::Text(&caller),
            Param::Text(claim.scope.route),
            Param::Text(&key),
            Param::Bytes(&claim.fingerprint),
            Param::Id(self.new.batch.id.uuid()),
            Param::Number(micros(self.new.batch.created_at)),
        ];
        values.extend(keys::answer_values(answer));
        // It was free a moment ago: another process was quicker.
        if session.execute(text, &values).await? == 0 { Err(DbError::Race) } else { Ok(()) }
    }
}

async fn has_plan<S: DbSession>(session: &mut S, id: PlanId) -> Result<bool, DbError> {
    let text = held!(S, "SELECT 1 FROM batch_plans WHERE id = $1", "FOR UPDATE");
    Ok(session.row(text, &[Param::Id(id.uuid())], |_| Ok(())).await?.is_some())
}

impl DbOperation for CreateBatch {
    const NAME: StoreOperation = StoreOperation::BatchCreate;

    type Output = Created;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Created, DbError> {
        if S::DIALECT == Dialect::Postgres && self.new.batch.drain.is_some() {
            // One drain at a time: the next one must see this one when it looks for a circle.
            session.execute("SELECT pg_advisory_xact_lock(7107104, 2)", &[]).await?;
        }
        if let Some(refusal) = self.refusal(session).await? {
            return Ok(refusal);
        }
        self.add_batch(session).await?;
        self.items.add(session, false).await?;
        if let Some((claim, answer)) = &self.new.key {
            self.claim_key(session, claim, answer).await?;
        }
        if let Some(plan) = self.new.plan {
            let text = "DELETE FROM batch_plans WHERE id = $1";
            session.execute(text, &[Param::Id(plan.uuid())]).await?;
        }
        Ok(Created::Done)
    }
}
