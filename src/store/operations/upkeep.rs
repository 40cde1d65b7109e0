//! Keeping the record small and sound.

use uuid::Uuid;

use super::{
    super::{
        doubt::Doubt,
        encoding::{encode, micros},
        fault::{DbError, Unreadable},
        session::{DbRow, DbSession, Dialect, Param},
    },
    DbOperation, settled, unsettled,
};
use crate::{
    metrics::StoreOperation,
    problem::{Code, Problem},
    transfer::model::{Stage, Transfer},
};

/// When the newest record was written, in microseconds, by the clock of the process that wrote it.
pub(super) async fn newest<S: DbSession>(session: &mut S) -> Result<Option<i64>, DbError> {
    // One look at the end of each partial index.
    let text = concat!(
        "SELECT (SELECT MAX(updated_at) FROM transfers WHERE ",
        settled!(),
        "), (SELECT MAX(updated_at) FROM transfers WHERE ",
        unsettled!(),
        ")"
    );
    let newest = |row: &dyn DbRow| Ok(row.maybe_number(0)?.max(row.maybe_number(1)?));
    Ok(session.row(text, &[], newest).await?.flatten())
}

/// How far the last reaping went, in microseconds. A database that does not remember one begins
/// with its newest record, or `now` when it has none.
pub(in crate::store) struct Reaped {
    /// Microseconds.
    pub(in crate::store) now: i64,
}

impl DbOperation for Reaped {
    const NAME: StoreOperation = StoreOperation::Reap;

    type Output = i64;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<i64, DbError> {
        let begin = newest(session).await?.unwrap_or(self.now);
        let text = "INSERT INTO reapings (id, reach) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        session.execute(text, &[Param::Number(begin)]).await?;
        let text = "SELECT reach FROM reapings WHERE id = 1";
        Ok(session.row(text, &[], |row| row.number(0)).await?.unwrap_or(begin))
    }
}

/// Deletes what has been kept long enough. Times in microseconds.
pub(in crate::store) struct Reap {
    /// How far this reaping goes; remembered. Plans that expired before are forgotten.
    pub(in crate::store) reach: i64,
    /// Also of batches.
    pub(in crate::store) transfers_before: i64,
    pub(in crate::store) keys_before: i64,
    pub(in crate::store) limit: u32,
}

impl Reap {
    /// Batches that finished long ago, with what hangs on them, and forgotten plans.
    async fn reap_batches<S: DbSession>(&self, session: &mut S) -> Result<u64, DbError> {
        let limit = Param::Number(i64::from(self.limit));
        let keys = session
            .execute(
                "DELETE FROM batch_keys WHERE (caller, route, key) IN \
                     (SELECT caller, route, key FROM batch_keys \
                     WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
                &[Param::Number(self.keys_before), limit],
            )
            .await?;
        let finished = [Param::Number(self.transfers_before), limit];
        // A batch may have thousands of items: they go first, a part at a time.
        let items = session
            .execute(
                "DELETE FROM batch_items WHERE (batch_id, position) IN \
                     (SELECT i.batch_id, i.position FROM batches b \
                     JOIN batch_items i ON i.batch_id = b.id WHERE b.finished_at < $1 \
                     AND NOT EXISTS (SELECT 1 FROM batch_keys k WHERE k.batch_id = b.id) \
                     LIMIT $2)",
                &finished,
            )
            .await?;
        let batches = session
            .execute(
                "DELETE FROM batches WHERE id IN (SELECT b.id FROM batches b \
                     WHERE b.finished_at < $1 \
                     AND NOT EXISTS (SELECT 1 FROM batch_keys k WHERE k.batch_id = b.id) \
                     AND NOT EXISTS (SELECT 1 FROM batch_items i WHERE i.batch_id = b.id) \
                     ORDER BY b.finished_at LIMIT $2)",
                &finished,
            )
            .await?;
        let plans = session
            .execute(
                "DELETE FROM batch_plans WHERE id IN (SELECT id FROM batch_plans \
                     WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
                &[Param::Number(self.reach), limit],
            )
            .await?;
        Ok(keys + items + batches + plans)
    }
}

impl DbOperation for Reap {
    const NAME: StoreOperation = StoreOperation::Reap;

    type Output = u64;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<u64, DbError> {
        let text = "UPDATE reapings SET reach = $1 WHERE id = 1 AND reach < $1";
        session.execute(text, &[Param::Number(self.reach)]).await?;
        let limit = Param::Number(i64::from(self.limit));
        let keys = session
            .execute(
                "DELETE FROM idempotency_keys WHERE transfer_id IN \
                     (SELECT transfer_id FROM idempotency_keys WHERE settled_at < $1 \
                     ORDER BY settled_at LIMIT $2)",
                &[Param::Number(self.keys_before), limit],
            )
            .await?;
        let batches = self.reap_batches(session).await?;
        // A key that still counts needs its transfer, and a batch that is still there needs all.
        let transfers = session
            .execute(
                concat!(
                    "DELETE FROM transfers WHERE id IN (SELECT t.id FROM transfers t WHERE ",
                    settled!(),
                    " AND t.updated_at < $1 AND NOT EXISTS (SELECT 1 FROM idempotency_keys k \
                     WHERE k.transfer_id = t.id AND k.settled_at >= $2) \
                     AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.id = t.batch_id) \
                     ORDER BY t.updated_at LIMIT $3)"
                ),
                &[Param::Number(self.transfers_before), Param::Number(self.keys_before), limit],
            )
            .await?;
        Ok(keys + batches + transfers)
    }
}

/// Gives up a transfer whose caller was told that its insert failed, unless it moved on. The row
/// stays: meanwhile an answer may have named it to another caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Undo {
    pub(in crate::store) id: Uuid,
    pub(in crate::store) owner: Uuid,
    pub(in crate::store) stage: &'static str,
    /// Microseconds.
    pub(in crate::store) updated_at: i64,
    /// The record as it is to stand then: failed, `store_unavailable`.
    pub(in crate::store) given_up: String,
}

impl Undo {
    /// Gives up what `insert` may have recorded. Fails when the record cannot be encoded.
    pub(in crate::store) fn of(insert: &Doubt) -> Result<Self, Unreadable> {
        let problem = Problem::new(
            Code::StoreUnavailable,
            "It was not certain in time whether the transfer was recorded; nothing was sent.",
        );
        let transfer = &insert.transfer;
        let failed = Transfer { stage: Stage::Failed, error: Some(problem), ..transfer.clone() };
        Ok(Self {
            id: transfer.uuid(),
            owner: insert.owner,
            stage: transfer.stage.as_str(),
            updated_at: micros(transfer.updated_at),
            given_up: encode(&failed)?,
        })
    }
}

impl DbOperation for Undo {
    const NAME: StoreOperation = StoreOperation::Undo;

    type Output = u64;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<u64, DbError> {
        // A row that was settled when it came (a skipped one) is true as it is.
        let text = concat!(
            "UPDATE transfers SET stage = $5, status = $5, data = $6, code = $7 \
             WHERE id = $1 AND owner = $2 AND stage = $3 AND updated_at = $4 AND ",
            unsettled!()
        );
        let values = [
            Param::Id(self.id),
            Param::Id(self.owner),
            Param::Text(self.stage),
            Param::Number(self.updated_at),
            Param::Text(Stage::Failed.as_str()),
            Param::Text(&self.given_up),
            Param::Text(Code::StoreUnavailable.as_str()),
        ];
        let given_up = session.execute(text, &values).await?;
        if given_up > 0 {
            let free = "DELETE FROM idempotency_keys WHERE transfer_id = $1";
            session.execute(free, &[Param::Id(self.id)]).await?;
        }
        Ok(given_up)
    }
}

/// Writes one row, to know that writing works.
pub(in crate::store) struct WriteProbe {
    /// Microseconds.
    pub(in crate::store) now: i64,
    /// Whether to write as much as records do. A full disk may have room for the one row in the
    /// last pages of SQLite's log, and none for a transfer.
    pub(in crate::store) large: bool,
}

impl DbOperation for WriteProbe {
    const NAME: StoreOperation = StoreOperation::Probe;

    type Output = ();

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<(), DbError> {
        if self.large && S::DIALECT == Dialect::Sqlite {
            // Random, because SQLite leaves out pages that would not change.
            let text = "INSERT OR REPLACE INTO probe (id, checked_at) \
                        VALUES (2, randomblob(131072))";
            session.execute(text, &[]).await?;
        }
        let text = "INSERT INTO probe (id, checked_at) VALUES (1, $1) \
                    ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at";
        session.execute(text, &[Param::Number(self.now)]).await?;
        Ok(())
    }
}
