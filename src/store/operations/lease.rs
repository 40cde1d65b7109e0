//! Which process works on a transfer.

use uuid::Uuid;

use crate::{
    metrics::StoreOperation,
    transfer::{
        ids::TransferId,
        model::Transfer,
        rate::{RateShare, RateUse},
    },
};

use super::{
    super::{
        encoding::decode,
        fault::DbError,
        session::{DbRow, DbSession, Dialect, Param},
    },
    DbOperation, unsettled,
    upkeep::newest,
};

/// Hands transfers of dead processes to `owner`: those that are not settled, and those that are still
/// to be seen in their queues.
pub(in crate::store) struct Adopt {
    pub(in crate::store) owner: Uuid,
    /// A process is dead when its heartbeat (microseconds) is older, or when it has none.
    pub(in crate::store) stale_before: i64,
    pub(in crate::store) limit: u32,
}

/// Rows of `$from` whose owner is dead and for which `$which` holds. Not with NOT EXISTS, which
/// PostgreSQL makes a join of: of a row that another replica has adopted since the statement began it
/// then checks the new owner, but joins as before, and two replicas adopt it.
macro_rules! stale {
    ($from:literal, ($($which:tt)+)) => {
        concat!(
            "SELECT t.id FROM ",
            $from,
            " WHERE t.owner <> $1 AND t.owner NOT IN \
             (SELECT owner FROM instances WHERE heartbeat >= $2) AND ",
            $($which)+,
            " LIMIT $3"
        )
    };
}

/// Hands those rows to `$1`; `$hinted` is `$from` with SQLite's index.
macro_rules! adopt {
    ($dialect:expr, $hinted:literal, $from:literal, $which:tt) => {
        match $dialect {
            Dialect::Sqlite => concat!(
                "UPDATE transfers SET owner = $1 WHERE id IN (",
                stale!($hinted, $which),
                ") RETURNING id, data"
            ),
            // Rows that another replica is adopting at this moment are left to it.
            Dialect::Postgres => concat!(
                "WITH stale AS (",
                stale!($from, $which),
                " FOR UPDATE OF t SKIP LOCKED) UPDATE transfers SET owner = $1 FROM stale \
                 WHERE transfers.id = stale.id RETURNING transfers.id, transfers.data"
            ),
        }
    };
}

impl DbOperation for Adopt {
    const NAME: StoreOperation = StoreOperation::Adopt;

    type Output = Vec<Transfer>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Vec<Transfer>, DbError> {
        let unsettled = adopt!(
            S::DIALECT,
            // Left to itself, the planner walks all ids.
            "transfers t INDEXED BY transfers_unsettled",
            "transfers t",
            (unsettled!(), " ORDER BY t.id")
        );
        // The crossing is in this order: few are awaited.
        let awaited = adopt!(
            S::DIALECT,
            "awaited CROSS JOIN transfers t",
            "awaited CROSS JOIN transfers t",
            ("t.id = awaited.transfer_id")
        );
        let values = [
            Param::Id(self.owner),
            Param::Number(self.stale_before),
            Param::Number(i64::from(self.limit)),
        ];
        // One record that cannot be read must not keep all others from being settled.
        let readable = |row: &dyn DbRow| {
            let transfer_id = TransferId::new(row.id(0)?);
            let transfer = decode::<Transfer>(row.text(1)?);
            Ok(transfer
                .inspect_err(
                    |error| tracing::error!(%transfer_id, %error, "cannot read a transfer to settle it"),
                )
                .ok())
        };
        let mut rows = session.rows(unsettled, &values, readable).await?;
        rows.extend(session.rows(awaited, &values, readable).await?);
        let mut adopted: Vec<Transfer> = rows.into_iter().flatten().collect();
        adopted.sort_unstable_by_key(|transfer| transfer.id);
        Ok(adopted)
    }
}

/// Says that `owner` is alive; when the newest record was written, in microseconds.
pub(in crate::store) struct Heartbeat {
    pub(in crate::store) owner: Uuid,
    /// Microseconds.
    pub(in crate::store) now: i64,
}

impl DbOperation for Heartbeat {
    const NAME: StoreOperation = StoreOperation::Heartbeat;

    type Output = Option<i64>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Option<i64>, DbError> {
        let text = "INSERT INTO instances (owner, heartbeat) VALUES ($1, $2) \
                    ON CONFLICT (owner) DO UPDATE SET heartbeat = excluded.heartbeat";
        session.execute(text, &[Param::Id(self.owner), Param::Number(self.now)]).await?;
        newest(session).await
    }
}

/// What a request to Genesys counts against.
const MINUTE: i64 = 60_000_000;

/// Gives `owner` its share of a minute's limit.
pub(in crate::store) struct ShareRate {
    pub(in crate::store) owner: Uuid,
    /// Microseconds.
    pub(in crate::store) now: i64,
    pub(in crate::store) mine: RateUse,
    /// A process is dead when its heartbeat (microseconds) is older.
    pub(in crate::store) alive_since: i64,
}

impl ShareRate {
    /// What the others used and may yet use, and how many are alive.
    async fn hear<S: DbSession>(&self, session: &mut S) -> Result<(u64, u32), DbError> {
        let text = "SELECT heartbeat, spent, granted, spent_at FROM instances WHERE owner <> $1";
        let (mut others, mut alive) = (0_u64, 1);
        let process = |row: &dyn DbRow| {
            let lives = row.number(0)? >= self.alive_since;
            if row.maybe_number(3)?.is_none_or(|at| at < self.now - MINUTE) {
                return Ok((lives, 0));
            }
            let spent = row.maybe_number(1)?.unwrap_or_default();
            let granted = row.maybe_number(2)?.filter(|_| lives).unwrap_or_default();
            Ok((lives, spent.saturating_add(granted).max(0).cast_unsigned()))
        };
        for (lives, counts) in session.rows(text, &[Param::Id(self.owner)], process).await? {
            alive += u32::from(lives);
            others = others.saturating_add(counts);
        }
        Ok((others, alive))
    }
}

impl DbOperation for ShareRate {
    const NAME: StoreOperation = StoreOperation::ShareRate;

    type Output = RateShare;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<RateShare, DbError> {
        if S::DIALECT == Dialect::Postgres {
            // One round at a time: the next process must see what this one was given.
            session.execute("SELECT pg_advisory_xact_lock(7107104, 1)", &[]).await?;
        }
        let (others, alive) = self.hear(session).await?;
        let share = RateShare::of(self.mine, others, alive);
        let number = |count: u64| Param::Number(i64::try_from(count).unwrap_or(i64::MAX));
        let text = "INSERT INTO instances (owner, heartbeat, spent, granted, spent_at) \
                    VALUES ($1, $2, $3, $4, $2) ON CONFLICT (owner) DO UPDATE SET \
                    spent = excluded.spent, granted = excluded.granted, \
                    spent_at = excluded.spent_at";
        let values = [
            Param::Id(self.owner),
            Param::Number(self.now),
            number(self.mine.spent),
            number(share.left),
        ];
        session.execute(text, &values).await?;
        Ok(share)
    }
}

/// Forgets `owner`, but for what it has spent of the present minute. Those that are long gone are
/// forgotten altogether.
pub(in crate::store) struct Retire {
    pub(in crate::store) owner: Uuid,
    /// Microseconds.
    pub(in crate::store) now: i64,
}

impl DbOperation for Retire {
    const NAME: StoreOperation = StoreOperation::Retire;

    type Output = ();

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<(), DbError> {
        let text = "UPDATE instances SET heartbeat = 0 WHERE owner = $1";
        session.execute(text, &[Param::Id(self.owner)]).await?;
        let text = "DELETE FROM instances WHERE heartbeat < $1 \
                    AND (spent_at IS NULL OR spent_at < $1)";
        session.execute(text, &[Param::Number(self.now - MINUTE)]).await?;
        Ok(())
    }
}
