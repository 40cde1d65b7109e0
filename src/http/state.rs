//! What handlers and layers share.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::body::Bytes;
use ipnet::IpNet;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{own_names::OwnNames, request_ids::RequestIds, server::Shutdown, streams::Streams};
use crate::{
    auth::Keyring,
    batch::Batches,
    config::Server,
    telemetry::LogFilter,
    transfer::{Readiness, Transfers},
};

/// Everything a request may need. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// What is behind an [`AppState`].
#[derive(Clone)]
pub struct Shared {
    pub(super) transfers: Arc<Transfers>,
    pub(super) batches: Arc<Batches>,
    pub(super) keyring: Keyring,
    pub(super) request_ids: RequestIds,
    pub(super) limits: ServerLimits,
    pub(super) in_flight: Arc<Semaphore>,
    pub(super) streams: Arc<Streams>,
    pub(super) trusted_proxies: Vec<IpNet>,
    /// The names requests must be sent to; `None` where callers need credentials.
    pub(super) own_names: Option<OwnNames>,
    pub(super) unready: CancellationToken,
    pub(super) stopping: CancellationToken,
    pub(super) grace_over: CancellationToken,
    /// The API's description, once it was asked for.
    pub(super) document: OnceLock<Bytes>,
    pub(super) document_3_0: OnceLock<Bytes>,
    pub(super) logs: LogFilter,
}

impl AppState {
    /// The state for a server with these `settings`, which admits the callers of `keyring`. Once
    /// `shutdown` begins, the service reports that it is not ready; when the grace is over it
    /// answers the requests in progress.
    #[must_use]
    pub fn new(
        (transfers, batches): (Arc<Transfers>, Arc<Batches>),
        keyring: Keyring,
        settings: &Server,
        request_ids: RequestIds,
        shutdown: &Shutdown,
    ) -> Self {
        let limits = ServerLimits {
            deadline: settings.deadline,
            body_timeout: settings.body_timeout,
            max_connections: settings.max_connections,
        };
        let in_flight =
            Arc::new(Semaphore::new(settings.max_in_flight.min(Semaphore::MAX_PERMITS)));
        let streams = Arc::new(Streams::new(settings.max_streams_per_caller));
        let own_names = keyring.is_open().then(|| OwnNames::new(settings.bind.ip()));
        let (stopping, grace_over) = (shutdown.graceful.clone(), shutdown.grace_over.clone());
        let unready = shutdown.unready.clone();
        let logs = LogFilter::detached();
        Self(Arc::new(Shared {
            transfers,
            batches,
            keyring,
            request_ids,
            limits,
            in_flight,
            streams,
            trusted_proxies: settings.trusted_proxies.clone(),
            own_names,
            unready,
            stopping,
            grace_over,
            document: OnceLock::new(),
            document_3_0: OnceLock::new(),
            logs,
        }))
    }

    /// Whether transfers can be carried out now, and if not, why, as `GET /health/ready` tells.
    pub async fn readiness(&self) -> Readiness {
        let Readiness { ready, mut reasons } = self.transfers.readiness().await;
        // Only while no caller can be recognised, which ends with the issuer's first answer.
        let unknown = self.keyring.troubles();
        let ready = ready && unknown.is_empty();
        reasons.extend(unknown);
        Readiness { ready, reasons }
    }

    /// The same, with the log filter that admins may change.
    #[must_use]
    pub fn with_logs(self, logs: LogFilter) -> Self {
        Self(Arc::new(Shared { logs, ..Arc::unwrap_or_clone(self.0) }))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// How long things may take, counted from the arrival of a request's head, and how many there may
/// be.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerLimits {
    pub(super) deadline: Duration,
    pub(super) body_timeout: Duration,
    pub(super) max_connections: usize,
}

/// What is known of a request before work on it begins.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    /// The id that every answer echoes.
    pub(super) request_id: Arc<str>,
    /// When the body must be there.
    pub(super) body_by: Instant,
    /// When the answer must be given.
    pub(super) deadline: Instant,
    /// The service stops: a body that is not there yet is not waited for.
    pub(super) stopping: CancellationToken,
}

impl Arrival {
    /// A request to `app` whose head is complete at `now`.
    pub(super) fn new(request_id: &str, now: Instant, app: &AppState) -> Self {
        let deadline = now + app.limits.deadline;
        let body_by = deadline.min(now + app.limits.body_timeout);
        let stopping = app.stopping.clone();
        Self { request_id: request_id.into(), body_by, deadline, stopping }
    }
}
