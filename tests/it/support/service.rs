//! A whole service with its sandbox on free ports and a fresh store; what tests ask of it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::Duration,
};

use genesys_transfer::{
    app::{App, StartError, Surroundings},
    clock::{Clock, SystemClock},
    config::{Args, Settings},
    sandbox::{
        Options, Sandbox, State,
        faults::{Fault, FaultOrder, StatusAnswer},
        seed,
        world::NewConversation,
    },
};
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{document::assert_described, frozen::Frozen};

pub(crate) const REPLACE: &str = "/api/v2/conversations/*/participants/*/replace/queue";
pub(crate) const CONVERSATION: &str = "/api/v2/conversations/*";
pub(crate) const ROUTING: &str = "/api/v2/routing/conversations/*";
pub(crate) const QUEUES: &str = "/api/v2/routing/queues";
pub(crate) const OBSERVATIONS: &str = "/api/v2/analytics/queues/observations/query";
pub(crate) const TOKEN: &str = "/oauth/token";

/// Nothing a test waits for takes longer, however busy the machine is: only a test that fails waits
/// so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// A moment less than there is for an answer (`server.deadline`), and more than is kept back of it.
const NEARLY_THE_DEADLINE: Duration = Duration::from_millis(29_900);

/// Services that start at the same time. Each makes a database, and tables of tests start dozens:
/// all at once they would wait longer for the disk than a store may.
static STARTS: Semaphore = Semaphore::const_new(3);

/// A running service.
pub(crate) struct TestApp {
    app: Option<App>,
    address: SocketAddr,
    scheme: &'static str,
    http: reqwest::Client,
    store: Arc<TempDir>,
    settings: BTreeMap<String, String>,
    /// A sandbox that outlives the service, instead of the embedded one.
    outside: Option<Arc<Sandbox>>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {:?}", String::from_utf8_lossy(&self.body));
        })
    }

    /// Status and problem code, which is empty for an answer that is none.
    pub(crate) fn outcome(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), code)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl TestApp {
    /// A service with the settings a newcomer gets, but no rate limit in the way.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with some settings, named as in the environment.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::run(all_settings(settings), Arc::new(tempfile::tempdir().unwrap()), None).await
    }

    /// The same with a sandbox of the test's own, which can be prepared before the service starts
    /// and outlives it.
    pub(crate) async fn beside(sandbox: &Arc<Sandbox>, settings: &[(&str, &str)]) -> Self {
        let store = Arc::new(tempfile::tempdir().unwrap());
        Self::beside_with(sandbox, store, settings).await
    }

    /// The same on a store that exists already.
    pub(crate) async fn beside_with(
        sandbox: &Arc<Sandbox>,
        store: Arc<TempDir>,
        settings: &[(&str, &str)],
    ) -> Self {
        let hosts =
            [("GENESYS_API_URL", sandbox.base_url()), ("GENESYS_LOGIN_URL", sandbox.base_url())];
        let settings = all_settings(&[&hosts, settings].concat());
        Self::run(settings, store, Some(Arc::clone(sandbox))).await
    }

    /// The same at the time of a clock of the test's own.
    pub(crate) async fn at(clock: Arc<dyn Clock>) -> Self {
        Self::around(&[], Surroundings { clock, ..Surroundings::default() }).await
    }

    /// The same with other surroundings.
    pub(crate) async fn around(settings: &[(&str, &str)], around: Surroundings) -> Self {
        let store = Arc::new(tempfile::tempdir().unwrap());
        Self::run_at(all_settings(settings), store, None, around).await
    }

    async fn run(
        settings: BTreeMap<String, String>,
        store: Arc<TempDir>,
        outside: Option<Arc<Sandbox>>,
    ) -> Self {
        Self::run_at(settings, store, outside, Surroundings::default()).await
    }

    async fn run_at(
        mut settings: BTreeMap<String, String>,
        store: Arc<TempDir>,
        outside: Option<Arc<Sandbox>>,
        around: Surroundings,
    ) -> Self {
        settings.entry("STORE_URL".to_owned()).or_insert_with(|| store_url(&store));
        let loaded = Settings::load(&Args::default(), &settings).unwrap();
        let app = {
            let _place = STARTS.acquire().await.unwrap();
            App::start(&loaded, around).await.unwrap()
        };
        if let Some(sandbox) = app.sandbox() {
            sandbox.with(|state| state.behaviour.requests_per_minute = 1_000_000);
        }
        let address = app.address();
        let tls = loaded.server.tls.is_some();
        let scheme = if tls { "https" } else { "http" };
        let http = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(tls);
        let http = http.timeout(PATIENCE).build().unwrap();
        Self { app: Some(app), address, scheme, http, store, settings, outside }
    }

    /// Stops the service and starts another on the same store.
    pub(crate) async fn restart(mut self) -> Self {
        self.app.take().unwrap().shut_down().await;
        Self::run(self.settings.clone(), Arc::clone(&self.store), self.outside.clone()).await
    }

    /// The same at the time of another clock.
    pub(crate) async fn restart_at(mut self, clock: Arc<dyn Clock>) -> Self {
        self.app.take().unwrap().shut_down().await;
        let around = Surroundings { clock, ..Surroundings::default() };
        let (store, outside) = (Arc::clone(&self.store), self.outside.clone());
        Self::run_at(self.settings.clone(), store, outside, around).await
    }

    /// Stops the service as SIGTERM does.
    pub(crate) async fn shut_down(mut self) {
        self.app.take().unwrap().shut_down().await;
    }

    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    pub(crate) fn sandbox(&self) -> &Sandbox {
        self.outside.as_deref().or_else(|| self.app().sandbox()).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// `POST /transfers` with this body.
    pub(crate) async fn submit(&self, body: Value) -> Answer {
        self.post("/transfers", &body).await
    }

    /// `POST /transfers` with this body and one header.
    pub(crate) async fn submit_with(&self, body: &Value, header: &str, value: &str) -> Answer {
        send(self.request(Method::POST, "/transfers").json(body).header(header, value)).await
    }

    /// Moves `conversation` to the queue called `queue`.
    pub(crate) async fn transfer(&self, conversation: Uuid, queue: &str) -> Answer {
        self.submit(plain(conversation, queue)).await
    }

    /// The next `count` requests with this method and path are hit by `fault`.
    pub(crate) fn fault(&self, method: &str, path: &str, count: u64, fault: Fault) {
        self.sandbox().order(FaultOrder::next(method, path, fault).times(count)).unwrap();
    }

    /// The next `count` requests with this method and path are answered with `status`.
    pub(crate) fn answers(&self, method: &str, path: &str, count: u64, status: u16) {
        self.fault(method, path, count, Fault::Status(StatusAnswer::new(status)));
    }

    /// How many requests the sandbox saw whose path contains `part`.
    pub(crate) fn seen(&self, part: &str) -> usize {
        self.sandbox().requests().iter().filter(|request| request.path.contains(part)).count()
    }

    /// How many commands to move a call the sandbox saw.
    pub(crate) fn commands(&self) -> usize {
        self.sandbox().commands().len()
    }

    /// A call that an agent talks on, of this test's own.
    pub(crate) fn fresh_call(&self) -> Uuid {
        let new =
            NewConversation { queue: Some(seed::SUPPORT_TIER_1), ..NewConversation::default() };
        self.sandbox().add_conversation(new).unwrap()
    }

    /// The answer to a request whose outcome is unknown: as soon as its command is
    /// at Genesys, nearly all the time passes that there is for the answer.
    pub(crate) async fn at_the_deadline(&self, request: impl Future<Output = Answer>) -> Answer {
        let (clock, before) = (Frozen::now(), self.commands());
        let time = async {
            self.commands_reach(before + 1).await;
            clock.passes(NEARLY_THE_DEADLINE).await;
        };
        tokio::join!(request, time).0
    }

    /// Waits until so many commands came to the sandbox.
    pub(crate) async fn commands_reach(&self, count: usize) {
        let come = |state: &State| state.ledger.requests().filter(|it| it.is_command()).count();
        soon("a command", self.sandbox().until(|state| come(state) >= count)).await;
    }

    /// Waits until no client can connect to the service any more, which is how its stop begins.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + use<> {
        let address = self.address;
        let refused = async move { while TcpStream::connect(address).await.is_ok() {} };
        soon("a refused connection", refused)
    }

    /// The newest transfer of a conversation as the service tells it; null when there is none.
    pub(crate) async fn transfer_of(&self, conversation: Uuid) -> Value {
        let found = self.get(&format!("/transfers?conversationId={conversation}")).await.json();
        found["items"][0].clone()
    }

    /// The newest transfer of a conversation once it is settled. Settling is seen by the looks it
    /// takes at Genesys, so each of those is a reason to ask again.
    pub(crate) async fn settled(&self, conversation: Uuid) -> Value {
        let wait = async {
            loop {
                let seen = self.sandbox().with(|state| state.ledger.totals().finished);
                let transfer = self.transfer_of(conversation).await;
                if !matches!(transfer["status"].as_str(), Some("pending" | "unknown")) {
                    return transfer;
                }
                let look = self.sandbox().ledger_reaches(|totals| totals.finished > seen);
                // The record follows the look a moment later, so the wait is bounded.
                let _ = tokio::time::timeout(Duration::from_millis(200), look).await;
            }
        };
        soon("the transfer settles", wait).await
    }

    /// How many calls the sandbox moved.
    pub(crate) fn moves(&self) -> usize {
        self.sandbox().moves().len()
    }
}

/// The settings of a newcomer, without a rate limit in the way, changed by `settings`; an empty
/// value takes one out.
fn all_settings(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
    let usual = [
        ("SERVER_BIND", "127.0.0.1:0"),
        ("SANDBOX_BIND", "127.0.0.1:0"),
        ("SANDBOX_EFFECT_DELAY", "0s"),
        ("GENESYS_REQUESTS_PER_MINUTE", "1000000"),
    ];
    let mut all: BTreeMap<String, String> = usual
        .iter()
        .chain(settings)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    all.retain(|_, value| !value.is_empty());
    all
}

/// Tries to start a service with settings as in [`TestApp::with`].
pub(crate) async fn try_start(settings: &[(&str, &str)]) -> Result<App, StartError> {
    let loaded = Settings::load(&Args::default(), &all_settings(settings)).unwrap();
    App::start(&loaded, Surroundings::default()).await
}

/// The database file inside `store`.
pub(crate) fn store_url(store: &TempDir) -> String {
    format!("sqlite://{}", store.path().join("transfers.db").display())
}

/// A seeded sandbox of its own, without a rate limit in the way.
pub(crate) async fn lone_sandbox() -> Arc<Sandbox> {
    lone_sandbox_with(Options::default()).await
}

/// The same with other options; its rate limit is out of the way all the same.
pub(crate) async fn lone_sandbox_with(options: Options) -> Arc<Sandbox> {
    lone(options, Arc::new(SystemClock)).await
}

/// The same with a clock of its own.
pub(crate) async fn lone_sandbox_at(clock: Arc<dyn Clock>) -> Arc<Sandbox> {
    lone(Options::default(), clock).await
}

async fn lone(options: Options, clock: Arc<dyn Clock>) -> Arc<Sandbox> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { requests_per_minute: 1_000_000, ..options };
    Arc::new(Sandbox::start(listener, options, clock).unwrap())
}

/// Waits for `what`, but not for ever: a test that waits in vain fails, also while its clock stands
/// still.
pub(crate) async fn soon<F: Future>(what: &str, wait: F) -> F::Output {
    let (_end, ended) = mpsc::channel::<()>();
    let limit = tokio::task::spawn_blocking(move || ended.recv_timeout(PATIENCE));
    tokio::select! {
        biased;
        came = wait => came,
        _ = limit => panic!("expected {what}; nothing came within {PATIENCE:?}"),
    }
}

/// The smallest request.
pub(crate) fn plain(conversation: Uuid, queue: &str) -> Value {
    json!({"conversationId": conversation, "queueName": queue})
}

/// Sends a request and reads the answer, which must be as the API's description says.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let answer = client.execute(request).await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.unwrap().to_vec();
    assert_described((&method, &path), status.as_u16(), &headers, &body);
    Answer { status, headers, body }
}
