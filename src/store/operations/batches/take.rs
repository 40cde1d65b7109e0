//! Turning an item into a transfer, and back.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::{code, decode, encode, micros},
            fault::{DbError, Unreadable},
            session::{DbRow, DbSession, Dialect, Param},
        },
        DbOperation,
        insert::{InTheWay, NewRow, in_the_way},
        unsettled,
    },
    held, hold_shared,
};
use crate::{
    batch::{BatchStatus, store::TakeResult},
    metrics::StoreOperation,
    problem::Problem,
    transfer::{
        ids::{BatchId, TransferId},
        model::{Stage, Transfer},
    },
};

/// Turns an item into a transfer.
pub(in crate::store) struct TakeItem {
    row: NewRow,
    /// Whether the transfer is settled as it comes.
    settled: bool,
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
        let settled = !transfer.stage.is_unsettled();
        Ok(Self { row: NewRow::new(transfer, runner)?, settled, batch_id, position, runner })
    }

    fn place(&self) -> [Param<'_>; 2] {
        [Param::Id(self.batch_id.uuid()), Param::Number(i64::from(self.position))]
    }
}

impl DbOperation for TakeItem {
    const NAME: StoreOperation = StoreOperation::BatchTakeItem;

    type Output = TakeResult;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<TakeResult, DbError> {
        let Some(held) = hold_shared(session, self.batch_id).await? else {
            return Ok(TakeResult::Stopped);
        };
        let text = held!(
            S,
            "SELECT transfer_id FROM batch_items WHERE batch_id = $1 AND position = $2",
            "FOR UPDATE"
        );
        let item = session.row(text, &self.place(), |row| row.maybe_id(0)).await?;
        // First of all: a caller that asks again must hear that its transfer is there.
        if let Some(id) = item.ok_or_else(|| Unreadable("there is no such item".to_owned()))? {
            return Ok(TakeResult::Already(TransferId::new(id)));
        }
        let closing = self.settled
            && held.runner == self.runner
            && held.batch.status == BatchStatus::Cancelled;
        if !held.runs_at(self.runner) && !closing {
            return Ok(TakeResult::Stopped);
        }
        if !self.row.add(session).await? {
            return Ok(match in_the_way(session, &self.row).await? {
                InTheWay::Unsettled(other) => TakeResult::ConversationTaken(other.id),
                InTheWay::Undo(other) => TakeResult::Undone(other.id),
            });
        }
        let [id, position] = self.place();
        let text = "UPDATE batch_items SET transfer_id = $3 WHERE batch_id = $1 AND position = $2";
        session.execute(text, &[id, position, Param::Id(self.row.id.uuid())]).await?;
        Ok(TakeResult::Done)
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
    async fn already_done<S: DbSession>(&self, session: &mut S) -> Result<bool, DbError> {
        let id = [Param::Id(self.failed.uuid())];
        let text = "SELECT data FROM transfers WHERE id = $1";
        let same = session.row(text, &id, |row| Ok(row.text(0)? == self.data)).await?;
        Ok(same.unwrap_or_default())
    }
}

impl DbOperation for ReopenItem {
    const NAME: StoreOperation = StoreOperation::BatchReopenItem;

    type Output = bool;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<bool, DbError> {
        if !free_row(session, &self.failed, &self.data, self.owner).await? {
            return self.already_done(session).await;
        }
        let text = "UPDATE batch_items SET transfer_id = NULL \
                    WHERE batch_id = $1 AND position = $2 AND transfer_id = $3";
        let values = [
            Param::Id(self.batch_id.uuid()),
            Param::Number(i64::from(self.position)),
            Param::Id(self.failed.uuid()),
        ];
        session.execute(text, &values).await?;
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
    async fn unsent<S: DbSession>(
        &self,
        session: &mut S,
    ) -> Result<Vec<(Transfer, Uuid)>, DbError> {
        let text = held!(
            S,
            "SELECT data, owner FROM transfers WHERE batch_id = $1 AND status = 'pending' \
             AND stage IN ('received', 'prepared')",
            "FOR UPDATE"
        );
        let unsent = |row: &dyn DbRow| Ok((decode(row.text(0)?)?, row.id(1)?));
        session.rows(text, &[Param::Id(self.id.uuid())], unsent).await
    }
}

impl DbOperation for ReopenUnsent {
    const NAME: StoreOperation = StoreOperation::BatchReopenUnsent;

    type Output = Vec<Transfer>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Vec<Transfer>, DbError> {
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
                let values = [Param::Id(self.id.uuid()), Param::Id(failed.uuid())];
                session.execute(text, &values).await?;
                reopened.push(Transfer { batch_id: Some(self.id), ..failed });
            }
        }
        Ok(reopened)
    }
}

/// Settles the row of a transfer that fails and no longer belongs to its batch. `false`: `owner`
/// does not have it any more, or it is settled.
async fn free_row<S: DbSession>(
    session: &mut S,
    failed: &Transfer,
    data: &str,
    owner: Uuid,
) -> Result<bool, DbError> {
    let text = concat!(
        "UPDATE transfers SET stage = 'failed', status = 'failed', batch_id = NULL, \
         updated_at = $3, data = $4, code = $5 WHERE id = $1 AND owner = $2 AND ",
        unsettled!()
    );
    let values = [
        Param::Id(failed.uuid()),
        Param::Id(owner),
        Param::Number(micros(failed.updated_at)),
        Param::Text(data),
        Param::MaybeText(code(failed)),
    ];
    Ok(session.execute(text, &values).await? > 0)
}
