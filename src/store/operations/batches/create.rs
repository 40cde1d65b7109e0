//! Recording a batch with its items and its key, all or nothing.

use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::{Unreadable, encode, micros, storable},
            session::{Dialect, Fields, Session, Value},
        },
        Fault, Operation, sql,
    },
    held,
    items::NewItems,
    read::running_drains,
};
use crate::{
    batch::{
        BatchStatus, closes_circle,
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

impl Operation for FindBatchKey {
    const NAME: StoreOperation = StoreOperation::BatchFindKey;

    type Output = Option<BatchKeyRecord>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Self::Output, Fault> {
        find_key(session, &self.0).await
    }
}

async fn find_key<S: Session>(
    session: &mut S,
    scope: &KeyScope,
) -> Result<Option<BatchKeyRecord>, Fault> {
    let rows = session
        .rows(
            sql("SELECT fingerprint, batch_id, answer_status, answer_content_type, \
                 answer_location, answer_retry_after, answer_body FROM batch_keys \
                 WHERE caller = $1 AND route = $2 AND key = $3"),
            &[
                Value::Text(&storable(scope.caller.as_str())),
                Value::Text(scope.route),
                Value::Text(&storable(&scope.key)),
            ],
        )
        .await?;
    rows.first().map(record).transpose()
}

fn record(row: &impl Fields) -> Result<BatchKeyRecord, Fault> {
    let fingerprint = <[u8; 32]>::try_from(row.bytes(0)?)
        .map_err(|_| Unreadable("a key's fingerprint has the wrong length".to_owned()))?;
    let status = u16::try_from(row.number(2)?)
        .map_err(|_| Unreadable("a key's answer has no HTTP status".to_owned()))?;
    let answer = StoredResponse {
        status,
        content_type: row.text(3)?,
        location: row.maybe_text(4)?,
        retry_after: row.maybe_number(5)?.map(i64::cast_unsigned),
        body: row.bytes(6)?,
    };
    Ok(BatchKeyRecord { fingerprint, batch_id: BatchId::new(row.id(1)?), answer })
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
    async fn refusal<S: Session>(&self, session: &mut S) -> Result<Option<Created>, Fault> {
        let batch = &self.new.batch;
        if let Some((claim, _)) = &self.new.key
            && let Some(record) = find_key(session, &claim.scope).await?
        {
            // Its own: an earlier try went through although its end was not seen.
            let done = record.batch_id == batch.id;
            return Ok(Some(if done { Created::Done } else { Created::KeyTaken(record) }));
        }
        let there = "SELECT 1 FROM batches WHERE id = $1";
        if !session.rows(sql(there), &[Value::Id(batch.id.uuid())]).await?.is_empty() {
            return Ok(Some(Created::Done));
        }
        if let Some(plan) = self.new.plan
            && !has_plan(session, plan).await?
        {
            return Ok(Some(Created::PlanGone));
        }
        if let (Some(drain), BatchStatus::Running) = (&batch.drain, batch.status) {
            let running = running_drains(session).await?;
            let circle = closes_circle(&running, (drain.from.id, drain.to.id));
            return Ok(circle.map(Created::Loop));
        }
        Ok(None)
    }

    async fn add_batch<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let batch = &self.new.batch;
        let edge = batch.drain.as_ref();
        let text = "INSERT INTO batches \
            (id, status, caller, runner, from_queue, to_queue, finished_at, data) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let values = [
            Value::Id(batch.id.uuid()),
            Value::Text(batch.status.as_str()),
            Value::Text(&storable(batch.requested_by.as_str())),
            Value::Id(self.runner),
            Value::MaybeId(edge.map(|drain| drain.from.id.uuid())),
            Value::MaybeId(edge.map(|drain| drain.to.id.uuid())),
            Value::MaybeNumber(batch.finished_at.map(micros)),
            Value::Text(&self.data),
        ];
        session.execute(sql(text), &values).await?;
        Ok(())
    }

    async fn claim_key<S: Session>(
        &self,
        session: &mut S,
        claim: &KeyClaim,
        answer: &StoredResponse,
    ) -> Result<(), Fault> {
        let text = "INSERT INTO batch_keys (caller, route, key, fingerprint, batch_id, created_at, \
            answer_status, answer_content_type, answer_location, answer_retry_after, answer_body) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
            ON CONFLICT (caller, route, key) DO NOTHING";
        let values = [
            Value::Text(&storable(claim.scope.caller.as_str())),
            Value::Text(claim.scope.route),
            Value::Text(&storable(&claim.scope.key)),
            Value::Bytes(&claim.fingerprint),
            Value::Id(self.new.batch.id.uuid()),
            Value::Number(micros(self.new.batch.created_at)),
            Value::Number(i64::from(answer.status)),
            Value::Text(&answer.content_type),
            Value::MaybeText(answer.location.as_deref()),
            Value::MaybeNumber(answer.retry_after.map(u64::cast_signed)),
            Value::Bytes(&answer.body),
        ];
        // It was free a moment ago: another process was quicker.
        if session.execute(sql(text), &values).await? == 0 { Err(Fault::Race) } else { Ok(()) }
    }
}

async fn has_plan<S: Session>(session: &mut S, id: PlanId) -> Result<bool, Fault> {
    let text = held!(S, "SELECT 1 FROM batch_plans WHERE id = $1", "FOR UPDATE");
    Ok(!session.rows(text, &[Value::Id(id.uuid())]).await?.is_empty())
}

impl Operation for CreateBatch {
    const NAME: StoreOperation = StoreOperation::BatchCreate;

    type Output = Created;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Created, Fault> {
        if S::DIALECT == Dialect::Postgres && self.new.batch.drain.is_some() {
            // One drain at a time: whoever is next must see this one when it looks for a circle.
            session.rows(sql("SELECT pg_advisory_xact_lock(7107104, 2)"), &[]).await?;
        }
        if let Some(refusal) = self.refusal(session).await? {
            return Ok(refusal);
        }
        self.add_batch(session).await?;
        self.items.add(session).await?;
        if let Some((claim, answer)) = &self.new.key {
            self.claim_key(session, claim, answer).await?;
        }
        if let Some(plan) = self.new.plan {
            let text = "DELETE FROM batch_plans WHERE id = $1";
            session.execute(sql(text), &[Value::Id(plan.uuid())]).await?;
        }
        Ok(Created::Done)
    }
}
