//! The record in an SQLite file, for one process.
//!
//! One thread writes, on one connection of its own, and puts everything that waits into one
//! transaction (group commit): as many writers as there are share one flush of the disk. Readers have connections of
//! their own and never wait for a writer (write-ahead log).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    runtime::Handle,
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

mod connection;
mod file;
mod job;
mod writer;

use connection::Writing;
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
        let Some(path) = path_in(url)? else { return Self::in_memory() };
        let file = DatabaseFile::prepare(&path).await?;
        Self::in_file(file).await
    }

    fn in_memory() -> Result<Self, OpenError> {
        let cause = at(Path::new(":memory:"));
        let connection = Writing::in_memory().map_err(&cause)?;
        for text in migrations::texts(Dialect::Sqlite) {
            connection.run(text).map_err(&cause)?;
        }
        Self::start(Writer::in_memory(connection), None)
    }

    async fn in_file(mut file: DatabaseFile) -> Result<Self, OpenError> {
        let path = file.path().to_owned();
        let common = settings(SqliteConnectOptions::new().filename(&path));
        let writing = common
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut connection = open_for_writing(&writing, &path).await?;
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
            .map_err(at(&path))?;
        let writer = Writer::in_file(writing, connection, file, readers.clone());
        Self::start(writer, Some(readers))
    }

    /// A statement takes a disk's time: its thread is not one of the runtime's.
    fn start(writer: Writer, readers: Option<SqlitePool>) -> Result<Self, OpenError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let runtime = Handle::current();
        thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || runtime.block_on(writer.run(queue)))
            .map_err(|error| OpenError::Schema(format!("no thread to write with: {error}")))?;
        Ok(Self { jobs, readers })
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

/// The file that `url` names; `None` for a database in memory.
pub(super) fn path_in(url: &str) -> Result<Option<PathBuf>, OpenError> {
    let options: SqliteConnectOptions =
        url.parse().map_err(|error: sqlx::Error| OpenError::Url(error.to_string()))?;
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    Ok((!in_memory).then(|| options.get_filename().to_owned()))
}

fn settings(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.foreign_keys(true).busy_timeout(BUSY).disable_statement_logging()
}

/// What is wrong with the file.
fn at(path: &Path) -> impl Fn(sqlx::Error) -> OpenError {
    move |error| OpenError::File { path: path.to_owned(), cause: error.to_string() }
}

/// Brings the schema up to date and connects for writing.
async fn open_for_writing(
    options: &SqliteConnectOptions,
    path: &Path,
) -> Result<Writing, OpenError> {
    let mut connection = SqliteConnection::connect_with(options).await.map_err(at(path))?;
    migrations::run(Dialect::Sqlite, &mut connection).await?;
    require_wal(&mut connection, path).await?;
    let writing = Writing::open(path).map_err(at(path))?;
    // Has the log open before the other one leaves, which would else remove it.
    writing.run("SELECT COUNT(*) FROM probe").map_err(at(path))?;
    connection.close().await.map_err(at(path))?;
    Ok(writing)
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
