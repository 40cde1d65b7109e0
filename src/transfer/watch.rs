//! Looking at a conversation again and again to learn what became of a command.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Transfers,
    evidence::{self, Before, Finding, Seen},
    gateway::{CallContext, Lane},
    model::Transfer,
};

/// When a conversation is looked at after a command of unclear outcome: at these times after the
/// answer, and then at twice the time of the look before.
const FIRST_LOOK: Duration = Duration::from_millis(250);

/// A complete 500 or 503 is looked after until this time, then Genesys has had its chance.
const LAST_LOOK_AFTER_5XX: Duration = Duration::from_secs(4);

/// Longest pause between two looks while a caller waits for the answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How long one look may take.
const LOOK_TIME: Duration = Duration::from_secs(4);

/// The times to look at, as distances from the start: 0.25 s, 0.5 s, 1 s, 2 s, 4 s, then every
/// `longest`.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    next: Duration,
    longest: Duration,
}

impl Schedule {
    pub(super) const fn new(longest: Duration) -> Self {
        Self { next: FIRST_LOOK, longest }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.next;
        self.next = now + now.min(self.longest);
        Some(now)
    }
}

/// One look; `None` when the conversation could not be read, or not what counts of it.
pub(super) async fn look(
    transfers: &Transfers,
    transfer: &Transfer,
    ctx: &CallContext,
) -> Option<Seen> {
    let deadline = ctx.deadline.min(Instant::now() + LOOK_TIME);
    let ctx = ctx.until(deadline);
    let id = transfer.request.conversation_id;
    match transfers.gateway.conversation(&ctx, id).await {
        Ok(conversation) => evidence::judge(&conversation, before(transfer)),
        Err(error) => {
            tracing::debug!(transfer_id = %transfer.id, ?error, "could not check what became of the transfer");
            None
        }
    }
}

/// Looks after a complete 500 or 503: five times in four seconds, less when something certain
/// shows earlier. `Unclear` when the deadline cut it short or a look failed. The host answers,
/// so that the looks are made whatever the circuit breaker says: a storm of 5xx must not hide
/// what became of each command.
pub(super) async fn watch_after_5xx(
    transfers: &Transfers,
    transfer: &Transfer,
    ctx: &CallContext,
) -> Finding {
    let ctx = &ctx.in_lane(Lane::Settling).insisting();
    let looks = Schedule::new(LONGEST_PAUSE).take_while(|at| *at <= LAST_LOOK_AFTER_5XX);
    let mut seen = Vec::new();
    let start = Instant::now();
    for at in looks {
        if !transfers.pause_until(start + at, ctx.deadline).await {
            return Finding::Unclear;
        }
        let look = look(transfers, transfer, ctx).await;
        seen.push(look);
        if matches!(look, Some(Seen::Moved | Seen::Ended)) {
            break;
        }
    }
    Finding::of(&seen)
}

/// Looks until something certain shows or `until` comes.
pub(super) async fn watch(
    transfers: &Transfers,
    transfer: &Transfer,
    ctx: &CallContext,
    until: Instant,
    longest_pause: Duration,
) -> Finding {
    let start = Instant::now();
    let mut elsewhere_before = false;
    for at in Schedule::new(longest_pause) {
        if !transfers.pause_until(start + at, until).await {
            return Finding::Unclear;
        }
        let look = look(transfers, transfer, ctx).await;
        match look {
            Some(Seen::Moved) => return Finding::Moved,
            Some(Seen::Ended) => return Finding::Ended,
            // Our own move may show its first half a moment before the second.
            Some(Seen::MovedElsewhere) if elsewhere_before => return Finding::MovedElsewhere,
            _ => elsewhere_before = look == Some(Seen::MovedElsewhere),
        }
        crate::failpoint!(AfterVainLook);
    }
    Finding::Unclear
}

/// As [`watch`], for an answer that a caller waits for.
pub(super) async fn watch_in_request(
    transfers: &Transfers,
    transfer: &Transfer,
    ctx: &CallContext,
) -> Finding {
    watch(transfers, transfer, &ctx.in_lane(Lane::Settling), ctx.deadline, LONGEST_PAUSE).await
}

/// The state before the command, as the evidence rules need it.
fn before(transfer: &Transfer) -> Before<'_> {
    Before {
        picture: transfer.picture.as_ref(),
        leg: transfer.participant_id,
        target: transfer.queue.id,
        recorded_at: transfer.created_at,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn looks_are_at_the_times_the_rules_name() {
        let millis: Vec<u128> =
            Schedule::new(LONGEST_PAUSE).take(7).map(|at| at.as_millis()).collect();
        assert_eq!(millis, [250, 500, 1000, 2000, 4000, 8000, 12_000]);
    }

    #[test]
    fn background_looks_thin_out() {
        let seconds: Vec<u64> =
            Schedule::new(Duration::MAX).skip(4).take(6).map(|at| at.as_secs()).collect();
        assert_eq!(seconds, [4, 8, 16, 32, 64, 128]);
    }
}
