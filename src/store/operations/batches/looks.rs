//! The looks of standing drains, of which all processes together make a few a minute.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::super::{
    super::{
        encoding::{decode, encode, micros, time},
        fault::{DbError, Unreadable},
        session::{DbRow, DbSession, Dialect, Param},
    },
    DbOperation,
};
use crate::{
    batch::store::{LookClaim, QueueLook},
    metrics::StoreOperation,
};

/// Looks count for so long. Microseconds.
const MINUTE: i64 = 60_000_000;

/// Asks for leave to look.
pub(in crate::store) struct ClaimLook {
    pub(in crate::store) id: Uuid,
    pub(in crate::store) now: Timestamp,
    pub(in crate::store) per_minute: u32,
    pub(in crate::store) shared: Option<SignedDuration>,
}

impl DbOperation for ClaimLook {
    const NAME: StoreOperation = StoreOperation::LookClaim;

    type Output = LookClaim;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<LookClaim, DbError> {
        if S::DIALECT == Dialect::Postgres {
            // One at a time: the next process must see this look when it counts.
            session.execute("SELECT pg_advisory_xact_lock(7107104, 3)", &[]).await?;
        }
        let now = micros(self.now);
        let text = "SELECT looked_at, seen, id FROM standing_looks WHERE looked_at > $1 \
                    ORDER BY looked_at DESC, id DESC";
        let look = |row: &dyn DbRow| {
            Ok((row.number(0)?, row.maybe_text(1)?.map(str::to_owned), row.id(2)?))
        };
        let recent = session.rows(text, &[Param::Number(now - MINUTE)], look).await?;
        if recent.iter().any(|(_, _, id)| *id == self.id) {
            // An earlier try went through although its end was not seen.
            return Ok(LookClaim::Granted);
        }
        if let Some(within) = self.shared {
            let since = micros(self.now.saturating_sub(within).unwrap_or(Timestamp::MIN));
            let mut seen = recent.iter().take_while(|(at, _, _)| *at > since);
            if let Some(seen) = seen.find_map(|(_, seen, _)| seen.as_deref()) {
                return Ok(LookClaim::Seen(decode(seen)?));
            }
        }
        let most = usize::try_from(self.per_minute).unwrap_or(usize::MAX);
        if let Some((oldest, _, _)) = recent.get(most.saturating_sub(1)) {
            return Ok(LookClaim::NotBefore(time(oldest + MINUTE)));
        }
        let text = "DELETE FROM standing_looks WHERE looked_at <= $1";
        session.execute(text, &[Param::Number(now - MINUTE)]).await?;
        let text = "INSERT INTO standing_looks (id, looked_at) VALUES ($1, $2)";
        session.execute(text, &[Param::Id(self.id), Param::Number(now)]).await?;
        Ok(LookClaim::Granted)
    }
}

/// Shares what a look saw.
pub(in crate::store) struct ShareLook {
    id: Uuid,
    seen: String,
}

impl ShareLook {
    /// Fails when it cannot be put into words.
    pub(in crate::store) fn new(id: Uuid, seen: &[QueueLook]) -> Result<Self, Unreadable> {
        Ok(Self { id, seen: encode(&seen)? })
    }
}

impl DbOperation for ShareLook {
    const NAME: StoreOperation = StoreOperation::LookShare;

    type Output = ();

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<(), DbError> {
        let text = "UPDATE standing_looks SET seen = $2 WHERE id = $1";
        session.execute(text, &[Param::Id(self.id), Param::Text(&self.seen)]).await?;
        Ok(())
    }
}
