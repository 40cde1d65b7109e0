//! The circuit breaker as a state machine over instants; no clock, no I/O.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    metrics::BreakerState,
    support::{Backoff, SlidingWindow},
};

/// Failures in a row that open it. Failures of calls that were under way together count once: it
/// may be one moment's trouble that all of them met.
const IN_A_ROW: u32 = 5;
/// Length of the window over which the success rate is taken, in steps of one second.
const WINDOW: usize = 30;
/// Calls there must be in the window before its rate counts.
const ENOUGH: u64 = 20;
/// How long it stays open, time after time.
const OPEN: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_mins(1));
/// No state has this number.
const NO_EPOCH: u64 = u64::MAX;
/// What callers are told while the probe is under way.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// What a call showed about the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// It answers: any status below 500, 429 aside.
    Good,
    /// Transport failure, timeout or 5xx.
    Bad,
    /// Nothing: it was never asked, or it said "not now" (429).
    Nothing,
}

/// Leave to call. The number tells a call that began before the last change of state, whose
/// outcome says nothing about the state now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    epoch: u64,
    /// How many failures had counted for the row when the call began.
    failures: u64,
}

/// No leave; with when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused(pub Duration);

#[derive(Debug)]
enum CircuitState {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// The breaker of one host.
#[derive(Debug)]
pub(super) struct Core {
    state: CircuitState,
    epoch: u64,
    /// How often it opened since it was last closed.
    openings: u32,
    in_a_row: u32,
    /// Failures that counted for a row, ever.
    failures: u64,
    good: SlidingWindow<WINDOW>,
    bad: SlidingWindow<WINDOW>,
}

impl Core {
    /// A closed breaker.
    pub(super) fn new(now: Instant) -> Self {
        let window = || SlidingWindow::new(Duration::from_secs(1), now);
        Self {
            state: CircuitState::Closed,
            epoch: 0,
            openings: 0,
            in_a_row: 0,
            failures: 0,
            good: window(),
            bad: window(),
        }
    }

    /// Asks to call. Only a call that may probe (never a command) gets through half-open.
    pub(super) fn enter(&mut self, now: Instant, may_probe: bool) -> Result<Pass, Refused> {
        if let CircuitState::Open { until } = self.state {
            if now < until {
                return Err(Refused(until - now));
            }
            self.become_(CircuitState::HalfOpen { probing: false });
        }
        match &mut self.state {
            CircuitState::HalfOpen { probing } if *probing || !may_probe => {
                Err(Refused(PROBE_WAIT))
            }
            CircuitState::HalfOpen { probing } => {
                *probing = true;
                Ok(self.pass())
            }
            CircuitState::Closed | CircuitState::Open { .. } => Ok(self.pass()),
        }
    }

    const fn pass(&self) -> Pass {
        Pass { epoch: self.epoch, failures: self.failures }
    }

    /// Leave for a call that is made in any state. While others are refused, what it shows does not
    /// count.
    pub(super) fn enter_anyway(&mut self, now: Instant) -> Pass {
        self.enter(now, true).unwrap_or(Pass { epoch: NO_EPOCH, failures: 0 })
    }

    /// Reports what a call showed; whether that opened it. Every [`Pass`] must come back here.
    pub(super) fn record(&mut self, now: Instant, pass: Pass, shown: Shown) -> bool {
        if pass.epoch != self.epoch {
            return false;
        }
        match (&mut self.state, shown) {
            (CircuitState::Closed, shown) => self.count(now, pass, shown),
            (CircuitState::HalfOpen { .. }, Shown::Good) => self.close(),
            (CircuitState::HalfOpen { .. }, Shown::Bad) => self.open(now),
            (CircuitState::HalfOpen { probing }, Shown::Nothing) => *probing = false,
            (CircuitState::Open { .. }, _) => {}
        }
        // Changing state ends the epoch, so it was not open before.
        matches!(self.state, CircuitState::Open { .. }) && pass.epoch != self.epoch
    }

    /// Whether a probe is due, so that a command should be preceded by a read.
    pub(super) fn wants_probe(&self, now: Instant) -> bool {
        match self.state {
            CircuitState::Closed => false,
            CircuitState::Open { until } => now >= until,
            CircuitState::HalfOpen { probing } => !probing,
        }
    }

    /// Whether calls are refused for now, and for how long.
    pub(super) fn open_until(&self, now: Instant) -> Option<Duration> {
        match self.state {
            CircuitState::Open { until } => {
                until.checked_duration_since(now).filter(|d| !d.is_zero())
            }
            CircuitState::Closed | CircuitState::HalfOpen { .. } => None,
        }
    }

    /// Whether calls are let through now.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            CircuitState::Closed => BreakerState::Closed,
            CircuitState::Open { until } if now < until => BreakerState::Open,
            CircuitState::Open { .. } | CircuitState::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn count(&mut self, now: Instant, pass: Pass, shown: Shown) {
        match shown {
            Shown::Nothing => return,
            Shown::Good => {
                self.good.add(now);
                self.in_a_row = 0;
            }
            Shown::Bad => {
                self.bad.add(now);
                // No failure counted since the call began.
                if pass.failures == self.failures {
                    self.failures += 1;
                    self.in_a_row += 1;
                }
            }
        }
        let (good, bad) = (self.good.sum(now), self.bad.sum(now));
        if self.in_a_row >= IN_A_ROW || (good + bad >= ENOUGH && good < bad) {
            self.open(now);
        }
    }

    fn open(&mut self, now: Instant) {
        self.openings = self.openings.saturating_add(1);
        self.become_(CircuitState::Open { until: now + OPEN.pause(self.openings) });
    }

    fn close(&mut self) {
        self.become_(CircuitState::Closed);
        (self.openings, self.in_a_row) = (0, 0);
        self.good.clear();
        self.bad.clear();
    }

    fn become_(&mut self, state: CircuitState) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests;
