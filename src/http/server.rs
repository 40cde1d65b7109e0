//! The listening side: accepts connections, bounds them in number and time, and ends them in
//! order. Stands in place of `axum::serve`, which bounds nothing.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::request_ids::RequestIds;
use crate::{
    config,
    metrics::{InFlight, Metrics},
    problem::Code,
};
use connection::ConnectionContext;
use places::{ConnectionSlot, Places};
use refusal::Refusals;

mod activity;
mod connection;
mod head_lines;
mod places;
mod refusal;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

pub use tls::Tls;

/// Pause after the system could not hand over a connection, so that a lack of file descriptors
/// does not turn into a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long cut connections get to notice.
const CUT_PAUSE: Duration = Duration::from_millis(100);

/// How a server is told to end.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// Say that the service is not ready; go on as before otherwise. Cancelled at the latest with
    /// `graceful`.
    pub unready: CancellationToken,
    /// Accept nothing more, close what has nothing in hand, finish the rest.
    pub graceful: CancellationToken,
    /// The time for that is nearly over: what is still in hand is answered now.
    pub grace_over: CancellationToken,
    /// End at once, whatever is in hand.
    pub now: CancellationToken,
}

impl Default for Shutdown {
    fn default() -> Self {
        let graceful = CancellationToken::new();
        let (grace_over, now) = (CancellationToken::new(), CancellationToken::new());
        Self { unready: graceful.child_token(), graceful, grace_over, now }
    }
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// Connections that were cut because they were not done in time.
    pub cut: usize,
}

/// Serves `router` on `listener`, over TLS or not, until `shutdown` says so, then until every
/// connection is done or is to end now. Connections are counted in `metrics`.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    settings: &config::Server,
    request_ids: RequestIds,
    shutdown: Shutdown,
    metrics: Arc<Metrics>,
) -> Finished {
    let cut = shutdown.now.child_token();
    let refusals = Refusals::new(request_ids, Arc::clone(&metrics));
    let stop = shutdown.graceful.clone();
    let acceptor = tls.as_ref().map(Tls::acceptor);
    let header_timeout = settings.header_timeout;
    let host =
        ConnectionContext::new(router, acceptor, refusals, header_timeout, stop, cut.clone());
    let host = Arc::new(host);
    let connections = TaskTracker::new();
    tokio::select! {
        () = shutdown.graceful.cancelled() => {}
        () = shutdown.now.cancelled() => {}
        () = accept_all(&listener, settings, &host, &connections, &metrics) => {}
        () = follow(tls.as_ref()) => {}
    }
    // From now on the system refuses new connections; clients may try another instance at once.
    drop(listener);
    connections.close();
    tokio::select! {
        () = shutdown.now.cancelled() => {}
        () = connections.wait() => {}
    }
    if connections.is_empty() {
        return Finished { cut: 0 };
    }
    let finished = Finished { cut: connections.len() };
    cut.cancel();
    let _ = timeout(CUT_PAUSE, connections.wait()).await;
    finished
}

/// Keeps the certificate fresh; never ends.
async fn follow(tls: Option<&Tls>) {
    match tls {
        Some(tls) => tls.follow().await,
        None => std::future::pending().await,
    }
}

async fn accept_all(
    listener: &TcpListener,
    settings: &config::Server,
    host: &Arc<ConnectionContext>,
    connections: &TaskTracker,
    metrics: &Metrics,
) {
    let places = Places::new(settings);
    loop {
        let (stream, address) = accept(listener).await;
        // Without a place further connections stay in the system's backlog.
        match places.take(address).await {
            Some(place) => {
                let open = metrics.connection_opens();
                connections.spawn(hold(stream, Arc::clone(host), place, open));
            }
            // Closed without a word: to say something takes what there is too little of.
            None => metrics.connection_refused(Code::Overloaded),
        }
    }
}

async fn hold(
    stream: TcpStream,
    host: Arc<ConnectionContext>,
    place: ConnectionSlot,
    open: InFlight,
) {
    host.talk(stream, &place.activity).await;
    drop((place, open));
}

async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole; waiting for more to send would only delay them.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "cannot set TCP_NODELAY");
                }
                return (stream, peer.ip());
            }
            Err(error) if is_about_the_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The peer was gone before it was accepted; the next one is not affected.
fn is_about_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
