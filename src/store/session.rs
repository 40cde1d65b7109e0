//! A connection as the operations see it: statements with values in, counts and rows out.

use sqlx::SqlSafeStr;
use uuid::Uuid;

use super::fault::{DbError, Unreadable};

/// Where two databases need different words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// A value for a statement's `$n`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Param<'a> {
    Id(Uuid),
    MaybeId(Option<Uuid>),
    Number(i64),
    MaybeNumber(Option<i64>),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Bytes(&'a [u8]),
}

/// A row, by column position. Texts and bytes are lent from the driver's own copy.
pub(super) trait DbRow {
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, DbError>;
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, DbError>;
    fn maybe_text(&self, column: usize) -> Result<Option<&str>, DbError>;
    fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, DbError>;

    fn id(&self, column: usize) -> Result<Uuid, DbError> {
        self.maybe_id(column)?.ok_or_else(|| empty(column))
    }
    fn number(&self, column: usize) -> Result<i64, DbError> {
        self.maybe_number(column)?.ok_or_else(|| empty(column))
    }
    fn text(&self, column: usize) -> Result<&str, DbError> {
        self.maybe_text(column)?.ok_or_else(|| empty(column))
    }
    fn bytes(&self, column: usize) -> Result<&[u8], DbError> {
        self.maybe_bytes(column)?.ok_or_else(|| empty(column))
    }
}

fn empty(column: usize) -> DbError {
    Unreadable(format!("column {column} of a row is empty")).into()
}

/// A connection, inside a transaction where one is needed. The statements of SQLite are carried out
/// on the thread that asks for them: their futures are ready at once.
pub(super) trait DbSession: Send {
    /// Which words it understands.
    const DIALECT: Dialect;

    /// Carries out a statement; how many rows it touched.
    fn execute(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
    ) -> impl Future<Output = Result<u64, DbError>> + Send;

    /// Carries out a statement; what `read` makes of every row it answers.
    fn rows<T: Send>(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
        read: impl FnMut(&dyn DbRow) -> Result<T, DbError> + Send,
    ) -> impl Future<Output = Result<Vec<T>, DbError>> + Send;

    /// Carries out a statement that answers one row at most; what `read` makes of it.
    fn row<T: Send>(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
        read: impl FnMut(&dyn DbRow) -> Result<T, DbError> + Send,
    ) -> impl Future<Output = Result<Option<T>, DbError>> + Send {
        async move { Ok(self.rows(sql, values, read).await?.into_iter().next()) }
    }
}
