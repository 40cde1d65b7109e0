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
    Layer as _, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    clock::SystemClock,
    config::{LogFormat, Telemetry},
};

mod fields;
mod layer;
mod level;
mod line;
mod panics;
mod traces;

use layer::{LineLayer, Sink};

pub use level::{LogFilter, LogState};
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

/// Sets up logs and traces for the process, and has panics logged like everything else.
///
/// # Errors
/// The filter is not one, the exporter cannot be made, or logging is already set up.
pub fn init(settings: &Telemetry) -> Result<(LogFilter, Traces), TelemetryError> {
    let format = settings.log_format.unwrap_or_else(|| fitting(io::stderr().is_terminal()));
    let (filter, logs) = LogFilter::new(&settings.log_filter)?;
    let lines = LineLayer::new(format, Sink::Stderr, Arc::new(SystemClock));
    let traces = Traces::start(settings).map_err(TelemetryError::Export)?;
    Registry::default()
        .with(lines.with_filter(filter))
        .with(traces.layer())
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)?;
    panics::log();
    Ok((logs, traces))
}

fn fitting(terminal: bool) -> LogFormat {
    if terminal { LogFormat::Text } else { LogFormat::Json }
}

#[cfg(test)]
mod tests;
