//! What a drain has seen of its queue, when it looks again, and what it says of those it cannot see.

use std::time::Duration;

use tokio::time::Instant;

use super::Runner;
use crate::transfer::model::Warning;

/// Pauses between looks that bring nothing new; the longer one after a minute of them.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONG_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LONG_BLOCKED: Duration = Duration::from_mins(1);

/// Pause between looks that show nobody although somebody is missing.
const DOUBT: Duration = Duration::from_secs(5);

/// So many such looks are believed; the fewer when only few are missing.
const LOOKS: u32 = 3;
const FEWER_LOOKS: u32 = 2;

/// Up to one in so many may have gone, as callers do.
const ONE_IN: u32 = 20;

/// The warning of a drain that some callers are hidden from.
const NOT_ALL_SHOWN: &str = "not_all_shown";

/// What a drain has seen of its queue.
#[derive(Debug)]
pub(in super::super) struct View {
    /// Whether more may wait than was shown; `None` before the first look.
    pub(super) hidden: Option<bool>,
    pub(super) next_look: Option<Instant>,
    pause: Duration,
    /// Since when there was nothing to do but to wait for rows to go away.
    blocked_since: Option<Instant>,
    /// Since when looks fail.
    pub(super) blind_since: Option<Instant>,
    /// Looks in a row that showed nobody.
    empty_looks: u32,
    /// Of those who are missing at the end so many, at most, may still wait.
    pub(in super::super) unseen: u32,
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

    /// A look showed that somebody is hidden.
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

    /// A look showed nobody, and nobody hidden, while `missing` of `total` were not seen yet.
    /// Whether that is believed: an answer can be wrong for a moment.
    pub(super) fn nobody(&mut self, missing: u32, total: u32) -> bool {
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

impl Runner {
    /// Says that the drain stands still because up to `hidden` are hidden, or takes that back.
    pub(super) async fn tell_the_hidden(&mut self, hidden: u32) {
        let hidden = hidden.min(self.batch.total.saturating_sub(self.known_count()));
        let detail = format!(
            "Genesys counts more calls than it shows: up to {hidden} of those that waited when the \
             drain began may be hidden behind rows of calls that were moved already, or have rows \
             that cannot be read. The drain looks again until they are shown, for 10 minutes at most."
        );
        if self.warn_of_hidden((hidden > 0).then_some(detail)) {
            // Should it not be written: the next one will be.
            self.save().await;
        }
    }

    /// At the end says how many may still wait, or takes back what was said before.
    pub(in super::super) fn tell_the_unseen(&mut self) {
        let unseen = self.batch.unseen;
        let detail = format!(
            "Up to {unseen} of the calls that waited when the drain began were not shown in time. \
             They were not moved, and may still wait: drain the queue again."
        );
        self.warn_of_hidden((unseen > 0).then_some(detail));
    }

    /// Shows this instead of what was shown before. `false` when that is the same.
    fn warn_of_hidden(&mut self, detail: Option<String>) -> bool {
        let shown = self.batch.warnings.iter().find(|warning| warning.code == NOT_ALL_SHOWN);
        if shown.map(|warning| &warning.detail) == detail.as_ref() {
            return false;
        }
        self.batch.warnings.retain(|warning| warning.code != NOT_ALL_SHOWN);
        if let Some(detail) = detail {
            tracing::warn!(batch_id = %self.batch.id, detail, "not all who wait are shown");
            self.batch.warnings.push(Warning { code: NOT_ALL_SHOWN.to_owned(), detail });
        }
        true
    }
}
