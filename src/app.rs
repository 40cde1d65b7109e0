//! The only wiring: builds store, gateway, domain, HTTP face and sandbox from the settings, runs
//! them, and takes them down in order. May use everything; nothing uses it but `main` and tests.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    auth::{BuildError, Keyring},
    batch::Batches,
    clock::{Clock, IdSource, Random, SystemClock, SystemRandom},
    config::{self, Settings},
    genesys::Gateway,
    http::{self, AppState, RequestIds, Shutdown, Tls},
    metrics::Metrics,
    sandbox::Sandbox,
    store,
    telemetry::LogFilter,
    transfer::{Parts, Retention, Transfers, store::StoreError},
};

pub mod connect;
pub mod exit;
mod files;
mod hangup;
mod health;
pub mod hosts;
pub mod run;
mod stop;
mod welcome;

use stop::{Grace, Step, Stopping};

/// How often it is looked whether the service has become ready.
const READY_LOOK: Duration = Duration::from_millis(100);

/// What the service takes from outside beside its settings.
#[derive(Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for jitter.
    pub random: Arc<dyn Random>,
    /// The log filter that admins may change.
    pub logs: LogFilter,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            logs: LogFilter::detached(),
        }
    }
}

/// Why the service could not start, in one line for operators.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{key} = {address}: cannot listen: {cause}")]
    Listen {
        /// The key that names the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store cannot be opened or read.
    #[error("store.url: {0}")]
    Store(String),
    /// The gateway cannot be built from the settings.
    #[error("genesys: {0}")]
    Gateway(String),
    /// TLS cannot be set up.
    #[error("server.tls_cert: {0}")]
    Tls(String),
    /// Callers' credentials cannot be checked as configured.
    #[error("auth.oidc_issuer: {0}")]
    Auth(#[from] BuildError),
}

/// A running service.
pub struct App {
    address: SocketAddr,
    sandbox: Option<Sandbox>,
    transfers: Arc<Transfers>,
    state: AppState,
    stopping: Stopping,
    server: tokio::task::JoinHandle<http::Finished>,
    tracker: TaskTracker,
    grace: Duration,
    delay: Duration,
}

impl App {
    /// Starts everything and returns when requests are taken.
    ///
    /// # Errors
    /// [`StartError`], before anything was sent to Genesys.
    pub async fn start(settings: &Settings, around: Surroundings) -> Result<Self, StartError> {
        let keyring = keyring(settings, &around)?;
        let tls = settings.server.tls.as_ref().map(Tls::new).transpose();
        let tls = tls.map_err(|error| StartError::Tls(error.to_string()))?;
        let stopping = Stopping::new();
        let tracker = TaskTracker::new();
        let listener = listen("server.bind", settings.server.bind).await?;
        let address = local_address(&listener, "server.bind", settings.server.bind)?;
        let sandbox = start_sandbox(settings, &around).await?;
        let metrics = Arc::<Metrics>::default();
        let clock = Arc::clone(&around.clock);
        let stores = store::open(&settings.store, clock, Arc::clone(&metrics))
            .await
            .map_err(|error| StartError::Store(error.to_string()))?;
        let hosts = hosts::of(&settings.genesys, sandbox.as_ref())?;
        let gateway = Gateway::new(
            &settings.genesys,
            settings.batches.reserve,
            &hosts,
            Arc::clone(&around.clock),
            Arc::clone(&around.random),
            stopping.begun.clone(),
            &stopping.over,
            tracker.clone(),
            &metrics,
        )
        .map_err(|error| StartError::Gateway(error.to_string()))?;
        let gateway = Arc::new(gateway);
        let transfers = Transfers::new(Parts {
            gateway: Arc::clone(&gateway) as _,
            store: stores.transfers,
            render: http::transfer_response,
            clock: Arc::clone(&around.clock),
            settings: settings.transfers.clone(),
            deadline: settings.server.deadline,
            retention: Retention {
                transfers: settings.store.retention,
                keys: settings.store.key_retention,
            },
            lease: settings.store.lease,
            tracker: tracker.clone(),
            stop: stopping.begun.clone(),
            over: stopping.over.clone(),
            metrics,
        });
        let batch_settings = settings.batches.clone();
        let render = http::batch_response;
        let batches = Batches::new(Arc::clone(&transfers), stores.batches, batch_settings, render);
        let failed = |error: StoreError| StartError::Store(error.to_string());
        transfers.start().await.map_err(failed)?;
        batches.start().await.map_err(failed)?;
        gateway.warm_up();
        keyring.keep_current(&tracker, &stopping.begun);
        let (state, server) =
            serve(settings, &around, (&transfers, batches), keyring, &stopping, (listener, tls));
        let (grace, delay) = (settings.server.shutdown_grace, settings.server.shutdown_delay);
        Ok(Self { address, sandbox, transfers, state, stopping, server, tracker, grace, delay })
    }

    /// Where the service listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns when transfers can be carried out, as `GET /health/ready` tells.
    pub async fn ready(&self) {
        while !self.state.readiness().await.ready {
            tokio::time::sleep(READY_LOOK).await;
        }
    }

    /// The embedded sandbox, when there is one.
    #[must_use]
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }

    /// A token that cuts everything when cancelled, for a second signal.
    #[must_use]
    pub fn cut(&self) -> CancellationToken {
        self.stopping.now.clone()
    }

    /// Stops: says that it is not ready, after `server.shutdown_delay` takes nothing new, finishes
    /// or records what runs, and ends, all within `server.shutdown_grace`. Returns how many
    /// connections had to be cut.
    pub async fn shut_down(self) -> usize {
        let grace = Grace::begin(self.grace);
        self.shut_down_within(grace).await
    }

    async fn shut_down_within(self, grace: Grace) -> usize {
        let Self { sandbox, transfers, stopping, server, tracker, delay, .. } = self;
        let served = stopping.wind_down(grace, delay, server, &tracker, transfers.retire()).await;
        if let Some(sandbox) = sandbox {
            let stopped = timeout_at(grace.end_of(Step::SignOff), sandbox.stop());
            // What it still does at the end of the time is of no consequence.
            let _ = stopping.now.run_until_cancelled(stopped).await;
        }
        match served {
            Some(Ok(finished)) => finished.cut,
            Some(Err(error)) => {
                tracing::error!(%error, "the server task failed");
                0
            }
            None => 0,
        }
    }
}

fn serve(
    settings: &Settings,
    around: &Surroundings,
    (transfers, batches): (&Arc<Transfers>, Arc<Batches>),
    keyring: Keyring,
    stopping: &Stopping,
    (listener, tls): (TcpListener, Option<Tls>),
) -> (AppState, tokio::task::JoinHandle<http::Finished>) {
    let ids = RequestIds::new(Arc::clone(&around.clock), Arc::new(IdSource::default()));
    let shutdown = Shutdown {
        unready: stopping.announced.clone(),
        graceful: stopping.begun.clone(),
        grace_over: stopping.over.clone(),
        now: stopping.cut.clone(),
    };
    let domain = (Arc::clone(transfers), batches);
    let state = AppState::new(domain, keyring, &settings.server, ids.clone(), &shutdown)
        .with_logs(around.logs.clone());
    let router = http::router(&state);
    let (settings, metrics) = (settings.server.clone(), Arc::clone(transfers.metrics()));
    let server = tokio::spawn(async move {
        http::serve(listener, tls, router, &settings, ids, shutdown, metrics).await
    });
    (state, server)
}

fn keyring(settings: &Settings, around: &Surroundings) -> Result<Keyring, BuildError> {
    let moves = settings.transfers.max_per_conversation_per_hour;
    Keyring::new(&settings.auth, moves, Arc::clone(&around.clock))
}

async fn start_sandbox(
    settings: &Settings,
    around: &Surroundings,
) -> Result<Option<Sandbox>, StartError> {
    if !settings.genesys.uses_embedded_sandbox() {
        return Ok(None);
    }
    hosts::start_sandbox(settings, Arc::clone(&around.clock)).await.map(Some)
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|cause| StartError::Listen { key, address, cause })
}

fn local_address(
    listener: &TcpListener,
    key: &'static str,
    address: SocketAddr,
) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|cause| StartError::Listen { key, address, cause })
}

/// The settings a sandbox is started with.
fn sandbox_options(settings: &config::Settings) -> crate::sandbox::Options {
    use secrecy::ExposeSecret as _;
    let genesys = &settings.genesys;
    let secret = genesys.client_secret.as_ref().map(|secret| secret.expose_secret().to_owned());
    crate::sandbox::Options {
        client_id: genesys.client_id.clone().unwrap_or_else(|| "sandbox".to_owned()),
        client_secret: secret.unwrap_or_else(|| "sandbox".to_owned()),
        effect_delay: settings.sandbox.effect_delay,
        ..crate::sandbox::Options::default()
    }
}
