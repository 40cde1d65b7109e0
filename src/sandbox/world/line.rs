//! The line of one queue and medium, and how stale a look at it may be.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// Left rows one line remembers at most; the oldest go first.
const MAX_GHOSTS: usize = 10_000;

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
pub struct Row {
    /// Since when it waits.
    pub since: Timestamp,
    /// The conversation.
    pub conversation: Uuid,
}

/// The rows of an answer, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The rows that are shown.
    pub rows: Vec<Row>,
    /// How many there are.
    pub count: usize,
    /// Whether the middle is missing.
    pub truncated: bool,
}

#[derive(Debug, Clone)]
struct Ghost {
    row: Row,
    until: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeSet<Row>,
    ghosts: VecDeque<Ghost>,
}

impl Line {
    pub(super) fn enter(&mut self, since: Timestamp, conversation: Uuid) {
        self.waiting.insert(Row { since, conversation });
    }

    pub(super) fn leave(&mut self, since: Timestamp, conversation: Uuid) {
        self.waiting.remove(&Row { since, conversation });
    }

    pub(super) fn haunt(
        &mut self,
        since: Timestamp,
        conversation: Uuid,
        until: Timestamp,
        now: Timestamp,
    ) {
        self.ghosts.retain(|ghost| ghost.until > now);
        if self.ghosts.len() >= MAX_GHOSTS {
            self.ghosts.pop_front();
        }
        self.ghosts.push_back(Ghost { row: Row { since, conversation }, until });
    }

    /// Forgets what was shown of a conversation that left.
    pub(super) fn forget(&mut self, conversation: Uuid) {
        self.ghosts.retain(|ghost| ghost.row.conversation != conversation);
    }

    /// Whether nobody waits and nothing stale is shown.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.ghosts.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.waiting.iter().map(|row| row.conversation).collect()
    }

    pub(super) fn rows(&self, cap: usize, now: Timestamp) -> Rows {
        let ghosts: BTreeSet<Row> = self
            .ghosts
            .iter()
            .filter(|ghost| ghost.until > now)
            .map(|ghost| ghost.row)
            .filter(|row| !self.waiting.contains(row))
            .collect();
        let count = self.waiting.len() + ghosts.len();
        let truncated = count > cap;
        let rows = if ghosts.is_empty() {
            ends(self.waiting.iter().copied(), count, cap)
        } else {
            let all: BTreeSet<Row> = self.waiting.union(&ghosts).copied().collect();
            ends(all.iter().copied(), count, cap)
        };
        Rows { rows, count, truncated }
    }
}

/// All of `count` rows, or the first and the last half of `cap` when there are more.
fn ends(rows: impl DoubleEndedIterator<Item = Row> + Clone, count: usize, cap: usize) -> Vec<Row> {
    if count <= cap {
        return rows.collect();
    }
    let newest = cap / 2;
    let mut chosen: Vec<Row> = rows.clone().take(cap - newest).collect();
    let mut tail: Vec<Row> = rows.rev().take(newest).collect();
    tail.reverse();
    chosen.extend(tail);
    chosen
}
