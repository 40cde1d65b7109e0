//! The one task that writes.

use sqlx::{Connection, SqliteConnection, SqlitePool, sqlite::SqliteConnectOptions};
use tokio::sync::mpsc;

use super::{
    super::{backend::Trouble, operations::Fault},
    connect,
    file::DatabaseFile,
    job::Job,
};
use crate::transfer::store::Durability;

/// Most operations in one transaction. Bounds how long a waiter is held up by others.
const BATCH: usize = 256;

/// Carries out operations, as many at once as wait.
pub(super) struct Writer {
    options: SqliteConnectOptions,
    /// `None` after trouble, until it is opened again.
    connection: Option<SqliteConnection>,
    /// What `PRAGMA synchronous` is set to; `None` when not known.
    synchronous: Option<Durability>,
    disk: Option<Disk>,
}

/// What a database in a file has and one in memory has not.
struct Disk {
    file: DatabaseFile,
    readers: SqlitePool,
}

/// Why a transaction did not come about.
struct Setback {
    fault: Fault,
    /// Whether the commit had begun.
    at_commit: bool,
}

impl Setback {
    fn trouble(&self) -> Trouble {
        let cause = self.fault.to_string();
        if self.at_commit { Trouble::uncertain(cause) } else { Trouble::certain(cause) }
    }

    /// Whether other operations may fare better.
    fn is_own(&self) -> bool {
        !self.at_commit && self.fault.is_own()
    }
}

impl<F: Into<Fault>> From<F> for Setback {
    fn from(fault: F) -> Self {
        Self { fault: fault.into(), at_commit: false }
    }
}

impl Writer {
    pub(super) fn in_memory(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        Self { options, connection: Some(connection), synchronous: None, disk: None }
    }

    pub(super) fn in_file(
        options: SqliteConnectOptions,
        connection: SqliteConnection,
        file: DatabaseFile,
        readers: SqlitePool,
    ) -> Self {
        let disk = Some(Disk { file, readers });
        Self { options, connection: Some(connection), synchronous: None, disk }
    }

    /// Works until every sender is gone, then closes the database and frees the file.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut waiting, BATCH).await > 0 {
            let jobs = waiting.drain(..).filter(|job| job.begin()).collect();
            self.carry_out(jobs).await;
        }
        self.close().await;
    }

    /// All in one transaction; if that fails, each in its own, so that one bad operation does not
    /// fail the others.
    async fn carry_out(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let outcome = self.transaction(&mut jobs).await;
        if outcome.is_ok() || jobs.len() == 1 {
            for job in jobs {
                job.finish(outcome.as_ref().copied().map_err(Setback::trouble));
            }
            return;
        }
        let mut hopeless = None;
        for job in jobs {
            // The disk is full or gone: the others need not each find that out.
            if let Some(trouble) = &hopeless {
                job.finish(Err(Trouble::clone(trouble)));
            } else {
                hopeless = self.carry_out_alone(job).await.err();
            }
        }
    }

    /// `Err` with what every other operation would meet, too.
    async fn carry_out_alone(&mut self, job: Box<dyn Job>) -> Result<(), Trouble> {
        let mut jobs = [job];
        let outcome = self.transaction(&mut jobs).await;
        let [job] = jobs;
        match outcome {
            Ok(()) => {
                job.finish(Ok(()));
                Ok(())
            }
            Err(setback) => {
                job.finish(Err(setback.trouble()));
                let others = Trouble::certain(setback.fault.to_string());
                if setback.is_own() { Ok(()) } else { Err(others) }
            }
        }
    }

    async fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Setback> {
        let power = jobs.iter().any(|job| job.durability() == Durability::Power);
        let durability = if power { Durability::Power } else { Durability::Process };
        self.ready(durability).await?;
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let outcome = commit_all(connection, jobs).await;
        if outcome.is_err() {
            self.recover().await;
        }
        outcome
    }

    /// Opens the connection if need be and sets how safe the next commit is.
    async fn ready(&mut self, durability: Durability) -> Result<(), Fault> {
        if let Some(disk) = &self.disk {
            disk.file.check().map_err(sqlx::Error::Io)?;
        }
        if self.connection.is_none() {
            self.reopen().await?;
        }
        let (Some(connection), true) = (&mut self.connection, self.synchronous != Some(durability))
        else {
            return Ok(());
        };
        // It cannot be changed inside a transaction. NORMAL leaves the log to the operating
        // system, which survives our own end; FULL waits for the disk (sqlite.org/pragma.html).
        let pragma = match durability {
            Durability::Process => "PRAGMA synchronous = NORMAL",
            Durability::Power => "PRAGMA synchronous = FULL",
        };
        self.synchronous = None;
        sqlx::raw_sql(pragma).execute(connection).await?;
        self.synchronous = Some(durability);
        Ok(())
    }

    async fn reopen(&mut self) -> Result<(), Fault> {
        let Some(disk) = &mut self.disk else {
            return Err(Fault::Database(sqlx::Error::PoolClosed));
        };
        let connection = connect(&self.options, disk.file.path())
            .await
            .map_err(|error| sqlx::Error::Io(std::io::Error::other(error.to_string())))?;
        disk.file.remember();
        tracing::warn!("the database file was opened again");
        self.connection = Some(connection);
        self.synchronous = None;
        Ok(())
    }

    /// Leaves no transaction behind. SQLite rolls some failures back by itself (a full disk, an
    /// I/O error); then there is nothing to roll back, and a fresh connection is the safe way on.
    async fn recover(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let rolled_back = sqlx::raw_sql("ROLLBACK").execute(connection).await.is_ok();
        if !rolled_back && self.disk.is_some() {
            self.close_connection().await;
        }
    }

    async fn close_connection(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }

    async fn close(mut self) {
        if let Some(disk) = &self.disk {
            disk.readers.close().await;
        }
        self.close_connection().await;
        // The lock on the file goes with `self`, after the last connection.
    }
}

async fn commit_all(
    connection: &mut SqliteConnection,
    jobs: &mut [Box<dyn Job>],
) -> Result<(), Setback> {
    // IMMEDIATE takes the write lock at once: a later step can then not find the file changed.
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    for job in jobs {
        job.apply(connection).await?;
    }
    let committed = sqlx::raw_sql("COMMIT").execute(connection).await;
    committed.map_err(|error| Setback { fault: error.into(), at_commit: true })?;
    Ok(())
}
