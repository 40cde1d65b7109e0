//! The one thread that writes.

use std::{
    mem,
    thread::{self, JoinHandle},
};

use rusqlite::ffi::SQLITE_BUSY;
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    super::fault::{DbError, OperationError},
    connection::SqliteSession,
    file::DatabaseFile,
    job::DbJob,
};
use crate::transfer::store::Durability;

/// Most operations in one transaction. Bounds how long a waiter is held up by others.
const BATCH: usize = 256;

/// Carries out operations, as many at once as wait.
pub(super) struct Writer {
    /// `None` after trouble, until it is opened again.
    session: Option<SqliteSession>,
    /// What `PRAGMA synchronous` is set to; `None` when not known.
    synchronous: Option<Durability>,
    disk: Option<Disk>,
    /// Where the jobs come from.
    runtime: Option<Handle>,
}

/// What a database in a file has and one in memory has not.
struct Disk {
    file: DatabaseFile,
    /// Threads that end when nothing more can be asked of them.
    readers: Vec<JoinHandle<()>>,
}

/// How far a transaction came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum TransactionPhase {
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
    fault: DbError,
    phase: TransactionPhase,
}

impl Setback {
    fn at<F: Into<DbError>>(phase: TransactionPhase) -> impl FnOnce(F) -> Self {
        move |fault| Self { fault: fault.into(), phase }
    }

    /// Whether a foreign process had the lock: nothing was begun, and the connection is as good as
    /// before.
    fn is_busy(&self) -> bool {
        let code = match &self.fault {
            DbError::Sqlite(error) => error.sqlite_error(),
            _ => None,
        };
        self.phase == TransactionPhase::Begin
            && code.is_some_and(|code| code.extended_code == SQLITE_BUSY)
    }

    fn trouble(&self) -> OperationError {
        let certain = self.phase != TransactionPhase::Commit;
        OperationError { cause: self.fault.to_string(), certain }
    }
}

impl Writer {
    pub(super) fn in_memory(session: SqliteSession) -> Self {
        Self { session: Some(session), synchronous: None, disk: None, runtime: None }
    }

    pub(super) fn in_file(
        session: SqliteSession,
        file: DatabaseFile,
        readers: Vec<JoinHandle<()>>,
    ) -> Self {
        let disk = Some(Disk { file, readers });
        let runtime = Handle::try_current().ok();
        Self { session: Some(session), synchronous: None, disk, runtime }
    }

    /// Works until every sender is gone, then closes the database and frees the file.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Box<dyn DbJob>>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut waiting, BATCH) > 0 {
            // Where there are fewer cores than work, other requests are about to write, too: one
            // flush of the disk serves all. Nothing is lost where nothing else wants the core.
            thread::yield_now();
            while waiting.len() < BATCH
                && let Ok(job) = queue.try_recv()
            {
                waiting.push(job);
            }
            waiting.retain(|job| !job.is_abandoned());
            self.carry_out(&mut waiting);
        }
        self.close();
    }

    /// All in one transaction; if that fails, each in its own, so that one bad operation does not
    /// fail the others.
    fn carry_out(&mut self, jobs: &mut Vec<Box<dyn DbJob>>) {
        if jobs.is_empty() {
            return;
        }
        match self.transaction(jobs) {
            Err(setback) if jobs.len() > 1 && setback.phase > TransactionPhase::Begin => {
                self.carry_out_each(jobs, setback.phase != TransactionPhase::Commit);
            }
            outcome => self.tell(jobs, &outcome.map_err(|setback| setback.trouble())),
        }
    }

    /// Tells what waits for these jobs. Several at once are told from within the runtime: each word
    /// from another thread could wake it anew, and cost more than the job.
    fn tell(&self, jobs: &mut Vec<Box<dyn DbJob>>, outcome: &Result<(), OperationError>) {
        match &self.runtime {
            Some(runtime) if jobs.len() > 1 => {
                let (jobs, outcome) = (mem::take(jobs), outcome.clone());
                runtime.spawn(async move {
                    for job in jobs {
                        job.finish(outcome.clone());
                    }
                });
            }
            _ => {
                for job in jobs.drain(..) {
                    job.finish(outcome.clone());
                }
            }
        }
    }

    /// `certain`: the log holds nothing of these jobs yet, so that one that fails now certainly
    /// was not carried out.
    fn carry_out_each(&mut self, jobs: &mut Vec<Box<dyn DbJob>>, certain: bool) {
        let mut hopeless: Option<OperationError> = None;
        for job in jobs.drain(..) {
            // The disk is full or gone: the others need not each find that out.
            if let Some(trouble) = &hopeless {
                job.finish(Err(trouble.clone()));
                continue;
            }
            let mut jobs = [job];
            let outcome = self.transaction(&mut jobs);
            let [job] = jobs;
            job.finish(outcome.as_ref().copied().map_err(|setback| {
                let trouble = setback.trouble();
                OperationError { certain: trouble.certain && certain, ..trouble }
            }));
            hopeless = outcome
                .err()
                .filter(|setback| !setback.fault.is_own())
                .map(|setback| OperationError { cause: setback.fault.to_string(), certain });
        }
    }

    fn transaction(&mut self, jobs: &mut [Box<dyn DbJob>]) -> Result<(), Setback> {
        let session = self.ready(jobs).map_err(Setback::at(TransactionPhase::Ready))?;
        let outcome = commit_all(session, jobs);
        if outcome.as_ref().is_err_and(|setback| !setback.is_busy()) {
            self.recover();
        }
        outcome
    }

    /// Opens the connection if need be and sets how safe the next commit is.
    fn ready(&mut self, jobs: &[Box<dyn DbJob>]) -> Result<&mut SqliteSession, DbError> {
        let power = jobs.iter().any(|job| job.durability() == Durability::Power);
        let durability = if power { Durability::Power } else { Durability::Process };
        if let Some(disk) = &mut self.disk {
            disk.file.check(jobs.iter().any(|job| job.is_probe()))?;
            if self.session.is_none() {
                let session = SqliteSession::to_write(disk.file.path());
                self.session = Some(session.map_err(|error| DbError::File(error.to_string()))?);
                self.synchronous = None;
                disk.file.remember();
                tracing::warn!("reopened the database file");
            }
        }
        if self.synchronous != Some(durability) {
            // It cannot be changed inside a transaction. NORMAL leaves the log to the operating
            // system, which survives our own end; FULL waits for the disk (sqlite.org/pragma.html).
            let pragma = match durability {
                Durability::Process => "PRAGMA synchronous = NORMAL",
                Durability::Power => "PRAGMA synchronous = FULL",
            };
            self.synchronous = None;
            let changed = self.session.as_ref().map_or(Ok(()), |session| session.run(pragma));
            if let Err(error) = changed {
                self.recover();
                return Err(error.into());
            }
            self.synchronous = Some(durability);
        }
        self.session.as_mut().ok_or_else(|| DbError::File("the database is closed".to_owned()))
    }

    /// Leaves no transaction behind. SQLite rolls some failures back by itself (a full disk, an
    /// I/O error); then there is nothing to roll back, and a fresh connection is the safe way on.
    fn recover(&mut self) {
        let rolled_back =
            self.session.as_ref().is_none_or(|session| session.run("ROLLBACK").is_ok());
        if let Some(disk) = &mut self.disk {
            disk.file.doubt();
            if !rolled_back {
                self.close_session();
            }
        }
    }

    fn close_session(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.file.forget_log();
        }
        if let Some(session) = self.session.take()
            && let Err(error) = session.close()
        {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }

    fn close(mut self) {
        for reader in self.disk.iter_mut().flat_map(|disk| disk.readers.drain(..)) {
            // One that panicked has closed its connection, too.
            drop(reader.join());
        }
        self.close_session();
        // The lock on the file goes with `self`, after the last connection.
    }
}

fn commit_all(session: &mut SqliteSession, jobs: &mut [Box<dyn DbJob>]) -> Result<(), Setback> {
    // IMMEDIATE takes the write lock at once: a later step can then not find the file changed.
    session.again("BEGIN IMMEDIATE").map_err(Setback::at(TransactionPhase::Begin))?;
    for job in jobs {
        job.apply(session).map_err(Setback::at(TransactionPhase::Work))?;
    }
    session.again("COMMIT").map_err(Setback::at(TransactionPhase::Commit))
}
