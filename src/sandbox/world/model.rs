//! What the world is made of: queues, conversations, legs and their sessions, in Genesys' words
//! (SDK 269.0.0).

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

/// How many transfers a conversation remembers (`recentTransfers`, SDK 269.0.0).
pub const RECENT_TRANSFERS: usize = 20;

/// The medium of a conversation, spelt as `mediaType` of the analytics API.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum MediaType {
    #[default]
    Voice,
    Callback,
    Chat,
    Email,
    Message,
}

impl MediaType {
    pub const ALL: [Self; 5] =
        [Self::Voice, Self::Callback, Self::Chat, Self::Email, Self::Message];
}

/// What a leg is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LegPurpose {
    Customer,
    External,
    /// An agent, reached through a queue.
    Agent,
    /// A user, reached directly.
    User,
    /// A queue.
    Acd,
    Ivr,
    Workflow,
    Botflow,
    Voicemail,
    Group,
    Dialer,
    Api,
    Station,
}

impl LegPurpose {
    /// The word Genesys uses.
    pub fn word(self) -> String {
        json!(self).as_str().unwrap_or_default().to_owned()
    }

    /// Whether this is the outside party, which can never be replaced.
    pub fn is_outside(self) -> bool {
        matches!(self, Self::Customer | Self::External)
    }

    /// Whether this is a user of the organisation.
    pub fn is_staff(self) -> bool {
        matches!(self, Self::Agent | Self::User)
    }
}

/// What a supervisor does on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SupervisorMode {
    /// Listens, unheard.
    Monitor,
    /// Listens, heard by the agent only.
    Coach,
    /// Talks to the customer, too.
    BargeIn,
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    Alerting,
    Dialing,
    Contacting,
    Offering,
    Connected,
    Disconnected,
    Terminated,
}

impl SessionState {
    /// The state as a session of `media` shows it; e-mails and messages know fewer states.
    #[must_use]
    pub fn shown(self, media: MediaType) -> Self {
        match self {
            state if !matches!(media, MediaType::Email | MediaType::Message) => state,
            Self::Dialing | Self::Contacting | Self::Offering => Self::Alerting,
            Self::Terminated => Self::Disconnected,
            state => state,
        }
    }

    pub fn is_over(self) -> bool {
        matches!(self, Self::Disconnected | Self::Terminated)
    }

    pub fn is_ringing(self) -> bool {
        matches!(self, Self::Alerting | Self::Dialing | Self::Contacting | Self::Offering)
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disconnect {
    /// The far end of this leg hung up.
    Endpoint,
    /// The participant hung up.
    Client,
    /// Another party hung up.
    Peer,
    /// It was moved.
    Transfer,
    /// It was not answered and went back to the queue.
    #[serde(rename = "transfer.noanswer")]
    TransferNoAnswer,
}

/// `transferType` of the replace command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TransferKind {
    Attended,
    /// Blind.
    #[default]
    Unattended,
}

/// A state of a whole conversation that only the conversation-patch API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocked {
    Busy,
    NoAnswer,
    Declined,
}

/// A rule of the world that forbids what was asked; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WorldError {
    #[error("there is no such conversation")]
    UnknownConversation,
    #[error("the conversation has ended")]
    ConversationEnded,
    #[error("there is no such participant in the conversation")]
    UnknownParticipant,
    #[error("the participant has left the conversation")]
    LegEnded,
    #[error("the customer's leg cannot be replaced")]
    CustomerLeg,
    #[error("there is no such queue")]
    UnknownQueue,
    #[error("several queues have that name")]
    AmbiguousQueue,
    #[error("the conversation does not wait in a queue")]
    NotWaiting,
    #[error("the conversation is ringing")]
    Ringing,
    #[error("the conversation is in a state that cannot be transferred")]
    Blocked,
    #[error("the conversation is already queued there with the same priority")]
    AlreadyThere,
    /// Nothing in the conversation fits the act.
    #[error("{0}")]
    DoesNotFit(&'static str),
    #[error("the sandbox holds no more than {0}")]
    Full(&'static str),
    #[error("that id is taken")]
    IdTaken,
}

/// A queue; names are not unique across divisions.
#[derive(Debug, Clone)]
pub struct WorldQueue {
    pub id: Uuid,
    pub name: String,
    pub division: Division,
    /// Agents in it.
    pub member_count: u32,
    /// Agents in it that are on queue.
    pub joined_count: u32,
    pub created: Timestamp,
    pub modified: Timestamp,
}

/// A division of the organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    pub id: Uuid,
    pub name: String,
}

/// A queue as a leg remembers it: the name stays when the queue is renamed or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedQueue {
    pub id: Uuid,
    pub name: String,
}

/// One session (call, message, …) of a leg. Times are absent until they come.
#[derive(Debug, Clone)]
pub struct LegSession {
    pub id: Uuid,
    pub state: SessionState,
    pub held: bool,
    pub disconnect: Option<Disconnect>,
    pub alerting: Option<Timestamp>,
    pub connected: Option<Timestamp>,
    pub held_since: Option<Timestamp>,
    pub disconnected: Option<Timestamp>,
}

impl LegSession {
    /// A session in that state since `at`.
    pub fn new(id: Uuid, state: SessionState, at: Timestamp) -> Self {
        Self {
            id,
            state,
            held: false,
            disconnect: state.is_over().then_some(Disconnect::Client),
            alerting: state.is_ringing().then_some(at),
            connected: (state == SessionState::Connected).then_some(at),
            held_since: None,
            disconnected: state.is_over().then_some(at),
        }
    }
}

/// What routing knows about a leg.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LegRouting {
    /// One point counts as one minute of waiting.
    pub priority: i64,
    pub skills: Vec<Uuid>,
    pub language: Option<Uuid>,
    pub label: Option<Uuid>,
    pub skill_expression: Option<String>,
}

/// One participant ("leg"). Holds names and attributes, so it has no `Debug`.
#[derive(Clone)]
pub struct WorldLeg {
    pub id: Uuid,
    pub purpose: LegPurpose,
    pub name: Option<String>,
    /// The queue it is, or was reached through.
    pub queue: Option<NamedQueue>,
    pub user: Option<Uuid>,
    /// What it does as a supervisor, when it is one.
    pub supervision: Option<SupervisorMode>,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// Several when it consults.
    pub sessions: Vec<LegSession>,
    pub routing: Option<LegRouting>,
    /// Free-form data set by flows.
    pub attributes: BTreeMap<String, String>,
}

impl WorldLeg {
    /// An open leg with nothing but that.
    pub fn new(id: Uuid, purpose: LegPurpose, started: Timestamp, session: LegSession) -> Self {
        Self {
            id,
            purpose,
            name: None,
            queue: None,
            user: None,
            supervision: None,
            started,
            ended: None,
            sessions: vec![session],
            routing: None,
            attributes: BTreeMap::new(),
        }
    }

    /// Whether the leg still takes part.
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && self.sessions.iter().any(|session| !session.state.is_over())
    }

    /// Whether the customer hears this user of the organisation, or will.
    pub fn is_agent(&self) -> bool {
        let listens =
            matches!(self.supervision, Some(SupervisorMode::Monitor | SupervisorMode::Coach));
        self.purpose.is_staff() && !listens
    }

    /// The session that says most about the leg: an open one when there is one, connected before
    /// ringing.
    pub fn main_session(&self) -> Option<&LegSession> {
        self.sessions.iter().min_by_key(|session| match session.state {
            SessionState::Connected => 0,
            state if state.is_ringing() => 1,
            _ => 2,
        })
    }

    /// Whether the leg is open and ringing, with nothing connected.
    pub fn is_ringing(&self) -> bool {
        self.is_open() && self.main_session().is_some_and(|session| session.state.is_ringing())
    }

    /// Whether the leg is open and connected.
    pub fn is_connected(&self) -> bool {
        self.is_open()
            && self.main_session().is_some_and(|session| session.state == SessionState::Connected)
    }

    pub fn queue_id(&self) -> Option<Uuid> {
        self.queue.as_ref().map(|queue| queue.id)
    }

    /// Ends the leg and its sessions; a leg that ended already stays as it is.
    pub fn end(&mut self, how: Disconnect, now: Timestamp) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(now);
        for session in self.sessions.iter_mut().filter(|session| !session.state.is_over()) {
            session.state = SessionState::Terminated;
            session.held = false;
            session.disconnect = Some(how);
            session.disconnected = Some(now);
        }
    }
}

/// One entry of `recentTransfers`.
#[derive(Clone)]
pub struct RecentTransfer {
    pub id: Uuid,
    pub issued: Timestamp,
    pub kind: TransferKind,
    /// The user whose leg was replaced.
    pub initiator: Option<Uuid>,
}

/// One conversation. Holds numbers and addresses, so it has no `Debug`.
#[derive(Clone)]
pub struct WorldConversation {
    pub id: Uuid,
    pub media: MediaType,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// The customer's number or address.
    pub ani: String,
    /// The number or address that was called.
    pub dnis: String,
    /// Its legs in the order they joined; ended ones stay.
    pub participants: Vec<WorldLeg>,
    /// The newest first, at most [`RECENT_TRANSFERS`].
    pub transfers: VecDeque<RecentTransfer>,
    /// A state that overrides the legs in the conversation-patch API.
    pub blocked: Option<Blocked>,
    pub division: Division,
}

impl WorldConversation {
    pub fn participant(&self, id: Uuid) -> Option<&WorldLeg> {
        self.participants.iter().find(|leg| leg.id == id)
    }

    /// Whether any leg fits.
    pub fn any(&self, which: impl Fn(&WorldLeg) -> bool) -> bool {
        self.participants.iter().any(which)
    }

    /// The open queue leg, if there is one: the one that joined last.
    pub fn queue_leg(&self) -> Option<&WorldLeg> {
        self.participants
            .iter()
            .rev()
            .find(|leg| leg.purpose == LegPurpose::Acd && leg.queue.is_some() && leg.is_connected())
    }

    /// The queue leg when the conversation waits in it and rings nowhere.
    pub fn waiting_leg(&self) -> Option<&WorldLeg> {
        if self.is_ringing() { None } else { self.queue_leg() }
    }

    /// Whether it rings at a user of the organisation.
    pub fn is_ringing(&self) -> bool {
        self.any(|leg| leg.is_agent() && leg.is_ringing())
    }

    /// The leg that a supervisor's leg is there for: an agent's, else the first.
    pub fn supervised_by(&self, supervisor: &WorldLeg) -> Option<Uuid> {
        let other = |leg: &&WorldLeg| leg.id != supervisor.id && leg.is_agent();
        self.participants.iter().find(other).or(self.participants.first()).map(|leg| leg.id)
    }

    /// What routing last knew: the newest leg that carries it.
    pub fn routing(&self) -> Option<&LegRouting> {
        self.participants.iter().rev().find_map(|leg| leg.routing.as_ref())
    }

    /// The word the conversation-patch API has for it: `completed`, `busy`, `no-answer`,
    /// `declined`, `held`, `connected`, `ringing` or `queued`.
    pub fn summary(&self) -> &'static str {
        let talks = |leg: &WorldLeg| leg.is_agent() && leg.is_connected();
        let held = |leg: &WorldLeg| leg.main_session().is_some_and(|session| session.held);
        if self.ended.is_some() || !self.any(|leg| leg.purpose.is_outside() && leg.is_open()) {
            return "completed";
        }
        match self.blocked {
            Some(Blocked::Busy) => "busy",
            Some(Blocked::NoAnswer) => "no-answer",
            Some(Blocked::Declined) => "declined",
            None if self.any(|leg| talks(leg) && !held(leg)) => "connected",
            None if self.any(talks) => "held",
            None if self.is_ringing() => "ringing",
            None if self.any(|leg| leg.purpose == LegPurpose::Acd && leg.is_open()) => "queued",
            None => "connected",
        }
    }
}

/// A move of a conversation into a queue that took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// Its number in the ledger, from 1.
    pub seq: u64,
    pub conversation_id: Uuid,
    /// The leg that was replaced; absent for conversation-patch.
    pub participant_id: Option<Uuid>,
    /// The leg that joined.
    pub new_participant_id: Uuid,
    pub from_queue_id: Option<Uuid>,
    pub to_queue_id: Uuid,
    #[serde(serialize_with = "stamp")]
    pub applied_at: Timestamp,
    /// The number of the request that asked for it.
    pub request: u64,
}

/// A time with milliseconds, as Genesys writes it.
pub fn stamp<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}
