//! Whether the store can be opened, found out without changing it.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use secrecy::ExposeSecret as _;

use super::{
    OpenError,
    migrations::{self, VERSION},
    postgres,
    session::Dialect,
    sqlite,
};
use crate::config;

/// Looks at the store that `settings.url` names, as far as that is possible without making or
/// migrating anything: of a database its schema version, else what the first start would make.
/// Returns what was done and found, in words, without a password. Blocks for SQLite.
///
/// # Errors
/// Why a start would fail; see [`OpenError`].
pub async fn check(settings: &config::StoreSettings) -> Result<String, OpenError> {
    let url = settings.url.expose_secret();
    if !url.starts_with("sqlite:") {
        let (place, found) = postgres::look(url).await?;
        return version(Dialect::Postgres, found)
            .map(|found| format!("connected to {place}; {found}"));
    }
    match sqlite::path_in(url)? {
        Some(path) => file(&path),
        None => Ok("in memory: created at each start, lost at exit".to_owned()),
    }
}

fn file(path: &Path) -> Result<String, OpenError> {
    let shown = path.display();
    let failed = |cause: String| OpenError::File { path: path.to_owned(), cause };
    if !path.try_exists().map_err(|error| failed(error.to_string()))? {
        let folder = path.ancestors().skip(1).find(|folder| folder.exists());
        return match folder {
            Some(folder) if !folder.is_dir() => {
                Err(failed(format!("{} is not a directory", folder.display())))
            }
            _ => Ok(format!("{shown} does not exist yet; the first start creates it")),
        };
    }
    let found = look(path).map_err(|error| failed(error.to_string()))?;
    let used = if is_used(path) { "; another process has it open" } else { "" };
    version(Dialect::Sqlite, found).map(|found| format!("read {shown}; {found}{used}"))
}

/// The version of the database in the file; `None` while it is empty. A database without a log was
/// closed in order: it is read without one being made.
fn look(path: &Path) -> Result<Option<i64>, rusqlite::Error> {
    let closed = if beside(path, "-wal").exists() { "" } else { "&immutable=1" };
    let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let database = Connection::open_with_flags(format!("file:{name}?mode=ro{closed}"), flags)?;
    let table = "SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let is_made = database.query_row(table, [], |_| Ok(())).optional()?.is_some();
    if is_made { database.query_row(VERSION, [], |row| row.get(0)) } else { Ok(None) }
}

/// Whether a process has the lock of the database file.
fn is_used(path: &Path) -> bool {
    File::open(beside(path, ".lock"))
        .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn version(dialect: Dialect, found: Option<i64>) -> Result<String, OpenError> {
    let known = migrations::newest(dialect);
    match found {
        None => Ok(format!("it is empty; the first start creates schema version {known}")),
        Some(found) if found > known => Err(OpenError::Newer { found, known }),
        Some(found) if found < known => {
            Ok(format!("schema version {found}; the next start upgrades it to {known}"))
        }
        Some(found) => Ok(format!("schema version {found}")),
    }
}
