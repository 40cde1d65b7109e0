//! A throw-away `PgBouncer` in transaction mode, in front of a throw-away PostgreSQL.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

/// A running pooler; it ends when this is dropped.
pub(crate) struct Pooler {
    query: String,
    _input: ChildStdin,
    _script: Child,
}

impl Pooler {
    /// Starts one in front of the server that `database` is in.
    pub(crate) fn start(database: &str) -> Self {
        let (_, socket) = database.split_once("?host=").unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pgbouncer");
        let mut child = Command::new(script)
            .args([socket, "app"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/pgbouncer starts");
        let mut query = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut query).unwrap();
        assert!(query.starts_with("host="), "PgBouncer is needed: see the error above");
        let query = query.trim_end().to_owned();
        Self { query, _input: child.stdin.take().unwrap(), _script: child }
    }

    /// The URL of `database` by way of the pooler.
    pub(crate) fn url(&self, database: &str) -> String {
        let (database, _) = database.split_once('?').unwrap();
        format!("{database}?{}", self.query)
    }

    /// A connection of the test's own by way of the pooler.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.url(database).parse().unwrap();
        PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap()
    }
}
