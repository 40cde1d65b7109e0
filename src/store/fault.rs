//! What can go wrong in a database: with one statement, and with a whole operation.

use rusqlite::ErrorCode;

use crate::{
    metrics::{Label as _, StoreOperation},
    transfer::store::StoreError,
};

/// A record in the database could not be understood.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(pub(super) String);

/// Why an operation failed inside its transaction.
#[derive(Debug, thiserror::Error)]
pub(super) enum DbError {
    /// Another connection was quicker between two statements: start again.
    #[error("another process changes the same record")]
    Race,
    /// PostgreSQL refused a statement, or could not be reached.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// SQLite refused a statement.
    #[error("{}", sqlite_words(.0))]
    Sqlite(#[from] rusqlite::Error),
    /// The database file cannot be used.
    #[error("{0}")]
    File(String),
    /// A record is there and cannot be understood.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl DbError {
    /// Whether the fault lies in this one operation, so that others may still work.
    pub(super) fn is_own(&self) -> bool {
        match self {
            Self::Race | Self::Unreadable(_) => true,
            Self::Postgres(sqlx::Error::Database(error)) => {
                error.kind() != sqlx::error::ErrorKind::Other
            }
            Self::Sqlite(error) => {
                error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
            }
            Self::Postgres(_) | Self::File(_) => false,
        }
    }
}

/// What SQLite said, with its extended code, which says more than the text.
pub(super) fn sqlite_words(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(code) => format!("(code: {}) {error}", code.extended_code),
        None => error.to_string(),
    }
}

/// An operation was not carried out, or perhaps it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OperationError {
    /// What the database said; no values of records.
    pub(super) cause: String,
    /// Whether it certainly was not carried out.
    pub(super) certain: bool,
}

impl OperationError {
    /// Certainly not carried out.
    pub(super) fn certain(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), certain: true }
    }

    /// Perhaps carried out.
    pub(super) fn uncertain(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), certain: false }
    }

    /// The port's error.
    pub(super) fn of(self, operation: StoreOperation) -> StoreError {
        let doubt = if self.certain { "" } else { " (it may have been carried out)" };
        StoreError { operation: operation.label(), cause: format!("{}{doubt}", self.cause) }
    }
}

impl From<Unreadable> for OperationError {
    fn from(error: Unreadable) -> Self {
        Self::certain(error.to_string())
    }
}
