//! What is in the way of a batch, whether it passes, and how long to wait for that.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    problem::{Code, Problem},
    transfer::{gateway::GatewayError, problems},
};

/// Credentials or permissions are not mended within seconds.
const UNTIL_MENDED: Duration = Duration::from_secs(30);

/// So often one call may be in trouble while others get through before it is given up.
pub(super) const MOST_LOOKS: u32 = 5;

/// The same where Genesys says that it may not be seen or moved.
pub(super) const MOST_REFUSALS: u32 = 2;

/// So often a call's command may be answered with 5xx, in vain, each time as a transfer of its own,
/// before it is given up, whatever becomes of others.
pub(super) const MOST_COMMANDS: u32 = 3;

/// A call in trouble of its own stands aside for this time, longer each time.
const ASIDE: Duration = Duration::from_secs(10);

/// And so long when no other call shows whether Genesys is well.
const LONGEST_TROUBLE: Duration = Duration::from_mins(30);

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Something that may pass: the call waits, and with it all behind it.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    /// In the caller's words.
    pub(super) problem: Box<Problem>,
    /// How long to wait, when that is known.
    pub(super) pause: Option<Duration>,
    /// Whether it can be the call's own: an answer came, and it was no help.
    pub(super) own: bool,
}

impl Trouble {
    /// Whether a failed look passes; otherwise the problem it is for good.
    ///
    /// # Errors
    /// The problem that stays.
    pub(super) fn of(error: GatewayError) -> Result<Self, Box<Problem>> {
        let (pause, own) = match &error {
            GatewayError::RateLimited { retry_after, .. }
            | GatewayError::Unavailable { retry_after, .. } => (Some(*retry_after), false),
            GatewayError::DeadlineExceeded | GatewayError::ShuttingDown => (None, false),
            GatewayError::Failed(_)
            | GatewayError::Unreadable { .. }
            | GatewayError::Unclear { .. } => (None, true),
            GatewayError::CredentialsRejected(_) => (Some(UNTIL_MENDED), false),
            GatewayError::PermissionMissing { .. } => (Some(UNTIL_MENDED), true),
            GatewayError::NotFound(_) | GatewayError::Rejected(_) | GatewayError::Conflict(_) => {
                return Err(Box::new(problems::from_gateway(error)));
            }
        };
        Ok(Self { problem: Box::new(problems::from_gateway(error)), pause, own })
    }

    /// Whether a transfer that certainly did not happen may be tried again later; `answered` when
    /// its command was, or may have been, worked on.
    pub(super) fn of_command(problem: &Problem, answered: bool) -> Option<Self> {
        let (pause, own) = match problem.code {
            // Answered with a complete 500 or 503, and seen not to have moved ever since.
            Code::GenesysError if answered && problem.upstream.is_some() => (None, true),
            Code::GenesysPermissionMissing => (Some(UNTIL_MENDED), true),
            // Also of the second try after a 5xx: the first was seen to have had no effect.
            Code::GenesysRateLimited
            | Code::GenesysUnavailable
            | Code::DeadlineExceeded
            | Code::ShuttingDown
            | Code::StoreUnavailable => (problem.retry_after, false),
            Code::GenesysCredentialsRejected => (Some(UNTIL_MENDED), false),
            _ => return None,
        };
        let mut problem = Box::new(problem.clone());
        if answered {
            problem.retryable = Some(false);
        }
        Some(Self { problem, pause, own })
    }

    /// The store is away.
    pub(super) fn of_store(problem: Problem) -> Self {
        Self { pause: None, problem: Box::new(problem), own: false }
    }
}

/// Pauses that double, from a second to half a minute.
#[derive(Debug, Clone)]
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Pauses {
    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST_PAUSE);
        now
    }
}

/// How often one call was in trouble that can be its own.
#[derive(Debug, Clone, Default)]
pub(super) struct ConsecutiveFailures {
    count: u32,
    first: Option<Instant>,
    /// How many others had got through at the last one.
    others: u64,
}

impl ConsecutiveFailures {
    /// Counts one more of `most`, when `others` calls have got through so far. `true`: it is the
    /// call's own, and stays. `certainly`: it is the call's own without a look at others.
    pub(super) fn fail(&mut self, most: u32, others: u64, certainly: bool) -> bool {
        let now = Instant::now();
        let first = *self.first.get_or_insert(now);
        // While no other gets through, it is not this call's fault.
        if self.count == 0 || others > self.others || certainly {
            self.count += 1;
            self.others = others;
        }
        self.count >= most || now.duration_since(first) >= LONGEST_TROUBLE
    }

    /// How many counted.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// How long the call stands aside for what failed last.
    pub(super) fn aside(&self, trouble: &Trouble) -> Duration {
        trouble.pause.unwrap_or(ASIDE * self.count.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_is_given_up_when_others_get_through_and_it_does_not() {
        let mut failures = ConsecutiveFailures::default();
        let ends: Vec<bool> = (0..5).map(|others| failures.fail(5, others, false)).collect();
        assert_eq!(ends, [false, false, false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn while_none_gets_through_no_call_is_given_up_for_half_an_hour() {
        let mut failures = ConsecutiveFailures::default();
        assert!((0..100).all(|_| !failures.fail(5, 7, false)));
        tokio::time::advance(LONGEST_TROUBLE).await;
        assert!(failures.fail(5, 7, false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_certainly_the_calls_own_counts_without_the_others() {
        let mut failures = ConsecutiveFailures::default();
        let ends = [0; 3].map(|others| failures.fail(3, others, true));
        assert_eq!(ends, [false, false, true]);
    }
}
