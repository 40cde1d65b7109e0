//! Which process works on a transfer.

use uuid::Uuid;

use crate::transfer::{ids::TransferId, model::Transfer};

use super::{
    super::{
        encoding::decode,
        session::{Dialect, Fields, Session, Value},
    },
    Fault, Operation, sql, unsettled,
};

/// Hands unsettled transfers of dead processes to `owner`.
pub(in crate::store) struct Adopt {
    pub(in crate::store) owner: Uuid,
    /// A process is dead when its heartbeat (microseconds) is older, or when it has none.
    pub(in crate::store) stale_before: i64,
    pub(in crate::store) limit: u32,
}

macro_rules! stale {
    ($hint:literal) => {
        concat!(
            "SELECT t.id FROM transfers t ",
            $hint,
            " WHERE t.",
            unsettled!(),
            " AND t.owner <> $1 AND NOT EXISTS (SELECT 1 FROM instances i \
             WHERE i.owner = t.owner AND i.heartbeat >= $2) ORDER BY t.id LIMIT $3"
        )
    };
}

impl Operation for Adopt {
    type Output = Vec<Transfer>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Vec<Transfer>, Fault> {
        let text = match S::DIALECT {
            Dialect::Sqlite => concat!(
                "UPDATE transfers SET owner = $1 WHERE id IN (",
                // Left to itself, the planner walks all ids.
                stale!("INDEXED BY transfers_open"),
                ") RETURNING id, data"
            ),
            // Rows that another replica is adopting at this moment are left to it.
            Dialect::Postgres => concat!(
                "WITH stale AS (",
                stale!(""),
                " FOR UPDATE OF t SKIP LOCKED) UPDATE transfers SET owner = $1 FROM stale \
                 WHERE transfers.id = stale.id RETURNING transfers.id, transfers.data"
            ),
        };
        let values = [
            Value::Id(self.owner),
            Value::Number(self.stale_before),
            Value::Number(i64::from(self.limit)),
        ];
        let rows = session.rows(sql(text), &values).await?;
        let mut adopted: Vec<Transfer> = Vec::with_capacity(rows.len());
        for row in &rows {
            // One record that cannot be read must not keep all others from being settled.
            match decode(&row.text(1)?) {
                Ok(transfer) => adopted.push(transfer),
                Err(error) => {
                    let transfer_id = TransferId::new(row.id(0)?);
                    tracing::error!(%transfer_id, %error, "transfer cannot be settled");
                }
            }
        }
        adopted.sort_unstable_by_key(|transfer| transfer.id);
        Ok(adopted)
    }
}

/// Says that `owner` is alive.
pub(in crate::store) struct Heartbeat {
    pub(in crate::store) owner: Uuid,
    /// Microseconds.
    pub(in crate::store) now: i64,
}

impl Operation for Heartbeat {
    type Output = ();

    async fn apply<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let text = "INSERT INTO instances (owner, heartbeat) VALUES ($1, $2) \
                    ON CONFLICT (owner) DO UPDATE SET heartbeat = excluded.heartbeat";
        session.execute(sql(text), &[Value::Id(self.owner), Value::Number(self.now)]).await?;
        Ok(())
    }
}

/// Forgets `owner`.
pub(in crate::store) struct Retire {
    pub(in crate::store) owner: Uuid,
}

impl Operation for Retire {
    type Output = ();

    async fn apply<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let text = "DELETE FROM instances WHERE owner = $1";
        session.execute(sql(text), &[Value::Id(self.owner)]).await?;
        Ok(())
    }
}
