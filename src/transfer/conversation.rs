//! A conversation as the transfer rules see it: legs, states and the picture kept of them.
//! Independent of which Genesys API it was read through.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    clock_offset::ClockOffset,
    ids::{ConversationId, LanguageId, ParticipantId, QueueId, SkillId},
};

/// What a leg is for, in Genesys' words (SDK 269.0.0, `Participant.purpose`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Purpose {
    /// The person who called or was called.
    Customer,
    /// Someone outside the organisation.
    External,
    /// An agent, reached through a queue.
    Agent,
    /// A user of the organisation, reached directly.
    User,
    /// A queue in which the conversation waits or waited.
    Acd,
    /// A menu (Architect flow).
    Ivr,
    /// A workflow.
    Workflow,
    /// A bot flow.
    Botflow,
    /// Any other word.
    Other(String),
}

impl Purpose {
    /// The word as Genesys spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Customer => "customer",
            Self::External => "external",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Acd => "acd",
            Self::Ivr => "ivr",
            Self::Workflow => "workflow",
            Self::Botflow => "botflow",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for Purpose {
    fn from(word: String) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "customer" => Self::Customer,
            "external" => Self::External,
            "agent" => Self::Agent,
            "user" => Self::User,
            "acd" => Self::Acd,
            "ivr" => Self::Ivr,
            "workflow" => Self::Workflow,
            "botflow" => Self::Botflow,
            _ => Self::Other(word),
        }
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.as_str().to_owned()
    }
}

/// How a leg stands, in the contract's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum LegState {
    /// Talking.
    Connected,
    /// On hold.
    Held,
    /// Waiting in a queue.
    Waiting,
    /// Ringing somewhere (`alerting`, `dialing`, `contacting`, `offering`).
    Ringing,
    /// Over.
    Ended,
    /// Any other word of Genesys'.
    Other(String),
}

impl LegState {
    /// The word callers see.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Connected => "connected",
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Ringing => "ringing",
            Self::Ended => "ended",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for LegState {
    fn from(word: String) -> Self {
        match word.as_str() {
            "connected" => Self::Connected,
            "held" => Self::Held,
            "waiting" => Self::Waiting,
            "ringing" => Self::Ringing,
            "ended" => Self::Ended,
            _ => Self::Other(word),
        }
    }
}

impl From<LegState> for String {
    fn from(state: LegState) -> Self {
        state.as_str().to_owned()
    }
}

/// What routing knows about a leg. Fields Genesys did not send are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Routing {
    /// Priority in the queue.
    pub priority: Option<i64>,
    /// Skills asked for.
    pub skill_ids: Option<Vec<SkillId>>,
    /// Language asked for.
    pub language_id: Option<LanguageId>,
}

/// What a supervisor does on a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Supervision {
    /// Listens, and perhaps tells the agent what to do; no agent of the conversation.
    Listens,
    /// Has barged in: an agent like any other.
    BargedIn,
}

/// One leg of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leg {
    /// Its participant id; `None` where the API has no participants (`conversation-patch`) or
    /// sent something that is not a UUID.
    pub participant_id: Option<ParticipantId>,
    /// What it is for.
    pub purpose: Purpose,
    /// How it stands.
    pub state: LegState,
    /// What it does as a supervisor's leg, when it is one.
    pub supervision: Option<Supervision>,
    /// The queue it belongs to.
    pub queue_id: Option<QueueId>,
    /// When it began (for a waiting leg: since when it waits).
    pub since: Option<Timestamp>,
    /// How it ended (`transfer`, `peer`, `client`, …), when it did.
    pub disconnect_type: Option<String>,
    /// What routing knows about it.
    pub routing: Routing,
}

impl Leg {
    /// Whether the leg is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == LegState::Ended
    }

    /// Whether it only listens, so that it neither counts nor can be replaced.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.supervision == Some(Supervision::Listens)
    }
}

/// A conversation as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Whether it is over.
    pub ended: bool,
    /// A state word of the whole conversation that forbids a transfer (`busy`, `no-answer`,
    /// `declined`); only the `conversation-patch` API has such.
    pub blocked: Option<String>,
    /// Its legs, in Genesys' order, ended ones included.
    pub legs: Vec<Leg>,
    /// Whether something of a leg that may not have ended could not be read. That leg is missing
    /// among `legs`, or lacks its id or state there.
    pub unread: bool,
    /// How Genesys' clock, by which the times of the legs are, differs from ours.
    pub clock: ClockOffset,
    /// Ids of the newest transfers Genesys remembers (`recentTransfers`), as text.
    pub recent_transfers: Vec<String>,
    /// Whether it comes from a look at many at once, which lags by seconds and tells of no
    /// transfers.
    #[serde(default)]
    pub bulk: bool,
}

/// The part of a conversation that is kept with the record, to tell later what changed. It holds
/// no address, name or attribute of the customer.
#[expect(clippy::struct_excessive_bools, reason = "each is an observation of its own")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Picture {
    /// Participants that were there.
    pub participants: Vec<ParticipantId>,
    /// Whether an open leg belonged to the target queue already.
    pub in_target: bool,
    /// Whether the conversation waited in the target queue already.
    pub waited_in_target: bool,
    /// `recentTransfers` that were there.
    pub recent_transfers: Vec<String>,
    /// Whether something that was there could not be read, and may be missing here.
    #[serde(default)]
    pub unread: bool,
    /// Whether it is from a look at many at once ([`Conversation::bulk`]).
    #[serde(default)]
    pub bulk: bool,
}

#[cfg(test)]
pub(crate) mod samples;
