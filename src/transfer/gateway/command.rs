//! The command that moves a call, and what became of it.

use std::time::Duration;

use super::GatewayError;
use crate::{
    problem::{Problem, UpstreamAnswer},
    transfer::{
        ids::{ConversationId, LanguageId, ParticipantId, SkillId},
        model::{Priority, Queue, TransferType},
    },
};

/// What became of a command. Every variant but `Taken` says how certain it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Class D: Genesys took it.
    Taken(UpstreamAnswer),
    /// Class A: certainly not carried out.
    NotSent(GatewayError),
    /// The look before a repeat, which the domain makes, found that the command no longer fits;
    /// nothing was carried out.
    Abandoned(Box<Problem>),
    /// Class R: refused; certainly not carried out, and never to be sent again.
    Refused(GatewayError),
    /// Class B: a complete 500 or 503; Genesys is finished with it, unclear how.
    Finished(UpstreamAnswer),
    /// Class C: no certain answer; it may still be running.
    Uncertain {
        /// What was seen.
        detail: String,
        /// The answer, when there was one.
        answer: Option<UpstreamAnswer>,
    },
}

/// One try of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What became of it.
    pub sent: Sent,
    /// How it may be sent again; of class A only.
    pub repeat: Repeat,
}

impl From<Sent> for Tried {
    fn from(sent: Sent) -> Self {
        Self { sent, repeat: Repeat::Never }
    }
}

/// How a call may be sent again after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The result stands.
    Never,
    /// At once, once, because a fresh token may be accepted. Costs no budget: a revoked token must
    /// not fail more calls than the budget holds.
    FreshToken,
    /// After this back-off.
    After(Duration),
    /// After the pause that a 429 asked for.
    Throttled(Duration),
}

/// The one command that moves a call.
#[derive(Clone)]
pub struct MoveCommand {
    /// What to move.
    pub conversation_id: ConversationId,
    /// The leg to replace; `None` where the API has no legs.
    pub participant_id: Option<ParticipantId>,
    /// Where to.
    pub queue: Queue,
    /// Blind or attended.
    pub transfer_type: TransferType,
    /// Priority and skills, for an API whose command carries them.
    pub routing: RoutingChange,
}

impl std::fmt::Debug for MoveCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MoveCommand")
            .field("conversation_id", &self.conversation_id)
            .field("participant_id", &self.participant_id)
            .field("queue", &self.queue.id)
            .finish_non_exhaustive()
    }
}

/// Absolute values to set; `None` leaves a value as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutingChange {
    /// Priority.
    pub priority: Option<Priority>,
    /// Skills; an empty list clears them.
    pub skill_ids: Option<Vec<SkillId>>,
    /// Language.
    pub language_id: Option<LanguageId>,
    /// Whether the language is taken away, where `language_id` sets none.
    pub clears_language: bool,
}

impl RoutingChange {
    /// Whether nothing is to be set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let sets =
            self.priority.is_some() || self.skill_ids.is_some() || self.language_id.is_some();
        !sets && !self.clears_language
    }
}
