//! Parts of the settings, for those who need no more: what is wrong elsewhere, or became so after
//! the start, does not keep them from their work.

use std::net::SocketAddr;

use super::{Args, ConfigErrors, Env, Telemetry, layers, reader::Reader, tls};

/// Where the service that these settings describe can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// `server.bind`
    pub bind: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Listening {
    /// Reads `server.bind` and whether certificates are set. The service runs on with what it has
    /// when files become unreadable, so they are not looked at here.
    ///
    /// # Errors
    /// The configuration cannot be read, or `server.bind` is wrong.
    pub fn load(args: &Args, env: &impl Env) -> Result<Self, ConfigErrors> {
        let mut from = reader(args, env)?;
        let bind = from.address("server.bind");
        let tls = from.value(tls::CERT).is_some();
        ConfigErrors::check(from.errors)?;
        Ok(Self { bind, tls })
    }
}

/// `telemetry.log_filter` as it is configured now.
///
/// # Errors
/// The configuration cannot be read, or something in `[telemetry]` is wrong.
pub fn log_filter(args: &Args, env: &impl Env) -> Result<String, ConfigErrors> {
    let mut from = reader(args, env)?;
    let telemetry = Telemetry::read(&mut from);
    ConfigErrors::check(from.errors)?;
    Ok(telemetry.log_filter)
}

fn reader(args: &Args, env: &impl Env) -> Result<Reader, ConfigErrors> {
    Ok(Reader::new(layers::merge(args, env)?.root, Vec::new()))
}
