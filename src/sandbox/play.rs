//! Carries faults out.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    api::{Reply, error::ApiError},
    exchange::{Entered, answer, finished, full, response},
    faults::{Fault, Garbage, StatusAnswer, Struck, When},
    ledger::Effect,
    serve::{Body, Cut},
    state::Shared,
};

/// Pieces a slow body comes in.
const PIECES: u32 = 10;
/// Bytes of one piece of a huge body.
const PIECE: usize = 64 * 1024;
const NOT_HTTP: &[u8] = b"\x16\x03\x01\x02\x00SSH-2.0-not-http\r\n\r\n\x00\xff\xfe";
const SHORT_HEAD: &[u8] = b"HTTP/1.1 20";
const PAGE: &str = "<!DOCTYPE html><html><head><title>Gateway</title></head>\
    <body><h1>Something went wrong</h1></body></html>";

/// Carries a fault out on one request. Runs in a task of its own, so that a client that gives up
/// does not undo what Genesys would have gone on with.
pub(super) async fn out(
    shared: Arc<Shared>,
    cuts: UnboundedSender<Cut>,
    entered: Entered,
    struck: Struck,
) -> Response<Body> {
    let stop = shared.stop.clone();
    let work = shared.tasks.spawn({
        let (shared, cuts, stop) = (Arc::clone(&shared), cuts.clone(), stop.clone());
        async move {
            tokio::select! {
                () = stop.cancelled() => None,
                response = act(&shared, &cuts, &entered, &struck) => response,
            }
        }
    });
    if let Ok(Some(response)) = work.await {
        return response;
    }
    // No answer is to be sent: wait until the client goes away or the sandbox stops. A cut that
    // was ordered takes the connection away meanwhile.
    stop.cancelled().await;
    let _ = cuts.send(Cut::Close);
    std::future::pending().await
}

/// The answer, or `None` when there is none.
async fn act(
    shared: &Arc<Shared>,
    cuts: &UnboundedSender<Cut>,
    entered: &Entered,
    struck: &Struck,
) -> Option<Response<Body>> {
    match &*struck.fault {
        Fault::Status(made_up) => {
            if made_up.apply {
                answer(shared, entered, false);
            }
            Some(finished(shared, entered, &reply(made_up, entered)))
        }
        Fault::Delay { ms } => {
            pause(Duration::from_millis(*ms), &struck.taken_back).await;
            Some(finished(shared, entered, &answer(shared, entered, false)))
        }
        Fault::Hang { apply } => {
            if *apply {
                answer(shared, entered, false);
            }
            None
        }
        Fault::Drop { when, reset } => {
            drop_connection(shared, cuts, entered, (*when, *reset), &struck.taken_back).await;
            None
        }
        Fault::Garbage { form, apply } => garbage(shared, cuts, entered, *form, *apply),
        Fault::SlowBody { ms } => {
            let reply = answer(shared, entered, false);
            note(shared, entered, Some(reply.status));
            let pause = Duration::from_millis(*ms) / PIECES;
            Some(response(shared, &reply, entered.correlation, slow(&reply.body, pause)))
        }
        Fault::HugeBody { bytes } => {
            let reply = answer(shared, entered, false);
            note(shared, entered, Some(reply.status));
            Some(response(shared, &reply, entered.correlation, huge(*bytes)))
        }
        Fault::Headers { set } => {
            let mut reply = answer(shared, entered, false);
            reply.headers.extend(headers(set));
            Some(finished(shared, entered, &reply))
        }
        Fault::RevokeTokens => {
            shared.with(|state| state.access.revoke_all());
            Some(finished(shared, entered, &answer(shared, entered, false)))
        }
        Fault::RateLimit { per_minute } => {
            shared.with(|state| state.behaviour.requests_per_minute = *per_minute);
            Some(finished(shared, entered, &answer(shared, entered, false)))
        }
    }
}

/// Waits for so long, or until the order is taken back.
async fn pause(time: Duration, taken_back: &CancellationToken) {
    // `Err` is the usual end: the time has passed.
    let _ = tokio::time::timeout(time, taken_back.cancelled()).await;
}

fn note(shared: &Shared, entered: &Entered, status: Option<StatusCode>) {
    let status = status.map(|status| status.as_u16());
    shared.with(|state| state.ledger.finish(entered.seq, status));
}

fn reply(made_up: &StatusAnswer, entered: &Entered) -> Reply {
    let status = StatusCode::from_u16(made_up.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut json = true;
    let body: Bytes = match (&made_up.body, &made_up.text) {
        (Some(body), _) => body.to_string().into(),
        (None, Some(text)) => {
            json = false;
            text.clone().into()
        }
        (None, None) if status.is_success() => Bytes::new(),
        (None, None) => ApiError::usual(status).body(entered.correlation).into(),
    };
    let retry = made_up.retry_after.iter().filter_map(|text| HeaderValue::from_str(text).ok());
    let retry = retry.map(|value| (header::RETRY_AFTER, value));
    let headers = retry.chain(headers(&made_up.headers)).collect();
    Reply { status, json: json && !body.is_empty(), body, headers, later: None }
}

/// The headers of an order that can be sent.
fn headers(
    ordered: &BTreeMap<String, String>,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
    ordered.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    })
}

async fn drop_connection(
    shared: &Arc<Shared>,
    cuts: &UnboundedSender<Cut>,
    entered: &Entered,
    (when, reset): (When, bool),
    taken_back: &CancellationToken,
) {
    if when == When::After {
        answer(shared, entered, false);
    }
    note(shared, entered, None);
    // The connection may be gone already; then there is nothing to cut.
    let _ = cuts.send(if reset { Cut::Reset } else { Cut::Close });
    if let When::Late { ms } = when {
        carry_out_late(shared, entered, Duration::from_millis(ms), taken_back).await;
    }
}

/// Carries a request out after `delay`, unless the world was reset meanwhile.
async fn carry_out_late(
    shared: &Arc<Shared>,
    entered: &Entered,
    delay: Duration,
    taken_back: &CancellationToken,
) {
    let seq = entered.seq;
    let become_of = |effect| {
        shared.with(|state| state.ledger.amend(seq, |entry| entry.effect = effect));
    };
    become_of(Effect::Pending);
    let epoch = shared.with(|state| state.epoch);
    pause(delay, taken_back).await;
    if shared.with(|state| state.epoch) == epoch
        && !answer(shared, entered, true).status.is_success()
    {
        become_of(Effect::Dropped);
    }
}

fn garbage(
    shared: &Arc<Shared>,
    cuts: &UnboundedSender<Cut>,
    entered: &Entered,
    form: Garbage,
    apply: bool,
) -> Option<Response<Body>> {
    // A spoilt answer needs that answer first.
    let spoils = !matches!(form, Garbage::NotHttp | Garbage::ShortHead | Garbage::Html);
    let proper = (apply || spoils).then(|| answer(shared, entered, false));
    match form {
        Garbage::NotHttp | Garbage::ShortHead => {
            note(shared, entered, None);
            let bytes = if form == Garbage::NotHttp { NOT_HTTP } else { SHORT_HEAD };
            let _ = cuts.send(Cut::Write(bytes));
            None
        }
        Garbage::Html => {
            let html = (header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            Some(finished(
                shared,
                entered,
                &Reply {
                    status: StatusCode::OK,
                    json: false,
                    body: PAGE.into(),
                    headers: vec![html],
                    later: None,
                },
            ))
        }
        Garbage::TruncatedJson => {
            let mut reply = proper?;
            reply.body = half(&reply.body);
            Some(finished(shared, entered, &reply))
        }
        Garbage::BadEntries => {
            let mut reply = proper?;
            reply.body = with_bad_entries(&reply.body);
            Some(finished(shared, entered, &reply))
        }
        Garbage::ShortBody => {
            let mut reply = proper?;
            // An empty answer has no half: it announces a body that never comes.
            let announced = reply.body.len().max(2);
            reply.headers.push((header::CONTENT_LENGTH, announced.into()));
            note(shared, entered, Some(reply.status));
            Some(response(shared, &reply, entered.correlation, broken(&reply.body)))
        }
    }
}

fn half(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

/// The JSON text with two bad entries in front of each list.
fn with_bad_entries(body: &Bytes) -> Bytes {
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
    let Ok(mut value) = serde_json::from_slice(body) else { return body.clone() };
    spoil(&mut value);
    value.to_string().replace(HALF, r"\ud83d").into()
}

/// Half the body, then an error.
fn broken(body: &Bytes) -> Body {
    let pieces = stream::unfold(Some(half(body)), |half| async {
        if let Some(half) = half {
            return Some((Ok(Frame::data(half)), None));
        }
        // Head and half body leave only while the body is waited for; an error that is there at
        // once would take their place.
        tokio::task::yield_now().await;
        Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), None))
    });
    StreamBody::new(Box::pin(pieces)).boxed_unsync()
}

/// The body in [`PIECES`] pieces with a pause before each.
fn slow(body: &Bytes, pause: Duration) -> Body {
    let size = body.len().div_ceil(PIECES as usize).max(1);
    if body.is_empty() {
        return full(Bytes::new());
    }
    let trickle = stream::unfold(body.clone(), move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok(Frame::data(piece)), rest))
    });
    StreamBody::new(Box::pin(trickle)).boxed_unsync()
}

/// A JSON text that goes on for that many bytes, or for ever.
fn huge(bytes: Option<u64>) -> Body {
    let start = (true, bytes.unwrap_or(u64::MAX));
    let spaces = Bytes::from(vec![b' '; PIECE]);
    let pieces = stream::unfold(start, move |(first, left)| {
        let piece = if first { Bytes::from_static(b"[") } else { spaces.clone() };
        let size = usize::try_from(left).unwrap_or(PIECE).min(piece.len());
        let next = (left > 0).then(|| {
            let taken = u64::try_from(size).unwrap_or_default();
            // Endless stays endless.
            let left = if bytes.is_none() { left } else { left - taken };
            (Ok(Frame::data(piece.slice(..size))), (false, left))
        });
        std::future::ready(next)
    });
    StreamBody::new(Box::pin(pieces)).boxed_unsync()
}
