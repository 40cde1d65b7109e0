//! The circuit breaker: while a host is down, calls fail at once instead of queueing up
//! behind timeouts. One per host; see [`core`] for when it opens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use self::core::{Core, Pass, Refused, Shown};
use super::{
    attempt::Attempt,
    call::{CallKind, Operation, UpstreamRequest},
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

    /// Leave to make a request.
    ///
    /// # Errors
    /// While the host is given time to recover.
    pub(super) fn enter(&self, request: &UpstreamRequest<'_>) -> Result<Permit<'_>, GatewayError> {
        let now = Instant::now();
        let entered = match request.kind() {
            CallKind::Read if request.ctx.insists => Ok(self.lock().enter_anyway(now)),
            // The probe is a read or a token request: a command must not be what finds out.
            kind => self.lock().enter(now, matches!(kind, CallKind::Read | CallKind::Token)),
        };
        // The queue list is fetched again and again, and what it is needed for waits for it anyway:
        // a page that fails alone must not stop the calls that do without.
        let counts = request.operation != Operation::ListQueues;
        match entered {
            Ok(pass) => Ok(Permit { breaker: self, pass, counts, shown: Shown::Nothing }),
            Err(Refused(retry_after)) => Err(GatewayError::Unavailable {
                retry_after,
                detail: format!(
                    "the {} failed repeatedly and is given time to recover",
                    self.name()
                ),
            }),
        }
    }
}

/// Leave to make a request; reports on drop, so that a call that is cut off does not hold the
/// probe's place.
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    pass: Pass,
    /// Whether a failure counts against the host.
    counts: bool,
    shown: Shown,
}

impl Permit<'_> {
    /// Notes what the request showed about the host.
    pub(super) fn saw<T>(&mut self, attempt: &Attempt<T>) {
        self.shown = match attempt {
            Attempt::Status { answer, .. } if answer.status == 429 => Shown::Nothing,
            Attempt::Status { answer, .. } if answer.status >= 500 => Shown::Bad,
            Attempt::Done { .. } | Attempt::Status { .. } | Attempt::Unreadable { .. } => {
                Shown::Good
            }
            Attempt::NothingLeft(_) | Attempt::Broken(_) | Attempt::Garbled(_) => Shown::Bad,
            // The caller had less time than a slow answer may take: no fault of the host.
            Attempt::Late(_) | Attempt::HeldBack(_) => Shown::Nothing,
        };
        if self.shown == Shown::Bad && !self.counts {
            self.shown = Shown::Nothing;
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.breaker.lock().record(Instant::now(), self.pass, self.shown) {
            self.breaker.metrics.breaker_opened(self.breaker.host);
        }
    }
}
