//! A connection as the operations see it: statements with values in, counts and rows out.

use sqlx::{PgConnection, Row as _, SqlStr, SqliteConnection, postgres::PgRow, sqlite::SqliteRow};
use uuid::Uuid;

/// Where two databases need different words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// A value for a statement's `$n`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Id(Uuid),
    MaybeId(Option<Uuid>),
    Number(i64),
    MaybeNumber(Option<i64>),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Bytes(&'a [u8]),
}

/// A row, by column position.
pub(super) trait Fields {
    fn id(&self, column: usize) -> Result<Uuid, sqlx::Error>;
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, sqlx::Error>;
    fn number(&self, column: usize) -> Result<i64, sqlx::Error>;
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, sqlx::Error>;
    fn text(&self, column: usize) -> Result<String, sqlx::Error>;
    fn maybe_text(&self, column: usize) -> Result<Option<String>, sqlx::Error>;
    fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error>;
    fn maybe_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error>;
}

/// A connection, inside a transaction where one is needed.
pub(super) trait Session: Send {
    /// Which words it understands.
    const DIALECT: Dialect;
    /// Its rows.
    type Row: Fields + Send;

    /// Carries out a statement; how many rows it touched.
    fn execute(
        &mut self,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Carries out a statement; all rows it answers.
    fn rows(
        &mut self,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;
}

macro_rules! bound {
    ($sql:ident, $values:ident) => {{
        let mut query = sqlx::query($sql);
        for value in $values {
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
    }};
}

// The two drivers have the same methods on unrelated types.
macro_rules! fields {
    ($row:ty) => {
        impl Fields for $row {
            fn id(&self, column: usize) -> Result<Uuid, sqlx::Error> {
                self.try_get(column)
            }
            fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, sqlx::Error> {
                self.try_get(column)
            }
            fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
                self.try_get(column)
            }
            fn maybe_number(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
                self.try_get(column)
            }
            fn text(&self, column: usize) -> Result<String, sqlx::Error> {
                self.try_get(column)
            }
            fn maybe_text(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
                self.try_get(column)
            }
            fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
                self.try_get(column)
            }
            fn maybe_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error> {
                self.try_get(column)
            }
        }
    };
}

fields!(SqliteRow);
fields!(PgRow);

impl Session for SqliteConnection {
    const DIALECT: Dialect = Dialect::Sqlite;
    type Row = SqliteRow;

    async fn execute(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        Ok(bound!(sql, values).execute(self).await?.rows_affected())
    }

    async fn rows(
        &mut self,
        sql: SqlStr,
        values: &[Value<'_>],
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        bound!(sql, values).fetch_all(self).await
    }
}

/// A connection to PostgreSQL.
pub(super) struct PgSession<'a> {
    pub(super) connection: &'a mut PgConnection,
    /// Whether statements are prepared by name, so once a connection. Not behind a pooler: the name
    /// stays with a connection that is another's next time.
    pub(super) named: bool,
}

impl Session for PgSession<'_> {
    const DIALECT: Dialect = Dialect::Postgres;
    type Row = PgRow;

    async fn execute(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        let query = bound!(sql, values).persistent(self.named);
        Ok(query.execute(&mut *self.connection).await?.rows_affected())
    }

    async fn rows(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<Vec<PgRow>, sqlx::Error> {
        bound!(sql, values).persistent(self.named).fetch_all(&mut *self.connection).await
    }
}
