//! The line of one queue and medium, and how stale a look at it may be.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Left rows one line remembers at most; the oldest go first.
const MAX_STALE: usize = 10_000;

/// How truthful the waiting-calls query is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Staleness {
    /// How long a row is still shown after its conversation left the line.
    pub lag: Duration,
    /// Every n-th row that leaves never goes away; 0 means none.
    pub ghost_every: u64,
}

impl Staleness {
    /// Until when the `nth` row that leaves is still shown; [`Timestamp::MAX`] means for ever.
    pub(super) fn shown_until(self, nth: u64, now: Timestamp) -> Option<Timestamp> {
        if self.ghost_every > 0 && nth.is_multiple_of(self.ghost_every) {
            return Some(Timestamp::MAX);
        }
        if self.lag.is_zero() {
            return None;
        }
        let lag = SignedDuration::try_from(self.lag).unwrap_or(SignedDuration::MAX);
        Some(now.saturating_add(lag).unwrap_or(Timestamp::MAX))
    }
}

/// One row of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitingRow {
    /// Since when it waits.
    pub since: Timestamp,
    /// The conversation.
    pub conversation: Uuid,
}

/// The rows of an answer, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingRows {
    /// The rows that are shown.
    pub rows: Vec<WaitingRow>,
    /// How many there are.
    pub count: usize,
    /// Whether the middle is missing.
    pub truncated: bool,
}

struct StaleRow {
    row: WaitingRow,
    until: Timestamp,
}

#[derive(Default)]
pub(super) struct WaitingLine {
    waiting: BTreeSet<WaitingRow>,
    stale: VecDeque<StaleRow>,
}

impl WaitingLine {
    pub(super) fn enter(&mut self, since: Timestamp, conversation: Uuid) {
        self.waiting.insert(WaitingRow { since, conversation });
    }

    pub(super) fn leave(&mut self, since: Timestamp, conversation: Uuid) {
        self.waiting.remove(&WaitingRow { since, conversation });
    }

    pub(super) fn keep_showing(
        &mut self,
        since: Timestamp,
        conversation: Uuid,
        until: Timestamp,
        now: Timestamp,
    ) {
        self.stale.retain(|row| row.until > now);
        if self.stale.len() >= MAX_STALE {
            self.stale.pop_front();
        }
        self.stale.push_back(StaleRow { row: WaitingRow { since, conversation }, until });
    }

    /// Forgets what was shown of a conversation that left.
    pub(super) fn forget(&mut self, conversation: Uuid) {
        self.stale.retain(|row| row.row.conversation != conversation);
    }

    /// Whether nothing waits and nothing stale is shown.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.stale.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.waiting.iter().map(|row| row.conversation).collect()
    }

    pub(super) fn rows(&self, cap: usize, now: Timestamp) -> WaitingRows {
        let stale: BTreeSet<WaitingRow> = self
            .stale
            .iter()
            .filter(|row| row.until > now)
            .map(|row| row.row)
            .filter(|row| !self.waiting.contains(row))
            .collect();
        let count = self.waiting.len() + stale.len();
        let truncated = count > cap;
        let rows = if stale.is_empty() {
            ends(self.waiting.iter().copied(), count, cap)
        } else {
            let all: BTreeSet<WaitingRow> = self.waiting.union(&stale).copied().collect();
            ends(all.iter().copied(), count, cap)
        };
        WaitingRows { rows, count, truncated }
    }
}

/// All of `count` rows, or the first and the last half of `cap` when there are more.
fn ends(
    rows: impl DoubleEndedIterator<Item = WaitingRow> + Clone,
    count: usize,
    cap: usize,
) -> Vec<WaitingRow> {
    if count <= cap {
        return rows.collect();
    }
    let newest = cap / 2;
    let mut chosen: Vec<WaitingRow> = rows.clone().take(cap - newest).collect();
    let mut tail: Vec<WaitingRow> = rows.rev().take(newest).collect();
    tail.reverse();
    chosen.extend(tail);
    chosen
}
