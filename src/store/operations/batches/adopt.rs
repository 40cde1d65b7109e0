//! Which process works through a batch.

use uuid::Uuid;

use super::super::{
    super::{
        encoding::decode,
        fault::DbError,
        session::{DbRow, DbSession, Dialect, Param},
    },
    DbOperation,
};
use crate::{batch::Batch, metrics::StoreOperation, transfer::ids::BatchId};

/// Hands unfinished batches of dead processes to `runner`.
pub(in crate::store) struct AdoptBatches {
    pub(in crate::store) runner: Uuid,
    /// A process is dead when its heartbeat (microseconds) is older, or when it has none.
    pub(in crate::store) stale_before: i64,
    pub(in crate::store) limit: u32,
}

macro_rules! stale {
    ($hint:literal) => {
        concat!(
            "SELECT b.id FROM batches b ",
            $hint,
            " WHERE b.finished_at IS NULL AND b.runner <> $1 AND b.runner NOT IN \
             (SELECT owner FROM instances WHERE heartbeat >= $2) \
             ORDER BY b.id LIMIT $3"
        )
    };
}

impl DbOperation for AdoptBatches {
    const NAME: StoreOperation = StoreOperation::BatchAdopt;

    type Output = Vec<Batch>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Vec<Batch>, DbError> {
        let text = match S::DIALECT {
            Dialect::Sqlite => concat!(
                "UPDATE batches SET runner = $1 WHERE id IN (",
                stale!("INDEXED BY batches_open"),
                ") RETURNING id, data"
            ),
            // One that another replica is adopting, or a caller stopping, comes with the next
            // heartbeat.
            Dialect::Postgres => concat!(
                "WITH stale AS (",
                stale!(""),
                " FOR UPDATE OF b SKIP LOCKED) UPDATE batches SET runner = $1 FROM stale \
                 WHERE batches.id = stale.id RETURNING batches.id, batches.data"
            ),
        };
        let values = [
            Param::Id(self.runner),
            Param::Number(self.stale_before),
            Param::Number(i64::from(self.limit)),
        ];
        // One record that cannot be read must not keep the others from going on.
        let readable = |row: &dyn DbRow| {
            let batch_id = BatchId::new(row.id(0)?);
            let batch = decode::<Batch>(row.text(1)?);
            Ok(batch
                .inspect_err(
                    |error| tracing::error!(%batch_id, %error, "cannot read a batch to resume it"),
                )
                .ok())
        };
        let rows = session.rows(text, &values, readable).await?;
        let mut adopted: Vec<Batch> = rows.into_iter().flatten().collect();
        adopted.sort_unstable_by_key(|batch| batch.id);
        Ok(adopted)
    }
}
