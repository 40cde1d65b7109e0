//! Values that are read at each scrape.

use std::time::Duration;

use prometheus::{CounterVec, GaugeVec, Opts, Registry, proto::MetricFamily};

use super::{
    families::register,
    labels::{BreakerState, Host, Label},
};

mod process;

/// What is read at a scrape. What is `None` or empty is not known now, and has no series.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// Whether requests should be sent here.
    pub ready: Option<bool>,
    /// Transfers in the record that are not settled, those of all replicas.
    pub unsettled: Option<u64>,
    /// Transfers being looked for in the background by this process.
    pub settling: Option<usize>,
    /// Outcomes that could not be written yet and are only in memory.
    pub unsaved: Option<usize>,
    /// Most connections of callers at once.
    pub most_connections: Option<usize>,
    /// The access token in use.
    pub token: Option<TokenReading>,
    /// The queue map in use.
    pub queue_map: Option<QueueMapReading>,
    /// The limit of all requests: the configured one, or Genesys' own when that is lower. What
    /// replicas on the same store use is counted.
    pub rate: Option<RateReading>,
    /// Genesys' own limits, as far as its answers told of them; a few at most.
    pub limits: Vec<RateReading>,
    /// How many wait for a turn in the rate budget, by lane.
    pub waiting: Vec<(&'static str, usize)>,
    /// The circuit breakers.
    pub breakers: Vec<BreakerReading>,
    /// Lines of the log that were dropped since the start, by kind.
    pub lines_dropped: Vec<(&'static str, u64)>,
}

/// The access token in use.
#[derive(Debug, Clone, Copy)]
pub struct TokenReading {
    /// Since it was asked for.
    pub age: Duration,
    /// Until it is no longer used.
    pub left: Duration,
}

/// The queue map in use.
#[derive(Debug, Clone, Copy)]
pub struct QueueMapReading {
    /// Since it was loaded.
    pub age: Duration,
    /// Queues in it.
    pub queues: usize,
}

/// A limit of requests a minute.
#[derive(Debug, Clone, Copy)]
pub struct RateReading {
    /// Requests in any minute.
    pub limit: u64,
    /// Requests that this minute leaves.
    pub left: u64,
    /// Until all of it is left again, if nothing more is sent; zero when it is.
    pub whole_in: Duration,
}

/// One circuit breaker.
#[derive(Debug, Clone, Copy)]
pub struct BreakerReading {
    /// Whose.
    pub host: Host,
    /// Whether calls are let through.
    pub state: BreakerState,
}

impl Readings {
    /// The readings as families, with those of the process and of the build.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        let sheet = Sheet::default();
        self.about_work(&sheet);
        self.about_genesys(&sheet);
        self.about_rates(&sheet);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        sheet.labelled("build_info", "The program; always 1.", &[(&version, 1.0)]);
        let kinds: Vec<_> = self.lines_dropped.iter().map(|(kind, _)| [("kind", *kind)]).collect();
        let numbers = self.lines_dropped.iter().map(|(_, number)| whole(*number));
        let dropped: Vec<_> = kinds.iter().map(|labels| &labels[..]).zip(numbers).collect();
        let help = "Lines of the log that were dropped, because it was not read.";
        sheet.totals("genesys_transfer_log_lines_dropped_total", help, &dropped);
        process::read(&sheet);
        sheet.0.gather()
    }

    fn about_work(&self, sheet: &Sheet) {
        let ready = self.ready.map(|ready| count(usize::from(ready)));
        sheet.gauge("ready", "1 when requests should be sent here.", ready);
        sheet.gauge(
            "transfers_unsettled",
            "Transfers in the record that are pending or unknown, those of all replicas.",
            self.unsettled.map(whole),
        );
        sheet.gauge(
            "transfers_settling",
            "Unknown transfers that this process looks for in the background.",
            self.settling.map(count),
        );
        sheet.gauge(
            "transfers_unsaved",
            "Outcomes that are only in memory, because the store could not be written.",
            self.unsaved.map(count),
        );
        sheet.gauge(
            "http_connections_limit",
            "Connections of callers that may be open at once (server.max_connections).",
            self.most_connections.map(count),
        );
    }

    fn about_genesys(&self, sheet: &Sheet) {
        sheet.gauge(
            "upstream_token_age_seconds",
            "Since the access token in use was asked for.",
            self.token.map(|token| token.age.as_secs_f64()),
        );
        sheet.gauge(
            "upstream_token_left_seconds",
            "Until the access token in use is no longer used.",
            self.token.map(|token| token.left.as_secs_f64()),
        );
        sheet.gauge(
            "queue_map_age_seconds",
            "Since the queue map in use was loaded.",
            self.queue_map.map(|map| map.age.as_secs_f64()),
        );
        sheet.gauge(
            "queue_map_queues",
            "Queues in the map.",
            self.queue_map.map(|map| count(map.queues)),
        );
        let mut states = Vec::new();
        for BreakerReading { host, state } in &self.breakers {
            for named in BreakerState::ALL {
                let labels = [("host", host.label()), ("state", named.label())];
                states.push((labels, count(usize::from(named == state))));
            }
        }
        let states: Vec<_> = states.iter().map(|(labels, value)| (&labels[..], *value)).collect();
        let help = "State of a host's circuit breaker: 1 for the one it is in.";
        sheet.labelled("upstream_breaker_state", help, &states);
    }

    fn about_rates(&self, sheet: &Sheet) {
        sheet.gauge(
            "upstream_rate_limit",
            "Requests to Genesys in any minute: the configured limit, or Genesys' own when lower.",
            self.rate.map(|rate| whole(rate.limit)),
        );
        sheet.gauge(
            "upstream_rate_budget_left",
            "Requests to Genesys that this minute leaves, those of replicas on the same store counted.",
            self.rate.map(|rate| whole(rate.left)),
        );
        let allowed = self.limits.iter().map(|limit| limit.limit.to_string());
        let allowed: Vec<_> = allowed.collect();
        let labels: Vec<_> =
            allowed.iter().map(|allowed| [("allowed", allowed.as_str())]).collect();
        let left = self.limits.iter().map(|limit| whole(limit.left));
        let left: Vec<_> = labels.iter().map(|labels| &labels[..]).zip(left).collect();
        let help =
            "Requests that each of Genesys' own limits leaves, by what it allows in a minute.";
        sheet.labelled("upstream_limit_left", help, &left);
        let lanes: Vec<_> = self.waiting.iter().map(|(lane, _)| [("lane", *lane)]).collect();
        let waiting: Vec<_> = lanes
            .iter()
            .zip(&self.waiting)
            .map(|(labels, (_, number))| (&labels[..], count(*number)))
            .collect();
        let help = "Requests that wait for a turn in the rate budget.";
        sheet.labelled("upstream_pacing_waiting", help, &waiting);
    }
}

/// The families of one scrape.
#[derive(Default)]
pub(super) struct Sheet(Registry);

/// Labels with their values.
type LabelPairs<'a> = [(&'a str, &'a str)];

impl Sheet {
    /// A gauge of the service, if it has a value.
    fn gauge(&self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.labelled(name, help, &[(&[], value)]);
        }
    }

    /// A gauge of the service with a series for each of `values`, which have the same labels.
    fn labelled(&self, name: &str, help: &str, values: &[(&LabelPairs<'_>, f64)]) {
        self.gauges(&format!("genesys_transfer_{name}"), help, values);
    }

    /// A gauge of the process.
    pub(super) fn process(&self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.gauges(name, help, &[(&[], value)]);
        }
    }

    /// A counter of the process.
    pub(super) fn process_total(&self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.totals(name, help, &[(&[], value)]);
        }
    }

    /// A counter with a series for each of `values`, which have the same labels.
    fn totals(&self, name: &str, help: &str, values: &[(&LabelPairs<'_>, f64)]) {
        let Some((labels, _)) = values.first() else { return };
        let names: Vec<_> = labels.iter().map(|(name, _)| *name).collect();
        let family = register(&self.0, CounterVec::new(Opts::new(name, help), &names));
        for (labels, value) in values {
            let texts: Vec<_> = labels.iter().map(|(_, text)| *text).collect();
            family.with_label_values(&texts).inc_by(*value);
        }
    }

    fn gauges(&self, name: &str, help: &str, values: &[(&LabelPairs<'_>, f64)]) {
        let Some((labels, _)) = values.first() else { return };
        let names: Vec<_> = labels.iter().map(|(name, _)| *name).collect();
        let family = register(&self.0, GaugeVec::new(Opts::new(name, help), &names));
        for (labels, value) in values {
            let texts: Vec<_> = labels.iter().map(|(_, text)| *text).collect();
            family.with_label_values(&texts).set(*value);
        }
    }
}

/// A count as Prometheus keeps it: exact up to 2^53, as all of these are.
fn count(number: usize) -> f64 {
    whole(u64::try_from(number).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "no count of ours comes near 2^53")]
const fn whole(number: u64) -> f64 {
    number as f64
}
