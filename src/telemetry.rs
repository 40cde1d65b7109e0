//! Logs and traces: set up once per process. Logs go to standard error; standard output is for
//! results.
//!
//! One event is one line, whatever the strings in it: see `line`. On a terminal the line is
//! text, elsewhere a flat JSON object.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use crate::{
    clock::SystemClock,
    config::{LogFormat, Telemetry},
};

mod fields;
mod layer;
mod line;
mod panics;
mod traces;

use layer::{LineLayer, Sink};

pub use traces::Traces;

/// Why logging could not be set up or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one; the syntax is `EnvFilter`'s.
    #[error("telemetry.log_filter: expected a filter such as info or info,genesys_transfer=debug")]
    BadFilter,
    /// Something else in this process has set up logging before.
    #[error("logging is already set up in this process")]
    AlreadySet,
    /// The client that sends spans to the collector cannot be made.
    #[error("telemetry.otlp_endpoint: {0}")]
    Export(String),
}

/// The log filter in force, which can be changed while the service runs.
#[derive(Debug, Clone)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// Puts another filter in force.
    ///
    /// # Errors
    /// `filter` is not one; the old one stays.
    pub fn set(&self, filter: &str) -> Result<(), TelemetryError> {
        let filter = parse(filter)?;
        // Fails only when the subscriber is gone, and then there is nothing to filter.
        self.0.reload(filter).map_err(|_| TelemetryError::AlreadySet)
    }

    /// The filter in force, in the syntax it is written in.
    #[must_use]
    pub fn current(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }
}

/// Sets up logs and traces for the process, and has panics logged like everything else.
///
/// # Errors
/// The filter is not one, the exporter cannot be made, or logging is already set up.
pub fn init(settings: &Telemetry) -> Result<(LogFilter, Traces), TelemetryError> {
    let format = settings.log_format.unwrap_or_else(|| fitting(io::stderr().is_terminal()));
    let (filter, handle) = reload::Layer::new(parse(&settings.log_filter)?);
    let lines = LineLayer::new(format, Sink::Stderr, Arc::new(SystemClock));
    let traces = Traces::start(settings).map_err(TelemetryError::Export)?;
    Registry::default()
        .with(lines.with_filter(filter))
        .with(traces.layer())
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)?;
    panics::log();
    Ok((LogFilter(handle), traces))
}

fn fitting(terminal: bool) -> LogFormat {
    if terminal { LogFormat::Text } else { LogFormat::Json }
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(filter).map_err(|_| TelemetryError::BadFilter)
}

#[cfg(test)]
mod tests;
