//! Settings: plain values, read from `config/default.toml`, a file and the environment, and
//! checked before anything starts. A leaf: knows nothing else of this crate.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;
use url::Url;

mod region;

pub use region::Region;

/// Everything the service can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The HTTP server.
    pub server: Server,
    /// Genesys Cloud.
    pub genesys: Genesys,
    /// How transfers are carried out.
    pub transfers: Transfers,
    /// The durable record.
    pub store: Store,
    /// Who may call.
    pub auth: Auth,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// The embedded stand-in for Genesys Cloud.
    pub sandbox: Sandbox,
}

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Listen address.
    pub bind: SocketAddr,
    /// Longest a request may take.
    pub deadline: Duration,
    /// Time for work in hand after SIGTERM.
    pub shutdown_grace: Duration,
    /// Longest a connection may take to send its headers.
    pub header_timeout: Duration,
    /// Longest a body may take to arrive.
    pub body_timeout: Duration,
    /// Connections open at once; more wait to be accepted.
    pub max_connections: usize,
    /// Requests worked on at once; more are answered `overloaded`.
    pub max_in_flight: usize,
}

/// `[genesys]`
#[derive(Debug, Clone)]
pub struct Genesys {
    /// Where the organisation lives.
    pub region: Region,
    /// OAuth client id.
    pub client_id: Option<String>,
    /// OAuth client secret.
    pub client_secret: Option<SecretString>,
    /// PEM of the key that signs assertions instead of the secret (RFC 7523).
    pub private_key: Option<SecretString>,
    /// API host, when not the region's.
    pub api_url: Option<Url>,
    /// Login host, when not the region's.
    pub login_url: Option<Url>,
    /// Which of the two ways to move a call.
    pub transfer_api: TransferApi,
    /// Lifetime of the queue map.
    pub queue_cache_ttl: Duration,
    /// Requests a minute, until Genesys' own headers say less.
    pub requests_per_minute: u32,
    /// Longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// Longest a token request may take.
    pub token_timeout: Duration,
    /// Longest a read may take.
    pub read_timeout: Duration,
    /// Longest the command may take to its status line.
    pub command_timeout: Duration,
    /// Longest a routing change may take.
    pub patch_timeout: Duration,
}

/// `genesys.transfer_api`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferApi {
    /// `POST …/participants/{id}/replace/queue`, the platform's documented API.
    ParticipantReplace,
    /// `PATCH /api/v2/communications/conversations/{id}`.
    ConversationPatch,
}

/// `[transfers]`
#[derive(Debug, Clone)]
pub struct Transfers {
    /// Whether the conversation is looked at before the command even when the caller names the
    /// leg.
    pub verify: bool,
    /// When an accepted transfer is looked for in the target queue.
    pub confirm: Confirm,
    /// Whether a command answered with 500 or 503 and seen not to have worked is sent once more.
    pub resend_after_5xx: bool,
    /// How long an `unknown` transfer is looked for in the background.
    pub settle_window: Duration,
}

/// `transfers.confirm`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Only for `Prefer: wait=N`.
    OnRequest,
    /// In the background for every transfer.
    Always,
}

/// `[store]`
#[derive(Debug, Clone)]
pub struct Store {
    /// `sqlite://PATH`, `sqlite::memory:` or `postgres://…`; may hold a password.
    pub url: SecretString,
    /// How long settled transfers are kept.
    pub retention: Duration,
    /// How long settled idempotency keys are kept.
    pub key_retention: Duration,
}

/// `[auth]`
#[derive(Debug, Clone)]
pub struct Auth {
    /// Whether callers need credentials.
    pub mode: AuthMode,
}

/// `auth.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Nobody is asked; on loopback only.
    None,
    /// Every caller needs credentials.
    Required,
}

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Text or JSON; `None` means text on a terminal and JSON elsewhere.
    pub log_format: Option<LogFormat>,
    /// Filter in the syntax of `tracing_subscriber::EnvFilter`.
    pub log_filter: String,
    /// Collector for traces (OTLP over HTTP).
    pub otlp_endpoint: Option<Url>,
}

/// `telemetry.log_format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[sandbox]`
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// Where the embedded sandbox listens.
    pub bind: SocketAddr,
    /// How long a move takes to show after it was answered.
    pub effect_delay: Duration,
}

/// Where the settings came from, for messages.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named by `--config` or `CONFIG_FILE`.
    pub file: Option<PathBuf>,
}
