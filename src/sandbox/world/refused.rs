//! Why the world does not do what it is asked, in its own words.

use thiserror::Error;

/// A rule that forbids what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// No such conversation.
    #[error("there is no such conversation")]
    UnknownConversation,
    /// The conversation is over.
    #[error("the conversation has ended")]
    ConversationEnded,
    /// No such participant in it.
    #[error("there is no such participant in the conversation")]
    UnknownParticipant,
    /// The participant left already.
    #[error("the participant has left the conversation")]
    LegEnded,
    /// The customer's leg cannot be replaced.
    #[error("the customer's leg cannot be replaced")]
    CustomerLeg,
    /// No such queue.
    #[error("there is no such queue")]
    UnknownQueue,
    /// Several queues have that name.
    #[error("several queues have that name")]
    AmbiguousQueue,
    /// It does not wait in a queue.
    #[error("the conversation does not wait in a queue")]
    NotWaiting,
    /// It rings at an agent.
    #[error("the conversation is ringing")]
    Ringing,
    /// It is in a state that cannot be moved.
    #[error("the conversation is in a state that cannot be transferred")]
    Blocked,
    /// It waits there with that priority.
    #[error("the conversation is already queued there with the same priority")]
    AlreadyThere,
    /// Nothing fits the act.
    #[error("{0}")]
    DoesNotFit(&'static str),
    /// The world is full.
    #[error("the sandbox holds no more than {0}")]
    Full(&'static str),
    /// That id is taken.
    #[error("that id is taken")]
    IdTaken,
}
