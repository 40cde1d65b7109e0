//! The listening side: accepts connections, bounds them in number and time, and ends them in
//! order. Stands in place of `axum::serve`, which bounds nothing.

use std::{sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::request_ids::RequestIds;
use crate::{config, metrics::Metrics, problem::Code};
use connection::Connections;
use places::Places;

mod activity;
mod connection;
mod places;
#[cfg(test)]
mod tests;
mod tls;

pub use tls::Tls;

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
    let acceptor = tls.as_ref().map(Tls::acceptor);
    let (open, places) = (TaskTracker::new(), Places::new(settings));
    let all = Connections::new(router, acceptor, request_ids, &shutdown, Arc::clone(&metrics));
    let all = Arc::new(all);
    let serving = async {
        tokio::select! {
            () = shutdown.graceful.cancelled() => {}
            () = accept(listener, &places, &open, &all, &metrics) => {}
            () = async { if let Some(tls) = &tls { tls.follow().await } }, if tls.is_some() => {}
        }
        // The listener is gone: clients may try another instance at once.
        open.close();
        open.wait().await;
    };
    tokio::select! {
        () = shutdown.now.cancelled() => {}
        () = serving => {}
        () = places.watch() => {}
    }
    open.close();
    let finished = Finished { cut: open.len() };
    let _ = timeout(CUT_PAUSE, open.wait()).await;
    finished
}

async fn accept(
    mut listener: TcpListener,
    places: &Arc<Places>,
    open: &TaskTracker,
    connections: &Arc<Connections>,
    metrics: &Arc<Metrics>,
) {
    loop {
        // A lack of file descriptors is logged, and tried again after a second.
        let (socket, peer) = Listener::accept(&mut listener).await;
        // Without a place further connections stay in the system's backlog.
        let Some(place) = places.take(peer.ip()).await else {
            // Closed without an answer: an answer takes what there is too little of.
            metrics.connection_refused(Code::Overloaded);
            continue;
        };
        let (connections, counted) = (Arc::clone(connections), metrics.connection_opens());
        open.spawn(async move {
            connections.serve(socket, &place.activity).await;
            drop((place, counted));
        });
    }
}
