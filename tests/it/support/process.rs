//! The real program as a process of its own, against a sandbox that lives in the test program, so
//! that the ledger outlives every kill.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    panic::Location,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use genesys_transfer::{
    clock::SystemClock,
    sandbox::{
        Options, Sandbox,
        faults::{Fault, FaultOrder},
        seed,
        world::NewConversation,
    },
};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, ChildStderr, Command},
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use uuid::Uuid;

use super::{
    postgres,
    service::{Answer, PATIENCE, REPLACE},
};

/// A sandbox and a store: what stays while processes come and go.
pub(crate) struct Site {
    pub sandbox: Sandbox,
    http: Client,
    settings: BTreeMap<String, String>,
    _folder: Option<TempDir>,
}

/// A running service.
pub(crate) struct Process {
    pub address: SocketAddr,
    child: Child,
    http: Client,
    log: watch::Receiver<Vec<String>>,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub status: ExitStatus,
    pub log: Vec<String>,
}

impl Site {
    /// With an SQLite file in a fresh folder.
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/transfers.db", folder.path().display());
        Self { _folder: Some(folder), ..Self::at(&url).await }
    }

    /// With a fresh database in the shared throw-away PostgreSQL.
    pub(crate) async fn postgres() -> Self {
        Self::at(&postgres::database().await).await
    }

    /// With the store at `url`.
    pub(crate) async fn at(url: &str) -> Self {
        Self::with_client(url, Options::default()).await
    }

    /// The same with the OAuth client in `client`.
    pub(crate) async fn with_client(url: &str, client: Options) -> Self {
        let credentials = [
            ("GENESYS_CLIENT_ID", client.client_id.clone()),
            ("GENESYS_CLIENT_SECRET", client.client_secret.clone()),
        ];
        let options = Options {
            effect_delay: Duration::from_millis(20),
            requests_per_minute: 1_000_000,
            ..client
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::start(listener, options, Arc::new(SystemClock)).unwrap();
        let settings = [
            ("SERVER_BIND", "127.0.0.1:0"),
            ("GENESYS_API_URL", sandbox.base_url()),
            ("GENESYS_LOGIN_URL", sandbox.base_url()),
            ("GENESYS_REQUESTS_PER_MINUTE", "1000000"),
            ("STORE_URL", url),
            ("TELEMETRY_LOG_FORMAT", "json"),
        ];
        let settings = settings.map(|(name, value)| (name, value.to_owned()));
        let settings = settings.into_iter().chain(credentials);
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).collect();
        let http = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { sandbox, http, settings, _folder: None }
    }

    /// The same with one more setting, named as in the environment.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// All settings a process is started with.
    pub(crate) fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Starts a service, which must come up.
    pub(crate) async fn start(&self) -> Process {
        self.try_start(&[]).await.unwrap()
    }

    /// Starts a service with more in its environment; `Err` when it ends before it is ready.
    pub(crate) async fn try_start(&self, more: &[(&str, &str)]) -> Result<Process, Ended> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_genesys-transfer"))
            .env_clear()
            .envs(std::env::var("PATH").map(|path| ("PATH", path)))
            .envs(&self.settings)
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (lines, mut log) = watch::channel(Vec::new());
        tokio::spawn(follow(stderr, lines));
        let up = log.wait_for(|lines| lines.iter().any(|line| address(line).is_some()));
        let up = timeout(PATIENCE, up).await.expect("expected a start or an end; neither came");
        match up.map(|lines| lines.iter().find_map(|line| address(line)).unwrap()).ok() {
            Some(address) => Ok(Process { address, child, http: self.http.clone(), log }),
            // The log has ended, and so has the process.
            None => Err(ended(child, &log).await),
        }
    }

    /// A call that an agent has, and that can be moved.
    pub(crate) fn call(&self) -> Uuid {
        let new =
            NewConversation { queue: Some(seed::SUPPORT_TIER_1), ..NewConversation::default() };
        self.sandbox.add_conversation(new).unwrap()
    }

    /// The next commands are hit by `fault`.
    pub(crate) fn spoil(&self, count: u64, fault: Fault) {
        self.sandbox.order(FaultOrder::next("POST", REPLACE, fault).times(count)).unwrap();
    }

    /// Ends the leases of all processes there were: a living one renews its own before it looks at
    /// those of others. As if time had passed; how much that is on one PostgreSQL, tests of leases say.
    pub(crate) async fn leases_end(&self) {
        let url = &self.settings["STORE_URL"];
        if url.starts_with("postgres") {
            let mut admin = PgConnection::connect(url).await.unwrap();
            sqlx::raw_sql("UPDATE instances SET heartbeat = 0").execute(&mut admin).await.unwrap();
        }
    }

    /// A request to the service at `address`; `None` when no whole answer comes back.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> Option<Answer> {
        ask(request).await
    }

    /// The client all requests are made with.
    pub(crate) fn http(&self) -> &Client {
        &self.http
    }
}

impl Process {
    /// `POST /transfers`; `None` when no whole answer comes back.
    pub(crate) async fn submit(&self, body: &Value, headers: &[(&str, &str)]) -> Option<Answer> {
        let url = format!("http://{}/transfers", self.address);
        let request = self.http.post(url).json(body);
        ask(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        ask(self.http.get(format!("http://{}{path}", self.address))).await.expect("an answer")
    }

    /// All transfers there are, newest first.
    pub(crate) async fn transfers(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = self.get(&format!("/transfers?limit=200{cursor}")).await.json();
            all.append(page["items"].as_array_mut().unwrap());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn end(self) -> Ended {
        ended(self.child, &self.log).await
    }

    /// Waits until a line of its log holds `text`.
    pub(crate) async fn says(&self, text: &str) {
        let mut log = self.log.clone();
        let said = log.wait_for(|lines| lines.iter().any(|line| line.contains(text)));
        let said = timeout(PATIENCE, said).await.map(|lives| lives.is_ok());
        let log = self.log.borrow();
        assert_eq!(said, Ok(true), "expected {text:?} in the log; it says {log:#?}");
    }

    /// All lines of its log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Sends `HUP`, `STOP`, `CONT` or `TERM`; the shell's `kill` is there on every machine.
    pub(crate) async fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
        if name == "STOP" {
            self.stops().await;
        }
    }

    /// Waits until it stands still, which takes a signal a moment.
    pub(crate) async fn stops(&self) {
        let status = format!("/proc/{}/status", self.id());
        until(|| async {
            std::fs::read_to_string(&status).unwrap().contains("State:\tT").then_some(())
        })
        .await;
    }
}

/// Sends a request and reads the answer to its end; `None` when the connection breaks.
async fn ask(request: RequestBuilder) -> Option<Answer> {
    let answer = request.send().await.ok()?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    Some(Answer { status, headers, body: answer.bytes().await.ok()?.to_vec() })
}

async fn follow(stderr: ChildStderr, log: watch::Sender<Vec<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.send_modify(|all| all.push(line));
    }
}

async fn ended(mut child: Child, log: &watch::Receiver<Vec<String>>) -> Ended {
    let ended = timeout(PATIENCE, child.wait()).await;
    let status = ended.unwrap_or_else(|_| panic!("expected its end; it says {:#?}", log.borrow()));
    let status = status.unwrap();
    let mut log = log.clone();
    while log.changed().await.is_ok() {}
    Ended { status, log: log.borrow().clone() }
}

/// The address in the line that says where it listens, in JSON or text.
fn address(line: &str) -> Option<SocketAddr> {
    if let Some((_, rest)) = line.split_once(": listening address=") {
        return rest.split(' ').next()?.parse().ok();
    }
    let line: Value = serde_json::from_str(line).ok()?;
    let listens = line["message"] == "listening";
    listens.then(|| line["address"].as_str()?.parse().ok())?
}

/// Asks until there is an answer. What goes on in another process shows in its answers alone, and
/// nothing tells when they change: so this looks 20 times a second.
#[track_caller]
pub(crate) fn until<T, F: Future<Output = Option<T>>>(
    look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let place = Location::caller();
    async move {
        let found = timeout(PATIENCE, found(look)).await;
        found.unwrap_or_else(|_| panic!("what {place} waits for did not come within {PATIENCE:?}"))
    }
}

async fn found<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let mut pause = interval(Duration::from_millis(50));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pause.tick().await;
        if let Some(found) = look().await {
            return found;
        }
    }
}
