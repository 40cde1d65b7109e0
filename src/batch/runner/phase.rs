//! What the runner of a batch does next, by what became of its items. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    batch::{
        item::ItemResult,
        send_order::Gone,
        trouble::{Pauses, Trouble},
    },
    problem::Problem,
};

/// Items in flight at once.
pub(super) const IN_FLIGHT: usize = 8;

/// So many items in a row with trouble of their own have the trouble of all.
const FAILURES: u32 = 3;

/// A pause of this length or more is told to callers.
const WORTH_TELLING: Duration = Duration::from_secs(5);

const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// What a runner is about.
#[derive(Debug)]
pub(super) enum Phase {
    /// Items are begun as there is room.
    Running,
    /// Several items failed in a row: one at a time, until one gets through.
    Probing,
    /// Nothing is begun until then.
    Paused { until: Instant, why: Box<Problem>, told: bool },
    /// An item could not be taken: the record says whether the batch was stopped.
    Doubting,
    /// Nothing is begun any more.
    Closing(Close),
}

/// Why a runner ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// All is done.
    Finished,
    /// A caller stopped the batch.
    Cancelled,
    /// The service stops, or another process has the batch.
    Gone,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Begin an item, find more, or wait for one.
    Work,
    /// Wait for all that may come back, then begin again in order.
    Regroup,
    /// See in the record whether the batch is still running and ours.
    CheckRecord,
    /// Begin nothing before.
    Rest(Instant),
    /// End.
    Close(Close),
}

/// Decides what a runner does.
#[derive(Debug)]
pub(super) struct Control {
    phase: Phase,
    /// Consecutive failures: items with trouble of their own, or of unknown outcome.
    failures: u32,
    /// An item stays behind: those behind it come back.
    regroup: bool,
    pauses: Pauses,
}

impl Default for Control {
    fn default() -> Self {
        let pauses = Pauses::default();
        Self { phase: Phase::Running, failures: 0, regroup: false, pauses }
    }
}

impl Control {
    /// The next step at `now`.
    pub(super) fn step(&mut self, now: Instant) -> NextStep {
        match self.phase {
            Phase::Closing(close) => NextStep::Close(close),
            Phase::Doubting => NextStep::CheckRecord,
            _ if self.regroup => NextStep::Regroup,
            Phase::Paused { until, .. } if now < until => NextStep::Rest(until),
            Phase::Paused { .. } => {
                self.phase = if self.is_failing() { Phase::Probing } else { Phase::Running };
                NextStep::Work
            }
            Phase::Running | Phase::Probing => NextStep::Work,
        }
    }

    /// An item is back.
    pub(super) fn came_back(&mut self, result: &ItemResult, now: Instant) {
        match result {
            ItemResult::Taken => self.got_through(),
            ItemResult::GivenUp | ItemResult::Later | ItemResult::Again => {}
            ItemResult::Unclear(trouble) => {
                self.pause(trouble, now);
                self.failed();
            }
            ItemResult::Halted => self.regroup = true,
            ItemResult::Trouble(trouble) => {
                if !trouble.own || self.failed() {
                    self.regroup = true;
                    self.pause(trouble, now);
                }
            }
            ItemResult::Stopped => self.doubt(),
        }
    }

    /// Whether several in a row have failed, as far as `self` knows.
    pub(super) fn is_failing(&self) -> bool {
        self.failures >= FAILURES
    }

    fn failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.is_failing() && matches!(self.phase, Phase::Running) {
            self.phase = Phase::Probing;
        }
        self.is_failing()
    }

    fn got_through(&mut self) {
        self.pauses = Pauses::default();
        self.failures = 0;
        if matches!(self.phase, Phase::Probing) {
            self.phase = Phase::Running;
        }
    }

    /// Begins nothing until `trouble` may be over.
    pub(super) fn pause(&mut self, trouble: &Trouble, now: Instant) {
        let (until, told) = match &self.phase {
            Phase::Closing(_) | Phase::Doubting => return,
            Phase::Paused { until, told, .. } if *until > now => (Some(*until), *told),
            _ => (None, false),
        };
        let why = trouble.problem.clone();
        // Several in flight meet the same trouble: it counts once.
        if let (Some(until), None) = (until, trouble.pause) {
            self.phase = Phase::Paused { until, why, told };
            return;
        }
        let pause = trouble.pause.unwrap_or_else(|| self.pauses.next()).max(SHORTEST_PAUSE);
        let until = until.map_or(now + pause, |before| before.max(now + pause));
        self.phase = Phase::Paused { until, why, told: told || pause >= WORTH_TELLING };
    }

    /// How long to wait before what failed is tried again.
    pub(super) fn next_pause(&mut self) -> Duration {
        self.pauses.next()
    }

    /// Why it pauses, when callers are to be told.
    pub(super) fn told_pause(&self) -> Option<&Problem> {
        match &self.phase {
            Phase::Paused { why, told: true, .. } => Some(why),
            _ => None,
        }
    }

    /// The store did not take an item.
    pub(super) fn doubt(&mut self) {
        if self.closing().is_none() {
            self.phase = Phase::Doubting;
        }
    }

    /// Ends; the last word counts.
    pub(super) fn close(&mut self, why: Close) {
        self.phase = Phase::Closing(why);
    }

    /// Why it ends, if it does.
    pub(super) fn closing(&self) -> Option<Close> {
        match self.phase {
            Phase::Closing(why) => Some(why),
            _ => None,
        }
    }

    /// All that might come back are back.
    pub(super) fn regrouped(&mut self) {
        self.regroup = false;
    }

    /// Whether an item that was admitted may be begun.
    pub(super) fn is_undisturbed(&self) -> bool {
        !self.regroup && !matches!(self.phase, Phase::Doubting | Phase::Closing(_))
    }

    /// Whether one more item may be begun beside `in_flight`, of which so many are `gone`.
    pub(super) fn has_room(&self, in_flight: usize, gone: Gone) -> bool {
        if self.is_failing() { in_flight <= gone.taken } else { in_flight < IN_FLIGHT }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    fn trouble(seconds: Option<u64>, own: bool) -> Trouble {
        let problem = Box::new(Problem::new(Code::GenesysUnavailable, "It is away."));
        Trouble { problem, pause: seconds.map(Duration::from_secs), own }
    }

    fn own() -> ItemResult {
        ItemResult::Trouble(trouble(None, true))
    }

    fn of_all(seconds: u64) -> ItemResult {
        ItemResult::Trouble(trouble(Some(seconds), false))
    }

    /// The name of the phase, and whether it is time to regroup.
    fn seen(control: &Control) -> (&'static str, bool) {
        let name = match control.phase {
            Phase::Running => "running",
            Phase::Probing => "probing",
            Phase::Paused { told: true, .. } => "paused, told",
            Phase::Paused { .. } => "paused",
            Phase::Doubting => "doubting",
            Phase::Closing(_) => "closing",
        };
        (name, control.regroup)
    }

    #[tokio::test(start_paused = true)]
    async fn every_result_leads_to_its_phase() {
        let unclear = || ItemResult::Unclear(trouble(None, false));
        for (results, expected) in [
            (vec![], ("running", false)),
            (vec![ItemResult::Taken], ("running", false)),
            (vec![ItemResult::GivenUp, ItemResult::Later], ("running", false)),
            (vec![ItemResult::Again], ("running", false)),
            (vec![own(), own()], ("running", false)),
            (vec![own(), own(), own()], ("paused", true)),
            (vec![own(), own(), ItemResult::Taken, own(), own()], ("running", false)),
            (vec![ItemResult::Halted], ("running", true)),
            (vec![of_all(1)], ("paused", true)),
            (vec![of_all(5)], ("paused, told", true)),
            (vec![of_all(5), of_all(1)], ("paused, told", true)),
            (vec![unclear()], ("paused", false)),
            (vec![ItemResult::Stopped], ("doubting", false)),
            (vec![ItemResult::Stopped, of_all(5)], ("doubting", true)),
        ] {
            let mut control = Control::default();
            for result in &results {
                control.came_back(result, Instant::now());
            }
            assert_eq!(seen(&control), expected, "{results:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_in_probing_until_one_gets_through() {
        let (mut control, start) = (Control::default(), Instant::now());
        for _ in 0..3 {
            control.came_back(&own(), start);
        }
        assert_eq!(control.step(start), NextStep::Regroup);
        control.regrouped();
        let NextStep::Rest(until) = control.step(start) else { panic!("{control:?}") };
        assert_eq!(control.step(until), NextStep::Work);
        assert_eq!(seen(&control), ("probing", false));
        assert!(control.has_room(0, Gone::default()) && !control.has_room(1, Gone::default()));
        assert!(control.has_room(1, Gone { taken: 1, unclear: 0 }));
        control.came_back(&ItemResult::Taken, until);
        assert_eq!(seen(&control), ("running", false));
        assert!(control.has_room(IN_FLIGHT - 1, Gone::default()));
        assert!(!control.has_room(IN_FLIGHT, Gone::default()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_trouble_of_several_items_pauses_once_and_a_longer_one_longer() {
        let (mut control, start) = (Control::default(), Instant::now());
        for (seconds, expected) in [(None, 1), (None, 1), (Some(7), 7), (Some(3), 7), (None, 7)] {
            control.pause(&trouble(seconds, false), start);
            let expected = NextStep::Rest(start + Duration::from_secs(expected));
            assert_eq!(control.step(start), expected, "{seconds:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_closes_is_not_paused_or_doubted_and_the_last_word_counts() {
        let (mut control, now) = (Control::default(), Instant::now());
        control.close(Close::Finished);
        control.doubt();
        control.pause(&trouble(None, false), now);
        assert_eq!(control.step(now), NextStep::Close(Close::Finished));
        control.close(Close::Gone);
        assert_eq!(control.step(now), NextStep::Close(Close::Gone));
        assert!(!control.is_undisturbed());
    }
}
