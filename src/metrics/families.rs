//! The series that are counted as things happen: names, help, labels, buckets.

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

use super::labels::{BatchActivity, Fetched, Host, Label, StoreOperation};
use crate::problem::Code;

/// Seconds. A transfer takes tens of milliseconds when all is well, and 30 s at most.
const LATENCY: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Seconds. A write that survives the loss of power takes a few milliseconds; 5 s is the limit.
const STORE_LATENCY: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Seconds.
const WAIT: &[f64] = &[0.001, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0];

/// Requests of callers.
pub(super) struct HttpMetrics {
    pub requests: IntCounterVec,
    pub latency: HistogramVec,
    pub in_flight: IntGauge,
    pub problems: IntCounterVec,
    pub connections: IntGauge,
    pub refused: IntCounterVec,
}

impl HttpMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let labels = ["route", "method", "status"];
        let http = Self {
            requests: counter(
                registry,
                "genesys_transfer_http_requests_total",
                "Requests answered, by route template, method and status; status none: the caller \
                 hung up.",
                &labels,
            ),
            latency: histogram(
                registry,
                "genesys_transfer_http_request_duration_seconds",
                "Time from a request's head to its answer's head.",
                &labels,
                LATENCY,
            ),
            in_flight: gauge(
                registry,
                "genesys_transfer_http_requests_in_flight",
                "Requests being worked on.",
            ),
            problems: counter(
                registry,
                "genesys_transfer_http_problems_total",
                "Problem answers by code.",
                &["code"],
            ),
            connections: gauge(
                registry,
                "genesys_transfer_http_connections",
                "Open connections of callers.",
            ),
            refused: counter(
                registry,
                "genesys_transfer_http_connections_refused_total",
                "Connections closed because what came on them never became a request, or because \
                 their address had all its places (overloaded), by code.",
                &["code"],
            ),
        };
        for code in
            [Code::RequestTimeout, Code::HeadersTooLarge, Code::InvalidHeader, Code::Overloaded]
        {
            http.refused.with_label_values(&[code.as_str()]);
        }
        http
    }
}

/// Transfers.
pub(super) struct TransferMetrics {
    pub outcomes: IntCounterVec,
}

impl TransferMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let outcomes = counter(
            registry,
            "genesys_transfer_transfers_total",
            "Transfers by outcome and problem code. One that became unknown counts again with the \
             outcome it settles to.",
            &["outcome", "code"],
        );
        let unknown = Code::OutcomeUnknown.as_str();
        for (outcome, code) in [("accepted", "none"), ("confirmed", "none"), ("unknown", unknown)] {
            outcomes.with_label_values(&[outcome, code]);
        }
        Self { outcomes }
    }
}

/// Batches whose runner is in this process.
pub(super) struct BatchMetrics {
    pub batches: IntGaugeVec,
    pub items: IntCounterVec,
}

impl BatchMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let help = "Batches that this process works through: waiting for one of the places to run, \
                    running, or paused.";
        let options = Opts::new("genesys_transfer_batches", help);
        let batches = register(registry, IntGaugeVec::new(options, &["state"]));
        let items = counter(
            registry,
            "genesys_transfer_batch_items_total",
            "Transfers of batches by outcome. One that became unknown counts again with the outcome \
             it settles to.",
            &["outcome"],
        );
        for activity in BatchActivity::ALL {
            batches.with_label_values(&[activity.label()]);
        }
        for outcome in ["accepted", "confirmed", "unknown", "skipped", "failed"] {
            items.with_label_values(&[outcome]);
        }
        Self { batches, items }
    }
}

/// Requests to Genesys, and what keeps them in order.
pub(super) struct UpstreamMetrics {
    pub requests: IntCounterVec,
    pub latency: HistogramVec,
    pub retries: IntCounterVec,
    pub left_out: IntCounterVec,
    pub pacing: HistogramVec,
    pub pacing_refused: IntCounterVec,
    pub tokens: IntCounterVec,
    pub queue_maps: IntCounterVec,
    pub breaker_opened: IntCounterVec,
}

impl UpstreamMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let upstream = Self {
            requests: counter(
                registry,
                "genesys_transfer_upstream_requests_total",
                "HTTP requests to Genesys, each try counted, by operation and outcome; \
                 rate_limited is 429.",
                &["operation", "outcome"],
            ),
            latency: histogram(
                registry,
                "genesys_transfer_upstream_request_duration_seconds",
                "Time of one HTTP request to Genesys until its status line, or its failure.",
                &["operation", "outcome"],
                LATENCY,
            ),
            retries: counter(
                registry,
                "genesys_transfer_upstream_retries_total",
                "Requests to Genesys that were sent again.",
                &["operation"],
            ),
            left_out: counter(
                registry,
                "genesys_transfer_upstream_entries_left_out_total",
                "Entries of lists in Genesys' answers that could not be read and were left out.",
                &["operation"],
            ),
            pacing: histogram(
                registry,
                "genesys_transfer_upstream_pacing_wait_seconds",
                "Time waited for a turn in the rate budget, by lane; the neediest lane goes first.",
                &["lane"],
                WAIT,
            ),
            pacing_refused: counter(
                registry,
                "genesys_transfer_upstream_pacing_refused_total",
                "Turns in the rate budget that could not be had in time.",
                &["lane"],
            ),
            tokens: counter(
                registry,
                "genesys_transfer_upstream_token_refreshes_total",
                "Tokens asked for at the login host, by outcome.",
                &["outcome"],
            ),
            queue_maps: counter(
                registry,
                "genesys_transfer_queue_map_loads_total",
                "Loads of the queue map, by outcome.",
                &["outcome"],
            ),
            breaker_opened: counter(
                registry,
                "genesys_transfer_upstream_breaker_opened_total",
                "Times the circuit breaker of a host opened.",
                &["host"],
            ),
        };
        for outcome in Fetched::ALL {
            upstream.tokens.with_label_values(&[outcome.label()]);
            upstream.queue_maps.with_label_values(&[outcome.label()]);
        }
        for host in Host::ALL {
            upstream.breaker_opened.with_label_values(&[host.label()]);
        }
        upstream
    }
}

/// The record.
pub(super) struct StoreMetrics {
    pub latency: HistogramVec,
    pub errors: IntCounterVec,
}

impl StoreMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let store = Self {
            latency: histogram(
                registry,
                "genesys_transfer_store_operation_duration_seconds",
                "Time of one operation of the store, its wait for the disk included.",
                &["operation"],
                STORE_LATENCY,
            ),
            errors: counter(
                registry,
                "genesys_transfer_store_errors_total",
                "Operations of the store that failed.",
                &["operation"],
            ),
        };
        for operation in StoreOperation::ALL {
            store.errors.with_label_values(&[operation.label()]);
        }
        store
    }
}

pub(super) fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, HistogramVec::new(options, labels))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::with_opts(Opts::new(name, help)))
}

/// Puts a family into a registry.
#[expect(
    clippy::expect_used,
    reason = "names, labels and buckets are literals of this module; any test finds a wrong one"
)]
pub(super) fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    family: prometheus::Result<C>,
) -> C {
    let family = family.expect("a well-formed family");
    registry.register(Box::new(family.clone())).expect("a name used once");
    family
}
