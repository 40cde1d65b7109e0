//! What is done to batches: the rows of batches themselves, their items, the lists of dry runs.

use uuid::Uuid;

use super::{
    super::{
        encoding::{decode, encode, micros},
        fault::{DbError, Unreadable},
        session::{DbRow, DbSession, Dialect, Param},
    },
    DbOperation,
};
use crate::{
    batch::{Batch, BatchStatus},
    metrics::StoreOperation,
    transfer::ids::BatchId,
};

mod adopt;
mod create;
mod items;
mod looks;
mod plans;
mod read;
mod take;

pub(in crate::store) use adopt::AdoptBatches;
pub(in crate::store) use create::{CreateBatch, FindBatchKey};
pub(in crate::store) use items::{AddItems, KnownConversations, OpenItems};
pub(in crate::store) use looks::{ClaimLook, ShareLook};
pub(in crate::store) use plans::{GetPlan, KeepPlan};
pub(in crate::store) use read::{Changed, GetBatch, ListBatches, RunningDrains, TallyOf, UndoOf};
pub(in crate::store) use take::{ReopenItem, ReopenUnsent, TakeItem};

/// Reads a row and keeps others from changing it until the transaction ends. SQLite has one writer
/// at a time and needs no word for that.
macro_rules! held {
    ($session:ty, $text:literal, $lock:literal) => {
        match <$session as DbSession>::DIALECT {
            Dialect::Sqlite => $text,
            Dialect::Postgres => concat!($text, " ", $lock),
        }
    };
}
use held;

/// A batch as it stands, and the process that works through it.
struct HeldBatch {
    batch: Batch,
    runner: Uuid,
}

impl HeldBatch {
    /// Whether `runner` may take more of it.
    fn runs_at(&self, runner: Uuid) -> bool {
        self.batch.status == BatchStatus::Running && self.runner == runner
    }
}

/// The batch, locked against every change until the transaction ends.
async fn hold<S: DbSession>(session: &mut S, id: BatchId) -> Result<Option<HeldBatch>, DbError> {
    let text = held!(S, "SELECT data, runner FROM batches WHERE id = $1", "FOR UPDATE");
    session.row(text, &[Param::Id(id.uuid())], read_held).await
}

/// The same, for an operation that does not change it: several may hold it at once.
async fn hold_shared<S: DbSession>(
    session: &mut S,
    id: BatchId,
) -> Result<Option<HeldBatch>, DbError> {
    let text = held!(S, "SELECT data, runner FROM batches WHERE id = $1", "FOR SHARE");
    session.row(text, &[Param::Id(id.uuid())], read_held).await
}

fn read_held(row: &dyn DbRow) -> Result<HeldBatch, DbError> {
    Ok(HeldBatch { batch: batch(row)?, runner: row.id(1)? })
}

/// The record in the first column.
fn batch(row: &dyn DbRow) -> Result<Batch, DbError> {
    Ok(decode(row.text(0)?)?)
}

/// Writes a batch that is held.
async fn write<S: DbSession>(session: &mut S, batch: &Batch) -> Result<(), DbError> {
    let data = encode(batch)?;
    let text = "UPDATE batches SET status = $2, finished_at = $3, data = $4 WHERE id = $1";
    let values = [
        Param::Id(batch.id.uuid()),
        Param::Text(batch.status.as_str()),
        Param::MaybeNumber(batch.finished_at.map(micros)),
        Param::Text(&data),
    ];
    session.execute(text, &values).await?;
    Ok(())
}

/// Changes a batch's row, as its runner.
pub(in crate::store) struct UpdateBatch {
    pub(in crate::store) batch: Batch,
    pub(in crate::store) runner: Uuid,
}

impl DbOperation for UpdateBatch {
    const NAME: StoreOperation = StoreOperation::BatchUpdate;

    type Output = bool;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<bool, DbError> {
        let held = hold(session, self.batch.id).await?;
        let Some(held) = held.filter(|held| held.runner == self.runner) else { return Ok(false) };
        let status = match held.batch.status {
            // A caller stopped it; that stays.
            BatchStatus::Cancelled => BatchStatus::Cancelled,
            _ => self.batch.status,
        };
        write(session, &Batch { status, total: held.batch.total, ..self.batch.clone() }).await?;
        Ok(true)
    }
}

/// Stops a batch that runs.
pub(in crate::store) struct CancelBatch {
    pub(in crate::store) id: BatchId,
    pub(in crate::store) now: jiff::Timestamp,
}

impl DbOperation for CancelBatch {
    const NAME: StoreOperation = StoreOperation::BatchCancel;

    type Output = Option<Batch>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Option<Batch>, DbError> {
        let Some(HeldBatch { batch, .. }) = hold(session, self.id).await? else { return Ok(None) };
        if batch.status != BatchStatus::Running {
            return Ok(Some(batch));
        }
        let stopped = Batch { status: BatchStatus::Cancelled, updated_at: self.now, ..batch };
        write(session, &stopped).await?;
        Ok(Some(stopped))
    }
}

/// A number of items as the database has it.
fn count(number: i64) -> Result<u32, Unreadable> {
    u32::try_from(number).map_err(|_| Unreadable("a count is no number of items".to_owned()))
}
