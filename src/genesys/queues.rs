//! The queue directory: finds queues by name or id in a map of all queues.
//!
//! The map is loaded once however many wait for it, and again in the background shortly before
//! its lifetime ends (a tenth early, at least a second). While that runs, or fails, the old map
//! is served, for [`STALE`] lifetimes; a load that failed is not repeated for a moment. A load
//! uses at most half of a minute's requests. A name that is not in the map is looked for at
//! Genesys, and so is an id, also while there is no map at all. Either is not asked for again for
//! [`LOOK_UP_REST`], and new names only so often (`misses`): neither a misspelt name in a loop nor
//! many made-up ones use up the request limit.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    load::{PageRate, Paging},
    map::{QueueMap, QueueMatch, SharedMap},
    misses::Misses,
};
use super::{
    call::{Operation, Operations},
    pacing::Pacer,
    upstream::Upstream,
};
use crate::{
    clock::Clock,
    metrics::{Fetched, Metrics, QueueMapReading},
    support::{Cached, Fresh, Source},
    transfer::{
        gateway::{CallContext, GatewayError, Lane, QueueError, QueueListing},
        ids::QueueId,
        model::{Queue, QueueRef},
    },
};

mod closest;
mod load;
mod map;
mod misses;

/// For how many lifetimes an old map is served when it cannot be renewed (an hour by default).
/// Genesys checks the queue of every command anyway; without a map nothing could move at all.
const STALE: u32 = 12;
/// How long a queue that was asked for is not asked for again.
const LOOK_UP_REST: Duration = Duration::from_secs(30);
/// Longest a look-up of one queue may take.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(15);
/// How long after a failed load the next one waits.
const LOAD_REST: Duration = Duration::from_secs(1);

/// The directory; clones share it.
#[derive(Clone)]
pub(super) struct Queues {
    map: Cached<QueueSource>,
    misses: Arc<Misses>,
}

/// The list of all queues at Genesys.
struct QueueSource {
    upstream: Upstream,
    pacer: Pacer,
    page_rate: PageRate,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    shutdown: CancellationToken,
    used_at: Mutex<Instant>,
    metrics: Arc<Metrics>,
}

impl Queues {
    /// An empty directory.
    pub(super) fn new(
        upstream: Upstream,
        pacer: Pacer,
        clock: Arc<dyn Clock>,
        ttl: Duration,
        shutdown: CancellationToken,
        tracker: TaskTracker,
        metrics: Arc<Metrics>,
    ) -> Self {
        let list = QueueSource {
            upstream,
            pacer,
            page_rate: PageRate::new(),
            clock,
            // Below a second nothing could be served before it is old.
            ttl: ttl.max(Duration::from_secs(1)),
            shutdown,
            used_at: Mutex::new(Instant::now()),
            metrics,
        };
        let misses = Arc::new(Misses::new(tracker.clone()));
        Self { map: Cached::new(list, tracker), misses }
    }

    /// The map in use, if there is one.
    pub(super) fn reading(&self) -> Option<QueueMapReading> {
        let now = Instant::now();
        self.map.current().map(|map| QueueMapReading {
            age: now.saturating_duration_since(map.loaded),
            queues: map.len(),
        })
    }

    /// Finds a queue. By its id it is found without a map, too.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub(super) async fn find(&self, by: Instant, queue: &QueueRef) -> Result<Queue, QueueError> {
        self.map.source().is_used();
        let map = match queue {
            QueueRef::Id(_) => self.map.at_hand(),
            QueueRef::Name(_) => Some(self.map.get(by).await.map_err(QueueError::Gateway)?),
        };
        let doubted = match map.as_ref().map_or(QueueMatch::None, |map| map.find(queue)) {
            QueueMatch::One(found) if !self.misses.is_doubted(found.id) => return Ok(found),
            QueueMatch::One(found) => Some(found),
            QueueMatch::Many(queues) => return Err(QueueError::Ambiguous(queues)),
            QueueMatch::None => None,
        };
        let (queues, wanted) = (self.clone(), queue.clone());
        let doubted_id = doubted.as_ref().map(|found| found.id);
        let look = move || async move { queues.look_up(&wanted, doubted_id).await };
        let looked = self.misses.look_up(queue, doubted.is_some(), by, look).await;
        match (looked, doubted) {
            // A doubt that cannot be settled does not stop a transfer: the command will tell.
            (Ok(QueueMatch::One(found)), _) | (Err(_), Some(found)) => Ok(found),
            (Ok(QueueMatch::Many(queues)), _) => Err(QueueError::Ambiguous(queues)),
            (Ok(QueueMatch::None), _) => {
                let closest = match (queue, self.map.current()) {
                    (QueueRef::Name(name), Some(map)) => map.closest(name.as_str()),
                    _ => Vec::new(),
                };
                Err(QueueError::NotFound { closest })
            }
            (Err(error), None) => Err(QueueError::Gateway(error)),
        }
    }

    /// The queue with that id, if the map knows it; nothing is asked for.
    pub(super) fn known(&self, id: QueueId) -> Option<Queue> {
        match self.map.current()?.find(&QueueRef::Id(id)) {
            QueueMatch::One(queue) => Some(queue),
            QueueMatch::Many(_) | QueueMatch::None => None,
        }
    }

    /// Queues whose name contains `fragment`.
    ///
    /// # Errors
    /// When there is no map and none can be loaded.
    pub(super) async fn search(
        &self,
        by: Instant,
        fragment: &str,
    ) -> Result<QueueListing, GatewayError> {
        self.map.source().is_used();
        let map = self.map.get(by).await?;
        Ok(QueueListing { items: map.search(fragment), loaded_at: map.loaded_at })
    }

    /// Loads the map anew.
    ///
    /// # Errors
    /// When it cannot be loaded; the old map is then kept.
    pub(super) async fn refresh(&self, by: Instant) -> Result<QueueListing, GatewayError> {
        self.misses.forget();
        let map = self.map.reload(by).await?;
        Ok(QueueListing { items: map.search(""), loaded_at: map.loaded_at })
    }

    /// Notes that a command for this queue was refused: it may be gone or renamed, so it is asked
    /// for before it is used again.
    pub(super) fn doubt(&self, id: QueueId) {
        self.misses.doubt(id);
    }

    /// Why there is no usable map, if there is none.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.map.current().is_some() {
            return None;
        }
        Some(match self.map.failure() {
            Some(failure) => format!("no queue list: {failure}"),
            None => "no queue list yet".to_owned(),
        })
    }

    /// Keeps the map fresh until the service ends: before its lifetime ends while it is in use,
    /// and often enough otherwise that the first caller after a quiet night need not wait.
    pub(super) async fn keep(self) {
        let shutdown = self.map.source().shutdown.clone();
        self.map.keep(shutdown).await;
    }

    /// What Genesys has under that name or id; what was found, or is gone, goes into the map.
    async fn look_up(
        &self,
        wanted: &QueueRef,
        doubted: Option<QueueId>,
    ) -> Result<QueueMatch, GatewayError> {
        let upstream = &self.map.source().upstream;
        let ctx = CallContext::new(Instant::now() + LOOK_UP_DEADLINE, Lane::Single);
        let found = match wanted {
            QueueRef::Name(name) => load::named(upstream, &ctx, name).await?,
            QueueRef::Id(id) => load::one(upstream, &ctx, *id).await?.into_iter().collect(),
        };
        let gone = doubted.filter(|id| found.iter().all(|queue| queue.id != *id));
        if !found.is_empty() || gone.is_some() {
            self.map.update(|map| Arc::new(map.changed(&found, gone)));
        }
        Ok(match wanted {
            QueueRef::Id(_) => found.into_iter().next().map_or(QueueMatch::None, QueueMatch::One),
            // Others of that name may be in the map alone.
            QueueRef::Name(_) => {
                self.map.current().map_or(QueueMatch::None, |map| map.find(wanted))
            }
        })
    }
}

impl QueueSource {
    /// Notes that the map is used.
    fn is_used(&self) {
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn refresh_after(&self) -> Duration {
        let early = (self.ttl / 10).max(Duration::from_secs(1)).min(self.ttl / 2);
        self.ttl.saturating_sub(early)
    }
}

impl Source for QueueSource {
    type Value = SharedMap;
    type Error = GatewayError;

    const LONGEST_LOAD: Duration = Duration::from_mins(3);

    async fn load(&self, ahead: bool, failed: bool) -> Result<Fresh<SharedMap>, GatewayError> {
        let began = Instant::now();
        // Half of a minute's requests at most, so that a load leaves room for everything else.
        let half = self.pacer.allowance(Lane::Single, Operations::of(Operation::ListQueues)) / 2;
        let paging = Paging {
            lane: if ahead { Lane::Refresh } else { Lane::Single },
            // A large page may take longer, or be longer, than an answer may.
            page_size: if failed { load::SAFE_PAGE } else { load::LARGE_PAGE },
            per_minute: u64::from(half),
        };
        let load = load::all(&self.upstream, &self.page_rate, paging);
        let load = self.shutdown.run_until_cancelled(load);
        let queues = load.await.unwrap_or(Err(GatewayError::ShuttingDown))?;
        let loaded = Instant::now();
        let value = Arc::new(QueueMap::new(queues, self.clock.now(), loaded));
        tracing::info!(
            queues = value.len(),
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "queue list loaded"
        );
        let (refresh_at, ends_at) = (loaded + self.refresh_after(), loaded + self.ttl * STALE);
        Ok(Fresh { value, refresh_at, ends_at })
    }

    fn rest(&self, _: &GatewayError, _: bool) -> Duration {
        LOAD_REST
    }

    /// The lifetime tells how urgent it is, and without any map the service is not ready.
    fn pause(&self, _: &GatewayError, has_map: bool) -> Duration {
        let longest = if has_map { 30 } else { 5 };
        (self.ttl / 10).clamp(LOAD_REST, Duration::from_secs(longest))
    }

    fn due(&self, fresh: &Fresh<SharedMap>) -> Instant {
        let used_at = *self.used_at.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = fresh.value.loaded;
        let rest = if used_at >= loaded { 1 } else { STALE / 2 };
        loaded + self.refresh_after() * rest
    }

    fn note(&self, came: Result<&SharedMap, &GatewayError>, failed: bool) {
        self.metrics.queue_map_loaded(match came {
            Ok(_) => Fetched::Success,
            Err(GatewayError::CredentialsRejected(_) | GatewayError::PermissionMissing { .. }) => {
                Fetched::Refused
            }
            Err(_) => Fetched::Failed,
        });
        if let (Err(error), false) = (came, failed) {
            tracing::warn!(reason = %error, "could not load the queue list");
        }
    }
}
