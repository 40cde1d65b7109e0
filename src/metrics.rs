//! What is counted and measured, for Prometheus: one registry per service, no global state.
//!
//! Code that measures holds an `Arc<Metrics>` and calls a method; labels are enums, route templates
//! or numbers, never texts from outside, so that the number of series has a bound whatever callers
//! send. Values that can be read at any time (ages, budgets) are not kept here: they are read at
//! each scrape, as [`Readings`].

use std::time::Duration;

use prometheus::Registry;

use crate::problem::Code;

mod families;
mod labels;
mod readings;

pub use labels::{
    Attempt, BatchActivity, BreakerState, Fetched, Host, Label, Method, StoreOperation,
};
pub use readings::{BreakerReading, QueueMapReading, RateReading, Readings, TokenReading};

use families::{BatchMetrics, HttpMetrics, StoreMetrics, TransferMetrics, UpstreamMetrics};

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The label of requests that no route matches.
const UNMATCHED: &str = "unmatched";
/// The label of a code where there is none.
const NONE: &str = "none";

/// The metrics of one service.
pub struct Metrics {
    registry: Registry,
    http: HttpMetrics,
    transfers: TransferMetrics,
    batches: BatchMetrics,
    upstream: UpstreamMetrics,
    store: StoreMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let http = HttpMetrics::new(&registry);
        let transfers = TransferMetrics::new(&registry);
        let batches = BatchMetrics::new(&registry);
        let upstream = UpstreamMetrics::new(&registry);
        let store = StoreMetrics::new(&registry);
        Self { registry, http, transfers, batches, upstream, store }
    }
}

impl Metrics {
    /// A request is being worked on until the guard is dropped.
    #[must_use]
    pub fn request_begins(&self) -> InFlight {
        InFlight::enter(&self.http.in_flight)
    }

    /// A request is over. `route` is the router's template, `None` when none matched; `status` is
    /// `None` when the caller hung up before there was one.
    pub fn request_ended(
        &self,
        route: Option<&str>,
        method: Method,
        status: Option<u16>,
        took: Duration,
    ) {
        let route = route.unwrap_or(UNMATCHED);
        let status = status.map_or_else(|| NONE.to_owned(), |status| status.to_string());
        let labels = [route, method.label(), status.as_str()];
        self.http.requests.with_label_values(&labels).inc();
        self.http.latency.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A request was answered with a problem.
    pub fn problem(&self, code: Code) {
        self.http.problems.with_label_values(&[code.as_str()]).inc();
    }

    /// A connection is open until the guard is dropped.
    #[must_use]
    pub fn connection_opens(&self) -> InFlight {
        InFlight::enter(&self.http.connections)
    }

    /// A connection was closed because what came on it never became a request, or because its
    /// address had all its places.
    pub fn connection_refused(&self, code: Code) {
        self.http.refused.with_label_values(&[code.as_str()]).inc();
    }

    /// A transfer came to an outcome; one that is unknown comes to another one later and counts
    /// again.
    pub fn transfer(&self, outcome: impl Label, code: Option<Code>) {
        let code = code.map_or(NONE, Code::as_str);
        self.transfers.outcomes.with_label_values(&[outcome.label(), code]).inc();
    }

    /// A transfer that belongs to a batch came to an outcome.
    pub fn batch_item(&self, outcome: impl Label) {
        self.batches.items.with_label_values(&[outcome.label()]).inc();
    }

    /// The runner of a batch does this until the guard is dropped.
    #[must_use]
    pub fn batch_runs(&self, activity: BatchActivity) -> InFlight {
        InFlight::enter(&self.batches.batches.with_label_values(&[activity.label()]))
    }

    /// One HTTP request to Genesys is over.
    pub fn attempt(&self, operation: impl Label, outcome: Attempt, took: Duration) {
        let labels = [operation.label(), outcome.label()];
        self.upstream.requests.with_label_values(&labels).inc();
        self.upstream.latency.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Lets the series of all `operation`s exist from the start.
    pub fn know_operations<O: Label>(&self) {
        for operation in O::ALL.iter().map(|operation| operation.label()) {
            self.upstream.retries.with_label_values(&[operation]);
            self.upstream.left_out.with_label_values(&[operation]);
            for outcome in Attempt::ALL {
                self.upstream.requests.with_label_values(&[operation, outcome.label()]);
            }
        }
    }

    /// A request to Genesys is sent again.
    pub fn retried(&self, operation: impl Label) {
        self.upstream.retries.with_label_values(&[operation.label()]).inc();
    }

    /// Entries of lists in an answer of Genesys' could not be read.
    pub fn left_out(&self, operation: impl Label, entries: u64) {
        self.upstream.left_out.with_label_values(&[operation.label()]).inc_by(entries);
    }

    /// A request waited for its turn in the rate budget, perhaps in vain.
    pub fn paced(&self, lane: impl Label, waited: Duration, granted: bool) {
        let lane = [lane.label()];
        self.upstream.pacing.with_label_values(&lane).observe(waited.as_secs_f64());
        let refused = self.upstream.pacing_refused.with_label_values(&lane);
        refused.inc_by(u64::from(!granted));
    }

    /// The login host was asked for a token.
    pub fn token_fetched(&self, outcome: Fetched) {
        self.upstream.tokens.with_label_values(&[outcome.label()]).inc();
    }

    /// The queue map was loaded, or not.
    pub fn queue_map_loaded(&self, outcome: Fetched) {
        self.upstream.queue_maps.with_label_values(&[outcome.label()]).inc();
    }

    /// A breaker opened.
    pub fn breaker_opened(&self, host: Host) {
        self.upstream.breaker_opened.with_label_values(&[host.label()]).inc();
    }

    /// The store did something, or failed to.
    pub fn stored(&self, operation: StoreOperation, took: Duration, worked: bool) {
        let operation = [operation.label()];
        self.store.latency.with_label_values(&operation).observe(took.as_secs_f64());
        self.store.errors.with_label_values(&operation).inc_by(u64::from(!worked));
    }

    /// Everything in Prometheus' text format, with `readings` taken a moment ago.
    #[must_use]
    pub fn render(&self, readings: &Readings) -> String {
        let mut families = self.registry.gather();
        families.extend(readings.gather());
        let mut text = String::with_capacity(32 * 1024);
        // Writing to a String does not fail, and a family without samples is not gathered.
        if let Err(error) = prometheus::TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "could not encode the metrics");
        }
        text
    }
}

/// One more of something, until it is dropped.
#[derive(Debug)]
pub struct InFlight(prometheus::IntGauge);

impl InFlight {
    fn enter(gauge: &prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
