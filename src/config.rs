//! Settings: plain values, read from `config/default.toml`, a file and the environment, and
//! checked before anything starts. A leaf: knows nothing else of this crate.

use std::path::{Path, PathBuf};

mod auth;
mod batches;
mod duration;
mod effective;
mod env;
mod error;
mod files;
mod genesys;
mod keys;
mod layers;
mod partly;
mod reader;
mod region;
mod rules;
mod sandbox;
mod server;
mod store;
mod telemetry;
mod tls;
mod transfers;
mod units;

pub use auth::{ApiKey, Auth, AuthMode, Oidc, Permission, QueuePattern};
pub use batches::Batches;
pub use duration::parse as parse_duration;
pub use effective::Sources;
pub use env::{Env, ProcessEnv};
pub use error::{ConfigError, ConfigErrors, one_line};
pub use files::{pem_without_mark, read_in_time};
pub use genesys::{Genesys, TransferApi};
pub use partly::{Listening, log_filter};
pub use region::Region;
pub use sandbox::Sandbox;
pub use server::Server;
pub use store::Store;
pub use telemetry::{LogFormat, Telemetry, is_log_filter};
pub use tls::{Tls, TlsFileError, TlsFiles};
pub use transfers::{Confirm, Transfers};

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
    pub transfers: Transfers,
    /// Many transfers under one id.
    pub batches: Batches,
    /// The durable record.
    pub store: Store,
    /// Who may call.
    pub auth: Auth,
    /// Logs and traces.
    pub telemetry: Telemetry,
    /// The embedded stand-in for Genesys Cloud.
    pub sandbox: Sandbox,
    /// Where each value came from.
    pub sources: Sources,
    /// What is allowed but was hardly meant, one line each, without secrets; to be logged.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Reads all layers and checks them.
    ///
    /// # Errors
    /// Everything that is wrong, one line each; see [`ConfigErrors`].
    pub fn load(args: &Args, env: &impl Env) -> Result<Self, ConfigErrors> {
        let merged = layers::merge(args, env)?;
        let mut from = reader::Reader::new(merged.root, merged.errors);
        let mut settings = Self::read(&mut from);
        ConfigErrors::check(std::mem::take(&mut from.errors))?;
        rules::check(&settings, &mut from);
        ConfigErrors::check(std::mem::take(&mut from.errors))?;
        settings.genesys.fill_in_sandbox_client();
        settings.auth.api_keys_file = layers::api_keys_file(env);
        settings.sources = Sources::of(&settings, &from, merged.file);
        settings.warnings = merged.warnings;
        settings.warnings.extend(rules::doubts(&settings));
        Ok(settings)
    }

    fn read(from: &mut reader::Reader) -> Self {
        let server = Server::read(from);
        let genesys = Genesys::read(from);
        let fitting = AuthMode::fitting(genesys.region, server.bind);
        Self {
            server,
            genesys,
            transfers: Transfers::read(from),
            batches: Batches::read(from),
            store: Store::read(from),
            auth: Auth::read(from, fitting),
            telemetry: Telemetry::read(from),
            sandbox: Sandbox::read(from),
            sources: Sources::default(),
            warnings: Vec::new(),
        }
    }
}

/// Reads the callers' keys in the file named by `AUTH_API_KEYS_FILE` again, after it changed.
///
/// # Errors
/// The file cannot be read, or something in it is wrong.
pub fn read_api_keys(path: &Path) -> Result<Vec<ApiKey>, ConfigErrors> {
    let source = path.display().to_string();
    let wrong = |why: String| ConfigError::new(keys::API_KEYS, source.clone(), why);
    let list = layers::api_keys_in(path, &source).map_err(wrong)?;
    auth::parse_api_keys(&list)
        .map_err(|messages| messages.into_iter().map(wrong).collect::<ConfigErrors>())
}

#[cfg(test)]
mod tests;
