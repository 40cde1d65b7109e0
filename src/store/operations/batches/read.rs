//! Reading batches: one, lists, how they stand.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::{Unreadable, decode, storable},
            session::{Dialect, Fields, Session, Value},
        },
        Fault, Operation, sql,
    },
    count,
};
use crate::{
    batch::{Batch, DrainEdge, Tally, store::BatchFilter},
    metrics::StoreOperation,
    problem::Code,
    transfer::{
        ids::{BatchId, QueueId},
        model::{Status, Transfer},
    },
};

/// One batch.
pub(in crate::store) struct GetBatch(pub(in crate::store) BatchId);

impl Operation for GetBatch {
    const NAME: StoreOperation = StoreOperation::BatchGet;

    type Output = Option<Batch>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Option<Batch>, Fault> {
        let text = "SELECT data FROM batches WHERE id = $1";
        let rows = session.rows(sql(text), &[Value::Id(self.0.uuid())]).await?;
        rows.first().map(|row| Ok(decode(&row.text(0)?)?)).transpose()
    }
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

impl Operation for ListBatches {
    const NAME: StoreOperation = StoreOperation::BatchList;

    type Output = Vec<Batch>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Vec<Batch>, Fault> {
        let filter = &self.filter;
        let before = filter.before.map_or(Uuid::max(), BatchId::uuid);
        let mut values = vec![Value::Id(before), Value::Number(i64::from(self.limit))];
        let caller = filter.caller.as_ref().map(|caller| storable(caller.as_str()));
        let status = filter.status.map(super::BatchStatus::as_str);
        let joined;
        let text = match (caller.as_deref(), status) {
            (None, None) => "SELECT data FROM batches WHERE id < $1 ORDER BY id DESC LIMIT $2",
            (Some(caller), None) => {
                values.push(Value::Text(caller));
                page!(S::DIALECT, " AND caller = $3", " AND caller = $3")
            }
            (None, Some(status)) => {
                values.push(Value::Text(status));
                page!(S::DIALECT, " AND status = $3", " AND status = $3")
            }
            (Some(caller), Some(status)) => {
                joined = format!("{caller}/{status}");
                match S::DIALECT {
                    Dialect::Sqlite => values.extend([Value::Text(caller), Value::Text(status)]),
                    Dialect::Postgres => values.push(Value::Text(&joined)),
                }
                page!(
                    S::DIALECT,
                    " AND caller = $3 AND status = $4",
                    " AND caller || '/' || status = $3"
                )
            }
        };
        let rows = session.rows(sql(text), &values).await?;
        rows.iter().map(|row| Ok(decode(&row.text(0)?)?)).collect()
    }
}

/// How the items of a batch stand.
pub(in crate::store) struct TallyOf {
    pub(in crate::store) id: BatchId,
    /// Microseconds.
    pub(in crate::store) since: i64,
}

/// One transfer's part in a tally.
type Group = (Status, Option<Code>);

impl Operation for TallyOf {
    const NAME: StoreOperation = StoreOperation::BatchTally;

    type Output = Tally;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Tally, Fault> {
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
        let id = Value::Id(self.id.uuid());
        let rows = session.rows(sql(text), &[id, Value::Number(self.since)]).await?;
        let mut groups: HashMap<Group, u32> = HashMap::new();
        let mut last_minute = 0_u32;
        let mut without_code = 0;
        for row in &rows {
            let status = Status::from_text(&row.text(0)?).ok_or_else(|| {
                Unreadable("a transfer has a status this version does not know".to_owned())
            })?;
            let (found, recent) = (count(row.number(2)?)?, count(row.number(3)?)?);
            last_minute = last_minute.saturating_add(recent);
            let code = match (status, row.maybe_text(1)?) {
                (Status::Failed | Status::Skipped, Some(code)) => Code::from_text(&code),
                // Written by a process of the version before: the record has it.
                (Status::Failed | Status::Skipped, None) => {
                    without_code += found;
                    continue;
                }
                _ => None,
            };
            *groups.entry((status, code)).or_default() += found;
        }
        if without_code > 0 {
            for transfer in self.without_code(session).await? {
                let code = transfer.error.as_ref().map(|problem| problem.code);
                *groups.entry((transfer.stage.status(), code)).or_default() += 1;
            }
        }
        let settled = groups.into_iter().map(|((status, code), n)| (status, code, n)).collect();
        Ok(Tally { settled, last_minute })
    }
}

impl TallyOf {
    async fn without_code<S: Session>(&self, session: &mut S) -> Result<Vec<Transfer>, Fault> {
        let text = "SELECT data FROM transfers WHERE batch_id = $1 \
                    AND status IN ('failed', 'skipped') AND code IS NULL";
        let rows = session.rows(sql(text), &[Value::Id(self.id.uuid())]).await?;
        rows.iter().map(|row| Ok(decode(&row.text(0)?)?)).collect()
    }
}

/// Transfers of a batch that changed.
pub(in crate::store) struct Changed {
    pub(in crate::store) id: BatchId,
    /// Microseconds.
    pub(in crate::store) since: i64,
    pub(in crate::store) limit: u32,
}

impl Operation for Changed {
    const NAME: StoreOperation = StoreOperation::BatchChanged;

    type Output = Vec<Transfer>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Vec<Transfer>, Fault> {
        let text = "SELECT data FROM transfers WHERE batch_id = $1 AND updated_at >= $2 \
                    AND status <> 'pending' ORDER BY updated_at, id LIMIT $3";
        let values = [
            Value::Id(self.id.uuid()),
            Value::Number(self.since),
            Value::Number(i64::from(self.limit)),
        ];
        let rows = session.rows(sql(text), &values).await?;
        rows.iter().map(|row| Ok(decode(&row.text(0)?)?)).collect()
    }
}

/// The drains that run.
pub(in crate::store) struct RunningDrains;

impl Operation for RunningDrains {
    const NAME: StoreOperation = StoreOperation::BatchDrains;

    type Output = Vec<(BatchId, DrainEdge)>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Self::Output, Fault> {
        running_drains(session).await
    }
}

/// See [`RunningDrains`].
pub(super) async fn running_drains<S: Session>(
    session: &mut S,
) -> Result<Vec<(BatchId, DrainEdge)>, Fault> {
    let text = match S::DIALECT {
        Dialect::Sqlite => {
            "SELECT id, from_queue, to_queue FROM batches INDEXED BY batches_open \
             WHERE finished_at IS NULL AND status = 'running' AND from_queue IS NOT NULL \
             ORDER BY id"
        }
        Dialect::Postgres => {
            "SELECT id, from_queue, to_queue FROM batches \
             WHERE finished_at IS NULL AND status = 'running' AND from_queue IS NOT NULL \
             ORDER BY id"
        }
    };
    let rows = session.rows(sql(text), &[]).await?;
    let edge = |row: &S::Row| {
        let edge = (QueueId::new(row.id(1)?), QueueId::new(row.id(2)?));
        Ok((BatchId::new(row.id(0)?), edge))
    };
    rows.iter().map(edge).collect()
}
