//! Reading batches: one, lists, how they stand.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::storable,
            fault::{DbError, Unreadable},
            session::{DbRow, DbSession, Dialect, Param},
        },
        DbOperation,
        history::transfer,
    },
    batch, count,
};
use crate::{
    batch::{Batch, RunningDrain, Tally, store::BatchFilter},
    metrics::StoreOperation,
    problem::Code,
    transfer::{
        ids::{BatchId, QueueId},
        model::{CallerName, Status, Transfer},
    },
};

/// One batch.
pub(in crate::store) struct GetBatch(pub(in crate::store) BatchId);

impl DbOperation for GetBatch {
    const NAME: StoreOperation = StoreOperation::BatchGet;

    type Output = Option<Batch>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Option<Batch>, DbError> {
        let text = "SELECT data FROM batches WHERE id = $1";
        session.row(text, &[Param::Id(self.0.uuid())], batch).await
    }
}

/// The batch that undoes another.
pub(in crate::store) struct UndoOf(pub(in crate::store) BatchId);

impl DbOperation for UndoOf {
    const NAME: StoreOperation = StoreOperation::BatchUndoOf;

    type Output = Option<(BatchId, CallerName)>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Self::Output, DbError> {
        undo_of(session, self.0).await
    }
}

pub(super) async fn undo_of<S: DbSession>(
    session: &mut S,
    id: BatchId,
) -> Result<Option<(BatchId, CallerName)>, DbError> {
    let text = "SELECT data FROM batches WHERE undoes = $1 AND status <> 'failed'";
    let found = session.row(text, &[Param::Id(id.uuid())], batch).await?;
    Ok(found.map(|undo| (undo.id, undo.requested_by)))
}

/// One page of batches, newest first.
pub(in crate::store) struct ListBatches {
    pub(in crate::store) filter: BatchFilter,
    pub(in crate::store) limit: u32,
}

/// In PostgreSQL, conditions and order that only one index fits; see `history::page`.
macro_rules! page {
    ($dialect:expr, $sqlite:literal, $postgres:literal) => {
        match $dialect {
            Dialect::Sqlite => concat!(
                "SELECT data FROM batches WHERE id < $1",
                $sqlite,
                " ORDER BY id DESC LIMIT $2"
            ),
            Dialect::Postgres => concat!(
                "SELECT data FROM batches WHERE position < $1",
                $postgres,
                " ORDER BY position DESC LIMIT $2"
            ),
        }
    };
}

impl DbOperation for ListBatches {
    const NAME: StoreOperation = StoreOperation::BatchList;

    type Output = Vec<Batch>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Vec<Batch>, DbError> {
        let filter = &self.filter;
        let before = filter.before.map_or(Uuid::max(), BatchId::uuid);
        let mut values = vec![Param::Id(before), Param::Number(i64::from(self.limit))];
        let caller = filter.caller.as_ref().map(|caller| storable(caller.as_str()));
        let status = filter.status.map(super::BatchStatus::as_str);
        let joined;
        let text = match (caller.as_deref(), status) {
            (None, None) => "SELECT data FROM batches WHERE id < $1 ORDER BY id DESC LIMIT $2",
            (Some(caller), None) => {
                values.push(Param::Text(caller));
                page!(S::DIALECT, " AND caller = $3", " AND caller = $3")
            }
            (None, Some(status)) => {
                values.push(Param::Text(status));
                page!(S::DIALECT, " AND status = $3", " AND status = $3")
            }
            (Some(caller), Some(status)) => {
                joined = format!("{caller}/{status}");
                match S::DIALECT {
                    Dialect::Sqlite => values.extend([Param::Text(caller), Param::Text(status)]),
                    Dialect::Postgres => values.push(Param::Text(&joined)),
                }
                page!(
                    S::DIALECT,
                    " AND caller = $3 AND status = $4",
                    " AND caller || '/' || status = $3"
                )
            }
        };
        session.rows(text, &values, batch).await
    }
}

/// How the items of a batch stand.
pub(in crate::store) struct TallyOf {
    pub(in crate::store) id: BatchId,
    /// Microseconds.
    pub(in crate::store) since: i64,
}

impl DbOperation for TallyOf {
    const NAME: StoreOperation = StoreOperation::BatchTally;

    type Output = Tally;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Tally, DbError> {
        let text = match S::DIALECT {
            // Left to itself, the planner takes another index and sorts.
            Dialect::Sqlite => {
                "SELECT status, code, COUNT(*), COUNT(*) FILTER (WHERE created_at >= $2) \
                 FROM transfers INDEXED BY transfers_by_batch_outcome WHERE batch_id = $1 \
                 GROUP BY status, code"
            }
            Dialect::Postgres => {
                "SELECT status, code, COUNT(*), COUNT(*) FILTER (WHERE created_at >= $2) \
                 FROM transfers WHERE batch_id = $1 GROUP BY status, code"
            }
        };
        let id = Param::Id(self.id.uuid());
        let mut groups: HashMap<(Status, Option<Code>), u32> = HashMap::new();
        let mut last_minute = 0_u32;
        let mut without_code = 0;
        let add = |row: &dyn DbRow| {
            let status = Status::from_text(row.text(0)?).ok_or_else(|| {
                Unreadable("a transfer has a status this version does not know".to_owned())
            })?;
            let (found, recent) = (count(row.number(2)?)?, count(row.number(3)?)?);
            last_minute = last_minute.saturating_add(recent);
            let code = match (status, row.maybe_text(1)?) {
                (Status::Failed | Status::Skipped, Some(code)) => Code::from_text(code),
                // Written by a process of the version before: the record has it.
                (Status::Failed | Status::Skipped, None) => {
                    without_code += found;
                    return Ok(());
                }
                _ => None,
            };
            *groups.entry((status, code)).or_default() += found;
            Ok(())
        };
        session.rows(text, &[id, Param::Number(self.since)], add).await?;
        if without_code > 0 {
            for transfer in self.without_code(session).await? {
                let code = transfer.error.as_ref().map(|problem| problem.code);
                *groups.entry((transfer.stage.status(), code)).or_default() += 1;
            }
        }
        let settled = groups.into_iter().map(|((status, code), n)| (status, code, n)).collect();
        Ok(Tally { settled, last_minute, warned: self.warned(session).await? })
    }
}

impl TallyOf {
    /// How many transfers carry which warning.
    async fn warned<S: DbSession>(
        &self,
        session: &mut S,
    ) -> Result<BTreeMap<String, u32>, DbError> {
        let text = match S::DIALECT {
            Dialect::Sqlite => {
                "SELECT warned, COUNT(*) FROM transfers INDEXED BY transfers_by_batch_warned \
                 WHERE batch_id = $1 AND warned IS NOT NULL GROUP BY warned"
            }
            Dialect::Postgres => {
                "SELECT warned, COUNT(*) FROM transfers \
                 WHERE batch_id = $1 AND warned IS NOT NULL GROUP BY warned"
            }
        };
        let mut warned: BTreeMap<String, u32> = BTreeMap::new();
        let add = |row: &dyn DbRow| {
            let number = count(row.number(1)?)?;
            for code in row.text(0)?.split(',') {
                *warned.entry(code.to_owned()).or_default() += number;
            }
            Ok(())
        };
        session.rows(text, &[Param::Id(self.id.uuid())], add).await?;
        Ok(warned)
    }

    async fn without_code<S: DbSession>(&self, session: &mut S) -> Result<Vec<Transfer>, DbError> {
        let text = "SELECT data FROM transfers WHERE batch_id = $1 \
                    AND status IN ('failed', 'skipped') AND code IS NULL";
        session.rows(text, &[Param::Id(self.id.uuid())], transfer).await
    }
}

/// Transfers of a batch that changed.
pub(in crate::store) struct Changed {
    pub(in crate::store) id: BatchId,
    /// Microseconds.
    pub(in crate::store) since: i64,
    pub(in crate::store) limit: u32,
}

impl DbOperation for Changed {
    const NAME: StoreOperation = StoreOperation::BatchChanged;

    type Output = Vec<Transfer>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Vec<Transfer>, DbError> {
        let text = "SELECT data FROM transfers WHERE batch_id = $1 AND updated_at >= $2 \
                    AND status <> 'pending' ORDER BY updated_at, id LIMIT $3";
        let values = [
            Param::Id(self.id.uuid()),
            Param::Number(self.since),
            Param::Number(i64::from(self.limit)),
        ];
        session.rows(text, &values, transfer).await
    }
}

/// The drains that run.
pub(in crate::store) struct RunningDrains;

impl DbOperation for RunningDrains {
    const NAME: StoreOperation = StoreOperation::BatchDrains;

    type Output = Vec<RunningDrain>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Self::Output, DbError> {
        running_drains(session).await
    }
}

/// See [`RunningDrains`].
pub(super) async fn running_drains<S: DbSession>(
    session: &mut S,
) -> Result<Vec<RunningDrain>, DbError> {
    let text = match S::DIALECT {
        Dialect::Sqlite => {
            "SELECT id, from_queue, to_queue, standing_until FROM batches INDEXED BY batches_open \
             WHERE finished_at IS NULL AND status = 'running' AND from_queue IS NOT NULL \
             ORDER BY id"
        }
        Dialect::Postgres => {
            "SELECT id, from_queue, to_queue, standing_until FROM batches \
             WHERE finished_at IS NULL AND status = 'running' AND from_queue IS NOT NULL \
             ORDER BY id"
        }
    };
    let drain = |row: &dyn DbRow| {
        Ok(RunningDrain {
            id: BatchId::new(row.id(0)?),
            from: QueueId::new(row.id(1)?),
            to: QueueId::new(row.id(2)?),
            standing: row.maybe_number(3)?.is_some(),
        })
    };
    session.rows(text, &[], drain).await
}
