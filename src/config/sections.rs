//! The sections as values: what each key does, its type and its rule. `config/default.toml` has the
//! defaults and the reasons.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{
    region::Region,
    store_url,
    tls::TlsSettings,
    values::{
        DAY, HOUR, MINUTE, SECOND, address, duration, flag, integer, internal_url, line,
        log_filter, networks, private_key, secret, share, words,
    },
};

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Listen address.
    #[serde(deserialize_with = "address")]
    pub bind: SocketAddr,
    /// Longest a request may take.
    #[serde(deserialize_with = "duration::<_, SECOND, { 10 * MINUTE }>")]
    pub deadline: Duration,
    /// All the time a stop may take after SIGTERM.
    #[serde(deserialize_with = "duration::<_, 0, { 10 * MINUTE }>")]
    pub shutdown_grace: Duration,
    /// How long of that the service still takes requests while it says that it is not ready.
    #[serde(deserialize_with = "duration::<_, 0, { 10 * MINUTE }>")]
    pub shutdown_delay: Duration,
    /// Longest a connection may take to send its headers.
    #[serde(deserialize_with = "duration::<_, 100, { 5 * MINUTE }>")]
    pub header_timeout: Duration,
    /// Longest a body may take to arrive.
    #[serde(deserialize_with = "duration::<_, 100, { 10 * MINUTE }>")]
    pub body_timeout: Duration,
    /// Connections open at once; the idlest gives way to the next, else that one waits.
    #[serde(deserialize_with = "integer::<_, _, 1, 1_000_000>")]
    pub max_connections: usize,
    /// The same for one address; a quarter of it when it is not set.
    #[serde(default, deserialize_with = "integer::<_, _, 1, 1_000_000>")]
    pub max_connections_per_address: usize,
    /// Addresses without a limit of their own: loopback and `server.trusted_proxies`.
    #[serde(
        rename = "trusted_proxies",
        default = "loopback",
        deserialize_with = "unlimited_addresses"
    )]
    pub unlimited_addresses: Vec<IpNet>,
    /// Requests worked on at once; more are answered `overloaded`.
    #[serde(deserialize_with = "integer::<_, _, 1, 100_000>")]
    pub max_in_flight: usize,
    /// Event streams one caller may have open at once.
    #[serde(deserialize_with = "integer::<_, _, 1, 64>")]
    pub max_streams_per_caller: usize,
    /// Certificate and key; `None` serves plain HTTP.
    #[serde(skip)]
    pub tls: Option<TlsSettings>,
}

/// This machine's own addresses.
fn loopback() -> Vec<IpNet> {
    vec![
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    ]
}

fn unlimited_addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    networks(from).map(|named: Vec<IpNet>| [named, loopback()].concat())
}

/// `[genesys]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesys {
    /// Where the organisation lives.
    pub region: Region,
    /// OAuth client id.
    #[serde(default, deserialize_with = "line")]
    pub client_id: Option<String>,
    /// OAuth client secret.
    #[serde(default, deserialize_with = "secret")]
    pub client_secret: Option<SecretString>,
    /// PEM of the key that signs assertions instead of the secret (RFC 7523).
    #[serde(default, deserialize_with = "private_key")]
    pub private_key: Option<SecretString>,
    /// API host, when not the region's.
    #[serde(default, deserialize_with = "internal_url")]
    pub api_url: Option<Url>,
    /// Login host, when not the region's.
    #[serde(default, deserialize_with = "internal_url")]
    pub login_url: Option<Url>,
    /// Which of the two ways to move a call.
    pub transfer_api: TransferApi,
    /// Whether many calls are looked at in one request.
    pub bulk_looks: BulkLooks,
    /// Lifetime of the queue map.
    #[serde(deserialize_with = "duration::<_, SECOND, { 24 * HOUR }>")]
    pub queue_cache_ttl: Duration,
    /// Requests a minute, until Genesys' own headers say less.
    #[serde(deserialize_with = "integer::<_, _, 1, 100_000_000>")]
    pub requests_per_minute: u32,
    /// Longest a connection may take to be made.
    #[serde(deserialize_with = "duration::<_, 10, MINUTE>")]
    pub connect_timeout: Duration,
    /// Longest a token request may take.
    #[serde(deserialize_with = "duration::<_, 100, { 2 * MINUTE }>")]
    pub token_timeout: Duration,
    /// Longest a read may take.
    #[serde(deserialize_with = "duration::<_, 100, { 2 * MINUTE }>")]
    pub read_timeout: Duration,
    /// Longest the command may take to its status line.
    #[serde(deserialize_with = "duration::<_, 100, { 2 * MINUTE }>")]
    pub command_timeout: Duration,
    /// Longest a routing change may take.
    #[serde(deserialize_with = "duration::<_, 100, { 2 * MINUTE }>")]
    pub patch_timeout: Duration,
}

words! {
    /// `genesys.transfer_api`
    pub enum TransferApi {
        /// `POST …/participants/{id}/replace/queue`, the platform's documented API.
        ParticipantReplace = "participant-replace",
        /// `PATCH /api/v2/communications/conversations/{id}`.
        ConversationPatch = "conversation-patch",
    }
}

words! {
    /// `genesys.bulk_looks`
    pub enum BulkLooks {
        /// While Genesys answers them as described.
        Auto = "auto",
        /// Never.
        Off = "off",
    }
}

/// Client id and secret of the sandbox when none are configured.
const SANDBOX_CLIENT: &str = "sandbox";

impl Genesys {
    /// Whether the embedded sandbox stands in for Genesys: the region is `sandbox`, and no other
    /// hosts are named.
    #[must_use]
    pub fn uses_embedded_sandbox(&self) -> bool {
        self.region == Region::Sandbox && self.api_url.is_none() && self.login_url.is_none()
    }

    /// Whether it is a sandbox to which nothing secret is sent: no client is configured.
    pub(super) fn is_bare_sandbox(&self) -> bool {
        self.region == Region::Sandbox
            && self.client_id.is_none()
            && self.client_secret.is_none()
            && self.private_key.is_none()
    }

    /// Gives the sandbox's own credentials to a configuration without any.
    pub(super) fn fill_in_sandbox_client(&mut self) {
        if self.is_bare_sandbox() {
            self.client_id = Some(SANDBOX_CLIENT.to_owned());
            self.client_secret = Some(SecretString::from(SANDBOX_CLIENT));
        }
    }
}

/// `[transfers]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferSettings {
    /// Whether the conversation is looked at before the command even when the caller names the
    /// leg.
    #[serde(deserialize_with = "flag")]
    pub verify: bool,
    /// When an accepted transfer is looked for in the target queue.
    pub confirm: Confirm,
    /// Whether a command answered with 500 or 503 and seen not to have worked is sent once more.
    #[serde(deserialize_with = "flag")]
    pub resend_after_5xx: bool,
    /// How long an `unknown` transfer is looked for in the background.
    #[serde(deserialize_with = "duration::<_, SECOND, { 24 * HOUR }>")]
    pub settle_window: Duration,
    /// How often known callers together may move one conversation within an hour.
    #[serde(deserialize_with = "integer::<_, _, 1, 500>")]
    pub max_per_conversation_per_hour: u32,
}

words! {
    /// `transfers.confirm`
    pub enum Confirm {
        /// Only for `Prefer: wait=N`.
        OnRequest = "on-request",
        /// In the background for every transfer.
        Always = "always",
    }
}

/// `[batches]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSettings {
    /// Most calls of one batch.
    #[serde(deserialize_with = "integer::<_, _, 1, 10_000>")]
    pub max_size: u32,
    /// Percent of the request limit that batches leave to single transfers.
    #[serde(deserialize_with = "integer::<_, _, 0, 90>")]
    pub reserve: u32,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `sqlite://PATH`, `sqlite::memory:` or `postgres://…`; may hold a password.
    #[serde(deserialize_with = "store_url::read")]
    pub url: SecretString,
    /// How long settled transfers are kept.
    #[serde(deserialize_with = "duration::<_, HOUR, { 3650 * DAY }>")]
    pub retention: Duration,
    /// How long settled idempotency keys are kept.
    #[serde(deserialize_with = "duration::<_, MINUTE, { 365 * DAY }>")]
    pub key_retention: Duration,
    /// How long a process that shares the store and is not heard of is taken to be alive.
    #[serde(deserialize_with = "duration::<_, SECOND, { 10 * MINUTE }>")]
    pub lease: Duration,
}

/// `[telemetry]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Text or JSON; `None` means text on a terminal and JSON elsewhere.
    pub log_format: Option<LogFormat>,
    /// Filter in the syntax of `tracing_subscriber::EnvFilter`.
    #[serde(deserialize_with = "log_filter")]
    pub log_filter: String,
    /// Collector for traces (OTLP over HTTP).
    #[serde(default, deserialize_with = "internal_url")]
    pub otlp_endpoint: Option<Url>,
    /// Share of requests that are traced when their callers do not decide, 0 to 1.
    #[serde(deserialize_with = "share")]
    pub trace_ratio: f64,
}

words! {
    /// `telemetry.log_format`
    #[derive(Default)]
    pub enum LogFormat {
        /// For people.
        #[default]
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

/// `[sandbox]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxSettings {
    /// Where the embedded sandbox listens.
    #[serde(deserialize_with = "address")]
    pub bind: SocketAddr,
    /// How long a move takes to show after it was answered.
    #[serde(deserialize_with = "duration::<_, 0, MINUTE>")]
    pub effect_delay: Duration,
}
