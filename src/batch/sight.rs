//! What one look at a queue shows of a drain's calls. Pure.
//!
//! A look shows at most a hundred rows; when more wait, they are the oldest and the newest half,
//! and moving the oldest uncovers the middle.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::transfer::{
    gateway::{WaitingCall, WaitingCalls},
    ids::ConversationId,
};

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
    /// Those who were not seen yet may be among the hidden ones: the rows shown are of known calls,
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
    // A row that cannot be read may be of one who is missing, wherever it stands.
    let unread = !look.truncated && missing > 0 && gap(look) > 0;
    if !unread && (!look.truncated || reaches_the_end) {
        return News::Nothing;
    }
    News::Blocked(unknown(newest))
}

#[cfg(test)]
mod tests;
