//! Turning an item into a transfer, and back.

use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::{Unreadable, decode, encode},
            session::{Dialect, Fields, Session, Value},
        },
        Fault, Operation,
        insert::{add_row, unsettled_of},
        sql,
    },
    held, hold_shared,
};
use crate::{
    metrics::StoreOperation,
    transfer::{
        batch::{BatchStatus, store::Taken},
        ids::{BatchId, TransferId},
        model::Transfer,
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

/// Makes an item open again.
pub(in crate::store) struct ReopenItem {
    pub(in crate::store) id: BatchId,
    pub(in crate::store) position: u32,
    pub(in crate::store) transfer_id: TransferId,
}

impl Operation for ReopenItem {
    const NAME: StoreOperation = StoreOperation::BatchReopenItem;

    type Output = ();

    async fn apply<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let transfer = Value::Id(self.transfer_id.uuid());
        let text = "UPDATE batch_items SET transfer_id = NULL \
                    WHERE batch_id = $1 AND position = $2 AND transfer_id = $3";
        let values = [Value::Id(self.id.uuid()), Value::Number(i64::from(self.position)), transfer];
        if session.execute(sql(text), &values).await? == 0 {
            // Done by an earlier try.
            return Ok(());
        }
        let text = held!(S, "SELECT data FROM transfers WHERE id = $1", "FOR UPDATE");
        let rows = session.rows(text, &[transfer]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let freed = Transfer { batch_id: None, ..decode(&row.text(0)?)? };
        let data = encode(&freed)?;
        let text = "UPDATE transfers SET batch_id = NULL, data = $2 \
                    WHERE id = $1 AND stage = 'failed'";
        if session.execute(sql(text), &[transfer, Value::Text(&data)]).await? == 0 {
            let stage = freed.stage.as_str();
            return Err(Unreadable(format!("a transfer that is {stage} cannot be put back")).into());
        }
        Ok(())
    }
}
