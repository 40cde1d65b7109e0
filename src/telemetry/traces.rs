//! Spans on their way to a collector (OTLP over HTTP), in a thread of their own.
//!
//! What the collector does never reaches a transfer: finished spans go into a bounded queue, the
//! thread sends what is in it, and what does not fit is lost.

use std::{
    fmt::Debug,
    panic::AssertUnwindSafe,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData,
        SpanExporter as Exporter,
    },
};
use tokio::{sync::oneshot, time::Instant};
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};
use url::Url;

use crate::{config::Telemetry, outgoing, trace};

/// Finished spans that wait to be sent, some hundred transfers' worth; further ones are lost.
const QUEUE: usize = 4096;
/// Spans sent at once.
const BATCH: usize = 512;
/// How long spans wait for company.
const DELAY: Duration = Duration::from_secs(2);
/// Longest one batch may take, repeats included.
const EXPORT_TIME: Duration = Duration::from_secs(5);
/// Longest the end of the service waits for the last batch.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// A collector that is away is reported this often.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// The export of spans, or that there is none.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Starts the export when the settings name a collector; that it answers is not checked.
    ///
    /// # Errors
    /// Why the HTTP client for it could not be made.
    pub(super) fn start(settings: &Telemetry) -> Result<Self, String> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Self(None)) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client(endpoint)?)
            .with_endpoint(traces_url(endpoint))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIME)
            .build()
            .map_err(|error| error.to_string())?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(Reporting::new(exporter))
            .with_batch_config(batches)
            .build();
        // A caller that samples decides for its requests; the ratio is for the others.
        let own = Sampler::TraceIdRatioBased(settings.trace_ratio);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(own)))
            .with_resource(resource())
            .build();
        Ok(Self(Some(provider)))
    }

    /// The layer that turns spans of [`trace`] into OpenTelemetry's. Events, and spans of other
    /// crates, stay out: they may hold anything.
    pub(super) fn layer<S>(&self) -> Option<impl Layer<S> + use<S>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.0.as_ref()?.tracer(env!("CARGO_PKG_NAME"));
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_context_activation(false);
        Some(layer.with_filter(Targets::new().with_target(trace::TARGET, Level::DEBUG)))
    }

    /// Sends what is left, for two seconds at most.
    pub async fn flush(self) {
        let Some(provider) = self.0 else { return };
        let (tell, told) = oneshot::channel();
        // Blocks, and the end of the runtime would wait for its own blocking threads.
        let flush = move || {
            let flushed = provider.shutdown_with_timeout(FLUSH_TIME);
            // A receiver that is gone no longer waits.
            let _ = tell.send(flushed.is_ok());
        };
        let flushing = thread::Builder::new().name("traces-flush".to_owned()).spawn(flush);
        if flushing.is_err() || !told.await.unwrap_or_default() {
            tracing::warn!("the last spans could not be sent to the collector");
        }
    }
}

/// The client must be made outside of the runtime, because it brings one of its own.
fn client(endpoint: &Url) -> Result<reqwest::blocking::Client, String> {
    let builder = outgoing::client(endpoint);
    let build = || reqwest::blocking::ClientBuilder::from(builder).timeout(EXPORT_TIME).build();
    let built = thread::spawn(build).join().map_err(|_| "the HTTP client panicked".to_owned())?;
    built.map_err(|error| outgoing::why(&error))
}

/// The collector's address for traces (OTLP/HTTP, section 2.3): below the base that is set, unless
/// that is it already.
fn traces_url(base: &Url) -> String {
    let base = base.as_str().trim_end_matches('/');
    if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") }
}

fn resource() -> Resource {
    Resource::builder_empty()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// An exporter whose failures are logged, once in a while, and whose panics are failures.
#[derive(Debug)]
struct Reporting<E> {
    inner: E,
    lost: Mutex<LostSpans>,
}

/// Spans that were lost and not reported yet.
#[derive(Debug, Default)]
struct LostSpans {
    spans: usize,
    reported: Option<Instant>,
}

impl<E> Reporting<E> {
    fn new(inner: E) -> Self {
        Self { inner, lost: Mutex::default() }
    }

    fn report(&self, spans: usize, error: &OTelSdkError) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.spans += spans;
        if lost.reported.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        let reason: String = error.to_string().chars().take(200).collect();
        tracing::warn!(spans = lost.spans, reason, "spans could not be sent to the collector");
        *lost = LostSpans { spans: 0, reported: Some(Instant::now()) };
    }
}

impl<E: Exporter> Exporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = AssertUnwindSafe(self.inner.export(batch)).catch_unwind().await;
        let panicked = |_| Err(OTelSdkError::InternalFailure("the exporter panicked".to_owned()));
        let exported = exported.unwrap_or_else(panicked);
        if let Err(error) = &exported {
            self.report(spans, error);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::Dispatch;
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;
    use crate::{
        clock::SystemClock,
        config::LogFormat,
        telemetry::layer::{LineLayer, Out},
    };

    #[test]
    fn the_path_of_traces_is_appended_once() {
        for (base, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://example.com/otlp", "https://example.com/otlp/v1/traces"),
            ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        ] {
            assert_eq!(traces_url(&Url::parse(base).unwrap()), expected);
        }
    }

    #[derive(Debug)]
    struct Broken;

    impl Exporter for Broken {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            panic!("on purpose")
        }
    }

    #[test]
    fn an_exporter_that_panics_is_reported_once_in_a_while() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let out = Out::Memory(Arc::clone(&lines));
        let layer = LineLayer::new(LogFormat::Json, out, Arc::new(SystemClock));
        let exporter = Reporting::new(Broken);
        tracing::dispatcher::with_default(&Dispatch::new(Registry::default().with(layer)), || {
            for _ in 0..5 {
                let exported = exporter.export(Vec::new()).now_or_never().unwrap();
                assert!(exported.is_err());
            }
        });
        let said = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert_eq!(said.matches("could not be sent").count(), 1, "{said}");
    }
}
