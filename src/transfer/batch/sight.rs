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

/// What a look brings a drain that knows some of its calls already.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// These were not known, longest wait first.
    New(Vec<WaitingCall>),
    /// Known ones hide the rest: what is not moved yet, or is shown although it was moved. Of the
    /// newest ones these were not known.
    Blocked(Vec<WaitingCall>),
    /// All there were are known.
    Nothing,
}

/// Sorts a look: calls that began to wait later than `by` did not wait when the drain began.
pub(super) fn news(
    look: &WaitingCalls,
    by: Timestamp,
    known: &HashSet<ConversationId>,
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
    if !look.truncated || reaches_the_end {
        return News::Nothing;
    }
    News::Blocked(unknown(newest))
}

#[cfg(test)]
mod tests;
