//! The layer that repeats reads, token requests and changes of absolute values. What may be repeated
//! is said by [`Attempt::repeat`]; here stands whether tries, time and budget are left for it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::retry::Policy;

use super::{
    attempt::Attempt,
    call::{CallKind, UpstreamRequest},
    reading::BodyReader,
};
use crate::{
    clock::Random,
    metrics::Metrics,
    support::{Backoff, SlidingWindow},
    transfer::{class::Class, gateway::Repeat},
};

/// First ceiling of the pause after an ordinary failure.
pub(super) const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// One call on its way through the stack; a repeat copies it, which costs nothing.
pub(super) struct Call<'a, T> {
    /// What goes out with each try.
    pub request: &'a UpstreamRequest<'a>,
    /// How a good answer is read.
    pub read: &'a BodyReader<'a, T>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Whether this try follows a pause.
    pub paused: bool,
    /// Whether an earlier try had a 401 and got a fresh token for it.
    pub fresh_token: bool,
    /// Whether an earlier try may have been carried out.
    pub unclear: bool,
}

impl<'a, T> Call<'a, T> {
    /// The call's try number `attempt`.
    pub(super) const fn new(
        request: &'a UpstreamRequest<'a>,
        read: &'a BodyReader<'a, T>,
        attempt: u32,
    ) -> Self {
        Self { request, read, attempt, paused: false, fresh_token: false, unclear: false }
    }
}

impl<T> Clone for Call<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Call<'_, T> {}

/// The repeats to one host. Jitter is drawn anew for every pause.
#[derive(Clone)]
pub(super) struct Retries(Arc<RetriesInner>);

struct RetriesInner {
    budget: Mutex<Budget>,
    random: Arc<dyn Random>,
    shutdown: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Retries {
    /// A policy with a budget of its own; `shutdown` ends pauses.
    pub(super) fn new(
        random: Arc<dyn Random>,
        shutdown: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        let budget = Mutex::new(Budget::new(Instant::now()));
        Self(Arc::new(RetriesInner { budget, random, shutdown, metrics }))
    }

    /// The back-off after try number `attempt`.
    pub(super) fn backoff(&self, attempt: u32) -> Duration {
        BACKOFF.jittered(attempt, self.0.random.unit())
    }

    /// Counts the first try of a call, unless this service held it back.
    pub(super) fn tried<T>(&self, attempt: u32, came: &Attempt<T>) {
        if attempt == 1 && !matches!(came, Attempt::HeldBack(_)) {
            self.budget(Budget::first_try);
        }
    }

    /// Pays for one repeat, if there is something left.
    pub(super) fn pay(&self) -> bool {
        self.budget(Budget::take_one)
    }

    /// Notes a request that is sent again.
    pub(super) fn repeats<T>(&self, call: &Call<'_, T>) {
        self.0.metrics.retried(call.request.operation);
    }

    /// Whether a call that waited must not go on, because the service ends.
    pub(super) fn is_over<T>(&self, call: &Call<'_, T>) -> bool {
        call.paused && self.0.shutdown.is_cancelled() && !call.request.ctx.outlasts_stop
    }

    fn budget<R>(&self, change: impl FnOnce(&mut Budget, Instant) -> R) -> R {
        let mut budget = self.0.budget.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut budget, Instant::now())
    }

    /// Waits; the end of the service cuts it short, also one that came before. The next try is then
    /// not let go ([`Retries::is_over`]).
    fn pause<T>(&self, call: &mut Call<'_, T>, pause: Duration) -> BoxFuture<'static, ()> {
        call.paused = true;
        call.request.ctx.usage.add_wait(pause);
        if call.request.ctx.outlasts_stop {
            return sleep(pause).boxed();
        }
        let shutdown = self.0.shutdown.clone();
        async move {
            // `Err` is the usual end: the time has passed.
            let _ = timeout(pause, shutdown.cancelled()).await;
        }
        .boxed()
    }
}

impl<'a, T> Policy<Call<'a, T>, Attempt<T>, Infallible> for Retries {
    type Future = BoxFuture<'static, ()>;

    fn retry(
        &mut self,
        call: &mut Call<'a, T>,
        result: &mut Result<Attempt<T>, Infallible>,
    ) -> Option<Self::Future> {
        let came = match result {
            Ok(came) => came,
            Err(never) => match *never {},
        };
        self.tried(call.attempt, came);
        let kind = call.request.kind();
        let left = call.request.ctx.deadline.saturating_duration_since(Instant::now());
        let fits = |pause: Duration| pause.saturating_add(kind.needs()) <= left;
        let wait = match came.repeat(kind, self.backoff(call.attempt)) {
            Repeat::FreshToken if !call.fresh_token && fits(Duration::ZERO) => {
                call.fresh_token = true;
                std::future::ready(()).boxed()
            }
            Repeat::After(pause) | Repeat::Throttled(pause)
                if call.attempt < kind.max_attempts() && fits(pause) && self.pay() =>
            {
                call.unclear |= came.class() != Class::A;
                self.pause(call, pause)
            }
            _ => {
                stay_unclear(call, came);
                return None;
            }
        };
        self.repeats(call);
        call.attempt += 1;
        Some(wait)
    }

    fn clone_request(&mut self, call: &Call<'a, T>) -> Option<Call<'a, T>> {
        Some(*call)
    }
}

/// A last try that was certainly not carried out says nothing about the earlier ones: when one of
/// these may have set its values, the call as a whole may have. A refusal stands, because the same
/// request would have been refused before.
fn stay_unclear<T>(call: &Call<'_, T>, last: &mut Attempt<T>) {
    if call.request.kind() == CallKind::RoutingPatch && call.unclear && last.class() == Class::A {
        *last = Attempt::Broken("an earlier attempt had no certain outcome".to_owned());
    }
}

/// Repeats in hand at start, and the most the floor saves up.
const IN_HAND: f64 = 10.0;
/// Repeats a second the floor allows.
const FLOOR: f64 = 1.0;
/// Repeats earned by one first try of the last minute.
const SHARE: f64 = 0.1;

/// Repeats are at most a tenth of first tries over a minute, with a floor of one a second, so that
/// a host in trouble is not buried by its callers. Two pots: the floor fills with time, the share
/// with first tries.
#[derive(Debug)]
struct Budget {
    floor: f64,
    share: f64,
    filled_at: Instant,
    firsts: SlidingWindow<6>,
}

impl Budget {
    /// A budget as at start.
    fn new(now: Instant) -> Self {
        let firsts = SlidingWindow::new(Duration::from_secs(10), now);
        Self { floor: IN_HAND, share: 0.0, filled_at: now, firsts }
    }

    /// Counts a first try.
    fn first_try(&mut self, now: Instant) {
        self.firsts.add(now);
        self.share += SHARE;
        self.advance(now);
    }

    /// Pays for one repeat, if it can be paid.
    fn take_one(&mut self, now: Instant) -> bool {
        self.advance(now);
        // The share first: the floor is there for when the share is empty.
        let pot = if self.share >= 1.0 { &mut self.share } else { &mut self.floor };
        let has_one = *pot >= 1.0;
        if has_one {
            *pot -= 1.0;
        }
        has_one
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer first tries than that")]
    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.floor = (self.floor + passed * FLOOR).min(IN_HAND);
        self.filled_at = now;
        self.share = self.share.min(SHARE * self.firsts.sum(now) as f64);
    }
}

#[cfg(test)]
mod tests;
