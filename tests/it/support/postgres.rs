//! A throw-away PostgreSQL, one for the whole test program, and databases in it.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// A running server. It ends when this is dropped, and also when the test program ends in any
/// other way, because the script sees the end of its input.
pub(crate) struct Server {
    url: String,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    _script: Child,
}

impl Server {
    /// Starts a server of one's own, to be stopped and started at will.
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
        let mut child = Command::new(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/postgres starts");
        let orders = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        answers.read_line(&mut url).unwrap();
        assert!(url.starts_with("postgres://"), "PostgreSQL is needed: see the error above");
        Self { url: url.trim_end().to_owned(), orders, answers, _script: child }
    }

    /// Stops the server as a crash would.
    pub(crate) fn crash(&mut self) {
        self.order("stop");
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) {
        self.order("start");
    }

    /// Lets it answer nothing more, as a server whose disk hangs.
    pub(crate) fn stall(&mut self) {
        self.order("stall");
    }

    /// Lets it go on.
    pub(crate) fn resume(&mut self) {
        self.order("resume");
    }

    /// Its log file.
    pub(crate) fn log(&self) -> String {
        let (_, dir) = self.url.split_once("?host=").unwrap();
        std::fs::read_to_string(PathBuf::from(dir).join("log")).unwrap()
    }

    /// Makes a new, empty database and names it.
    pub(crate) async fn database(&self) -> String {
        create_database(&self.url).await
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "ok\n", "{order}");
    }
}

/// The URL of a new, empty database in the shared server: the one `TEST_POSTGRES_URL` names, or
/// one that is started once and ends with the test program.
pub(crate) async fn database() -> String {
    static SERVER: OnceLock<(String, Option<Server>)> = OnceLock::new();
    let shared = tokio::task::spawn_blocking(|| {
        let (url, _) = SERVER.get_or_init(|| {
            if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
                return (url, None);
            }
            let server = Server::start();
            (server.url.clone(), Some(server))
        });
        url.as_str()
    });
    create_database(shared.await.unwrap()).await
}

async fn create_database(server: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{number}", std::process::id());
    let mut admin = PgConnection::connect(server).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(&name);
    url.into()
}
