//! The database file: made at first start, used by one process only, and still the same file.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::super::{OpenError, fault::DbError};

/// How long a starting process waits for the one before it to end.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How often it looks.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// How long files that were found to be the same are taken to be. A look at each write would cost
/// as much as a statement; readiness looks always.
const SOUND_FOR: Duration = Duration::from_secs(1);

/// Device and inode.
type FileId = (u64, u64);

/// A database file with the lock that keeps other processes off it.
pub(super) struct DatabaseFile {
    path: PathBuf,
    log: PathBuf,
    /// Device and inode of the file and of its write-ahead log.
    identity: [Option<FileId>; 2],
    /// When they were last found to be these; `None` when they have to be looked at.
    checked: Option<Instant>,
    /// Released by the system when this process ends, however it ends.
    _lock: File,
}

impl DatabaseFile {
    /// Makes directory and file if they are not there, and takes the lock.
    pub(super) async fn prepare(path: &Path) -> Result<Self, OpenError> {
        let failed =
            |error: io::Error| OpenError::File { path: path.to_owned(), cause: error.to_string() };
        create(path).map_err(failed)?;
        // Two names of one file must meet at one lock.
        let path = fs::canonicalize(path).map_err(failed)?;
        let lock = lock(&path).await?;
        let log = beside(&path, "-wal");
        Ok(Self { path, log, identity: [None, None], checked: None, _lock: lock })
    }

    /// The file, as an absolute path without links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Remembers which files these are, once the database is open.
    pub(super) fn remember(&mut self) {
        self.identity = [identity(&self.path).ok(), identity(&self.log).ok()];
    }

    /// The writer's connection is being closed. If no reader has the log open, SQLite removes it,
    /// and the next reader makes a new one.
    pub(super) fn forget_log(&mut self) {
        let [_, log] = &mut self.identity;
        *log = None;
    }

    /// Something failed: the files are looked at before the next write.
    pub(super) fn doubt(&mut self) {
        self.checked = None;
    }

    /// Fails when the files were removed or replaced behind our back: writes to a removed file
    /// succeed and are lost. Looks once in [`SOUND_FOR`], and always when `now` is set or
    /// something failed.
    pub(super) fn check(&mut self, now: bool) -> Result<(), DbError> {
        let looked = Instant::now();
        if !now && self.checked.is_some_and(|at| looked.duration_since(at) < SOUND_FOR) {
            return Ok(());
        }
        self.checked = None;
        for (path, known) in [&self.path, &self.log].into_iter().zip(self.identity) {
            let Some(known) = known else { continue };
            if identity(path).ok() != Some(known) {
                return Err(DbError::File(format!(
                    "{} was removed or replaced; put it back, or restart",
                    path.display()
                )));
            }
        }
        self.checked = Some(looked);
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<FileId> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The record names callers, conversations and reasons: only our own user may read it.
fn create(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => sync_folders(folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the new names themselves survive a loss of power.
fn sync_folders(folder: &Path) -> io::Result<()> {
    let folder = fs::canonicalize(folder)?;
    for folder in folder.ancestors().take(2) {
        match File::open(folder) {
            Ok(folder) => folder.sync_all()?,
            // A parent that may not be read is older than us.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn lock(path: &Path) -> Result<File, OpenError> {
    let lock_path = beside(path, ".lock");
    let failed =
        |error: io::Error| OpenError::File { path: lock_path.clone(), cause: error.to_string() };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .map_err(failed)?;
    let end = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(LOCK_POLL).await,
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { path: path.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    // For people only; the lock counts, not the number. A full disk is no reason to refuse.
    drop(write_pid(&mut file));
    Ok(file)
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
