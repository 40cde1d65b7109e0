//! `[auth]`: who may call.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use url::Url;

use super::{
    reader::{self, Reader},
    region::Region,
    units::{days, minutes},
};

mod api_keys;
mod entry;
mod pattern;

pub use api_keys::ApiKey;
pub use pattern::QueuePattern;

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
    /// The issuer whose access tokens are taken.
    pub oidc: Option<Oidc>,
}

/// `auth.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// Nobody is asked; on loopback only.
    None,
    /// Every caller needs credentials.
    Required,
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

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// `transfers:write`
    TransfersWrite,
    /// `transfers:read`
    TransfersRead,
    /// `batches:write`
    BatchesWrite,
    /// `queues:read`
    QueuesRead,
    /// `metrics:read`
    MetricsRead,
    /// `admin`
    Admin,
}

impl Permission {
    /// All permissions.
    pub const ALL: &'static [Self] = &[
        Self::TransfersWrite,
        Self::TransfersRead,
        Self::BatchesWrite,
        Self::QueuesRead,
        Self::MetricsRead,
        Self::Admin,
    ];

    /// The permission as it is configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TransfersWrite => "transfers:write",
            Self::TransfersRead => "transfers:read",
            Self::BatchesWrite => "batches:write",
            Self::QueuesRead => "queues:read",
            Self::MetricsRead => "metrics:read",
            Self::Admin => "admin",
        }
    }

    /// The permission with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.name() == name)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl AuthMode {
    /// The mode as it is configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Required => "required",
        }
    }

    /// The mode when none is configured.
    pub(super) fn fitting(region: Region, bind: SocketAddr) -> Self {
        if region == Region::Sandbox && bind.ip().is_loopback() {
            Self::None
        } else {
            Self::Required
        }
    }
}

impl Auth {
    pub(super) fn read(from: &mut Reader, fitting: AuthMode) -> Self {
        let modes = [AuthMode::None, AuthMode::Required].map(|mode| (mode.name(), mode));
        Self {
            mode: from.word("auth.mode", &modes).unwrap_or(fitting),
            api_keys: api_keys::read(from),
            api_keys_file: None,
            oidc: oidc(from),
        }
    }
}

fn oidc(from: &mut Reader) -> Option<Oidc> {
    let issuer_url = from.url("auth.oidc_issuer");
    let audience = from.text("auth.oidc_audience");
    let max_lifetime = from.duration("auth.oidc_max_lifetime", minutes(1)..=days(365));
    for (key, other) in
        [("auth.oidc_issuer", "auth.oidc_audience"), ("auth.oidc_audience", "auth.oidc_issuer")]
    {
        if from.value(key).is_none() && from.value(other).is_some() {
            from.complain(key, format!("missing; it is needed beside {other}"));
        }
    }
    // Tokens name their issuer letter by letter, and a URL may be written in several ways.
    let issuer = reader::text(&from.value("auth.oidc_issuer")?.kind)?.to_owned();
    Some(Oidc { issuer, issuer_url: issuer_url?, audience: audience?, max_lifetime })
}
