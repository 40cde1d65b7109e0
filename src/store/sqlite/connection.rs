//! A connection to SQLite as the operations see it. Every statement is carried out on the thread
//! that asks for it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, Statement, ToSql, types::ToSqlOutput, types::ValueRef};
use sqlx::SqlSafeStr;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    super::{
        OpenError,
        fault::{DbError, Unreadable, sqlite_words},
        migrations,
        session::{DbRow, DbSession, Dialect, Param},
    },
    BUSY,
};

/// Statements kept ready: more than there are.
const STATEMENTS: usize = 128;

/// The log goes into the database file whenever it has grown by so many pages of 4 KiB: seldom
/// enough that a page changed by many transfers is written once, often enough that the log is read
/// in a moment at the next start.
const CHECKPOINT: i64 = 4000;

/// Pages that the writer keeps in memory, in KiB: those of the indexes whose keys come in no order.
const CACHE: i64 = 4096;

/// After a burst the log shrinks back to this size, in bytes.
const LOG_SIZE: i64 = 64 * 1024 * 1024;

/// A connection.
pub(in crate::store) struct SqliteSession(Connection);

impl SqliteSession {
    /// To a database file that is there: switches its write-ahead log on and brings its schema up
    /// to date.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn to_write(path: &Path) -> Result<Self, OpenError> {
        let connection = Self::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let failed = at(path);
        let pragma = |name: &str, value: i64| connection.0.pragma_update(None, name, value);
        // Some network file systems cannot share memory and silently leave the log off.
        let mode = connection
            .0
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
            .map_err(&failed)?;
        if mode != "wal" {
            let cause = format!("its file system allows journal mode {mode} only, not wal");
            return Err(OpenError::File { path: path.to_owned(), cause });
        }
        connection.run("PRAGMA synchronous = FULL").map_err(&failed)?;
        pragma("cache_size", -CACHE).map_err(&failed)?;
        pragma("journal_size_limit", LOG_SIZE).map_err(&failed)?;
        pragma("wal_autocheckpoint", CHECKPOINT).map_err(&failed)?;
        connection.migrate()?;
        Ok(connection)
    }

    /// To a database file that has the log and the schema; cannot write.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn to_read(path: &Path) -> Result<Self, OpenError> {
        Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// To a new database in memory.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(in crate::store) fn in_memory() -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let connection = Self::set_up(Connection::open_in_memory().map_err(at(path))?, path)?;
        connection.migrate()?;
        Ok(connection)
    }

    fn open(path: &Path, access: OpenFlags) -> Result<Self, OpenError> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::set_up(Connection::open_with_flags(path, flags).map_err(at(path))?, path)
    }

    fn set_up(connection: Connection, path: &Path) -> Result<Self, OpenError> {
        connection.busy_timeout(BUSY).map_err(at(path))?;
        connection.pragma_update(None, "foreign_keys", true).map_err(at(path))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self(connection))
    }

    /// Carries out statements without values that are not kept ready.
    pub(super) fn run(&self, text: &str) -> rusqlite::Result<()> {
        self.0.execute_batch(text)
    }

    /// Carries out one statement without values, which is kept ready.
    pub(super) fn again(&self, text: &str) -> rusqlite::Result<()> {
        self.0.prepare_cached(text)?.raw_execute().map(drop)
    }

    /// Closes it; what is in the log goes into the file, if nothing else has it open.
    pub(super) fn close(self) -> rusqlite::Result<()> {
        self.0.close().map_err(|(_, error)| error)
    }

    /// Each step is a transaction with its row in the table of the driver that was used first, which
    /// databases have already.
    fn migrate(&self) -> Result<(), OpenError> {
        let failed = |error: rusqlite::Error| OpenError::Schema(sqlite_words(&error));
        let table = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, \
            description TEXT NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, \
            success BOOLEAN NOT NULL, checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)";
        self.run(table).map_err(failed)?;
        for step in migrations::missing(Dialect::Sqlite, &self.applied().map_err(failed)?)? {
            let began = Instant::now();
            let apply = || {
                self.run("BEGIN IMMEDIATE")?;
                self.run(step.sql.as_str())?;
                let elapsed = i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX);
                self.0.execute(
                    "INSERT INTO _sqlx_migrations \
                     (version, description, success, checksum, execution_time) \
                     VALUES (?1, ?2, TRUE, ?3, ?4)",
                    (step.version, &*step.description, &*step.checksum, elapsed),
                )?;
                self.run("COMMIT")
            };
            apply().map_err(|error| {
                OpenError::Schema(format!("step {}: {}", step.version, sqlite_words(&error)))
            })?;
        }
        Ok(())
    }

    fn applied(&self) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let text = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
        let mut list = self.0.prepare(text)?;
        list.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}

/// What is wrong with the file.
pub(super) fn at(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError {
    move |error| OpenError::File { path: path.to_owned(), cause: sqlite_words(&error) }
}

impl DbSession for SqliteSession {
    const DIALECT: Dialect = Dialect::Sqlite;

    async fn execute(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
    ) -> Result<u64, DbError> {
        let sql = sql.into_sql_str();
        let mut statement = self.0.prepare_cached(sql.as_str())?;
        bind(&mut statement, values)?;
        Ok(u64::try_from(statement.raw_execute()?).unwrap_or(u64::MAX))
    }

    async fn rows<T: Send>(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
        mut read: impl FnMut(&dyn DbRow) -> Result<T, DbError> + Send,
    ) -> Result<Vec<T>, DbError> {
        let sql = sql.into_sql_str();
        let mut statement = self.0.prepare_cached(sql.as_str())?;
        bind(&mut statement, values)?;
        let (mut found, mut rows) = (statement.raw_query(), Vec::new());
        while let Some(row) = found.next()? {
            rows.push(read(row)?);
        }
        Ok(rows)
    }
}

/// `$n` is a name to SQLite, which numbers names as they come: the second one may be `$7`.
fn bind(statement: &mut Statement<'_>, values: &[Param<'_>]) -> rusqlite::Result<()> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
        let place = name.and_then(|number| number.parse::<usize>().ok()).unwrap_or(index);
        let value = place.checked_sub(1).and_then(|place| values.get(place));
        let value = value.ok_or(rusqlite::Error::InvalidParameterCount(place, values.len()))?;
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        fn id(id: &Uuid) -> ValueRef<'_> {
            ValueRef::Blob(id.as_bytes())
        }
        let value = match self {
            Param::Id(value) => id(value),
            Param::MaybeId(value) => value.as_ref().map_or(ValueRef::Null, id),
            Param::Number(number) => ValueRef::Integer(*number),
            Param::MaybeNumber(number) => number.map_or(ValueRef::Null, ValueRef::Integer),
            Param::Text(text) => ValueRef::Text(text.as_bytes()),
            Param::MaybeText(text) => {
                text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
            }
            Param::Bytes(bytes) => ValueRef::Blob(bytes),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

impl DbRow for Row<'_> {
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, DbError> {
        let bytes = self.maybe_bytes(column)?;
        bytes.map(Uuid::from_slice).transpose().map_err(|error| wrong(column, error))
    }
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, DbError> {
        self.get_ref(column)?.as_i64_or_null().map_err(|error| wrong(column, error))
    }
    fn maybe_text(&self, column: usize) -> Result<Option<&str>, DbError> {
        self.get_ref(column)?.as_str_or_null().map_err(|error| wrong(column, error))
    }
    fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, DbError> {
        self.get_ref(column)?.as_blob_or_null().map_err(|error| wrong(column, error))
    }
}

fn wrong(column: usize, error: impl std::fmt::Display) -> DbError {
    Unreadable(format!("column {column} of a row: {error}")).into()
}
