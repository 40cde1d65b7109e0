//! The circuit breaker as a state machine over instants; no clock, no I/O.

use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::BreakerState;

/// Failures in a row that open it. Failures of calls that were under way together count once: it
/// may be one moment's trouble that all of them met.
const IN_A_ROW: u32 = 5;
/// Length of the window over which the success rate is taken, in steps of one second.
const WINDOW: usize = 30;
/// Calls there must be in the window before its rate counts.
const ENOUGH: u32 = 20;
/// First time it stays open.
const SHORTEST: Duration = Duration::from_secs(5);
/// Longest time it stays open.
const LONGEST: Duration = Duration::from_mins(1);
/// No state has this number.
const NO_EPOCH: u64 = u64::MAX;
/// What callers are told while the probe is under way.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// What a call showed about the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
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

#[derive(Debug, Clone, Copy, Default)]
struct Step {
    good: u32,
    bad: u32,
}

#[derive(Debug)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// The breaker of one host.
#[derive(Debug)]
pub(super) struct Core {
    state: State,
    epoch: u64,
    open_for: Duration,
    in_a_row: u32,
    /// Failures that counted for a row, ever.
    failures: u64,
    steps: [Step; WINDOW],
    newest: u64,
    began: Instant,
}

impl Core {
    /// A closed breaker.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: State::Closed,
            epoch: 0,
            open_for: SHORTEST,
            in_a_row: 0,
            failures: 0,
            steps: [Step::default(); WINDOW],
            newest: 0,
            began: now,
        }
    }

    /// Asks to call. Only a call that may probe (never a command) gets through half-open.
    pub(super) fn enter(&mut self, now: Instant, may_probe: bool) -> Result<Pass, Refused> {
        if let State::Open { until } = self.state {
            if now < until {
                return Err(Refused(until - now));
            }
            self.become_(State::HalfOpen { probing: false });
        }
        match &mut self.state {
            State::HalfOpen { probing } if *probing || !may_probe => Err(Refused(PROBE_WAIT)),
            State::HalfOpen { probing } => {
                *probing = true;
                Ok(self.pass())
            }
            State::Closed | State::Open { .. } => Ok(self.pass()),
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
    pub(super) fn record(&mut self, now: Instant, pass: Pass, outcome: Outcome) -> bool {
        if pass.epoch != self.epoch {
            return false;
        }
        match (&mut self.state, outcome) {
            (State::Closed, outcome) => self.count(now, pass, outcome),
            (State::HalfOpen { .. }, Outcome::Good) => self.close(),
            (State::HalfOpen { .. }, Outcome::Bad) => self.open(now),
            (State::HalfOpen { probing }, Outcome::Nothing) => *probing = false,
            (State::Open { .. }, _) => {}
        }
        // Changing state ends the epoch, so it was not open before.
        matches!(self.state, State::Open { .. }) && pass.epoch != self.epoch
    }

    /// Whether a probe is due, so that a command should be preceded by a read.
    pub(super) fn wants_probe(&self, now: Instant) -> bool {
        match self.state {
            State::Closed => false,
            State::Open { until } => now >= until,
            State::HalfOpen { probing } => !probing,
        }
    }

    /// Whether calls are refused for now, and for how long.
    pub(super) fn open_until(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Open { until } => until.checked_duration_since(now).filter(|d| !d.is_zero()),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// Whether calls are let through now.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { until } if now < until => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn count(&mut self, now: Instant, pass: Pass, outcome: Outcome) {
        self.advance(now);
        let index = usize::try_from(self.newest % WINDOW as u64).unwrap_or_default();
        let Some(step) = self.steps.get_mut(index) else { return };
        match outcome {
            Outcome::Nothing => return,
            Outcome::Good => {
                step.good = step.good.saturating_add(1);
                self.in_a_row = 0;
            }
            Outcome::Bad => {
                step.bad = step.bad.saturating_add(1);
                // No failure counted since the call began.
                if pass.failures == self.failures {
                    self.failures += 1;
                    self.in_a_row += 1;
                }
            }
        }
        let good: u32 = self.steps.iter().map(|step| step.good).sum();
        let bad: u32 = self.steps.iter().map(|step| step.bad).sum();
        if self.in_a_row >= IN_A_ROW || (good + bad >= ENOUGH && good < bad) {
            self.open(now);
        }
    }

    fn advance(&mut self, now: Instant) {
        let current = now.saturating_duration_since(self.began).as_secs();
        let passed = current.saturating_sub(self.newest).min(WINDOW as u64);
        for step in 1..=passed {
            let index = usize::try_from((self.newest + step) % WINDOW as u64).unwrap_or_default();
            if let Some(step) = self.steps.get_mut(index) {
                *step = Step::default();
            }
        }
        if passed == WINDOW as u64 {
            self.steps = [Step::default(); WINDOW];
        }
        self.newest = self.newest.max(current);
    }

    fn open(&mut self, now: Instant) {
        self.become_(State::Open { until: now + self.open_for });
        self.open_for = (self.open_for * 2).min(LONGEST);
    }

    fn close(&mut self) {
        self.become_(State::Closed);
        self.open_for = SHORTEST;
        self.in_a_row = 0;
        self.steps = [Step::default(); WINDOW];
    }

    fn become_(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests;
