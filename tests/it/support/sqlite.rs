//! A foreign client of an SQLite file: a shell, a backup.

use rusqlite::Connection;

/// Connected to the file that `url` names.
pub(crate) fn client(url: &str) -> Connection {
    let connection = Connection::open(url.trim_start_matches("sqlite://")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    connection
}
