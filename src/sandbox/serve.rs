//! The listener and its connections. Each connection is a task that owns its socket, so that a
//! fault can take the socket away from HTTP and close it, reset it, or write what it likes.

use std::{future::poll_fn, sync::Arc, time::Duration};

use axum::{Router, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
};
use tower::Service;

use super::state::SandboxCore;

/// Connections served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;
/// Longest a connection may take to send its headers, and longest it may stay idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest a connection in use may live on after the sandbox is told to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What is done to a socket instead of answering. Each request carries the sender as an extension.
#[derive(Debug)]
pub enum SocketEnd {
    Close,
    Reset,
    /// Write these bytes, then close it.
    Write(&'static [u8]),
}

/// Accepts connections until the sandbox stops.
pub async fn run(listener: TcpListener, core: Arc<SandboxCore>, router: Router) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = core.stop.run_until_cancelled(listener.accept()).await;
        let Some(stream) = accepted else { return };
        let Ok((stream, _)) = stream else {
            // Out of file handles, most likely: give the others time to finish.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = connection(stream, Arc::clone(&core), router.clone());
        core.tasks.spawn(async move {
            connection.await;
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, core: Arc<SandboxCore>, router: Router) {
    // Small answers must not wait for the peer's acknowledgement; without it they are only slower.
    let _ = stream.set_nodelay(true);
    let (cuts, mut orders) = mpsc::unbounded_channel::<SocketEnd>();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(cuts.clone());
        // A router is always ready.
        Service::call(&mut router.clone(), request)
    });
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let cut = tokio::select! {
        biased;
        cut = orders.recv() => cut,
        _ = poll_fn(|cx| http.poll_without_shutdown(cx)) => None,
        () = core.stop.cancelled() => {
            std::pin::Pin::new(&mut http).graceful_shutdown();
            let rest = poll_fn(|cx| http.poll_without_shutdown(cx));
            tokio::select! {
                biased;
                cut = orders.recv() => cut,
                _ = tokio::time::timeout(STOP_GRACE, rest) => None,
            }
        }
    };
    let mut stream = http.into_parts().io.into_inner();
    // Errors are no news here: the peer may be gone already.
    match cut {
        Some(SocketEnd::Reset) => {
            let _ = stream.set_zero_linger();
            return;
        }
        Some(SocketEnd::Write(bytes)) => {
            let _ = stream.write_all(bytes).await;
        }
        Some(SocketEnd::Close) | None => {}
    }
    let _ = stream.shutdown().await;
}
