//! The circuit breaker layer: while a host is down, calls fail at once instead of queueing up
//! behind timeouts. One per host; see [`core`] for when it opens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tower::ServiceExt;

use self::core::{Core, Outcome, Pass, Refused};
use super::{
    answer::{Answer, Failure},
    call::{Call, Kind, Operation},
    layer::Next,
};
use crate::{
    metrics::{BreakerReading, Host, Metrics},
    transfer::gateway::GatewayError,
};

mod core;

/// The breaker of one host, shared by all calls to it.
#[derive(Clone)]
pub(super) struct Breaker {
    host: Host,
    core: Arc<Mutex<Core>>,
    metrics: Arc<Metrics>,
}

impl Breaker {
    /// A closed breaker for `host`.
    pub(super) fn new(host: Host, metrics: Arc<Metrics>) -> Self {
        Self { host, core: Arc::new(Mutex::new(Core::new(Instant::now()))), metrics }
    }

    /// Its state now.
    pub(super) fn reading(&self) -> BreakerReading {
        BreakerReading { host: self.host, state: self.lock().state(Instant::now()) }
    }

    const fn name(&self) -> &'static str {
        match self.host {
            Host::Api => "Genesys API host",
            Host::Login => "Genesys login host",
        }
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a probe is due, so that a command should be preceded by a read.
    pub(super) fn wants_probe(&self) -> bool {
        self.lock().wants_probe(Instant::now())
    }

    /// Why calls are refused now, if they are.
    pub(super) fn trouble(&self) -> Option<String> {
        let wait = self.lock().open_until(Instant::now())?;
        Some(format!("the {} does not answer; next try in {} s", self.name(), wait.as_secs() + 1))
    }

    fn enter(&self, call: &Call) -> Result<Permit, Failure> {
        let now = Instant::now();
        let entered = match call.kind() {
            Kind::Read if call.ctx.insists => Ok(self.lock().enter_anyway(now)),
            // The probe is a read or a token request: a command must not be what finds out.
            kind => self.lock().enter(now, matches!(kind, Kind::Read | Kind::Token)),
        };
        match entered {
            Ok(pass) => Ok(Permit { breaker: self.clone(), pass, outcome: Outcome::Nothing }),
            Err(Refused(retry_after)) => Err(Failure::HeldBack(GatewayError::Unavailable {
                retry_after,
                detail: format!(
                    "the {} failed repeatedly and is given time to recover",
                    self.name()
                ),
            })),
        }
    }
}

/// Leave to call; reports on drop, so that a call that is cut off does not hold the probe's place.
struct Permit {
    breaker: Breaker,
    pass: Pass,
    outcome: Outcome,
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.breaker.lock().record(Instant::now(), self.pass, self.outcome) {
            self.breaker.metrics.breaker_opened(self.breaker.host);
        }
    }
}

/// Asks the breaker before the call and tells it the outcome.
pub(super) async fn guard(breaker: Breaker, call: Call, next: Next) -> Result<Answer, Failure> {
    let mut permit = breaker.enter(&call)?;
    let listed = call.operation == Operation::ListQueues;
    let result = next.oneshot(call).await;
    permit.outcome = match outcome(&result) {
        // The queue list is fetched again and again, and what it is needed for waits for it anyway:
        // a page that fails alone must not stop the calls that do without.
        Outcome::Bad if listed => Outcome::Nothing,
        outcome => outcome,
    };
    result
}

fn outcome(result: &Result<Answer, Failure>) -> Outcome {
    match result {
        Ok(answer) if answer.status() == 429 => Outcome::Nothing,
        Ok(answer) if answer.status() >= 500 => Outcome::Bad,
        Ok(_) | Err(Failure::Unreadable { .. }) => Outcome::Good,
        Err(Failure::NothingLeft(_) | Failure::Broken(_) | Failure::Garbled(_)) => Outcome::Bad,
        // The caller had less time than a slow answer may take: no fault of the host.
        Err(Failure::Late(_) | Failure::HeldBack(_) | Failure::Abandoned(_)) => Outcome::Nothing,
    }
}
