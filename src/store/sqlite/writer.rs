//! The one thread that writes.

use sqlx::{SqlitePool, sqlite::SqliteConnectOptions};
use tokio::sync::mpsc;

use super::{
    super::{backend::Trouble, operations::Fault},
    connection::Writing,
    file::DatabaseFile,
    job::Job,
    open_for_writing,
};
use crate::transfer::store::Durability;

/// Most operations in one transaction. Bounds how long a waiter is held up by others.
const BATCH: usize = 256;

/// Carries out operations, as many at once as wait.
pub(super) struct Writer {
    /// `None` after trouble, until it is opened again.
    connection: Option<Writing>,
    /// What `PRAGMA synchronous` is set to; `None` when not known.
    synchronous: Option<Durability>,
    disk: Option<Disk>,
}

/// What a database in a file has and one in memory has not.
struct Disk {
    options: SqliteConnectOptions,
    file: DatabaseFile,
    readers: SqlitePool,
}

/// How far a transaction came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The connection was not ready.
    Ready,
    /// The transaction was not begun.
    Begin,
    /// Inside.
    Work,
    /// The commit was tried: whether it counts after a loss of power is not known.
    Commit,
}

/// Why a transaction did not come about.
struct Setback {
    fault: Fault,
    phase: Phase,
}

impl Setback {
    fn at<F: Into<Fault>>(phase: Phase) -> impl FnOnce(F) -> Self {
        move |fault| Self { fault: fault.into(), phase }
    }

    /// Whether a foreign process had the lock (`SQLITE_BUSY`): nothing was begun, and the connection
    /// is as good as before.
    fn is_busy(&self) -> bool {
        let code = match &self.fault {
            Fault::Database(sqlx::Error::Database(error)) => error.code(),
            _ => None,
        };
        self.phase == Phase::Begin && code.is_some_and(|code| code == "5")
    }

    fn trouble(&self) -> Trouble {
        let certain = self.phase != Phase::Commit;
        Trouble { cause: self.fault.to_string(), certain }
    }
}

impl Writer {
    pub(super) fn in_memory(connection: Writing) -> Self {
        Self { connection: Some(connection), synchronous: None, disk: None }
    }

    pub(super) fn in_file(
        options: SqliteConnectOptions,
        connection: Writing,
        file: DatabaseFile,
        readers: SqlitePool,
    ) -> Self {
        let disk = Some(Disk { options, file, readers });
        Self { connection: Some(connection), synchronous: None, disk }
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
        let alone = jobs.len() == 1;
        match outcome {
            Err(setback) if !alone && setback.phase > Phase::Begin => {
                self.carry_out_each(jobs, setback.phase != Phase::Commit).await;
            }
            outcome => {
                for job in jobs {
                    job.finish(outcome.as_ref().copied().map_err(Setback::trouble));
                }
            }
        }
    }

    /// `certain`: the log holds nothing of these jobs yet, so that one that fails now certainly
    /// was not carried out.
    async fn carry_out_each(&mut self, jobs: Vec<Box<dyn Job>>, certain: bool) {
        let mut hopeless: Option<Trouble> = None;
        for job in jobs {
            // The disk is full or gone: the others need not each find that out.
            if let Some(trouble) = &hopeless {
                job.finish(Err(trouble.clone()));
                continue;
            }
            let mut jobs = [job];
            let outcome = self.transaction(&mut jobs).await;
            let [job] = jobs;
            job.finish(outcome.as_ref().copied().map_err(|setback| {
                let trouble = setback.trouble();
                Trouble { certain: trouble.certain && certain, ..trouble }
            }));
            hopeless = outcome
                .err()
                .filter(|setback| !setback.fault.is_own())
                .map(|setback| Trouble { cause: setback.fault.to_string(), certain });
        }
    }

    async fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Setback> {
        let power = jobs.iter().any(|job| job.durability() == Durability::Power);
        let durability = if power { Durability::Power } else { Durability::Process };
        self.ready(durability).await.map_err(Setback::at(Phase::Ready))?;
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let outcome = commit_all(connection, jobs).await;
        if outcome.as_ref().is_err_and(|setback| !setback.is_busy()) {
            self.recover();
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
        if let Err(error) = connection.run(pragma) {
            self.recover();
            return Err(error.into());
        }
        self.synchronous = Some(durability);
        Ok(())
    }

    async fn reopen(&mut self) -> Result<(), Fault> {
        let Some(disk) = &mut self.disk else {
            return Err(Fault::Database(sqlx::Error::PoolClosed));
        };
        let connection = open_for_writing(&disk.options, disk.file.path())
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
    fn recover(&mut self) {
        let Some(connection) = &self.connection else { return };
        let rolled_back = connection.run("ROLLBACK").is_ok();
        if !rolled_back && self.disk.is_some() {
            self.close_connection();
        }
    }

    fn close_connection(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.file.forget_log();
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close()
        {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }

    async fn close(mut self) {
        if let Some(disk) = &self.disk {
            disk.readers.close().await;
        }
        self.close_connection();
        // The lock on the file goes with `self`, after the last connection.
    }
}

async fn commit_all(connection: &mut Writing, jobs: &mut [Box<dyn Job>]) -> Result<(), Setback> {
    // IMMEDIATE takes the write lock at once: a later step can then not find the file changed.
    connection.run("BEGIN IMMEDIATE").map_err(Setback::at(Phase::Begin))?;
    for job in jobs {
        job.apply(connection).await.map_err(Setback::at(Phase::Work))?;
    }
    connection.run("COMMIT").map_err(Setback::at(Phase::Commit))
}
