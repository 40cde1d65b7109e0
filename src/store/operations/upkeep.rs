//! Keeping the record small and sound.

use uuid::Uuid;

use super::{
    super::session::{Session, Value},
    Fault, Operation, settled, sql, unsettled,
};
use crate::{metrics::StoreOperation, transfer::model::Stage};

/// Deletes what has been kept long enough. Times in microseconds.
pub(in crate::store) struct Reap {
    pub(in crate::store) transfers_before: i64,
    pub(in crate::store) keys_before: i64,
    pub(in crate::store) limit: u32,
}

impl Operation for Reap {
    const NAME: StoreOperation = StoreOperation::Reap;

    type Output = u64;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<u64, Fault> {
        let limit = Value::Number(i64::from(self.limit));
        let keys = session
            .execute(
                sql("DELETE FROM idempotency_keys WHERE transfer_id IN \
                     (SELECT transfer_id FROM idempotency_keys WHERE settled_at < $1 \
                     ORDER BY settled_at LIMIT $2)"),
                &[Value::Number(self.keys_before), limit],
            )
            .await?;
        // A key that still counts needs its transfer.
        let transfers = session
            .execute(
                sql(concat!(
                    "DELETE FROM transfers WHERE id IN (SELECT t.id FROM transfers t WHERE t.",
                    settled!(),
                    " AND t.updated_at < $1 AND NOT EXISTS (SELECT 1 FROM idempotency_keys k \
                     WHERE k.transfer_id = t.id AND k.settled_at >= $2) \
                     ORDER BY t.updated_at LIMIT $3)"
                )),
                &[Value::Number(self.transfers_before), Value::Number(self.keys_before), limit],
            )
            .await?;
        Ok(keys + transfers)
    }
}

/// Gives up a transfer whose caller was told that its insert failed, unless it moved on. The row
/// stays: meanwhile an answer may have named it to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Undo {
    pub(in crate::store) id: Uuid,
    pub(in crate::store) owner: Uuid,
    pub(in crate::store) stage: &'static str,
    /// Microseconds.
    pub(in crate::store) updated_at: i64,
    /// The record as it is to stand then: failed.
    pub(in crate::store) given_up: String,
}

impl Operation for Undo {
    const NAME: StoreOperation = StoreOperation::Undo;

    type Output = u64;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<u64, Fault> {
        // A row that was settled when it came (a skipped one) is true as it is.
        let text = concat!(
            "UPDATE transfers SET stage = $5, status = $5, data = $6 \
             WHERE id = $1 AND owner = $2 AND stage = $3 AND updated_at = $4 AND ",
            unsettled!()
        );
        let values = [
            Value::Id(self.id),
            Value::Id(self.owner),
            Value::Text(self.stage),
            Value::Number(self.updated_at),
            Value::Text(Stage::Failed.as_str()),
            Value::Text(&self.given_up),
        ];
        let given_up = session.execute(sql(text), &values).await?;
        if given_up > 0 {
            let free = "DELETE FROM idempotency_keys WHERE transfer_id = $1";
            session.execute(sql(free), &[Value::Id(self.id)]).await?;
        }
        Ok(given_up)
    }
}

/// Writes one row, to know that writing works.
pub(in crate::store) struct Probe {
    /// Microseconds.
    pub(in crate::store) now: i64,
}

impl Operation for Probe {
    const NAME: StoreOperation = StoreOperation::Probe;

    type Output = ();

    async fn apply<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let text = "INSERT INTO probe (id, checked_at) VALUES (1, $1) \
                    ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at";
        session.execute(sql(text), &[Value::Number(self.now)]).await?;
        Ok(())
    }
}

/// Forgets every process: for a database whose only process starts.
pub(in crate::store) struct ClearInstances;

impl Operation for ClearInstances {
    type Output = ();

    async fn apply<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        session.execute(sql("DELETE FROM instances"), &[]).await?;
        Ok(())
    }
}
