//! The one layer that repeats calls. What may be repeated is decided in [`decision`], purely;
//! here that decision is given its facts and carried out.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::retry::Policy;

use self::{
    budget::Budget,
    decision::{Decision, Seen, Situation, decide},
};
use super::{
    answer::{Answer, Failure},
    call::{Call, Kind},
};
use crate::{clock::Random, metrics::Metrics};

pub(super) mod backoff;
mod budget;
mod decision;

/// The retry policy of one host. Jitter is drawn anew for every pause: a generator kept in the
/// policy would be cloned with it and give every call the same pauses.
#[derive(Clone)]
pub(super) struct RetryPolicy {
    budget: Arc<Mutex<Budget>>,
    random: Arc<dyn Random>,
    shutdown: CancellationToken,
    metrics: Arc<Metrics>,
}

impl RetryPolicy {
    /// A policy with a budget of its own.
    pub(super) fn new(
        random: Arc<dyn Random>,
        shutdown: CancellationToken,
        metrics: Arc<Metrics>,
    ) -> Self {
        let budget = Arc::new(Mutex::new(Budget::new(Instant::now())));
        Self { budget, random, shutdown, metrics }
    }

    fn decide(&self, call: &Call, seen: Seen) -> Decision {
        let now = Instant::now();
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if call.attempt == 1 && seen != Seen::HeldBack {
            budget.first_try(now);
        }
        let decision = decide(Situation {
            kind: call.kind(),
            seen,
            attempt: call.attempt,
            left: call.ctx.deadline.saturating_duration_since(now),
            budget: budget.has_one(now),
            backoff: backoff::delay(backoff::BASE, call.attempt, self.random.unit()),
        });
        if let Decision::Resend(_) = decision {
            budget.take_one(now);
        }
        decision
    }

    /// Waits; the end of the service cuts it short, also one that came before, and
    /// [`super::recheck`] then stops the call, unless it is to outlast that.
    fn pause(&self, call: &mut Call, pause: Duration) -> BoxFuture<'static, ()> {
        call.paused = true;
        call.ctx.usage.add_wait(pause);
        if call.ctx.outlasts_stop {
            return sleep(pause).boxed();
        }
        let shutdown = self.shutdown.clone();
        async move {
            // `Err` is the usual end: the time has passed.
            let _ = timeout(pause, shutdown.cancelled()).await;
        }
        .boxed()
    }
}

/// A last try that was certainly not carried out says nothing about the earlier ones: when one of
/// these may have set its values, the call as a whole may have. A refusal stands, because the same
/// request would have been refused before.
fn stay_unclear(call: &Call, last: Seen, result: &mut Result<Answer, Failure>) {
    if call.kind() == Kind::RoutingPatch && call.unclear && last.is_certainly_not_done() {
        let detail = "an earlier try brought no certain answer".to_owned();
        *result = Err(Failure::Broken(detail));
    }
}

impl Policy<Call, Answer, Failure> for RetryPolicy {
    type Future = BoxFuture<'static, ()>;

    fn retry(
        &mut self,
        call: &mut Call,
        result: &mut Result<Answer, Failure>,
    ) -> Option<Self::Future> {
        let seen = Seen::of(result, call.reauthorized);
        let decision = self.decide(call, seen);
        if !matches!(decision, Decision::Keep) {
            self.metrics.retried(call.operation);
        }
        call.attempt += 1;
        call.throttled |= matches!(seen, Seen::Throttled { .. });
        call.reauthorized |= matches!(seen, Seen::Unauthorized { .. });
        match decision {
            Decision::Keep => {
                stay_unclear(call, seen, result);
                None
            }
            Decision::Replay => Some(std::future::ready(()).boxed()),
            Decision::Resend(pause) => {
                call.unclear |= !seen.is_certainly_not_done();
                Some(self.pause(call, pause))
            }
        }
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        Some(call.clone())
    }
}
