//! The record in an SQLite file, for one process.
//!
//! One task writes, on one connection, and puts everything that waits into one transaction (group
//! commit): as many writers as there are share one flush of the disk. Readers have connections of
//! their own and never wait for a writer (write-ahead log).

use std::{path::Path, sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{
    OPERATION_LIMIT, OpenError,
    backend::{Backend, Trouble},
    migrations,
    operations::{ClearInstances, Operation},
    session::Dialect,
};
use crate::transfer::store::Durability;

mod file;
mod job;
mod writer;

use file::DatabaseFile;
use job::{Job, Pending, Ticket};
use writer::Writer;

/// Operations that may wait for the writer; more wait for a place, within their time limit.
const QUEUE: usize = 1024;

/// Connections for reading.
const READERS: u32 = 4;

/// Longest a connection waits for a lock that a foreign process (a backup, a shell) has on the
/// file. Well below [`OPERATION_LIMIT`], so that the true cause is reported.
const BUSY: Duration = Duration::from_secs(2);

/// An open database.
pub(super) struct Sqlite {
    jobs: mpsc::Sender<Box<dyn Job>>,
    /// `None` for a database in memory: it lives in the writer's one connection.
    readers: Option<SqlitePool>,
}

impl Sqlite {
    /// Opens what `url` names (`sqlite://PATH` or `sqlite::memory:`).
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        let options: SqliteConnectOptions =
            url.parse().map_err(|error: sqlx::Error| OpenError::Url(error.to_string()))?;
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Self::in_memory().await;
        }
        let file = DatabaseFile::prepare(options.get_filename()).await?;
        Self::in_file(file).await
    }

    async fn in_memory() -> Result<Self, OpenError> {
        let options = settings(SqliteConnectOptions::new().in_memory(true));
        let connection = connect(&options, Path::new(":memory:")).await?;
        Ok(Self::start(Writer::in_memory(options, connection), None))
    }

    async fn in_file(mut file: DatabaseFile) -> Result<Self, OpenError> {
        let path = file.path().to_owned();
        let common = settings(SqliteConnectOptions::new().filename(&path));
        let writing = common
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // After a burst the log shrinks back to this size.
            .pragma("journal_size_limit", "67108864");
        let mut connection = connect(&writing, &path).await?;
        require_wal(&mut connection, &path).await?;
        let cause =
            |error: sqlx::Error| OpenError::File { path: path.clone(), cause: error.to_string() };
        // The lock on the file proves that every process that ever owned a transfer is gone.
        let cleared = ClearInstances.apply(&mut connection).await;
        cleared
            .map_err(|fault| OpenError::File { path: path.clone(), cause: fault.to_string() })?;
        file.remember();
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(OPERATION_LIMIT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(common.read_only(true))
            .await
            .map_err(cause)?;
        let writer = Writer::in_file(writing, connection, file, readers.clone());
        Ok(Self::start(writer, Some(readers)))
    }

    fn start(writer: Writer, readers: Option<SqlitePool>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(writer.run(queue));
        Self { jobs, readers }
    }

    async fn queue<O: Operation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> Result<O::Output, Trouble> {
        let ticket = Arc::new(Ticket::default());
        let (reply, answer) = oneshot::channel();
        let job = Pending::new(operation, durability, Arc::clone(&ticket), reply);
        // Dropped with this future: nobody waits any more, so it need not be begun.
        let withdrawal = ticket.withdraw_on_drop();
        let outcome = timeout(OPERATION_LIMIT, async {
            self.jobs.send(Box::new(job)).await.ok()?;
            answer.await.ok()
        });
        match outcome.await {
            Ok(Some(result)) => result,
            Ok(None) => Err(withdrawal.trouble("the writer has stopped")),
            Err(_) => Err(withdrawal.trouble("the disk did not answer in time")),
        }
    }
}

impl Backend for Sqlite {
    const SHARED: bool = false;

    async fn write<O: Operation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> Result<O::Output, Trouble> {
        self.queue(operation, durability).await
    }

    async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, Trouble> {
        let Some(readers) = &self.readers else {
            return self.queue(operation, Durability::Process).await;
        };
        let read = timeout(OPERATION_LIMIT, async {
            let mut connection = readers.acquire().await?;
            operation.apply(&mut *connection).await
        });
        match read.await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(fault)) => Err(Trouble::certain(fault.to_string())),
            Err(_) => Err(Trouble::certain("the disk did not answer in time")),
        }
    }
}

fn settings(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.foreign_keys(true).busy_timeout(BUSY).disable_statement_logging()
}

/// Connects for writing and brings the schema up to date.
async fn connect(
    options: &SqliteConnectOptions,
    path: &Path,
) -> Result<SqliteConnection, OpenError> {
    let mut connection = SqliteConnection::connect_with(options)
        .await
        .map_err(|error| OpenError::File { path: path.to_owned(), cause: error.to_string() })?;
    migrations::run(Dialect::Sqlite, &mut connection).await?;
    Ok(connection)
}

/// Some network file systems cannot share memory and silently leave the log off.
async fn require_wal(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let mode: Result<String, _> =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(connection).await;
    let cause = match mode {
        Ok(mode) if mode == "wal" => return Ok(()),
        Ok(mode) => format!("its file system allows journal mode {mode} only, not wal"),
        Err(error) => error.to_string(),
    };
    Err(OpenError::File { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests;
