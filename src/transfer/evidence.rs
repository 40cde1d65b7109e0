//! What a later look at a conversation proves about a command. Pure.
//!
//! A look can prove that the call moved, never that it did not while the command may still be
//! running.

use super::{
    clock_offset::ClockOffset,
    conversation::{Conversation, Leg, LegState, Picture},
    ids::{ParticipantId, QueueId},
    legs,
};
use jiff::Timestamp;

/// What a look showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The conversation came to the target queue after the picture was taken.
    Moved,
    /// Some transfer replaced the leg, but not to the target queue.
    MovedElsewhere,
    /// The leg is still there, and nothing new points to the target queue.
    Unmoved,
    /// The leg is gone without a certain sign of a transfer (an agent answered, a menu went on).
    Changed,
    /// The conversation is over without a sign of us.
    Ended,
}

/// What several looks show together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    /// It moved to the target queue.
    Moved,
    /// It was moved elsewhere, not by us; the command cannot work any more.
    MovedElsewhere,
    /// It ended without a sign of us.
    Ended,
    /// Every look showed the leg unmoved.
    Unmoved,
    /// The leg is gone, without a sign of a transfer.
    Changed,
    /// Nothing certain.
    Unclear,
}

impl Finding {
    /// What the looks show, the last of them last; `None` for one that failed.
    #[must_use]
    pub fn of(looks: &[Option<Seen>]) -> Self {
        match looks.last().copied().flatten() {
            Some(Seen::Moved) => Self::Moved,
            Some(Seen::Ended) => Self::Ended,
            Some(Seen::MovedElsewhere) => Self::MovedElsewhere,
            Some(Seen::Changed) => Self::Changed,
            Some(Seen::Unmoved) if looks.iter().all(|look| *look == Some(Seen::Unmoved)) => {
                Self::Unmoved
            }
            Some(Seen::Unmoved) | None => Self::Unclear,
        }
    }

    /// Whether the command worked, if that is settled: an unmoved call never settles it, because
    /// the command may still be running.
    #[must_use]
    pub const fn settles(self) -> Option<bool> {
        match self {
            Self::Moved => Some(true),
            Self::MovedElsewhere | Self::Ended => Some(false),
            Self::Unmoved | Self::Changed | Self::Unclear => None,
        }
    }
}

/// What is needed to read the signs: the state before, and what was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// The conversation before the command; `None` when it was sent without a look.
    pub picture: Option<&'a Picture>,
    /// The leg the command replaces; `None` where the API has no legs.
    pub leg: Option<ParticipantId>,
    /// The target queue.
    pub target: QueueId,
    /// When the transfer was recorded, by our clock.
    pub recorded_at: Timestamp,
}

/// The picture that is kept before the command leaves.
#[must_use]
pub fn picture(conversation: &Conversation, target: QueueId) -> Picture {
    let in_target = |leg: &&Leg| !leg.is_ended() && leg.queue_id == Some(target);
    let mut there = conversation.legs.iter().filter(in_target);
    Picture {
        participants: conversation.legs.iter().filter_map(|leg| leg.participant_id).collect(),
        in_target: there.clone().next().is_some(),
        waited_in_target: there.any(|leg| leg.state == LegState::Waiting),
        recent_transfers: conversation.recent_transfers.clone(),
        unread: conversation.unread,
        bulk: conversation.bulk,
    }
}

/// Reads the signs; `None` when the one that counts may be in what cannot be read.
#[must_use]
pub fn judge(now: &Conversation, before: Before<'_>) -> Option<Seen> {
    if now.legs.iter().any(|leg| proves_arrival(leg, before, now.clock)) {
        return Some(Seen::Moved);
    }
    if now.unread {
        return None;
    }
    if transferred_away(now, before.leg) {
        // A picture without `recentTransfers` cannot tell a transfer before it from one after it,
        // nor from an agent who answered.
        if before.picture.is_some_and(|picture| picture.bulk) {
            return Some(Seen::Changed);
        }
        if has_new_transfer(now, before) {
            return Some(Seen::MovedElsewhere);
        }
    }
    if legs::is_over(now) {
        return Some(Seen::Ended);
    }
    Some(if leg_is_open(now, before.leg) { Seen::Unmoved } else { Seen::Changed })
}

/// Whether this leg can only be there because the conversation came to the target queue after
/// the picture.
fn proves_arrival(leg: &Leg, before: Before<'_>, clock: ClockOffset) -> bool {
    // A supervisor comes to the agent, not from the queue that the leg may name.
    if leg.queue_id != Some(before.target) || leg.supervision.is_some() {
        return false;
    }
    let is_young = || leg.since.is_some_and(|since| clock.is_after(since, before.recorded_at));
    match (leg.participant_id, before.picture) {
        // One that is not in it was perhaps not to be read then, or not to be seen yet.
        (Some(id), Some(picture)) => {
            let may_lack_some = picture.unread || picture.bulk;
            !picture.participants.contains(&id) && (!may_lack_some || is_young())
        }
        // Without participants (`conversation-patch`) the queue itself is the sign, if it is new,
        // or that it waits there again.
        (None, Some(picture)) => {
            let waits_again = leg.state == LegState::Waiting && !picture.waited_in_target;
            before.leg.is_none() && (!picture.in_target || waits_again)
        }
        // Without a picture, a leg that began after our record is as new as can be told.
        (Some(id), None) => before.leg != Some(id) && is_young(),
        (None, None) => false,
    }
}

/// Whether a transfer ended the leg.
fn transferred_away(now: &Conversation, leg: Option<ParticipantId>) -> bool {
    leg.is_some()
        && now.legs.iter().any(|it| {
            it.participant_id == leg
                && it.is_ended()
                && it.disconnect_type.as_deref().is_some_and(is_transfer_word)
        })
}

fn has_new_transfer(now: &Conversation, before: Before<'_>) -> bool {
    before.picture.is_some_and(|picture| {
        now.recent_transfers.iter().any(|entry| !picture.recent_transfers.contains(entry))
    })
}

/// `transfer`, `transfer.conference`, … (SDK 269.0.0, `Call.disconnect_type`).
fn is_transfer_word(word: &str) -> bool {
    word.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("transfer"))
}

fn leg_is_open(now: &Conversation, leg: Option<ParticipantId>) -> bool {
    match leg {
        Some(id) => now.legs.iter().any(|leg| leg.participant_id == Some(id) && !leg.is_ended()),
        None => now.legs.iter().any(|leg| {
            matches!(leg.state, LegState::Connected | LegState::Held | LegState::Waiting)
        }),
    }
}

#[cfg(test)]
mod tests;
