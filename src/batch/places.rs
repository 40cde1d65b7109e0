//! The order in which calls are served, before and after a drain. Pure.
//!
//! Genesys serves by score: the time a call came to its queue, less a minute for each point of
//! priority; the lowest first. A move restarts the time; `keepPlace` gives it back in whole
//! minutes. The odd seconds would let a call get ahead of one that stood before it, by up to a
//! minute, so a call is given fewer minutes where that is needed.

use jiff::{SignedDuration, Timestamp};

use crate::transfer::{
    clock_offset::ClockOffset,
    model::{Status, Transfer},
};

const MINUTE: i64 = 60_000;

/// A command takes effect within this time after it was answered, as far as another call's place
/// depends on it.
const EFFECT: SignedDuration = SignedDuration::from_secs(5);

/// Longest between the record of a transfer and the answer to its command, as a rule.
const LONGEST_COMMAND: SignedDuration = SignedDuration::from_secs(10);

/// A year in minutes: no call waits longer.
const LONGEST_WAIT: i64 = 525_600;

/// Where a call stood in the queue it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueStanding {
    /// Since when it waits, by Genesys' clock.
    pub(super) since: Timestamp,
    /// What the minutes are added to.
    pub(super) base: i64,
}

impl QueueStanding {
    fn score(self) -> i64 {
        self.since.as_millisecond().saturating_sub(self.base.saturating_mul(MINUTE))
    }
}

/// A call that was given a place in the target queue.
#[derive(Debug, Clone, Copy)]
struct Given {
    standing: QueueStanding,
    priority: i64,
    /// When its command was answered.
    by: Timestamp,
    /// Whether since when it waited is only guessed from the record, by our clock.
    recalled: bool,
}

impl Given {
    /// Whether it was served before `call`. Longer waiting ones are moved first, so of one priority
    /// it was, unless something better is known.
    fn stood_before(&self, call: QueueStanding, clock: ClockOffset) -> bool {
        if !self.recalled {
            return self.standing.score() <= call.score();
        }
        let since = clock.theirs(self.standing.since);
        let standing = QueueStanding { since, ..self.standing };
        standing.base == call.base || standing.score() <= call.score()
    }
}

/// The calls of one drain that have their places.
#[derive(Debug, Default)]
pub(super) struct PlaceOrder(Vec<Given>);

impl PlaceOrder {
    /// A call was moved; it has `priority` in the target queue, where it came no later than `by`.
    pub(super) fn give(&mut self, standing: QueueStanding, priority: i64, by: Timestamp) {
        self.0.push(Given { standing, priority, by, recalled: false });
    }

    /// As [`PlaceOrder::give`] for a transfer in the record, made by an earlier process.
    pub(super) fn recall(&mut self, transfer: &Transfer) {
        let moved = !matches!(transfer.stage.status(), Status::Failed | Status::Skipped);
        let (Some(priority), Some(waited)) = (transfer.priority, transfer.waited_minutes) else {
            return;
        };
        if !moved {
            return;
        }
        let priority = i64::from(priority.get());
        let by = transfer.created_at.saturating_add(LONGEST_COMMAND).unwrap_or(Timestamp::MAX);
        let ago = SignedDuration::from_mins(waited.clamp(0, LONGEST_WAIT));
        let since = transfer.created_at.saturating_sub(ago).unwrap_or(Timestamp::MIN);
        let standing = QueueStanding { since, base: priority.saturating_sub(waited) };
        let by = by.min(transfer.updated_at);
        self.0.push(Given { standing, priority, by, recalled: true });
    }

    /// Most minutes that may be added for a call moved at `now`, by our clock, without getting it
    /// ahead of one that stood before it.
    pub(super) fn most_minutes(
        &self,
        standing: QueueStanding,
        now: Timestamp,
        clock: ClockOffset,
    ) -> i64 {
        let before = self.0.iter().filter(|given| given.stood_before(standing, clock));
        let most = before.map(|given| given.priority.saturating_add(minutes_since(given.by, now)));
        most.min().map_or(i64::MAX, |priority| priority.saturating_sub(standing.base).max(0))
    }
}

/// Points that make up for coming so much later.
fn minutes_since(by: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(by).checked_sub(EFFECT).map_or(0, |late| late.as_mins().max(0))
}

#[cfg(test)]
mod tests;
