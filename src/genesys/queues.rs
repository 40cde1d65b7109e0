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

use arc_swap::ArcSwapOption;
use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    load::{PageRate, Paging},
    map::{Found, QueueMap, SharedMap},
    misses::Misses,
};
use super::{
    call::{Operation, Operations},
    error::in_words,
    flight::Flight,
    pacing::Pacer,
    upstream::Upstream,
};
use crate::{
    clock::Clock,
    metrics::{Fetched, Metrics, QueueMapReading},
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
/// Longest the background task waits for a load before it looks again.
const LOAD_PATIENCE: Duration = Duration::from_mins(3);
/// Longest a look-up of one queue may take.
const LOOK_UP_DEADLINE: Duration = Duration::from_secs(15);
/// How long after a failed load the next one waits.
const LOAD_REST: Duration = Duration::from_secs(1);

type Loaded = Result<SharedMap, GatewayError>;

/// See the module's text.
#[derive(Clone)]
pub(super) struct Queues(Arc<Shared>);

struct Shared {
    upstream: Upstream,
    pacer: Pacer,
    page_rate: PageRate,
    clock: Arc<dyn Clock>,
    ttl: Duration,
    shutdown: CancellationToken,
    map: ArcSwapOption<QueueMap>,
    loading: Flight<Loaded>,
    failure: Mutex<Option<(GatewayError, Instant)>>,
    used_at: Mutex<Instant>,
    misses: Misses,
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
        Self(Arc::new(Shared {
            upstream,
            pacer,
            page_rate: PageRate::default(),
            clock,
            // Below a second nothing could be served before it is old.
            ttl: ttl.max(Duration::from_secs(1)),
            shutdown,
            map: ArcSwapOption::empty(),
            loading: Flight::new(tracker.clone()),
            failure: Mutex::default(),
            used_at: Mutex::new(Instant::now()),
            misses: Misses::new(tracker),
            metrics,
        }))
    }

    /// The map in use, if there is one.
    pub(super) fn reading(&self) -> Option<QueueMapReading> {
        let now = Instant::now();
        self.0.current(now).map(|map| QueueMapReading {
            age: now.saturating_duration_since(map.loaded),
            queues: map.len(),
        })
    }

    /// Finds a queue. By its id it is found without a map, too.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub(super) async fn find(&self, by: Instant, queue: &QueueRef) -> Result<Queue, QueueError> {
        let map = match queue {
            QueueRef::Id(_) => self.at_hand(),
            QueueRef::Name(_) => Some(self.map(by).await.map_err(QueueError::Gateway)?),
        };
        let doubted = match map.as_ref().map_or(Found::None, |map| map.find(queue)) {
            Found::One(found) if !self.0.misses.is_doubted(found.id) => return Ok(found),
            Found::One(found) => Some(found),
            Found::Many(queues) => return Err(QueueError::Ambiguous(queues)),
            Found::None => None,
        };
        let (shared, wanted) = (Arc::clone(&self.0), queue.clone());
        let doubted_id = doubted.as_ref().map(|found| found.id);
        let look = move || async move { shared.look_up(&wanted, doubted_id).await };
        let looked = self.0.misses.look_up(queue, doubted.is_some(), by, look).await;
        match (looked, doubted) {
            // A doubt that cannot be settled does not stop a transfer: the command will tell.
            (Ok(Found::One(found)), _) | (Err(_), Some(found)) => Ok(found),
            (Ok(Found::Many(queues)), _) => Err(QueueError::Ambiguous(queues)),
            (Ok(Found::None), _) => {
                let map = self.0.map.load_full();
                let closest = map.map_or_else(Vec::new, |map| closest(&map, queue));
                Err(QueueError::NotFound { closest })
            }
            (Err(error), None) => Err(QueueError::Gateway(error)),
        }
    }

    /// The queue with that id, if the map knows it; nothing is asked for.
    pub(super) fn known(&self, id: QueueId) -> Option<Queue> {
        match self.0.current(Instant::now())?.find(&QueueRef::Id(id)) {
            Found::One(queue) => Some(queue),
            Found::Many(_) | Found::None => None,
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
        let map = self.map(by).await?;
        Ok(QueueListing { items: map.search(fragment), loaded_at: map.loaded_at })
    }

    /// Loads the map anew. A load that was under way before may have read old pages, so it does
    /// not count.
    ///
    /// # Errors
    /// When it cannot be loaded; the old map is then kept.
    pub(super) async fn refresh(&self, by: Instant) -> Result<QueueListing, GatewayError> {
        if let Some(earlier) = self.0.loading.under_way() {
            drop(earlier.outcome(by).await);
        }
        self.0.misses.forget();
        let load = Arc::clone(&self.0);
        let map = self.0.loading.board(|| load.load(Lane::Single)).outcome(by).await??;
        Ok(QueueListing { items: map.search(""), loaded_at: map.loaded_at })
    }

    /// Notes that a command for this queue was refused: it may be gone or renamed, so it is asked
    /// for before it is used again.
    pub(super) fn doubt(&self, id: QueueId) {
        self.0.misses.doubt(id);
    }

    /// Why there is no usable map, if there is none.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.0.current(Instant::now()).is_some() {
            return None;
        }
        let failure = self.0.failure.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match failure.as_ref() {
            Some((failure, _)) => format!("no queue list: {}", in_words(failure)),
            None => "no queue list yet".to_owned(),
        })
    }

    /// Keeps the map fresh until the service ends: before its lifetime ends while it is in use,
    /// and often enough otherwise that the first caller after a quiet night need not wait.
    pub(super) async fn keep(self) {
        let shared = &self.0;
        let shutdown = &shared.shutdown;
        while !shutdown.is_cancelled() {
            let now = Instant::now();
            let next = match shared.current(now) {
                Some(map) => {
                    let rest = if shared.used_since(map.loaded) { 1 } else { STALE / 2 };
                    map.loaded + shared.refresh_after() * rest
                }
                None => now,
            };
            if now >= next {
                let lane = if shared.current(now).is_some() { Lane::Refresh } else { Lane::Single };
                let load = Arc::clone(shared);
                let loaded = shared.loading.board(|| load.load(lane)).outcome(now + LOAD_PATIENCE);
                let pause = match loaded.await {
                    Ok(Ok(_)) => Duration::ZERO,
                    Ok(Err(_)) | Err(_) => shared.retry_after(),
                };
                let _ = timeout_at(Instant::now() + pause, shutdown.cancelled()).await;
            } else {
                // Looked at again now and then: use may begin in between.
                let by = next.min(now + shared.refresh_after());
                let _ = timeout_at(by, shutdown.cancelled()).await;
            }
        }
    }

    /// A map that may be served, loaded if there is none.
    async fn map(&self, by: Instant) -> Loaded {
        if let Some(map) = self.at_hand() {
            return Ok(map);
        }
        if let Some(failure) = self.0.resting(Instant::now()) {
            return Err(failure);
        }
        let load = Arc::clone(&self.0);
        self.0.loading.board(|| load.load(Lane::Single)).outcome(by).await?
    }

    /// The map that may be served, if there is one; renewed in the background when it is time.
    fn at_hand(&self) -> Option<SharedMap> {
        let now = Instant::now();
        *self.0.used_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
        let map = self.0.current(now)?;
        if now >= map.loaded + self.0.refresh_after() && self.0.resting(now).is_none() {
            let load = Arc::clone(&self.0);
            drop(self.0.loading.board(|| load.load(Lane::Refresh)));
        }
        Some(map)
    }
}

impl Shared {
    /// The map, unless it is too old to be served.
    fn current(&self, now: Instant) -> Option<SharedMap> {
        self.map.load_full().filter(|map| now < map.loaded + self.ttl * STALE)
    }

    fn refresh_after(&self) -> Duration {
        let early = (self.ttl / 10).max(Duration::from_secs(1)).min(self.ttl / 2);
        self.ttl.saturating_sub(early)
    }

    /// Pause of the background task after a failed load: the lifetime tells how urgent it is, and
    /// without any map the service is not ready.
    fn retry_after(&self) -> Duration {
        let longest = if self.current(Instant::now()).is_some() { 30 } else { 5 };
        (self.ttl / 10).clamp(LOAD_REST, Duration::from_secs(longest))
    }

    fn used_since(&self, then: Instant) -> bool {
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner) >= then
    }

    /// The last load's failure, while the next one waits.
    fn resting(&self, now: Instant) -> Option<GatewayError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().filter(|(_, until)| now < *until).map(|(failure, _)| failure.clone())
    }

    /// Half of a minute's requests at most, so that a load leaves room for everything else.
    fn paging(&self, lane: Lane) -> Paging {
        let failed = self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        // A large page may take longer, or be longer, than an answer may.
        let page_size = if failed { load::SAFE_PAGE } else { load::LARGE_PAGE };
        let half = self.pacer.allowance(Lane::Single, Operations::of(Operation::ListQueues)) / 2;
        Paging { lane, page_size, per_minute: usize::try_from(half).unwrap_or(usize::MAX) }
    }

    async fn load(self: Arc<Self>, lane: Lane) -> Loaded {
        let began = Instant::now();
        let load = load::all(&self.upstream, &self.page_rate, self.paging(lane));
        let load = self.shutdown.run_until_cancelled(load);
        let loaded = load.await.unwrap_or(Err(GatewayError::ShuttingDown));
        self.metrics.queue_map_loaded(match &loaded {
            Ok(_) => Fetched::Success,
            Err(GatewayError::CredentialsRejected(_) | GatewayError::PermissionMissing { .. }) => {
                Fetched::Refused
            }
            Err(_) => Fetched::Failed,
        });
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            Ok(queues) => {
                let map = Arc::new(QueueMap::new(queues, self.clock.now(), Instant::now()));
                tracing::info!(
                    queues = map.len(),
                    duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "queue list loaded"
                );
                self.map.store(Some(Arc::clone(&map)));
                *failure = None;
                Ok(map)
            }
            Err(error) => {
                if failure.is_none() {
                    tracing::warn!(reason = %in_words(&error), "the queue list could not be loaded");
                }
                *failure = Some((error.clone(), Instant::now() + LOAD_REST));
                Err(error)
            }
        }
    }

    /// What Genesys has under that name or id; what was found, or is gone, goes into the map.
    async fn look_up(
        &self,
        wanted: &QueueRef,
        doubted: Option<QueueId>,
    ) -> Result<Found, GatewayError> {
        let ctx = CallContext::new(Instant::now() + LOOK_UP_DEADLINE, Lane::Single);
        let found = match wanted {
            QueueRef::Name(name) => load::named(&self.upstream, &ctx, name).await?,
            QueueRef::Id(id) => load::one(&self.upstream, &ctx, *id).await?.into_iter().collect(),
        };
        let gone = doubted.filter(|id| found.iter().all(|queue| queue.id != *id));
        if !found.is_empty() || gone.is_some() {
            self.map.rcu(|map| map.as_ref().map(|map| Arc::new(map.changed(&found, gone))));
        }
        Ok(match wanted {
            QueueRef::Id(_) => found.into_iter().next().map_or(Found::None, Found::One),
            // Others of that name may be in the map alone.
            QueueRef::Name(_) => {
                self.map.load().as_ref().map_or(Found::None, |map| map.find(wanted))
            }
        })
    }
}

fn closest(map: &QueueMap, queue: &QueueRef) -> Vec<String> {
    match queue {
        QueueRef::Name(name) => map.closest(name.as_str()),
        QueueRef::Id(_) => Vec::new(),
    }
}
