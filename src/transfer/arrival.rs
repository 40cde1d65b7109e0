//! How long a moved call takes to show in its queue. Setting its priority earlier would only cost
//! a request, so the delay is learnt from the calls before.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::evidence::Seen;

/// What is assumed before anything was seen.
const FIRST_GUESS: Duration = Duration::from_millis(250);
/// Longest delay that is waited for beforehand.
const LONGEST_GUESS: Duration = Duration::from_secs(1);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// After this time a call that is not in the queue is taken to have been answered at once.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// The delay learnt so far; shared by all transfers.
#[derive(Debug)]
pub struct ArrivalDelay(AtomicU64);

impl Default for ArrivalDelay {
    fn default() -> Self {
        Self(AtomicU64::new(millis(FIRST_GUESS)))
    }
}

/// One call on its way to the queue.
#[derive(Debug)]
pub(super) struct ArrivalTimer {
    moved_at: Instant,
    next: Instant,
    pause: Duration,
    tries: u32,
    from_a_queue: bool,
}

impl ArrivalDelay {
    /// A call that was moved just now. One that waited in another queue takes its priority there,
    /// too, where the move may undo it: it is never tried earlier than the first guess, and says
    /// nothing about the delay.
    pub(super) fn begin(&self, from_a_queue: bool) -> ArrivalTimer {
        let now = Instant::now();
        let learnt = Duration::from_millis(self.0.load(Ordering::Relaxed));
        let guess = if from_a_queue { learnt.max(FIRST_GUESS) } else { learnt };
        let pause = Duration::from_millis(100);
        ArrivalTimer { moved_at: now, next: now + guess, pause, tries: 0, from_a_queue }
    }

    /// The call was found in the queue: at the first try means that it may be sooner, later means
    /// that the guess was too short.
    pub(super) fn learn(&self, arrival: &ArrivalTimer) {
        if arrival.from_a_queue && arrival.tries <= 1 {
            return;
        }
        let guess = self.0.load(Ordering::Relaxed);
        let better = if arrival.tries <= 1 {
            guess.saturating_mul(19) / 20
        } else {
            millis(arrival.moved_at.elapsed().min(LONGEST_GUESS)).max(guess)
        };
        self.0.store(better, Ordering::Relaxed);
    }
}

impl ArrivalTimer {
    /// When to try next.
    pub(super) fn next_try(&mut self) -> Instant {
        let at = self.next;
        self.tries += 1;
        self.next = at.max(Instant::now()) + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        at
    }

    /// Whether it has taken so long that the call must have left the queue.
    pub(super) fn is_given_up(&self) -> bool {
        self.moved_at.elapsed() >= GIVE_UP_AFTER
    }
}

/// What is known of a call that did not take its priority when it should have been in the queue.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    refused: u32,
    there: u32,
    gone: u32,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoutingStep {
    /// Set its priority.
    Set,
    /// Look again later.
    Wait,
    /// It is in no queue any more.
    GiveUp,
}

impl Evidence {
    /// It did not take its priority.
    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    /// Whether to look before the next try.
    pub(super) const fn is_asked_for(&self) -> bool {
        self.refused > 0
    }

    /// What a look tells, `None` when it failed. One that shows no way, or a call that came and
    /// takes nothing, may be in the middle of the move; two are not.
    pub(super) fn next(&mut self, seen: Option<Seen>) -> RoutingStep {
        match seen {
            Some(Seen::Moved) => {
                self.there += 1;
                if self.there > 2 { RoutingStep::GiveUp } else { RoutingStep::Set }
            }
            // Where it was it would take the priority, and lose it by the move.
            Some(Seen::Unmoved) => RoutingStep::Wait,
            Some(Seen::Changed) => {
                self.gone += 1;
                if self.gone > 1 { RoutingStep::GiveUp } else { RoutingStep::Wait }
            }
            Some(Seen::Ended | Seen::MovedElsewhere) => RoutingStep::GiveUp,
            None => RoutingStep::Set,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_found_at_the_first_try_shortens_the_guess() {
        let delay = ArrivalDelay::default();
        let mut arrival = delay.begin(false);
        tokio::time::sleep_until(arrival.next_try()).await;
        delay.learn(&arrival);
        assert!(delay.0.load(Ordering::Relaxed) < millis(FIRST_GUESS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_found_late_lengthens_the_guess_but_not_past_its_bound() {
        let delay = ArrivalDelay::default();
        let mut arrival = delay.begin(false);
        for _ in 0..6 {
            tokio::time::sleep_until(arrival.next_try()).await;
        }
        delay.learn(&arrival);
        assert_eq!(delay.0.load(Ordering::Relaxed), millis(LONGEST_GUESS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waited_before_is_never_tried_early_and_shortens_nothing() {
        let delay = ArrivalDelay(AtomicU64::new(1));
        let start = Instant::now();
        let mut arrival = delay.begin(true);
        assert_eq!(arrival.next_try() - start, FIRST_GUESS);
        delay.0.store(400, Ordering::Relaxed);
        delay.learn(&arrival);
        assert_eq!(delay.0.load(Ordering::Relaxed), 400);
        assert_eq!(delay.begin(true).next_try() - start, Duration::from_millis(400));
    }

    #[test]
    fn a_call_that_an_agent_answered_is_given_up_after_two_looks() {
        let mut evidence = Evidence::default();
        let nexts = [Seen::Unmoved, Seen::Changed, Seen::Changed].map(|it| evidence.next(Some(it)));
        assert_eq!(nexts, [RoutingStep::Wait, RoutingStep::Wait, RoutingStep::GiveUp]);
    }

    #[test]
    fn a_call_that_came_is_tried_twice_more() {
        let mut evidence = Evidence::default();
        let nexts = [Seen::Moved, Seen::Moved, Seen::Moved].map(|it| evidence.next(Some(it)));
        assert_eq!(nexts, [RoutingStep::Set, RoutingStep::Set, RoutingStep::GiveUp]);
    }

    #[test]
    fn a_call_that_is_over_or_elsewhere_is_given_up_and_a_failed_look_tells_nothing() {
        for (seen, next) in [
            (Some(Seen::Ended), RoutingStep::GiveUp),
            (Some(Seen::MovedElsewhere), RoutingStep::GiveUp),
            (None, RoutingStep::Set),
        ] {
            assert_eq!(Evidence::default().next(seen), next, "{seen:?}");
        }
    }
}
