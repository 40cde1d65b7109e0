//! A connection to PostgreSQL as the operations see it.

use sqlx::{PgConnection, Postgres, Row as _, SqlSafeStr, postgres::PgRow, query::Query};
use uuid::Uuid;

use super::super::{
    fault::DbError,
    session::{DbRow, DbSession, Dialect, Param},
};

/// A connection inside a transaction.
pub(super) struct PgSession<'a> {
    pub(super) connection: &'a mut PgConnection,
    /// Whether statements are prepared by name, so once a connection. Not behind a pooler: the name
    /// stays with a connection that is another's next time.
    pub(super) named: bool,
}

type PgQuery = Query<'static, Postgres, sqlx::postgres::PgArguments>;

impl PgSession<'_> {
    fn bound(&self, sql: impl SqlSafeStr, values: &[Param<'_>]) -> PgQuery {
        let mut query = sqlx::query(sql).persistent(self.named);
        for value in values {
            query = match *value {
                Param::Id(id) => query.bind(id),
                Param::MaybeId(id) => query.bind(id),
                Param::Number(number) => query.bind(number),
                Param::MaybeNumber(number) => query.bind(number),
                Param::Text(text) => query.bind(text),
                Param::MaybeText(text) => query.bind(text),
                Param::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }
}

impl DbSession for PgSession<'_> {
    const DIALECT: Dialect = Dialect::Postgres;

    async fn execute(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
    ) -> Result<u64, DbError> {
        let query = self.bound(sql, values);
        Ok(query.execute(&mut *self.connection).await?.rows_affected())
    }

    async fn rows<T: Send>(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
        mut read: impl FnMut(&dyn DbRow) -> Result<T, DbError> + Send,
    ) -> Result<Vec<T>, DbError> {
        let query = self.bound(sql, values);
        let rows = query.fetch_all(&mut *self.connection).await?;
        rows.iter().map(|row| read(row)).collect()
    }
}

impl DbRow for PgRow {
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, DbError> {
        Ok(self.try_get(column)?)
    }
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, DbError> {
        Ok(self.try_get(column)?)
    }
    fn maybe_text(&self, column: usize) -> Result<Option<&str>, DbError> {
        Ok(self.try_get(column)?)
    }
    fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, DbError> {
        Ok(self.try_get(column)?)
    }
}
