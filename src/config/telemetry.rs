//! `[telemetry]`: logs and traces.

use config::ValueKind;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use url::Url;

use super::reader::{self, Reader};

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Text or JSON; `None` means text on a terminal and JSON elsewhere.
    pub log_format: Option<LogFormat>,
    /// Filter in the syntax of `tracing_subscriber::EnvFilter`.
    pub log_filter: String,
    /// Collector for traces (OTLP over HTTP).
    pub otlp_endpoint: Option<Url>,
    /// Share of requests that are traced when their callers do not decide, 0 to 1.
    pub trace_ratio: f64,
}

/// `telemetry.log_format`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Telemetry {
    pub(super) fn read(from: &mut Reader) -> Self {
        let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let expected = "a filter such as info or info,genesys_transfer=debug";
        Self {
            log_format: from.word("telemetry.log_format", &words),
            log_filter: from.required("telemetry.log_filter", "info".to_owned(), expected, filter),
            otlp_endpoint: from.internal_url("telemetry.otlp_endpoint"),
            trace_ratio: from.share("telemetry.trace_ratio"),
        }
    }
}

/// The text, when it is a filter.
fn filter(kind: &ValueKind) -> Option<String> {
    reader::text(kind).filter(|text| is_log_filter(text)).map(str::to_owned)
}

/// Whether `text` is a log filter: something in the syntax of `EnvFilter`, without bare words that
/// are no level. `debgu` alone would be taken for the name of a module, and leave an operator
/// without the lines of all others.
#[must_use]
pub fn is_log_filter(text: &str) -> bool {
    // Between brackets stand the fields of spans, which are words of their own.
    let words_are_levels = text.contains('[')
        || text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.contains('='))
            .all(|word| !word.is_empty() && word.parse::<LevelFilter>().is_ok());
    words_are_levels && EnvFilter::builder().parse(text).is_ok()
}
