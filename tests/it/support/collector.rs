//! A collector of traces: takes OTLP over HTTP and keeps what comes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::KeyValue,
    common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message as _;
use tokio::net::TcpListener;

use super::process::until;

/// A running collector.
pub(crate) struct Collector {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

/// What came.
#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    resource: Vec<KeyValue>,
    raw: Vec<u8>,
}

impl Collector {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&kept));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, kept }
    }

    /// What `telemetry.otlp_endpoint` is set to.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a span called `name` has come, and gives all spans of its trace.
    pub(crate) async fn trace_with(&self, name: &str) -> Trace {
        until(|| async {
            let kept = self.kept.lock().unwrap();
            let trace = &kept.spans.iter().find(|span| span.name == name)?.trace_id;
            let spans = kept.spans.iter().filter(|span| span.trace_id == *trace);
            Some(Trace(spans.cloned().collect()))
        })
        .await
    }

    /// The resource's attribute called `key`.
    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        attribute(&self.kept.lock().unwrap().resource, key)
    }

    /// How many spans came.
    pub(crate) fn count(&self) -> usize {
        self.kept.lock().unwrap().spans.len()
    }

    /// Whether `text` is anywhere in what came.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let kept = self.kept.lock().unwrap();
        kept.raw.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

async fn take(State(kept): State<Arc<Mutex<Kept>>>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let mut kept = kept.lock().unwrap();
    kept.raw.extend_from_slice(&body);
    for batch in request.resource_spans {
        kept.resource = batch.resource.unwrap_or_default().attributes;
        kept.spans.extend(batch.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
}

/// The spans of one trace.
#[derive(Debug)]
pub(crate) struct Trace(Vec<Span>);

impl Trace {
    /// Its id, as headers write it.
    pub(crate) fn id(&self) -> String {
        hex(&self.0[0].trace_id)
    }

    /// The spans called `name`, in the order they began.
    pub(crate) fn spans(&self, name: &str) -> Vec<&Span> {
        let mut found: Vec<_> = self.0.iter().filter(|span| span.name == name).collect();
        found.sort_by_key(|span| span.start_time_unix_nano);
        found
    }

    /// The one span called `name`.
    #[track_caller]
    pub(crate) fn span(&self, name: &str) -> &Span {
        let found = self.spans(name);
        assert_eq!(found.len(), 1, "{name} among {:?}", self.tree());
        found[0]
    }

    /// The names from the root to the span called `name`.
    #[track_caller]
    pub(crate) fn path(&self, name: &str) -> Vec<&str> {
        let mut path = vec![];
        let mut next = Some(self.span(name));
        while let Some(span) = next {
            path.insert(0, span.name.as_str());
            next = self.0.iter().find(|parent| parent.span_id == span.parent_span_id);
        }
        path
    }

    fn tree(&self) -> Vec<&str> {
        self.0.iter().map(|span| span.name.as_str()).collect()
    }
}

/// An attribute of a span, as text.
pub(crate) fn of(span: &Span, key: &str) -> Option<String> {
    attribute(&span.attributes, key)
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

/// Bytes in hexadecimal, as headers write ids.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
