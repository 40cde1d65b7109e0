//! `[auth]`: who may call.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::Deserialize;
use url::Url;

use super::{
    error::ConfigErrors,
    layers::Layers,
    region::Region,
    values::{DAY, MINUTE, duration, line, text, url, words},
};

mod api_keys;
pub(super) mod list;

pub use api_keys::ApiKey;

pub(super) use api_keys::parse as parse_api_keys;

/// `[auth]`
#[derive(Debug, Clone)]
pub struct Auth {
    /// Whether callers need credentials.
    pub mode: AuthMode,
    /// Callers with keys of their own.
    pub api_keys: Vec<ApiKey>,
    /// The file named by `AUTH_API_KEYS_FILE`, where `api_keys` came from.
    pub api_keys_file: Option<PathBuf>,
    /// The issuer whose access tokens are accepted.
    pub oidc: Option<Oidc>,
}

words! {
    /// `auth.mode`
    pub enum AuthMode {
        /// Callers need no credentials; on loopback only.
        None = "none",
        /// Every caller needs credentials.
        Required = "required",
    }
}

/// `auth.oidc_issuer`, `auth.oidc_audience` and `auth.oidc_max_lifetime`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// The issuer as its tokens name it in `iss`.
    pub issuer: String,
    /// The same as a URL, below which its keys are found.
    pub issuer_url: Url,
    /// What tokens must name in `aud`.
    pub audience: String,
    /// How long before a token expires it is accepted.
    pub max_lifetime: Duration,
}

words! {
    /// What a caller may do.
    pub enum Permission {
        /// `transfers:write`
        TransfersWrite = "transfers:write",
        /// `transfers:read`
        TransfersRead = "transfers:read",
        /// `batches:write`
        BatchesWrite = "batches:write",
        /// `queues:read`
        QueuesRead = "queues:read",
        /// `metrics:read`
        MetricsRead = "metrics:read",
        /// `admin`
        Admin = "admin",
    }
}

/// The keys of the section as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthKeys {
    mode: Option<AuthMode>,
    #[serde(default, deserialize_with = "api_keys::callers")]
    api_keys: Vec<ApiKey>,
    #[serde(default, deserialize_with = "url")]
    oidc_issuer: Option<Url>,
    #[serde(default, deserialize_with = "line")]
    oidc_audience: Option<String>,
    #[serde(deserialize_with = "duration::<_, MINUTE, { 365 * DAY }>")]
    oidc_max_lifetime: Duration,
}

impl Auth {
    /// Reads the section; without `auth.mode` it follows from `region` and `bind`.
    ///
    /// # Errors
    /// See [`Layers::read`].
    pub(super) fn read(
        from: &mut Layers,
        region: Region,
        bind: SocketAddr,
    ) -> Result<Self, ConfigErrors> {
        let keys: AuthKeys = from.read("auth", |_| true)?;
        from.require_both(["auth.oidc_issuer", "auth.oidc_audience"], |other| {
            format!("missing; required together with {other}")
        });
        let is_local_sandbox = region == Region::Sandbox && bind.ip().is_loopback();
        let fitting = if is_local_sandbox { AuthMode::None } else { AuthMode::Required };
        // Tokens name their issuer letter by letter, and a URL may be written in several ways.
        let issuer = from.value("auth.oidc_issuer").and_then(|value| text(&value.kind));
        let oidc = match (issuer, keys.oidc_issuer, keys.oidc_audience) {
            (Some(issuer), Some(issuer_url), Some(audience)) => Some(Oidc {
                issuer: issuer.to_owned(),
                issuer_url,
                audience,
                max_lifetime: keys.oidc_max_lifetime,
            }),
            _ => None,
        };
        let mode = keys.mode.unwrap_or(fitting);
        Ok(Self { mode, api_keys: keys.api_keys, api_keys_file: None, oidc })
    }
}
