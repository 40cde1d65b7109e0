//! The durable record of transfers, batches and idempotency keys, on SQLite or PostgreSQL.
//!
//! Implements [`TransferStore`] and [`BatchStore`]. What is done to the record is said in `operations`, once for both
//! databases; `sqlite` and `postgres` say how an operation is carried out safely: in which
//! transaction, with how much care for the disk, within which time.

use std::{path::PathBuf, sync::Arc, time::Duration};

use secrecy::ExposeSecret;

use crate::{
    batch::store::BatchStore, clock::Clock, config, metrics::Metrics,
    transfer::store::TransferStore,
};

mod backend;
mod batches;
mod check;
mod doubt;
mod encoding;
mod fault;
mod migrations;
mod operations;
mod postgres;
mod records;
#[cfg(test)]
mod samples;
mod session;
mod sqlite;

pub use check::check;

/// Longest any operation of the store may take; then it fails.
pub const OPERATION_LIMIT: Duration = Duration::from_secs(5);

/// Why the store cannot be opened, and what to do about it. Holds no password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is not understood.
    #[error("store.url: {0}; expected sqlite://PATH, sqlite::memory: or postgres://USER@HOST/DB")]
    Url(String),
    /// The database file cannot be made or opened.
    #[error("cannot use the database file {}: {cause}; check path, owner and free space", path.display())]
    File {
        /// The database file, or the directory or lock file beside it.
        path: PathBuf,
        /// What the system or the database said.
        cause: String,
    },
    /// Another process has the database file.
    #[error(
        "the database file {} is in use by another process{}; stop that one, or use PostgreSQL to share a store",
        path.display(),
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The database file.
        path: PathBuf,
        /// That process, if it left its number.
        pid: Option<u32>,
    },
    /// The database server cannot be reached or does not let us in.
    #[error("cannot connect to PostgreSQL at {place}: {cause}; check store.url and the server")]
    Connect {
        /// Host, port and database.
        place: String,
        /// What the driver said.
        cause: String,
    },
    /// The database keeps its text in something else than UTF-8.
    #[error(
        "the database {place} has the encoding {encoding}, in which not every name can be kept; \
         expected UTF8: create another with ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding {
        /// Host, port and database.
        place: String,
        /// Its encoding, as the server calls it.
        encoding: String,
    },
    /// A newer version of this program made or changed the database.
    #[error(
        "the database has schema version {found}, this program supports versions up to {known}; use the newer program"
    )]
    Newer {
        /// The unknown version.
        found: i64,
        /// The newest one known.
        known: i64,
    },
    /// The schema cannot be brought up to date.
    #[error(
        "cannot upgrade the database schema: {0}; nothing was lost, fix the cause and start again"
    )]
    Schema(String),
}

/// One database, through both ports.
#[derive(Clone)]
pub struct Stores {
    /// Transfers and their keys.
    pub transfers: Arc<dyn TransferStore>,
    /// Batches.
    pub batches: Arc<dyn BatchStore>,
}

impl Stores {
    fn new(records: impl TransferStore + BatchStore) -> Self {
        let records = Arc::new(records);
        Self { transfers: Arc::clone(&records) as _, batches: records }
    }
}

/// Opens the store that `settings.url` names, makes it if it is an SQLite file that does not
/// exist, and brings its schema up to date. The connections live until the store is dropped; what
/// they do is measured in `metrics`.
///
/// # Errors
/// See [`OpenError`].
pub async fn open(
    settings: &config::StoreSettings,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) -> Result<Stores, OpenError> {
    let url = settings.url.expose_secret();
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => {
            let backend = sqlite::Sqlite::open(url).await?;
            Ok(Stores::new(records::RecordStore::new(backend, clock, metrics)))
        }
        Some("postgres" | "postgresql") => {
            let backend = postgres::Postgres::open(url).await?;
            Ok(Stores::new(records::RecordStore::new(backend, clock, metrics)))
        }
        _ => Err(OpenError::Url("no known database scheme".to_owned())),
    }
}
