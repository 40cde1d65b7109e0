//! The writer's connection as the operations see it. Every statement is carried out on the thread
//! that asks for it, so their futures never wait.

use std::{borrow::Cow, error::Error, fmt, path::Path};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, Statement, ToSql, ffi,
    types::{FromSql, FromSqlError, ToSqlOutput, Value as Owned, ValueRef},
};
use sqlx::{
    SqlStr,
    error::{DatabaseError, ErrorKind},
};
use uuid::Uuid;

use super::{
    super::session::{Dialect, Fields, Session, Value},
    BUSY,
};

/// Statements kept ready: more than there are.
const STATEMENTS: usize = 128;

/// After a burst the log shrinks back to this size, in bytes.
const LOG_SIZE: i64 = 64 * 1024 * 1024;

/// A connection that writes.
pub(super) struct Writing(Connection);

impl Writing {
    /// To a database file that is there and has the schema.
    pub(super) fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        Self::set_up(connection)
    }

    /// To a new, empty database in memory.
    pub(super) fn in_memory() -> Result<Self, sqlx::Error> {
        Self::set_up(Connection::open_in_memory().map_err(failed)?)
    }

    fn set_up(connection: Connection) -> Result<Self, sqlx::Error> {
        connection.busy_timeout(BUSY).map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        connection.pragma_update(None, "journal_size_limit", LOG_SIZE).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self(connection))
    }

    /// Carries out statements without values.
    pub(super) fn run(&self, text: &str) -> Result<(), sqlx::Error> {
        self.0.execute_batch(text).map_err(failed)
    }

    /// Closes it; what is in the log goes into the file, if nobody else has it open.
    pub(super) fn close(self) -> Result<(), sqlx::Error> {
        self.0.close().map_err(|(_, error)| failed(error))
    }
}

impl Session for Writing {
    const DIALECT: Dialect = Dialect::Sqlite;
    type Row = Row;

    async fn execute(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        let mut statement = self.0.prepare_cached(sql.as_str()).map_err(failed)?;
        bind(&mut statement, values).map_err(failed)?;
        let touched = statement.raw_execute().map_err(failed)?;
        Ok(u64::try_from(touched).unwrap_or(u64::MAX))
    }

    async fn rows(&mut self, sql: SqlStr, values: &[Value<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        let mut statement = self.0.prepare_cached(sql.as_str()).map_err(failed)?;
        let columns = statement.column_count();
        bind(&mut statement, values).map_err(failed)?;
        let mut found = statement.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(failed)? {
            let values = (0..columns).map(|column| row.get(column)).collect::<Result<_, _>>();
            rows.push(Row(values.map_err(failed)?));
        }
        Ok(rows)
    }
}

/// `$n` is a name to SQLite, which numbers names as they come: the second one may be `$7`.
fn bind(statement: &mut Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<()> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
        let place = name.and_then(|number| number.parse::<usize>().ok()).unwrap_or(index);
        let value = place.checked_sub(1).and_then(|place| values.get(place));
        let value = value.ok_or(rusqlite::Error::InvalidParameterCount(place, values.len()))?;
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        fn id(id: &Uuid) -> ValueRef<'_> {
            ValueRef::Blob(id.as_bytes())
        }
        let value = match self {
            Value::Id(value) => id(value),
            Value::MaybeId(value) => value.as_ref().map_or(ValueRef::Null, id),
            Value::Number(number) => ValueRef::Integer(*number),
            Value::MaybeNumber(number) => number.map_or(ValueRef::Null, ValueRef::Integer),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::MaybeText(text) => {
                text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
            }
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// A row of values.
pub(super) struct Row(Vec<Owned>);

impl Row {
    fn read<T: FromSql>(&self, column: usize) -> Result<T, sqlx::Error> {
        let value = self
            .0
            .get(column)
            .ok_or(sqlx::Error::ColumnIndexOutOfBounds { index: column, len: self.0.len() })?;
        T::column_result(value.into()).map_err(|error| sqlx::Error::ColumnDecode {
            index: column.to_string(),
            source: Box::new(error),
        })
    }
}

/// A UUID as its 16 bytes.
struct Id(Uuid);

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> Result<Self, FromSqlError> {
        let bytes = value.as_blob()?;
        Uuid::from_slice(bytes).map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

impl Fields for Row {
    fn id(&self, column: usize) -> Result<Uuid, sqlx::Error> {
        self.read(column).map(|Id(id)| id)
    }
    fn maybe_id(&self, column: usize) -> Result<Option<Uuid>, sqlx::Error> {
        Ok(self.read::<Option<Id>>(column)?.map(|Id(id)| id))
    }
    fn number(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.read(column)
    }
    fn maybe_number(&self, column: usize) -> Result<Option<i64>, sqlx::Error> {
        self.read(column)
    }
    fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        self.read(column)
    }
    fn maybe_text(&self, column: usize) -> Result<Option<String>, sqlx::Error> {
        self.read(column)
    }
    fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        self.read(column)
    }
    fn maybe_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, sqlx::Error> {
        self.read(column)
    }
}

/// What the database said, in the form that the other connections say it.
#[derive(Debug)]
struct Refused {
    code: ffi::Error,
    message: String,
}

fn failed(error: rusqlite::Error) -> sqlx::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => {
            let message = message.unwrap_or_else(|| code.to_string());
            sqlx::Error::Database(Box::new(Refused { code, message }))
        }
        other => sqlx::Error::Protocol(other.to_string()),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code.extended_code, self.message)
    }
}

impl Error for Refused {}

impl DatabaseError for Refused {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.extended_code.to_string().into())
    }

    fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        match (self.code.code, self.code.extended_code) {
            (ErrorCode::ConstraintViolation, code) => match code {
                ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                    ErrorKind::UniqueViolation
                }
                ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKeyViolation,
                ffi::SQLITE_CONSTRAINT_NOTNULL => ErrorKind::NotNullViolation,
                ffi::SQLITE_CONSTRAINT_CHECK => ErrorKind::CheckViolation,
                _ => ErrorKind::Other,
            },
            _ => ErrorKind::Other,
        }
    }
}
