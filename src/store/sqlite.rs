//! The record in an SQLite file, for one process.
//!
//! One thread writes, on one connection of its own, and puts everything that waits into one
//! transaction (group commit): as many writers as there are share one flush of the disk. A few
//! threads read, each on a connection of its own, and never wait for the writer (write-ahead log).

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::timeout,
};

use super::{
    OPERATION_LIMIT, OpenError, backend::Backend, fault::OperationError, operations::DbOperation,
};
use crate::transfer::store::Durability;

mod connection;
mod file;
mod job;
mod writer;

use connection::{SqliteSession, at};
use file::DatabaseFile;
use job::{DbJob, Pending};
use writer::Writer;

#[cfg(test)]
pub(super) use connection::SqliteSession as TestSession;

/// Operations that may wait for the writer, and as many for readers; more wait for a place, within
/// their time limit.
const QUEUE: usize = 1024;

/// Threads that read.
const READERS: u32 = 4;

/// Longest a connection waits for a lock that a foreign process (a backup, a shell) has on the
/// file. Well below [`OPERATION_LIMIT`], so that the true cause is reported.
const BUSY: Duration = Duration::from_secs(2);

/// Operations on their way to a thread.
type Jobs = mpsc::Sender<Box<dyn DbJob>>;

/// An open database. When it is dropped, its threads finish what they have and close the file.
pub(super) struct Sqlite {
    writer: Jobs,
    /// The writer's, for a database in memory: it lives in that one connection.
    readers: Jobs,
}

impl Sqlite {
    /// Opens what `url` names (`sqlite://PATH` or `sqlite::memory:`).
    pub(super) async fn open(url: &str) -> Result<Self, OpenError> {
        let Some(path) = path_in(url)? else {
            let writer = Writer::in_memory(SqliteSession::in_memory()?);
            let jobs = start_writer(writer)?;
            return Ok(Self { writer: jobs.clone(), readers: jobs });
        };
        let file = DatabaseFile::prepare(&path).await?;
        // Migrations of a large file take their time.
        let opened = spawn_blocking(move || Self::in_file(file)).await;
        opened.unwrap_or_else(|error| Err(OpenError::Schema(error.to_string())))
    }

    fn in_file(mut file: DatabaseFile) -> Result<Self, OpenError> {
        let path = file.path().to_owned();
        let session = SqliteSession::to_write(&path)?;
        // The lock on the file proves that every process that ever owned a transfer is gone.
        session.run("DELETE FROM instances").map_err(at(&path))?;
        file.remember();
        let (readers, reads) = mpsc::channel(QUEUE);
        let reads = Arc::new(Mutex::new(reads));
        let threads = (0..READERS).map(|_| start_reader(&path, Arc::clone(&reads)));
        let writer = Writer::in_file(session, file, threads.collect::<Result<_, _>>()?);
        Ok(Self { writer: start_writer(writer)?, readers })
    }
}

/// The file that `url` names; `None` is one in memory. No parameter changes how a file is used.
pub(super) fn path_in(url: &str) -> Result<Option<PathBuf>, OpenError> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let mut in_memory = path == ":memory:";
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("mode", mode)) => in_memory |= mode == "memory",
            Some(("cache" | "immutable" | "vfs", _)) => {}
            _ => return Err(OpenError::Url("it has an unknown parameter".to_owned())),
        }
    }
    Ok((!in_memory).then(|| unescaped(path)))
}

/// A path whose `%20` stands for a space.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let code = if *first == b'%' { digit(0).zip(digit(1)) } else { None };
        let code = code.and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    OsString::from_vec(bytes).into()
}

/// A statement takes a disk's time: its thread is not one of the runtime's.
fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| OpenError::Schema(format!("no thread for the database: {error}")))
}

fn start_writer(writer: Writer) -> Result<Jobs, OpenError> {
    let (jobs, queue) = mpsc::channel(QUEUE);
    start("sqlite-writer", move || writer.run(queue))?;
    Ok(jobs)
}

fn start_reader(
    path: &Path,
    queue: Arc<Mutex<mpsc::Receiver<Box<dyn DbJob>>>>,
) -> Result<JoinHandle<()>, OpenError> {
    let mut session = SqliteSession::to_read(path)?;
    start("sqlite-reader", move || {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        while let Some(mut job) = next() {
            if !job.is_abandoned() {
                let read = job.apply(&mut session);
                job.finish(read.map_err(|fault| OperationError::certain(fault.to_string())));
            }
        }
    })
}

async fn carry_out<O: DbOperation>(
    jobs: &Jobs,
    operation: O,
    durability: Durability,
) -> Result<O::Output, OperationError> {
    let (reply, answer) = oneshot::channel();
    let job = Pending::new(operation, durability, reply);
    // When this future is dropped the job is abandoned; whether it was begun is not known then.
    let outcome = timeout(OPERATION_LIMIT, async {
        jobs.send(Box::new(job)).await.ok()?;
        answer.await.ok()
    });
    match outcome.await {
        Ok(Some(result)) => result,
        Ok(None) => Err(OperationError::uncertain("the database's thread has stopped")),
        Err(_) => Err(OperationError::uncertain("the disk did not answer in time")),
    }
}

impl Backend for Sqlite {
    const SHARED: bool = false;

    async fn write<O: DbOperation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> Result<O::Output, OperationError> {
        carry_out(&self.writer, operation, durability).await
    }

    async fn read<O: DbOperation>(&self, operation: O) -> Result<O::Output, OperationError> {
        let read = carry_out(&self.readers, operation, Durability::Process).await;
        read.map_err(|trouble| OperationError { certain: true, ..trouble })
    }
}

#[cfg(test)]
mod tests;
