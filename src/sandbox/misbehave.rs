//! A request that has its place in the ledger, and how faults are carried out on it.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    api::error::ApiError,
    faults::{DueFault, Fault, Garbage, StatusAnswer, When},
    handler::RequestTag,
    ledger::Effect,
    serve::SocketEnd,
    state::SandboxCore,
};

/// Pieces a slow body comes in.
const PIECES: u32 = 10;
/// Bytes of one piece of a huge body.
const PIECE: usize = 64 * 1024;
const NOT_HTTP: &[u8] = b"\x16\x03\x01\x02\x00SSH-2.0-not-http\r\n\r\n\x00\xff\xfe";
const SHORT_HEAD: &[u8] = b"HTTP/1.1 20";
const PAGE: &str = "<!DOCTYPE html><html><head><title>Gateway</title></head>\
    <body><h1>Something went wrong</h1></body></html>";

/// A request that has its place in the ledger. Its body is among the extensions of its head.
pub struct RecordedRequest {
    pub core: Arc<SandboxCore>,
    pub seq: u64,
    pub correlation: Uuid,
    pub head: Parts,
    /// What answers it.
    pub next: Next,
    /// What ends its connection.
    pub cuts: UnboundedSender<SocketEnd>,
}

impl RecordedRequest {
    /// Lets the API answer.
    pub async fn carry_out(&self, at_once: bool) -> Response {
        let mut request = Request::from_parts(self.head.clone(), Body::empty());
        request.extensions_mut().insert(RequestTag { seq: self.seq, at_once });
        self.next.clone().run(request).await
    }

    /// Writes the answer's status down and completes the answer.
    pub fn finish(&self, mut response: Response) -> Response {
        self.note(Some(response.status()));
        if let Some(error) = response.extensions_mut().remove::<ApiError>() {
            *response.body_mut() = error.body(self.correlation).into();
        }
        let headers = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&self.correlation.to_string()) {
            headers.insert(HeaderName::from_static("inin-correlation-id"), value);
        }
        // The time of this sandbox, which need not be the machine's.
        let date = httpdate::fmt_http_date(self.core.clock.now().into());
        if let Ok(value) = HeaderValue::from_str(&date) {
            headers.insert(header::DATE, value);
        }
        response
    }

    /// Writes down how the request ended: with that status, or cut off.
    fn note(&self, status: Option<StatusCode>) {
        let status = status.map(|status| status.as_u16());
        self.core.with(|state| state.ledger.finish(self.seq, status));
    }

    /// The proper answer.
    async fn answer(&self) -> Response {
        self.finish(self.carry_out(false).await)
    }

    /// The proper answer with another body.
    async fn answer_with(&self, change: impl FnOnce(Bytes) -> Body) -> Response {
        let (head, body) = self.answer().await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        Response::from_parts(head, change(body))
    }

    /// Ends the connection. It may be gone already; then there is nothing to end.
    fn cut(&self, cut: SocketEnd) {
        self.note(None);
        let _ = self.cuts.send(cut);
    }
}

/// Carries a fault out. Runs in a task of its own, so that a client that gives up does not undo
/// what Genesys would have gone on with.
pub async fn misbehave(request: RecordedRequest, due: DueFault) -> Response {
    let (core, cuts) = (Arc::clone(&request.core), request.cuts.clone());
    let work = core.tasks.spawn({
        let stop = core.stop.clone();
        async move { stop.run_until_cancelled(act(&request, &due)).await.flatten() }
    });
    if let Ok(Some(response)) = work.await {
        return response;
    }
    // No answer is to be sent: wait until the client goes away or the sandbox stops. A cut that
    // was ordered takes the connection away meanwhile.
    core.stop.cancelled().await;
    let _ = cuts.send(SocketEnd::Close);
    std::future::pending().await
}

/// The answer, or `None` when there is none.
async fn act(request: &RecordedRequest, due: &DueFault) -> Option<Response> {
    match &*due.fault {
        Fault::Status(ordered) => {
            if ordered.apply {
                request.carry_out(false).await;
            }
            return Some(set(request.finish(status_answer(ordered)), &ordered.headers));
        }
        Fault::Delay { ms } => pause(*ms, &due.taken_back).await,
        Fault::Hang { apply } => {
            if *apply {
                request.carry_out(false).await;
            }
            return None;
        }
        Fault::Drop { when, reset } => {
            if *when == When::After {
                request.carry_out(false).await;
            }
            request.cut(if *reset { SocketEnd::Reset } else { SocketEnd::Close });
            if let When::Late { ms } = when {
                carry_out_late(request, *ms, &due.taken_back).await;
            }
            return None;
        }
        Fault::Garbage { form, apply } => return garbage(request, *form, *apply).await,
        Fault::SlowBody { ms } => {
            let pause = Duration::from_millis(*ms) / PIECES;
            return Some(request.answer_with(|body| slow(body, pause)).await);
        }
        Fault::HugeBody { bytes } => {
            let bytes = *bytes;
            return Some(request.answer_with(|_| huge(bytes)).await);
        }
        Fault::Headers { set: ordered } => return Some(set(request.answer().await, ordered)),
        Fault::RevokeTokens => {
            request.core.with(|state| state.access.revoke_all());
        }
        Fault::RateLimit { per_minute } => {
            request.core.with(|state| state.behaviour.requests_per_minute = *per_minute);
        }
    }
    Some(request.answer().await)
}

/// Waits for so many milliseconds, or until the order is taken back.
async fn pause(ms: u64, taken_back: &CancellationToken) {
    // `Err` is the usual end: the time has passed.
    let _ = tokio::time::timeout(Duration::from_millis(ms), taken_back.cancelled()).await;
}

fn status_answer(ordered: &StatusAnswer) -> Response {
    let status = StatusCode::from_u16(ordered.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let json = [(header::CONTENT_TYPE, "application/json")];
    let mut response = match (&ordered.body, &ordered.text) {
        (Some(body), _) => (json, body.to_string()).into_response(),
        (None, Some(text)) => Response::new(text.clone().into()),
        (None, None) if status.is_success() => ().into_response(),
        (None, None) => ApiError::usual(status).into_response(),
    };
    *response.status_mut() = status;
    if let Some(Ok(value)) = ordered.retry_after.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// The answer with the ordered headers instead of its own.
fn set(mut response: Response, ordered: &BTreeMap<String, String>) -> Response {
    for (name, value) in ordered {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Carries a request out after so many milliseconds, unless the world was reset meanwhile.
async fn carry_out_late(request: &RecordedRequest, ms: u64, taken_back: &CancellationToken) {
    let amend = |effect| {
        request.core.with(|state| {
            state.ledger.amend(request.seq, |entry| entry.effect = effect);
            state.epoch
        })
    };
    let epoch = amend(Effect::Pending);
    pause(ms, taken_back).await;
    if request.core.with(|state| state.epoch) == epoch
        && !request.carry_out(true).await.status().is_success()
    {
        amend(Effect::Dropped);
    }
}

async fn garbage(request: &RecordedRequest, form: Garbage, apply: bool) -> Option<Response> {
    match form {
        Garbage::NotHttp | Garbage::ShortHead | Garbage::Html if apply => {
            request.carry_out(false).await;
        }
        _ => {}
    }
    match form {
        Garbage::NotHttp | Garbage::ShortHead => {
            request.cut(SocketEnd::Write(if form == Garbage::NotHttp {
                NOT_HTTP
            } else {
                SHORT_HEAD
            }));
            None
        }
        Garbage::Html => {
            let html = [(header::CONTENT_TYPE, "text/html")];
            Some(request.finish((html, PAGE).into_response()))
        }
        Garbage::TruncatedJson => Some(request.answer_with(|body| half(&body).into()).await),
        Garbage::BadEntries => Some(request.answer_with(with_bad_entries).await),
        Garbage::ShortBody => {
            let mut announced = 0;
            let mut response = request
                .answer_with(|body| {
                    // An empty answer has no half: it announces a body that never comes.
                    announced = body.len().max(2);
                    broken(&body)
                })
                .await;
            response.headers_mut().insert(header::CONTENT_LENGTH, announced.into());
            Some(response)
        }
    }
}

fn half(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

/// The JSON text with two bad entries in front of each list.
fn with_bad_entries(body: Bytes) -> Body {
    // No text of the sandbox holds this character.
    const HALF: &str = "\u{e000}";
    fn spoil(value: &mut Value) {
        match value {
            Value::Array(entries) => {
                entries.iter_mut().for_each(spoil);
                let names = ["id", "name", "purpose", "state", "metric", "conversationId"];
                let bad =
                    names.iter().map(|name| ((*name).to_owned(), Value::from(HALF))).collect();
                entries.splice(..0, [Value::Null, bad]);
            }
            Value::Object(members) => members.values_mut().for_each(spoil),
            _ => {}
        }
    }
    let Ok(mut value) = serde_json::from_slice(&body) else { return body.into() };
    spoil(&mut value);
    value.to_string().replace(HALF, r"\ud83d").into()
}

/// Half the body, then an error.
fn broken(body: &Bytes) -> Body {
    Body::from_stream(stream::unfold(Some(half(body)), |half| async {
        if let Some(half) = half {
            return Some((Ok(half), None));
        }
        // Head and half body leave only while the body is waited for; an error that is there at
        // once would take their place.
        tokio::task::yield_now().await;
        Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None))
    }))
}

/// The body in [`PIECES`] pieces with a pause before each.
fn slow(body: Bytes, pause: Duration) -> Body {
    if body.is_empty() {
        return Body::empty();
    }
    let size = body.len().div_ceil(PIECES as usize);
    Body::from_stream(stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok::<_, io::Error>(piece), rest))
    }))
}

/// A JSON text that goes on for that many bytes, or for ever.
fn huge(bytes: Option<u64>) -> Body {
    let start = (true, bytes.unwrap_or(u64::MAX));
    let spaces = Bytes::from(vec![b' '; PIECE]);
    Body::from_stream(stream::unfold(start, move |(first, left)| {
        let piece = if first { Bytes::from_static(b"[") } else { spaces.clone() };
        let size = usize::try_from(left).unwrap_or(PIECE).min(piece.len());
        let next = (left > 0).then(|| {
            let taken = u64::try_from(size).unwrap_or_default();
            // Endless stays endless.
            let left = if bytes.is_none() { left } else { left - taken };
            (Ok::<_, io::Error>(piece.slice(..size)), (false, left))
        });
        std::future::ready(next)
    }))
}
