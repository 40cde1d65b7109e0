//! One connection from its first byte to its last.

use std::{
    convert::Infallible,
    future::pending,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{StatusCode, Version},
    response::Response,
};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken};
use tower::ServiceExt as _;

use super::{
    Shutdown,
    activity::{Activity, CloseReason, Ticket},
};
use crate::{
    http::{answer::problem_answer, client_address::PeerAddress, request_ids::RequestIds},
    metrics::Metrics,
    problem::{Code, Problem},
};

#[cfg(test)]
mod tests;

/// How much hyper keeps of a head, and of a body being read. Far above our own bound on heads,
/// so that ours answers first.
const BUFFER: u32 = 64 * 1024;

/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// How often a quiet HTTP/2 peer is asked whether it is there, and how long it may take to say.
const PING: Duration = Duration::from_secs(20);

/// How long a caller may acknowledge nothing, or leave its window closed.
const STALL: Duration = Duration::from_secs(40);

/// How long, and for how many bytes, a caller who is still sending is listened to after the last
/// answer. Closing on unread bytes makes the system throw away what the caller has not read yet,
/// the answer included.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 4 * 1024 * 1024;

/// How long a connection with nothing in hand is looked at once the service stops: a request whose
/// bytes have arrived is still taken, and a caller who still sends is listened to.
const MOMENT: Duration = Duration::from_millis(50);

/// The first byte of a TLS connection: a record that holds a handshake (RFC 8446, section 5.1).
/// No HTTP request begins with it.
const HANDSHAKE: u8 = 22;

/// What a connection's bytes go through: the socket itself, or TLS on it.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// What all connections of a server share.
pub(super) struct Connections {
    router: Router,
    tls: Option<TlsAcceptor>,
    request_ids: RequestIds,
    metrics: Arc<Metrics>,
    stall: Duration,
    stop: CancellationToken,
    now: CancellationToken,
    builder: auto::Builder<TokioExecutor>,
}

impl Connections {
    /// Connections to `router`, over TLS or not, that finish what they have in hand, or end at
    /// once, as `shutdown` says.
    pub(super) fn new(
        router: Router,
        tls: Option<TlsAcceptor>,
        request_ids: RequestIds,
        shutdown: &Shutdown,
        metrics: Arc<Metrics>,
    ) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // `Activity` does this, and tells an idle connection from a slow head.
            .header_read_timeout(None)
            .max_buf_size(BUFFER as usize)
            // A caller may close its side after the request and still read the answer.
            .half_close(true);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(BUFFER)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        let (stop, now) = (shutdown.graceful.clone(), shutdown.now.clone());
        Self { router, tls, request_ids, metrics, stall: STALL, stop, now, builder }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(&self, socket: TcpStream, activity: &Arc<Activity>) {
        // Answers are written whole; waiting for more to send would only delay them.
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        // Buffers hide from the program for hours that nothing is read, when an event stream
        // carries little; the system sees it.
        #[cfg(target_os = "linux")]
        {
            let longest = u32::try_from(self.stall.as_millis()).unwrap_or(u32::MAX);
            if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&socket, longest) {
                tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
            }
        }
        tokio::select! {
            () = self.now.cancelled() => {}
            () = async {
                let opened = tokio::select! {
                    () = self.stop.cancelled() => None,
                    _ = activity.must_close() => None,
                    opened = self.open(socket, activity) => opened,
                };
                if let Some(stream) = opened {
                    self.exchange(stream, activity).await;
                }
            } => {}
        }
    }

    /// Completes the TLS handshake, where TLS is spoken. `None` when that failed.
    async fn open(&self, socket: TcpStream, activity: &Activity) -> Option<Stream> {
        let Some(tls) = &self.tls else { return Some(Either::Left(socket)) };
        let mut first = [0];
        if socket.peek(&mut first).await.ok()? > 0 && first != [HANDSHAKE] {
            let detail = "Plain HTTP was sent to a port where the service speaks HTTPS.";
            let hint = "Send the request to the same address with https://.";
            let problem = Problem::new(Code::InvalidHeader, detail).hint(hint);
            self.close(Either::Left(socket), &self.refusal(&problem, activity)).await;
            return None;
        }
        let opened = tls.accept(socket).await;
        let opened = opened.inspect_err(|error| tracing::debug!(%error, "a TLS handshake failed"));
        Some(Either::Right(Box::new(opened.ok()?)))
    }

    /// Exchanges requests and answers until the connection is done or `activity` ends it.
    async fn exchange(&self, stream: Stream, activity: &Arc<Activity>) {
        let socket = Arc::new(Mutex::new(stream));
        let reason = {
            let wire = Wire {
                socket: Arc::clone(&socket),
                activity: Arc::clone(activity),
                head: HeadLines::default(),
            };
            let service = service_fn(|mut request: Request<Incoming>| {
                request.extensions_mut().insert(PeerAddress(activity.peer));
                let is_http2 = request.version() == Version::HTTP_2;
                let ticket = activity.begin(is_http2, !request.body().is_end_stream());
                answer(self.router.clone(), request, ticket)
            });
            let mut connection = pin!(self.builder.serve_connection(TokioIo::new(wire), service));
            let mut moment_over = pin!(self.stopping_for(MOMENT));
            let (mut stopping, mut looked) = (false, false);
            loop {
                tokio::select! {
                    ended = connection.as_mut() => {
                        let error = ended.err().and_then(|error| error.downcast::<hyper::Error>().ok());
                        if let Some(error) = error.filter(|error| error.is_parse()) {
                            // hyper has answered, without a body.
                            let large = error.is_parse_too_large();
                            let code = if large { Code::HeadersTooLarge } else { Code::InvalidHeader };
                            self.refused(code, "-", activity);
                        }
                        break CloseReason::Idle;
                    }
                    () = self.stop.cancelled(), if !stopping => {
                        stopping = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    () = moment_over.as_mut(), if !looked => {
                        looked = true;
                        if activity.has_nothing_in_hand() {
                            return;
                        }
                    }
                    reason = activity.must_close() => match reason {
                        // A request may be on its way: the connection says that it ends, and ends
                        // when nothing is in hand.
                        CloseReason::Idle => connection.as_mut().graceful_shutdown(),
                        reason => break reason,
                    }
                }
            }
        };
        let last_words = match reason {
            CloseReason::Cut => return,
            CloseReason::Idle => Vec::new(),
            CloseReason::HeadLate => {
                let detail = "The request's headers did not arrive in time.";
                self.refusal(&Problem::new(Code::RequestTimeout, detail), activity)
            }
            CloseReason::HeadMisread => {
                let detail = "A line of the request's head does not end with CR LF.";
                self.refusal(&Problem::new(Code::InvalidHeader, detail), activity)
            }
        };
        if let Some(Ok(socket)) = Arc::into_inner(socket).map(Mutex::into_inner) {
            self.close(socket, &last_words).await;
        }
    }

    /// Sends `last_words`, closes our side and reads on, so that the last answer arrives; while the
    /// service stops, for as long as bytes keep coming.
    async fn close(&self, mut socket: Stream, last_words: &[u8]) {
        let drained = async {
            let told = async {
                socket.write_all(last_words).await?;
                socket.shutdown().await
            };
            tokio::select! {
                biased;
                _ = told => {}
                () = self.stopping_for(MOMENT) => return,
            }
            let (mut rest, mut sink) = (socket.take(LINGER_BYTES), [0; 4096]);
            while tokio::select! {
                biased;
                read = rest.read(&mut sink) => matches!(read, Ok(1..)),
                () = self.stopping_for(MOMENT) => false,
            } {}
        };
        let _ = timeout(LINGER, drained).await;
    }

    /// Waits until the service stops, and then so long.
    async fn stopping_for(&self, time: Duration) {
        self.stop.cancelled().await;
        sleep(time).await;
    }

    /// A whole HTTP/1.1 answer to what never became a request, after which the connection closes.
    fn refusal(&self, problem: &Problem, activity: &Activity) -> Vec<u8> {
        let id = self.request_ids.make();
        let answer = problem_answer(problem, &id);
        self.refused(problem.code, &id, activity);
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_REQUEST);
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {}\r\ncontent-length: {}\r\nx-request-id: {id}\r\n\
             cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\
             date: {}\r\n\r\n",
            answer.content_type,
            answer.body.len(),
            httpdate::fmt_http_date(SystemTime::from(self.request_ids.now())),
        );
        [head.as_bytes(), &answer.body].concat()
    }

    fn refused(&self, code: Code, id: &str, activity: &Activity) {
        self.metrics.connection_refused(code);
        tracing::info!(
            target: "access",
            request_id = id,
            method = "-",
            route = "-",
            status = code.status(),
            code = code.as_str(),
            client = %activity.peer,
            "answered",
        );
    }
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    ticket: Option<Ticket>,
) -> Result<Response<impl HttpBody<Data = Bytes, Error = axum::Error>>, Infallible> {
    // As if the connection had ended before the request came: nothing is done for it.
    let Some(mut ticket) = ticket else { return pending().await };
    let response = router.oneshot(request.map(Body::new)).await?;
    if response.body().size_hint().exact().is_some() {
        ticket.answers(Instant::now());
    }
    // The request is on the books until its answer is sent or given up.
    Ok(response.map(|body| {
        body.map_err(move |error| {
            let _kept = &ticket;
            error
        })
    }))
}

/// A connection's socket as hyper sees it: what goes in and out is noted.
struct Wire {
    socket: Arc<Mutex<Stream>>,
    activity: Arc<Activity>,
    head: HeadLines,
}

impl Wire {
    fn socket(&self) -> MutexGuard<'_, Stream> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.socket()).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        if !new.is_empty() && self.activity.read(Instant::now()) {
            self.head = HeadLines::default();
        }
        if self.head.has_bare_line_feed(new) {
            self.activity.close(CloseReason::HeadMisread);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut *self.socket()).poll_write(cx, buf))?;
        self.activity.wrote(Instant::now());
        Poll::Ready(Ok(sent))
    }

    /// Fails once the connection is broken, and wakes `cx` when that happens. While an event stream
    /// has nothing to say nothing else would notice: hyper neither reads nor writes then.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.socket();
        ready!(Pin::new(&mut *stream).poll_flush(cx))?;
        let socket = match &*stream {
            Either::Left(socket) => socket,
            Either::Right(stream) => stream.get_ref().0,
        };
        match socket.poll_read_ready(cx) {
            Poll::Pending => Poll::Ready(Ok(())),
            // There is something to read, or the peer has ended its side, or this.
            Poll::Ready(ready) => Poll::Ready(ready.and(socket.take_error()?.map_or(Ok(()), Err))),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket()).poll_shutdown(cx)
    }
}

/// Reads along with one head of HTTP/1.1, for line ends: the parser takes a bare line feed for one,
/// which proxies in front may not (RFC 9112, section 2.2, leaves it open), and what they take for one
/// request could be two here. Not with a head that comes in the same read as the request before it,
/// or after a request with a body: where it begins is known to the parser only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum HeadLines {
    /// At the start of a line before the first that is not empty.
    #[default]
    Ahead,
    AheadReturn,
    Line,
    LineReturn,
    /// At the start of a line.
    Start,
    StartReturn,
    /// After the empty line that ends the head.
    Over,
}

impl HeadLines {
    /// Whether `bytes`, the next ones, have a bare line feed in what belongs to the head.
    fn has_bare_line_feed(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            *self = match (byte, *self) {
                (_, Self::Over) => return false,
                (b'\n', Self::AheadReturn) => Self::Ahead,
                (b'\n', Self::LineReturn) => Self::Start,
                (b'\n', Self::StartReturn) => Self::Over,
                (b'\n', _) => return true,
                (b'\r', Self::Ahead | Self::AheadReturn) => Self::AheadReturn,
                (b'\r', Self::Start | Self::StartReturn) => Self::StartReturn,
                (b'\r', _) => Self::LineReturn,
                _ => Self::Line,
            };
        }
        false
    }
}
