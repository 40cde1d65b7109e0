//! Turning an item into a transfer, and back.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::{Unreadable, code, decode, encode, micros},
            session::{Dialect, Fields, Session, Value},
        },
        Fault, Operation,
        insert::{add_row, unsettled_of},
        sql, unsettled,
    },
    held, hold_shared,
};
use crate::{
    batch::{BatchStatus, store::Taken},
    metrics::StoreOperation,
    problem::Problem,
    transfer::{
        ids::{BatchId, TransferId},
        model::{Stage, Transfer},
    },
};

/// Turns an item into a transfer.
pub(in crate::store) struct TakeItem {
    transfer: Transfer,
    data: String,
    batch_id: BatchId,
    position: u32,
    runner: Uuid,
}

impl TakeItem {
    /// Fails when the transfer is of no batch, or cannot be put into words.
    pub(in crate::store) fn new(
        transfer: &Transfer,
        position: u32,
        runner: Uuid,
    ) -> Result<Self, Unreadable> {
        let batch_id = transfer
            .batch_id
            .ok_or_else(|| Unreadable("an item's transfer names no batch".to_owned()))?;
        let data = encode(transfer)?;
        Ok(Self { transfer: transfer.clone(), data, batch_id, position, runner })
    }

    fn place(&self) -> [Value<'_>; 2] {
        [Value::Id(self.batch_id.uuid()), Value::Number(i64::from(self.position))]
    }
}

impl Operation for TakeItem {
    const NAME: StoreOperation = StoreOperation::BatchTakeItem;

    type Output = Taken;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Taken, Fault> {
        let Some(held) = hold_shared(session, self.batch_id).await? else {
            return Ok(Taken::Stopped);
        };
        let text = held!(
            S,
            "SELECT transfer_id FROM batch_items WHERE batch_id = $1 AND position = $2",
            "FOR UPDATE"
        );
        let rows = session.rows(text, &self.place()).await?;
        let row = rows.first().ok_or_else(|| Unreadable("there is no such item".to_owned()))?;
        // First of all: who asks again must hear that his transfer is there.
        if let Some(id) = row.maybe_id(0)? {
            return Ok(Taken::Already(TransferId::new(id)));
        }
        let settled = !self.transfer.stage.is_unsettled();
        let closing =
            settled && held.runner == self.runner && held.batch.status == BatchStatus::Cancelled;
        if !held.runs_at(self.runner) && !closing {
            return Ok(Taken::Stopped);
        }
        if !add_row(session, &self.transfer, &self.data, self.runner).await? {
            let other = unsettled_of(session, self.transfer.request.conversation_id).await?;
            return Ok(Taken::ConversationTaken(other.id));
        }
        let [id, position] = self.place();
        let text = "UPDATE batch_items SET transfer_id = $3 WHERE batch_id = $1 AND position = $2";
        session.execute(sql(text), &[id, position, Value::Id(self.transfer.uuid())]).await?;
        Ok(Taken::Done)
    }
}

/// Settles a transfer that was sent in vain, or not at all, and makes its item open again.
pub(in crate::store) struct ReopenItem {
    failed: Transfer,
    data: String,
    batch_id: BatchId,
    position: u32,
    owner: Uuid,
}

impl ReopenItem {
    /// Fails when the transfer is not a failed one of a batch, or cannot be put into words.
    pub(in crate::store) fn new(
        transfer: &Transfer,
        position: u32,
        owner: Uuid,
    ) -> Result<Self, Unreadable> {
        let batch_id = transfer.batch_id.filter(|_| transfer.stage == Stage::Failed);
        let batch_id = batch_id.ok_or_else(|| {
            let stage = transfer.stage.as_str();
            Unreadable(format!("a transfer that is {stage} cannot be put back"))
        })?;
        let failed = Transfer { batch_id: None, ..transfer.clone() };
        let data = encode(&failed)?;
        Ok(Self { failed, data, batch_id, position, owner })
    }

    /// Whether an earlier try did it whose end was not seen.
    async fn already_done<S: Session>(&self, session: &mut S) -> Result<bool, Fault> {
        let id = [Value::Id(self.failed.uuid())];
        let rows = session.rows(sql("SELECT data FROM transfers WHERE id = $1"), &id).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        Ok(row.text(0)? == self.data)
    }
}

impl Operation for ReopenItem {
    const NAME: StoreOperation = StoreOperation::BatchReopenItem;

    type Output = bool;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<bool, Fault> {
        if !free_row(session, &self.failed, &self.data, self.owner).await? {
            return self.already_done(session).await;
        }
        let text = "UPDATE batch_items SET transfer_id = NULL \
                    WHERE batch_id = $1 AND position = $2 AND transfer_id = $3";
        let values = [
            Value::Id(self.batch_id.uuid()),
            Value::Number(i64::from(self.position)),
            Value::Id(self.failed.uuid()),
        ];
        session.execute(sql(text), &values).await?;
        Ok(true)
    }
}

/// Does the same to all of a batch that a runner before recorded and did not send.
pub(in crate::store) struct ReopenUnsent {
    pub(in crate::store) id: BatchId,
    pub(in crate::store) runner: Uuid,
    pub(in crate::store) why: Problem,
    pub(in crate::store) now: Timestamp,
}

impl ReopenUnsent {
    async fn unsent<S: Session>(&self, session: &mut S) -> Result<Vec<(Transfer, Uuid)>, Fault> {
        let text = held!(
            S,
            "SELECT data, owner FROM transfers WHERE batch_id = $1 AND status = 'pending' \
             AND stage IN ('received', 'prepared')",
            "FOR UPDATE"
        );
        let rows = session.rows(text, &[Value::Id(self.id.uuid())]).await?;
        rows.iter().map(|row| Ok((decode(&row.text(0)?)?, row.id(1)?))).collect()
    }
}

impl Operation for ReopenUnsent {
    const NAME: StoreOperation = StoreOperation::BatchReopenUnsent;

    type Output = Vec<Transfer>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Vec<Transfer>, Fault> {
        let held = hold_shared(session, self.id).await?;
        if held.is_none_or(|held| held.runner != self.runner) {
            return Ok(Vec::new());
        }
        let mut reopened = Vec::new();
        for (transfer, owner) in self.unsent(session).await? {
            let failed = Transfer {
                stage: Stage::Failed,
                error: Some(self.why.clone()),
                batch_id: None,
                updated_at: self.now,
                ..transfer
            };
            if free_row(session, &failed, &encode(&failed)?, owner).await? {
                let text = "UPDATE batch_items SET transfer_id = NULL \
                            WHERE batch_id = $1 AND transfer_id = $2";
                let values = [Value::Id(self.id.uuid()), Value::Id(failed.uuid())];
                session.execute(sql(text), &values).await?;
                reopened.push(Transfer { batch_id: Some(self.id), ..failed });
            }
        }
        Ok(reopened)
    }
}

/// Settles the row of a transfer that fails and no longer belongs to its batch. `false`: `owner`
/// does not have it any more, or it is settled.
async fn free_row<S: Session>(
    session: &mut S,
    failed: &Transfer,
    data: &str,
    owner: Uuid,
) -> Result<bool, Fault> {
    let text = concat!(
        "UPDATE transfers SET stage = 'failed', status = 'failed', batch_id = NULL, \
         updated_at = $3, data = $4, code = $5 WHERE id = $1 AND owner = $2 AND ",
        unsettled!()
    );
    let values = [
        Value::Id(failed.uuid()),
        Value::Id(owner),
        Value::Number(micros(failed.updated_at)),
        Value::Text(data),
        Value::MaybeText(code(failed)),
    ];
    Ok(session.execute(sql(text), &values).await? > 0)
}
