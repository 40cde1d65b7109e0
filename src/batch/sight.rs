//! What looks at a queue show of a drain's calls, and when the next one is due. Pure.
//!
//! A look shows at most a hundred rows; when more wait, they are the oldest and the newest half,
//! and moving the oldest uncovers the middle.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::transfer::{
    gateway::{WaitingCall, WaitingCalls},
    ids::ConversationId,
};

/// Pauses between looks that bring nothing new; the longer one after a minute of them.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONG_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LONG_BLOCKED: Duration = Duration::from_mins(1);

/// Pause between looks that show no call although some are missing.
const DOUBT: Duration = Duration::from_secs(5);

/// So many such looks are believed; the fewer when only few are missing.
const LOOKS: u32 = 3;
const FEWER_LOOKS: u32 = 2;

/// Up to one in so many may have gone, as callers do.
const ONE_IN: u32 = 20;

/// Rows in each half of a look that does not show all.
pub(super) const HALF_A_LOOK: usize = 50;

/// The rows that are certainly the longest waiting, at most `most`.
pub(super) fn oldest(look: &WaitingCalls, most: u32) -> &[WaitingCall] {
    let end = usize::try_from(most).unwrap_or(usize::MAX).min(oldest_end(look));
    look.rows.get(..end).unwrap_or_default()
}

/// The rows shown of the `most` longest waiting.
pub(super) fn first(look: &WaitingCalls, most: u32) -> impl Iterator<Item = &WaitingCall> {
    let end = oldest_end(look);
    let shown = u64::try_from(look.rows.len()).unwrap_or(u64::MAX);
    let hidden = if look.truncated { look.count.saturating_sub(shown) } else { 0 };
    (0_u64..).zip(&look.rows).filter_map(move |(index, row)| {
        let after_the_gap = usize::try_from(index).is_ok_and(|index| index >= end);
        let rank = if after_the_gap { index.saturating_add(hidden) } else { index };
        (rank < u64::from(most)).then_some(row)
    })
}

/// Where the rows end before which nothing is hidden.
fn oldest_end(look: &WaitingCalls) -> usize {
    if look.truncated { look.rows.len().div_ceil(2) } else { look.rows.len() }
}

/// The look without the calls that came later than `by`. Of one that does not show all, only the
/// oldest remain: how many of the hidden ones came earlier is not known.
pub(super) fn arrived_by(look: WaitingCalls, by: Timestamp) -> WaitingCalls {
    let end = oldest_end(&look);
    let mut rows = look.rows;
    rows.truncate(end);
    rows.retain(|row| row.since <= by);
    let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    WaitingCalls { count, truncated: false, rows, clock: look.clock }
}

/// How many wait without being shown.
pub(super) fn gap(look: &WaitingCalls) -> u64 {
    look.count.saturating_sub(u64::try_from(look.rows.len()).unwrap_or(u64::MAX))
}

/// Whether the look says that calls wait and shows none of them.
pub(super) fn shows_none(look: &WaitingCalls) -> bool {
    look.rows.is_empty() && gap(look) > 0
}

/// What a look brings a drain that knows some of its calls already.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// These were not known, longest wait first.
    New(Vec<WaitingCall>),
    /// The calls that were not seen yet may be among the hidden ones: the rows shown are of known calls,
    /// not moved yet or shown although they were, or cannot be read. Of the newest ones these were
    /// not known.
    Blocked(Vec<WaitingCall>),
    /// No other that waited when the drain began waits now.
    Nothing,
}

/// Sorts a look: calls that began to wait later than `by` did not wait when the drain began.
/// `missing` are those that did and were not seen yet.
pub(super) fn news(
    look: &WaitingCalls,
    by: Timestamp,
    known: &HashSet<ConversationId>,
    missing: u32,
    most: usize,
) -> News {
    let unknown = |rows: &[WaitingCall]| -> Vec<WaitingCall> {
        let new = |row: &&WaitingCall| row.since <= by && !known.contains(&row.conversation_id);
        rows.iter().filter(new).take(most).cloned().collect()
    };
    let (oldest, newest) = look.rows.split_at(oldest_end(look));
    let new = unknown(oldest);
    if !new.is_empty() {
        return News::New(new);
    }
    // Rows are in order: once one is later than the drain, so is everything hidden behind it.
    let reaches_the_end = oldest.last().is_some_and(|row| row.since > by);
    // A row that cannot be read may be of a missing call, wherever it stands.
    let unread = !look.truncated && missing > 0 && gap(look) > 0;
    if !unread && (!look.truncated || reaches_the_end) {
        return News::Nothing;
    }
    News::Blocked(unknown(newest))
}

/// What a drain has seen of its queue.
#[derive(Debug)]
pub(super) struct View {
    /// Whether more may wait than was shown; `None` before the first look.
    pub(super) hidden: Option<bool>,
    pub(super) next_look: Option<Instant>,
    pause: Duration,
    /// Since when there was nothing to do but to wait for rows to go away.
    blocked_since: Option<Instant>,
    /// Since when looks fail.
    pub(super) blind_since: Option<Instant>,
    /// Consecutive looks that showed no call.
    empty_looks: u32,
    /// How many of the missing calls, at most, may still wait at the end.
    pub(super) unseen: u32,
    /// How many calls waited at the last look that were not moved.
    pub(super) still_waiting: Option<u64>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            hidden: None,
            next_look: None,
            pause: FIRST_PAUSE,
            blocked_since: None,
            blind_since: None,
            empty_looks: 0,
            unseen: 0,
            still_waiting: None,
        }
    }
}

impl View {
    pub(super) fn look_later(&mut self) {
        self.next_look = Some(Instant::now() + self.pause);
        let long = self.blocked_since.is_some_and(|since| since.elapsed() >= LONG_BLOCKED);
        let longest = if long { LONGEST_PAUSE } else { LONG_PAUSE };
        self.pause = (self.pause * 2).min(longest);
    }

    pub(super) fn progress(&mut self, hidden: bool) {
        *self = Self { hidden: Some(hidden), ..Self::default() };
    }

    /// A look showed that calls are hidden.
    pub(super) fn blocked(&mut self) {
        self.hidden = Some(true);
        self.empty_looks = 0;
        self.look_later();
    }

    /// How long there was nothing to do but to wait for rows to go away, until now.
    pub(super) fn blocked_for(&mut self) -> Duration {
        self.blocked_since.get_or_insert_with(Instant::now).elapsed()
    }

    /// How long looks fail, until now.
    pub(super) fn blind_for(&mut self) -> Duration {
        self.blind_since.get_or_insert_with(Instant::now).elapsed()
    }

    /// A look showed no call, and none hidden, while `missing` of `total` were not seen yet.
    /// Whether that is believed: an answer can be wrong for a moment.
    pub(super) fn saw_none(&mut self, missing: u32, total: u32) -> bool {
        self.empty_looks = self.empty_looks.saturating_add(1);
        let needed = match missing {
            0 => 1,
            _ if few(missing, total) => FEWER_LOOKS,
            _ => LOOKS,
        };
        let believed = self.empty_looks >= needed;
        self.hidden = Some(!believed);
        self.next_look = (!believed).then(|| Instant::now() + DOUBT);
        believed
    }
}

/// Whether only few are missing.
pub(super) fn few(missing: u32, total: u32) -> bool {
    missing.saturating_mul(ONE_IN) <= total
}

#[cfg(test)]
mod tests;
