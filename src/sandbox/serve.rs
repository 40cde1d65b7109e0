//! The listener and its connections. Each connection is a task that owns its socket, so that a
//! fault can take the socket away from HTTP and close it, reset it, or write what it likes.

use std::{convert::Infallible, future::poll_fn, io, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{Request, Response},
};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};

use super::{exchange, state::Shared};

/// The body of every answer.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Connections served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;
/// Longest a connection may take to send its headers, and longest it may stay idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest a connection in use may live on after the sandbox is told to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What is done to a socket instead of answering.
#[derive(Debug)]
pub(super) enum Cut {
    /// Close it.
    Close,
    /// Reset it.
    Reset,
    /// Write these bytes, then close it.
    Write(&'static [u8]),
}

/// Accepts connections until the sandbox stops.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let stream = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            // Out of file handles, most likely: give the others time to finish.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = connection(stream, Arc::clone(&shared));
        shared.tasks.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
}

struct Exchanges {
    shared: Arc<Shared>,
    cuts: mpsc::UnboundedSender<Cut>,
}

impl Service<Request<Incoming>> for Exchanges {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (shared, cuts) = (Arc::clone(&self.shared), self.cuts.clone());
        Box::pin(async move { Ok(exchange::serve(shared, cuts, request).await) })
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Small answers must not wait for the peer's acknowledgement; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let (cuts, mut orders) = mpsc::unbounded_channel();
    let service = Exchanges { shared: Arc::clone(&shared), cuts };
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let cut = tokio::select! {
        biased;
        cut = orders.recv() => cut,
        _ = poll_fn(|cx| http.poll_without_shutdown(cx)) => None,
        () = shared.stop.cancelled() => {
            Pin::new(&mut http).graceful_shutdown();
            let rest = poll_fn(|cx| http.poll_without_shutdown(cx));
            tokio::select! {
                biased;
                cut = orders.recv() => cut,
                _ = tokio::time::timeout(STOP_GRACE, rest) => None,
            }
        }
    };
    let stream = http.into_parts().io.into_inner();
    finish(stream, cut).await;
}

/// Ends a socket. Errors are no news here: the peer may be gone already.
async fn finish(mut stream: TcpStream, cut: Option<Cut>) {
    match cut {
        Some(Cut::Reset) => {
            let _ = stream.set_zero_linger();
        }
        Some(Cut::Write(bytes)) => {
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
        }
        Some(Cut::Close) | None => {
            let _ = stream.shutdown().await;
        }
    }
}
