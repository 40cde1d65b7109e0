//! Settings: plain values, read from `config/default.toml`, a file and the environment, and
//! checked before anything starts. A leaf: knows nothing else of this crate.
//!
//! The crate `config` merges the layers (`layers`), serde reads each section into its struct
//! (`sections`), whose fields check their values while they are read (`values`). What keys require
//! of each other is in `rules`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;

mod auth;
mod duration;
mod effective;
mod environment;
mod error;
mod files;
mod keys;
mod layers;
mod region;
mod rules;
mod sections;
mod store_url;
mod tls;
mod values;

pub use crate::names::QueuePattern;
pub use auth::{ApiKey, Auth, AuthMode, Oidc, Permission};
pub use duration::parse as parse_duration;
pub use environment::{Env, ProcessEnv};
pub use error::{ConfigError, ConfigErrors, one_line};
pub use files::{pem_without_mark, read_in_time};
pub use region::Region;
pub use sections::{
    BatchSettings, BulkLooks, Confirm, Genesys, LogFormat, SandboxSettings, Server, StoreSettings,
    Telemetry, TransferApi, TransferSettings,
};
pub use tls::{TlsFileError, TlsFiles, TlsSettings};
pub use values::is_log_filter;

use layers::Layers;

/// Every key, its default and why; part of the program, so that it runs from anywhere.
pub const DEFAULT_TOML: &str = include_str!("../config/default.toml");

/// What the command line says about the settings.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// `--config`: the file to read instead of the one named by `CONFIG_FILE`.
    pub config: Option<PathBuf>,
    /// `sandbox`: the sandbox runs alone. What is said of Genesys Cloud is for the service beside
    /// it, so nothing in `[genesys]` is read.
    pub sandbox_alone: bool,
    /// `sandbox --bind`: wins over `sandbox.bind`.
    pub sandbox_bind: Option<String>,
}

/// Everything the service can be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The HTTP server.
    pub server: Server,
    /// Genesys Cloud.
    pub genesys: Genesys,
    /// How transfers are carried out.
    pub transfers: TransferSettings,
    /// Many transfers under one id.
    pub batches: BatchSettings,
    /// The durable record.
    pub store: StoreSettings,
    /// Who may call.
    pub auth: Auth,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// The embedded stand-in for Genesys Cloud.
    pub sandbox: SandboxSettings,
    /// All of it as TOML, each value with its origin, without secrets.
    pub effective: String,
    /// What is allowed but was hardly meant, one line each, without secrets; to be logged.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads all layers and checks them.
    ///
    /// # Errors
    /// Everything that is wrong, one line each; see [`ConfigErrors`].
    pub fn load(args: &Args, env: &impl Env) -> Result<Self, ConfigErrors> {
        let variables = env.variables();
        let mut layers = Layers::merge(args, &variables)?;
        let mut settings = Self::read(&mut layers)?;
        layers.check()?;
        rules::check(&settings, &mut layers);
        layers.check()?;
        settings.genesys.fill_in_sandbox_client();
        settings.auth.api_keys_file = keys::file_variable(keys::API_KEYS)
            .and_then(|variable| environment::path(&variable, &variables));
        settings.effective = effective::to_toml(&settings, &layers);
        settings.warnings = environment::near_misses(&variables);
        settings.warnings.extend(rules::doubts(&settings));
        Ok(settings)
    }

    fn read(from: &mut Layers) -> Result<Self, ConfigErrors> {
        let mut server: Server = from.read("server", |name| !tls::is_tls(name))?;
        if server.max_connections_per_address == 0 {
            server.max_connections_per_address = (server.max_connections / 4).max(1);
        }
        server.tls = TlsSettings::read(from)?;
        let genesys: Genesys = from.read("genesys", |_| true)?;
        rules::check_hosts(&genesys, from);
        let (region, bind) = (genesys.region, server.bind);
        Ok(Self {
            server,
            genesys,
            transfers: from.read("transfers", |_| true)?,
            batches: from.read("batches", |_| true)?,
            store: from.read("store", |_| true)?,
            auth: Auth::read(from, region, bind)?,
            telemetry: from.read("telemetry", |_| true)?,
            sandbox: from.read("sandbox", |_| true)?,
            effective: String::new(),
            warnings: Vec::new(),
        })
    }
}

/// Where the service that these settings describe can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// `server.bind`
    pub bind: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Listening {
    /// Reads `server.bind` and whether certificates are set, and nothing else: what is wrong
    /// elsewhere, or became so after the start, does not matter here. The service continues with
    /// what it has when files become unreadable, so they are not looked at.
    ///
    /// # Errors
    /// The configuration cannot be read, or `server.bind` is wrong.
    pub fn load(args: &Args, env: &impl Env) -> Result<Self, ConfigErrors> {
        #[derive(Deserialize)]
        struct Bind {
            #[serde(deserialize_with = "values::address")]
            bind: SocketAddr,
        }
        let mut layers = Layers::merge(args, &env.variables())?;
        layers.errors.clear();
        let Bind { bind } = layers.read("server", |name| name == "bind")?;
        layers.check()?;
        Ok(Self { bind, tls: layers.is_set(tls::CERT) })
    }
}

/// `telemetry.log_filter` as it is configured now.
///
/// # Errors
/// The configuration cannot be read, or something in `[telemetry]` is wrong.
pub fn log_filter(args: &Args, env: &impl Env) -> Result<String, ConfigErrors> {
    let mut layers = Layers::merge(args, &env.variables())?;
    layers.errors.clear();
    let telemetry: Telemetry = layers.read("telemetry", |_| true)?;
    layers.check()?;
    Ok(telemetry.log_filter)
}

/// Reads the callers' keys in the file named by `AUTH_API_KEYS_FILE` again, after it changed.
///
/// # Errors
/// The file cannot be read, or something in it is wrong.
pub fn read_api_keys(path: &Path) -> Result<Vec<ApiKey>, ConfigErrors> {
    let source = path.display().to_string();
    let wrong = |why: String| ConfigError::new(keys::API_KEYS, source.as_str(), why);
    let list = auth::list::in_file(path).map_err(wrong)?;
    auth::parse_api_keys(&list)
        .map_err(|messages| ConfigErrors(messages.into_iter().map(wrong).collect()))
}

#[cfg(test)]
mod tests;
