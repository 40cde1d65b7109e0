//! The one list of keys, and the names of their environment variables.

/// A key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// `section.key`
    pub name: &'static str,
    /// How much of its value may be shown.
    pub privacy: Privacy,
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privacy {
    /// All of it.
    Open,
    /// Not while it is malformed: a URL in the wrong form may hide a password.
    Guarded,
    /// Never; may also come from the file named by `SECTION_KEY_FILE`.
    Secret,
}

const fn open(name: &'static str) -> Key {
    Key { name, privacy: Privacy::Open }
}

const fn guarded(name: &'static str) -> Key {
    Key { name, privacy: Privacy::Guarded }
}

const fn secret(name: &'static str) -> Key {
    Key { name, privacy: Privacy::Secret }
}

/// Callers' keys; the one list among the keys.
pub(super) const API_KEYS: &str = "auth.api_keys";

/// Every key, in the order of `config/default.toml`.
pub(super) const KEYS: &[Key] = &[
    open("server.bind"),
    open("server.deadline"),
    open("server.shutdown_grace"),
    open("server.header_timeout"),
    open("server.body_timeout"),
    open("server.max_connections"),
    open("server.max_connections_per_address"),
    open("server.trusted_proxies"),
    open("server.max_in_flight"),
    open("server.max_streams_per_caller"),
    open("server.tls_cert"),
    // The path of a key; whoever puts the key itself here must not see it in a message.
    guarded("server.tls_key"),
    open("genesys.region"),
    open("genesys.client_id"),
    secret("genesys.client_secret"),
    secret("genesys.private_key"),
    guarded("genesys.api_url"),
    guarded("genesys.login_url"),
    open("genesys.transfer_api"),
    open("genesys.queue_cache_ttl"),
    open("genesys.requests_per_minute"),
    open("genesys.connect_timeout"),
    open("genesys.token_timeout"),
    open("genesys.read_timeout"),
    open("genesys.command_timeout"),
    open("genesys.patch_timeout"),
    open("transfers.verify"),
    open("transfers.confirm"),
    open("transfers.resend_after_5xx"),
    open("transfers.settle_window"),
    open("transfers.max_per_conversation_per_hour"),
    open("batches.max_size"),
    open("batches.reserve"),
    secret("store.url"),
    open("store.retention"),
    open("store.key_retention"),
    open("store.lease"),
    open("auth.mode"),
    secret(API_KEYS),
    guarded("auth.oidc_issuer"),
    open("auth.oidc_audience"),
    open("auth.oidc_max_lifetime"),
    open("telemetry.log_format"),
    open("telemetry.log_filter"),
    guarded("telemetry.otlp_endpoint"),
    open("telemetry.trace_ratio"),
    open("sandbox.bind"),
    open("sandbox.effect_delay"),
];

impl Key {
    /// The key with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        KEYS.iter().copied().find(|key| key.name == name)
    }

    /// Its environment variable: `genesys.client_id` is `GENESYS_CLIENT_ID`.
    pub(super) fn variable(self) -> String {
        variable(self.name)
    }

    /// The variable that names a file with its value; secrets only.
    pub(super) fn file_variable(self) -> Option<String> {
        (self.privacy == Privacy::Secret).then(|| format!("{}_FILE", self.variable()))
    }
}

/// The environment variable of the key called `name`.
pub(super) fn variable(name: &str) -> String {
    name.replace('.', "_").to_ascii_uppercase()
}

/// Whether `path` is a table that holds keys.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The candidate most like `word`, if any is near enough to be what was meant.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}
