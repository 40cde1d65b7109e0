//! A connection to PostgreSQL as the operations see it.

use sqlx::{PgConnection, Postgres, Row as _, SqlSafeStr, postgres::PgRow, query::Query};
use uuid::Uuid;

use super::super::{
    fault::Fault,
    session::{Dialect, Fields, Session, Value},
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
    fn bound(&self, sql: impl SqlSafeStr, values: &[Value<'_>]) -> PgQuery {
        let mut query = sqlx::query(sql).persistent(self.named);
        for value in values {
            query = match *value {
                Value::Id(id) => query.bind(id),
                Value::MaybeId(id) => query.bind(id),
                Value::Number(number) => query.bind(number),
                Value::MaybeNumber(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::MaybeText(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }
}

impl Session for PgSession<'_> {
    const DIALECT: Dialect = Dialect::Postgres;

    async fn execute(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
    ) -> Result<u64, Fault> {
        let query = self.bound(sql, values);
        Ok(query.execute(&mut *self.connection).await?.rows_affected())
    }

    async fn rows<T: Send>(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Value<'_>],
        mut read: impl FnMut(&dyn Fields) -> Result<T, Fault> + Send,
    ) -> Result<Vec<T>, Fault> {
        let query = self.bound(sql, values);
        let rows = query.fetch_all(&mut *self.connection).await?;
        rows.iter().map(|row| read(row)).collect()
    }
}

impl Fields for PgRow {
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, Fault> {
        Ok(self.try_get(column)?)
    }
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, Fault> {
        Ok(self.try_get(column)?)
    }
    fn maybe_text(&self, column: usize) -> Result<Option<&str>, Fault> {
        Ok(self.try_get(column)?)
    }
    fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, Fault> {
        Ok(self.try_get(column)?)
    }
}
