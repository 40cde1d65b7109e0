//! A foreign client of an SQLite file: a shell, a backup.

use rusqlite::Connection;

/// Connected to the file that `url` names; the driver waits a while for a lock.
pub(crate) fn client(url: &str) -> Connection {
    Connection::open(url.trim_start_matches("sqlite://")).unwrap()
}
