//! Logs and traces: set up once per process. Logs go to standard error; standard output is for
//! results.
//!
//! One event is one line, whatever the strings in it: see `line`. On a terminal the line is
//! text, elsewhere a flat JSON object. Nothing waits for the stream: see `sink`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
    thread,
};

use tracing_subscriber::{
    Layer as _, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    clock::{Clock as _, SystemClock},
    config::{LogFormat, Telemetry},
};

mod fields;
mod layer;
mod level;
mod line;
mod panics;
mod sink;
mod traces;

use fields::EventFields;
use layer::{LineLayer, Out};
use line::LogLine;
#[cfg(test)]
use sink::Dropped;

pub use level::{LogFilter, LogState};
pub use sink::{LineCounts, Sink};
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
    /// The system gives no thread to write lines with.
    #[error("the log cannot be written: {0}")]
    Thread(String),
}

/// Logs and traces that were set up.
#[derive(Debug)]
pub struct Logging {
    /// What is logged.
    pub filter: LogFilter,
    /// Where the lines go.
    pub sink: Sink,
    /// The export of spans.
    pub traces: Traces,
}

/// Sets up logs and traces for the process, and has panics logged like everything else.
///
/// # Errors
/// The filter is not one, the exporter cannot be made, logging is already set up, or there is no
/// thread for it.
pub fn init(settings: &Telemetry) -> Result<Logging, TelemetryError> {
    let format = settings.log_format.unwrap_or_else(|| fitting(io::stderr().is_terminal()));
    let sink = Sink::new(io::stderr(), move |lost| dropped(lost, format))
        .map_err(|error| TelemetryError::Thread(error.to_string()))?;
    let (filter, logs) = LogFilter::new(&settings.log_filter, sink.dropped())?;
    let lines = LineLayer::new(format, Out::Sink(sink.clone()), Arc::new(SystemClock));
    let traces = Traces::start(settings).map_err(TelemetryError::Export)?;
    Registry::default()
        .with(lines.with_filter(filter))
        .with(traces.layer())
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)?;
    panics::log();
    Ok(Logging { filter: logs, sink, traces })
}

/// The line that says that others were dropped.
fn dropped(lost: LineCounts, format: LogFormat) -> String {
    let mut fields = EventFields::new(format);
    fields.set("dropped", |line, _| line.push_str(&lost.other.to_string()));
    fields.set("dropped_audit", |line, _| line.push_str(&lost.audit.to_string()));
    let line = LogLine {
        time: SystemClock.now(),
        level: tracing::Level::WARN,
        target: module_path!(),
        message: "log lines were dropped because the output was not read in time",
    };
    let mut text = String::new();
    line.write(format, &[&fields], &mut text);
    text
}

/// Prints `text` on standard output, from a thread of its own, which may wait for a reader for ever.
pub fn print(text: String) {
    let printing = move || {
        let mut stdout = io::stdout().lock();
        // Nothing can be done about a standard stream that is closed.
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    };
    if let Err(error) = thread::Builder::new().name("print".to_owned()).spawn(printing) {
        tracing::warn!(%error, "cannot start a thread to print with");
    }
}

fn fitting(terminal: bool) -> LogFormat {
    if terminal { LogFormat::Text } else { LogFormat::Json }
}

#[cfg(test)]
mod tests;
