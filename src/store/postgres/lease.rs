//! A pooled connection that is thrown away unless it is known to be sound.

use sqlx::{PgConnection, Postgres, pool::PoolConnection};

/// Dropped half way (a time limit, a caller that left), the connection is closed instead of going
/// back into the pool, where its unfinished transaction or its dead peer would hold up others. The
/// server rolls back when it sees the end of the connection.
pub(super) struct Lease(Option<PoolConnection<Postgres>>);

impl Lease {
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }

    /// The connection.
    ///
    /// # Errors
    /// When it was given back already.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.0.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Gives the connection back: its transaction is over.
    pub(super) fn keep(mut self) {
        drop(self.0.take());
    }

    /// Ends the transaction without effect and gives the connection back, if that works.
    pub(super) async fn roll_back(mut self) {
        let Ok(connection) = self.connection() else { return };
        if sqlx::raw_sql("ROLLBACK").execute(connection).await.is_ok() {
            self.keep();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
