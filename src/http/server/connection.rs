//! One connection from its first byte to its last.

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::Response,
};
use futures_util::future::BoxFuture;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    activity::{Activity, CloseReason, Protocol, STALL, Ticket},
    refusal::Refusals,
    stream::{Opened, Stream},
    wire::Wire,
};
use crate::problem::Code;

#[cfg(test)]
mod tests;

/// What an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much hyper keeps of a head, and of a body being read. Far above our own bound on heads,
/// so that ours answers first.
const BUFFER: usize = 64 * 1024;

/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// How often a quiet HTTP/2 peer is asked whether it is there, and how long it may take to say.
const PING: Duration = Duration::from_secs(20);

/// How long, and for how many bytes, a caller who is still sending is listened to after the last
/// answer. Closing on unread bytes makes the system throw away what the caller has not read yet,
/// the answer included.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 4 * 1024 * 1024;

/// How long a connection with nothing in hand is looked at once the service stops: a request whose
/// bytes have arrived is still taken, and a caller who still sends is listened to.
const MOMENT: Duration = Duration::from_millis(50);

/// What all connections of a server share.
pub(super) struct ConnectionContext {
    router: Router,
    tls: Option<TlsAcceptor>,
    refusals: Refusals,
    header_timeout: Duration,
    stall: Duration,
    stop: CancellationToken,
    cut: CancellationToken,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl ConnectionContext {
    /// A host for `router`, over TLS or not; `stop` lets connections finish what they have in
    /// hand, `cut` ends them.
    pub(super) fn new(
        router: Router,
        tls: Option<TlsAcceptor>,
        refusals: Refusals,
        header_timeout: Duration,
        stop: CancellationToken,
        cut: CancellationToken,
    ) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // `Activity` does this, and tells an idle connection from a slow head.
            .header_read_timeout(None)
            .max_buf_size(BUFFER)
            // One buffer for each write: `Wire` must see a bare answer in one piece.
            .writev(false)
            // A caller may close its side after the request and still read the answer.
            .half_close(true);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(BUFFER).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        Self { router, tls, refusals, header_timeout, stall: STALL, stop, cut, http1, http2 }
    }

    /// Serves one connection to its end.
    pub(super) async fn talk(&self, socket: TcpStream, activity: &Arc<Activity>) {
        self.bound_unread(&socket);
        tokio::select! {
            () = self.cut.cancelled() => {}
            () = activity.must_give_way() => {}
            () = self.listen(socket, Instant::now(), activity) => {}
        }
    }

    /// Lets the system end a connection whose peer acknowledges nothing, or leaves its window
    /// closed, for as long as [`STALL`]. Buffers hide that from the program for hours when an
    /// event stream carries little.
    fn bound_unread(&self, socket: &TcpStream) {
        #[cfg(target_os = "linux")]
        {
            let longest = u32::try_from(self.stall.as_millis()).unwrap_or(u32::MAX);
            if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(socket, longest) {
                tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
            }
        }
    }

    async fn listen(&self, socket: TcpStream, accepted: Instant, activity: &Arc<Activity>) {
        // One deadline for all that comes before a request: handshake and head.
        let by = accepted + self.header_timeout;
        let opened = tokio::select! {
            () = self.stop.cancelled() => return,
            opened = timeout_at(by, Stream::open(socket, self.tls.as_ref())) => opened,
        };
        let mut socket = match opened {
            Ok(Opened::Ready(stream)) => stream,
            Ok(Opened::NotTls(socket)) => {
                let answer = self.refusals.not_tls();
                return self.refuse(Stream::Plain(socket), &answer).await;
            }
            Ok(Opened::Gone) | Err(_) => return,
        };
        let mut ahead = Vec::with_capacity(PREFACE.len());
        let known = tokio::select! {
            // Nothing was asked yet, so nothing is owed.
            () = self.stop.cancelled() => return,
            known = timeout_at(by, tell_protocol(&mut socket, &mut ahead)) => known,
        };
        match known {
            Ok(Some(protocol)) => {
                activity.speaks(protocol);
                let refusals = self.refusals.clone();
                let wire = Wire::new(socket, protocol, ahead, Arc::clone(activity), refusals);
                match protocol {
                    Protocol::Http1 => self.serve_http1(wire, activity).await,
                    Protocol::Http2 => self.serve_http2(wire, activity).await,
                }
            }
            Ok(None) => {}
            Err(_) if ahead.is_empty() => {}
            Err(_) => self.refuse_late_head(socket).await,
        }
    }

    async fn serve_http1(&self, wire: Wire, activity: &Arc<Activity>) {
        let service = Tracked { router: self.router.clone(), activity: Arc::clone(activity) };
        let mut connection = self.http1.serve_connection(TokioIo::new(wire), service);
        let verdict = self.drive(Pin::new(&mut connection), activity).await;
        let wire = connection.into_parts().io.into_inner();
        let misread = wire.is_misread();
        let socket = wire.into_socket();
        match verdict {
            None if misread => {
                self.refuse(socket, &self.refusals.answer(Code::InvalidHeader)).await;
            }
            Some(CloseReason::HeadLate) => self.refuse_late_head(socket).await,
            None => self.linger(socket, activity.quiet_since() + LINGER).await,
            Some(CloseReason::Idle | CloseReason::Stalled) => {}
        }
    }

    async fn serve_http2(&self, wire: Wire, activity: &Arc<Activity>) {
        let service = Tracked { router: self.router.clone(), activity: Arc::clone(activity) };
        let mut connection = self.http2.serve_connection(TokioIo::new(wire), service);
        self.drive(Pin::new(&mut connection), activity).await;
    }

    /// Runs a connection until it is done or `activity` has a verdict on it.
    async fn drive<C: GracefulConnection>(
        &self,
        mut connection: Pin<&mut C>,
        activity: &Activity,
    ) -> Option<CloseReason> {
        let mut stopping = false;
        // When a connection that was told to end is looked at, for having nothing in hand.
        let mut look_at = None;
        // When an idle connection that was told to end is looked at again.
        let mut end_by = None;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return None,
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    look_at = Some(Instant::now() + MOMENT);
                    connection.as_mut().graceful_shutdown();
                }
                () = until(look_at), if look_at.is_some() => {
                    look_at = None;
                    if activity.has_nothing_in_hand() {
                        return Some(CloseReason::Idle);
                    }
                }
                () = activity.changed() => {}
                () = until(end_by.or_else(|| activity.due())) => {
                    let now = Instant::now();
                    match activity.verdict(now) {
                        // A request may be on its way: the connection says that it ends, and
                        // ends when nothing is in hand.
                        Some(CloseReason::Idle) if end_by.is_none() => {
                            connection.as_mut().graceful_shutdown();
                            end_by = Some(now + STALL);
                        }
                        Some(verdict) => return Some(verdict),
                        None => end_by = end_by.map(|_| now + STALL),
                    }
                }
            }
        }
    }

    async fn refuse_late_head(&self, socket: Stream) {
        self.refuse(socket, &self.refusals.answer(Code::RequestTimeout)).await;
    }

    /// Gives a last answer to a connection that brought no request.
    async fn refuse(&self, mut socket: Stream, answer: &[u8]) {
        let written = tokio::select! {
            biased;
            written = timeout(LINGER, socket.write_all(answer)) => written,
            () = self.stopping_for(MOMENT) => return,
        };
        if matches!(written, Ok(Ok(()))) {
            self.linger(socket, Instant::now() + LINGER).await;
        }
    }

    /// Closes our side and reads on until `until`, so that the last answer arrives; while the
    /// service stops, for as long as bytes keep coming.
    async fn linger(&self, mut socket: Stream, until: Instant) {
        let drained = async {
            // TLS may have to wait for room to say that it ends.
            tokio::select! {
                biased;
                _ = socket.shutdown() => {}
                () = self.stopping_for(MOMENT) => return,
            }
            let mut rest = socket.take(LINGER_BYTES);
            let mut sink = [0; 4096];
            loop {
                tokio::select! {
                    biased;
                    read = rest.read(&mut sink) => match read {
                        Ok(1..) => {}
                        _ => return,
                    },
                    () = self.stopping_for(MOMENT) => return,
                }
            }
        };
        let _ = timeout_at(until, drained).await;
    }

    /// Waits until the service stops, and then so long.
    async fn stopping_for(&self, time: Duration) {
        self.stop.cancelled().await;
        tokio::time::sleep(time).await;
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// Reads until it is clear whether HTTP/2 is spoken, leaving what was read in `ahead`. `None`
/// when the peer closed first.
async fn tell_protocol(socket: &mut Stream, ahead: &mut Vec<u8>) -> Option<Protocol> {
    loop {
        if !PREFACE.starts_with(ahead) {
            return Some(Protocol::Http1);
        }
        let missing = PREFACE.len() - ahead.len();
        if missing == 0 {
            return Some(Protocol::Http2);
        }
        let limit = u64::try_from(missing).unwrap_or_default();
        match socket.take(limit).read_buf(ahead).await {
            Ok(0) if ahead.is_empty() => return None,
            // Part of a head and no more: hyper knows what to say.
            Ok(0) => return Some(Protocol::Http1),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// The router, with each request on the books of its connection.
struct Tracked {
    router: Router,
    activity: Arc<Activity>,
}

impl Service<Request<Incoming>> for Tracked {
    type Response = Response<TrackedBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Some(ticket) = self.activity.begin(!request.body().is_end_stream()) else {
            // As if the connection had ended before the request came: nothing is done for it.
            return Box::pin(pending());
        };
        let router = self.router.clone();
        Box::pin(async move {
            let response = router.oneshot(request.map(Body::new)).await?;
            // HTTP/2 asks for a body only once the caller makes room for it.
            ticket.handed_over(Instant::now());
            Ok(response.map(|body| TrackedBody { body, ticket }))
        })
    }
}

/// An answer's body; its request is on the books until it is sent or given up.
struct TrackedBody {
    body: Body,
    ticket: Ticket,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The next poll shows that the frame before was taken up.
        self.ticket.taken_up();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_some() {
            self.ticket.handed_over(Instant::now());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
