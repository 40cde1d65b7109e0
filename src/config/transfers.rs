//! `[transfers]`: how transfers are carried out.

use std::time::Duration;

use super::{
    reader::Reader,
    units::{hours, seconds},
};

/// `[transfers]`
#[derive(Debug, Clone)]
pub struct Transfers {
    /// Whether the conversation is looked at before the command even when the caller names the
    /// leg.
    pub verify: bool,
    /// When an accepted transfer is looked for in the target queue.
    pub confirm: Confirm,
    /// Whether a command answered with 500 or 503 and seen not to have worked is sent once more.
    pub resend_after_5xx: bool,
    /// How long an `unknown` transfer is looked for in the background.
    pub settle_window: Duration,
    /// How often known callers together may move one conversation within an hour.
    pub max_per_conversation_per_hour: u32,
}

/// `transfers.confirm`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// Only for `Prefer: wait=N`.
    OnRequest,
    /// In the background for every transfer.
    Always,
}

impl Transfers {
    pub(super) fn read(from: &mut Reader) -> Self {
        let words = [("on-request", Confirm::OnRequest), ("always", Confirm::Always)];
        Self {
            verify: from.flag("transfers.verify"),
            confirm: from.word("transfers.confirm", &words).unwrap_or(Confirm::OnRequest),
            resend_after_5xx: from.flag("transfers.resend_after_5xx"),
            settle_window: from.duration("transfers.settle_window", seconds(1)..=hours(24)),
            max_per_conversation_per_hour: from
                .integer("transfers.max_per_conversation_per_hour", 1..=500),
        }
    }
}
