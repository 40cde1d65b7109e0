//! A value that is loaded once however many ask for it, again before it ends, and kept while it
//! cannot be.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Where a cached value comes from.
pub trait Source: Send + Sync + 'static {
    /// The value, cheap to clone.
    type Value: Clone + Send + Sync + 'static;
    /// Why it cannot be had.
    type Error: Clone + Send + Sync + From<FlightError> + 'static;

    /// The longest that [`Cached::keep`] waits for a load.
    const LONGEST_LOAD: Duration;

    /// Loads it. `ahead`: there is a value to go on with meanwhile; `failed`: the load before failed.
    fn load(
        &self,
        ahead: bool,
        failed: bool,
    ) -> impl Future<Output = Result<Fresh<Self::Value>, Self::Error>> + Send;

    /// How long nothing is loaded for need after this failure.
    fn rest(&self, error: &Self::Error, has_value: bool) -> Duration;

    /// How long [`Cached::keep`] waits after this failure.
    fn pause(&self, error: &Self::Error, has_value: bool) -> Duration {
        self.rest(error, has_value).max(Duration::from_secs(1))
    }

    /// When [`Cached::keep`] loads it again; asked anew once in `fresh`'s time.
    fn due(&self, fresh: &Fresh<Self::Value>) -> Instant {
        fresh.refresh_at
    }

    /// Notes what a load came to, and whether the one before failed.
    fn note(&self, came: Result<&Self::Value, &Self::Error>, failed: bool) {
        let _ = (came, failed);
    }
}

/// A value and how long it is good.
#[derive(Debug, Clone)]
pub struct Fresh<V> {
    /// The value.
    pub value: V,
    /// From when on it is loaded again.
    pub refresh_at: Instant,
    /// From when on it is not given out.
    pub ends_at: Instant,
}

/// Why a load brought nothing, not even an error of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FlightError {
    /// It did not end in time.
    #[error("it took too long")]
    TooLate,
    /// Its task died.
    #[error("a task of this service ended early")]
    Died,
}

/// The last good value of a [`Source`]. Clones share it.
pub struct Cached<S: Source>(Arc<CachedInner<S>>);

struct CachedInner<S: Source> {
    source: S,
    state: Mutex<CacheState<S>>,
    flight: SingleFlight<Result<S::Value, S::Error>>,
}

struct CacheState<S: Source> {
    fresh: Option<Fresh<S::Value>>,
    /// Counts changes of the value.
    version: u64,
    /// The last load's failure, and until when nothing is loaded because of it.
    failure: Option<(S::Error, Instant)>,
    /// When the last load ended, well or not.
    ended_at: Option<Instant>,
}

impl<S: Source> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Source> Cached<S> {
    /// Nothing loaded yet; loads run on `tracker`.
    pub fn new(source: S, tracker: TaskTracker) -> Self {
        let state = CacheState { fresh: None, version: 0, failure: None, ended_at: None };
        let flight = SingleFlight::new(tracker);
        Self(Arc::new(CachedInner { source, state: Mutex::new(state), flight }))
    }

    /// Where it comes from.
    pub fn source(&self) -> &S {
        &self.0.source
    }

    /// The value, if it is good now; nothing is loaded.
    #[must_use]
    pub fn current(&self) -> Option<S::Value> {
        self.0.lock().good(Instant::now()).map(|fresh| fresh.value.clone())
    }

    /// The value, if it is good now, loaded again in the background when it is time.
    #[must_use]
    pub fn at_hand(&self) -> Option<S::Value> {
        let (value, is_due) = {
            let (now, state) = (Instant::now(), self.0.lock());
            let fresh = state.good(now)?;
            (fresh.value.clone(), now >= fresh.refresh_at && state.resting(now).is_none())
        };
        if is_due {
            drop(self.start(true, false));
        }
        Some(value)
    }

    /// The value, loaded if there is none.
    ///
    /// # Errors
    /// Why it cannot be had before `by`.
    pub async fn get(&self, by: Instant) -> Result<S::Value, S::Error> {
        if let Some(value) = self.at_hand() {
            return Ok(value);
        }
        let resting = self.0.lock().resting(Instant::now()).cloned();
        match resting {
            Some(error) => Err(error),
            None => self.start(false, false).outcome(by).await?,
        }
    }

    /// Loads it, or joins the load under way.
    ///
    /// # Errors
    /// Why it cannot be had before `by`.
    pub async fn load(&self, by: Instant) -> Result<S::Value, S::Error> {
        let ahead = self.current().is_some();
        self.start(ahead, true).outcome(by).await?
    }

    /// Loads it for need. A load that was under way before may have read what is old by now, so it
    /// does not count.
    ///
    /// # Errors
    /// Why it cannot be had before `by`; the old value stays.
    pub async fn reload(&self, by: Instant) -> Result<S::Value, S::Error> {
        if let Some(earlier) = self.0.flight.under_way() {
            drop(earlier.outcome(by).await);
        }
        self.start(false, true).outcome(by).await?
    }

    /// Whether a load is under way.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.0.flight.under_way().is_some()
    }

    /// Whether a load ended within the last `time`, well or not.
    #[must_use]
    pub fn was_loaded_within(&self, time: Duration) -> bool {
        let ended_at = self.0.lock().ended_at;
        ended_at.is_some_and(|at| at.elapsed() < time)
    }

    /// The last load's failure, if it failed.
    #[must_use]
    pub fn failure(&self) -> Option<S::Error> {
        self.0.lock().failure.as_ref().map(|(error, _)| error.clone())
    }

    /// Changes the value, outside of any lock; `change` may be called again when another change
    /// comes in between.
    pub fn update(&self, change: impl Fn(&S::Value) -> S::Value) {
        loop {
            let (version, fresh) = {
                let state = self.0.lock();
                (state.version, state.fresh.clone())
            };
            let Some(fresh) = fresh else { return };
            let value = change(&fresh.value);
            let mut state = self.0.lock();
            if state.version == version {
                state.keep(Some(Fresh { value, ..fresh }));
                return;
            }
        }
    }

    /// Drops the value.
    pub fn clear(&self) {
        self.0.lock().keep(None);
    }

    /// Keeps a good value at hand until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let now = Instant::now();
            let (due, resting, look_again) = {
                let state = self.0.lock();
                let due = state.fresh.as_ref().map_or(now, |fresh| self.0.source.due(fresh));
                let resting = state.failure.as_ref().map(|(_, until)| *until);
                let refresh_at = state.fresh.as_ref().map(|fresh| fresh.refresh_at);
                (due, resting.filter(|until| *until > now), refresh_at.filter(|at| *at > now))
            };
            let next = if now < due {
                // What is not due may become so earlier.
                look_again.map_or(due, |at| at.min(due))
            } else if let Some(until) = resting {
                until
            } else {
                match self.load(now + S::LONGEST_LOAD).await {
                    Ok(_) => continue,
                    Err(error) => {
                        let has_value = self.current().is_some();
                        Instant::now() + self.0.source.pause(&error, has_value)
                    }
                }
            };
            // `Err` is the usual end: the time has passed.
            let _ = timeout_at(next, stop.cancelled()).await;
        }
    }

    fn start(&self, ahead: bool, forced: bool) -> Joined<Result<S::Value, S::Error>> {
        let shared = Arc::clone(&self.0);
        self.0.flight.join(|| shared.run(ahead, forced))
    }
}

impl<S: Source> CachedInner<S> {
    fn lock(&self) -> MutexGuard<'_, CacheState<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self: Arc<Self>, ahead: bool, forced: bool) -> Result<S::Value, S::Error> {
        let failed = {
            let (now, state) = (Instant::now(), self.lock());
            // Another load may have ended between the look and this one's start.
            if let Some(fresh) = state.good(now).filter(|it| !forced && now < it.refresh_at) {
                return Ok(fresh.value.clone());
            }
            state.failure.is_some()
        };
        let came = self.source.load(ahead, failed).await;
        self.source.note(came.as_ref().map(|fresh| &fresh.value), failed);
        let mut state = self.lock();
        let now = Instant::now();
        state.ended_at = Some(now);
        match came {
            Ok(fresh) => {
                let value = fresh.value.clone();
                state.keep(Some(fresh));
                state.failure = None;
                Ok(value)
            }
            Err(error) => {
                let rest = self.source.rest(&error, state.fresh.is_some());
                state.failure = Some((error.clone(), now + rest));
                Err(error)
            }
        }
    }
}

impl<S: Source> CacheState<S> {
    fn good(&self, now: Instant) -> Option<&Fresh<S::Value>> {
        self.fresh.as_ref().filter(|fresh| now < fresh.ends_at)
    }

    fn resting(&self, now: Instant) -> Option<&S::Error> {
        self.failure.as_ref().filter(|(_, until)| now < *until).map(|(error, _)| error)
    }

    fn keep(&mut self, fresh: Option<Fresh<S::Value>>) {
        self.fresh = fresh;
        self.version += 1;
    }
}

/// At most one piece of work at a time, however many wait for it. It runs in a task of its own, so
/// that one which waits can leave without ending it for the others.
pub struct SingleFlight<T> {
    tracker: TaskTracker,
    latest: Mutex<Option<watch::Receiver<Option<T>>>>,
}

/// Waits for the work's outcome.
pub struct Joined<T>(watch::Receiver<Option<T>>);

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    /// Nothing under way; tasks belong to `tracker`.
    #[must_use]
    pub const fn new(tracker: TaskTracker) -> Self {
        Self { tracker, latest: Mutex::new(None) }
    }

    /// Joins the work under way, or starts it.
    pub fn join<F>(&self, work: impl FnOnce() -> F) -> Joined<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = latest.as_ref().filter(|outcome| is_under_way(outcome)) {
            return Joined(running.clone());
        }
        let (tell, outcome) = watch::channel(None);
        let work = work();
        self.tracker.spawn(async move {
            tell.send_replace(Some(work.await));
        });
        *latest = Some(outcome.clone());
        Joined(outcome)
    }

    /// The work under way, if any.
    pub fn under_way(&self) -> Option<Joined<T>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().filter(|outcome| is_under_way(outcome)).cloned().map(Joined)
    }
}

impl<T: Clone> Joined<T> {
    /// The outcome.
    ///
    /// # Errors
    /// When it is not there by then, or the task died.
    pub async fn outcome(mut self, by: Instant) -> Result<T, FlightError> {
        let ready = timeout_at(by, self.0.wait_for(Option::is_some)).await;
        let told = ready.map_err(|_| FlightError::TooLate)?;
        told.ok().and_then(|outcome| outcome.clone()).ok_or(FlightError::Died)
    }
}

fn is_under_way<T>(outcome: &watch::Receiver<Option<T>>) -> bool {
    // The sender goes away with the task, also when that panics.
    outcome.has_changed().is_ok() && outcome.borrow().is_none()
}

#[cfg(test)]
mod tests;
