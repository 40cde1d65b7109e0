//! What the world is made of: queues, conversations, participants and their sessions. Plain
//! data in Genesys' words (SDK 269.0.0); nothing here decides anything.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use jiff::Timestamp;
use uuid::Uuid;

pub use super::words::{
    Blocked, Disconnect, Media, Purpose, SessionState, Supervision, TransferKind,
};

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Its id.
    pub id: Uuid,
    /// Its name; not unique across divisions.
    pub name: String,
    /// The division it belongs to.
    pub division: Division,
    /// Agents in it.
    pub member_count: u32,
    /// Those of them who are on queue.
    pub joined_count: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
}

/// A division of the organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// A queue as a participant remembers it: the name stays when the queue is renamed or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRef {
    /// The queue's id.
    pub id: Uuid,
    /// Its name at that time.
    pub name: String,
}

/// One session (call, message, …) of a participant.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: Uuid,
    /// How it stands.
    pub state: SessionState,
    /// Whether it is on hold.
    pub held: bool,
    /// How it ended, when it did.
    pub disconnect: Option<Disconnect>,
    /// Since when it rang.
    pub alerting: Option<Timestamp>,
    /// Since when it was connected.
    pub connected: Option<Timestamp>,
    /// Since when it is on hold.
    pub held_since: Option<Timestamp>,
    /// When it ended.
    pub disconnected: Option<Timestamp>,
}

/// What routing knows about a leg.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// Priority; one point counts as one minute of waiting.
    pub priority: i64,
    /// Skills asked for.
    pub skills: Vec<Uuid>,
    /// Language asked for.
    pub language: Option<Uuid>,
    /// Utilisation label.
    pub label: Option<Uuid>,
    /// Skill expression.
    pub skill_expression: Option<String>,
}

/// One participant ("leg"). Its `Debug` leaves out names and attributes.
#[derive(Clone)]
pub struct Participant {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub purpose: Purpose,
    /// Its display name.
    pub name: Option<String>,
    /// The queue it is, or was reached through.
    pub queue: Option<QueueRef>,
    /// The user behind it.
    pub user: Option<Uuid>,
    /// What it does as a supervisor, when it is one.
    pub supervision: Option<Supervision>,
    /// When it joined.
    pub started: Timestamp,
    /// When it left.
    pub ended: Option<Timestamp>,
    /// Its sessions; several when it consults.
    pub sessions: Vec<Session>,
    /// What routing knows about it.
    pub routing: Option<Routing>,
    /// Free-form data set by flows.
    pub attributes: BTreeMap<String, String>,
}

impl fmt::Debug for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Participant")
            .field("id", &self.id)
            .field("purpose", &self.purpose)
            .field("ended", &self.ended)
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

impl Participant {
    /// Whether the leg still takes part.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ended.is_none() && self.sessions.iter().any(|session| !session.state.is_over())
    }

    /// Whether this is a person of the organisation whom the customer hears, or will.
    #[must_use]
    pub fn is_agent(&self) -> bool {
        let listens = matches!(self.supervision, Some(Supervision::Monitor | Supervision::Coach));
        self.purpose.is_staff() && !listens
    }

    /// The session that says most about the leg: an open one when there is one, connected before
    /// ringing.
    #[must_use]
    pub fn main_session(&self) -> Option<&Session> {
        let rank = |session: &&Session| match session.state {
            SessionState::Connected => 0,
            state if state.is_ringing() => 1,
            _ => 2,
        };
        self.sessions.iter().min_by_key(rank)
    }

    /// Whether the leg is open and ringing, with nothing connected.
    #[must_use]
    pub fn is_ringing(&self) -> bool {
        self.is_open() && self.main_session().is_some_and(|session| session.state.is_ringing())
    }

    /// Whether the leg is open and through.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.is_open()
            && self.main_session().is_some_and(|session| session.state == SessionState::Connected)
    }
}

/// One entry of `recentTransfers`.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Its id.
    pub id: Uuid,
    /// When it was asked for.
    pub issued: Timestamp,
    /// `Attended` or `Unattended`.
    pub kind: TransferKind,
    /// The user whose leg was replaced.
    pub initiator: Option<Uuid>,
}

/// One conversation. Its `Debug` leaves out numbers and addresses.
#[derive(Clone)]
pub struct Conversation {
    /// Its id.
    pub id: Uuid,
    /// Its medium.
    pub media: Media,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The customer's number or address.
    pub ani: String,
    /// The number or address that was called.
    pub dnis: String,
    /// Its legs in the order they joined; ended ones stay.
    pub participants: Vec<Participant>,
    /// The newest transfers first, at most [`RECENT_TRANSFERS`].
    pub transfers: VecDeque<Transfer>,
    /// A state that overrides the legs in the conversation-patch API.
    pub blocked: Option<Blocked>,
    /// The division it belongs to.
    pub division: Division,
}

/// How many transfers a conversation remembers (`recentTransfers`, SDK 269.0.0).
pub const RECENT_TRANSFERS: usize = 20;

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("id", &self.id)
            .field("media", &self.media)
            .field("ended", &self.ended)
            .field("participants", &self.participants)
            .finish_non_exhaustive()
    }
}

impl Conversation {
    /// The participant with that id.
    #[must_use]
    pub fn participant(&self, id: Uuid) -> Option<&Participant> {
        self.participants.iter().find(|participant| participant.id == id)
    }

    /// The open queue leg, if there is one: the one that joined last.
    #[must_use]
    pub fn queue_leg(&self) -> Option<&Participant> {
        self.participants
            .iter()
            .rev()
            .find(|leg| leg.purpose == Purpose::Acd && leg.queue.is_some() && leg.is_connected())
    }

    /// The queue leg when the conversation waits in it and rings nowhere.
    #[must_use]
    pub fn waiting_leg(&self) -> Option<&Participant> {
        if self.is_ringing() { None } else { self.queue_leg() }
    }

    /// Whether it rings at a person of the organisation.
    #[must_use]
    pub fn is_ringing(&self) -> bool {
        self.participants.iter().any(|leg| leg.is_agent() && leg.is_ringing())
    }

    /// The leg that a supervisor's leg is there for: an agent's, else the first.
    #[must_use]
    pub fn supervised_by(&self, supervisor: &Participant) -> Option<Uuid> {
        let other = |leg: &&Participant| leg.id != supervisor.id && leg.is_agent();
        let leg = self.participants.iter().find(other).or(self.participants.first())?;
        Some(leg.id)
    }

    /// What routing last knew: the newest leg that carries it.
    #[must_use]
    pub fn routing(&self) -> Option<&Routing> {
        self.participants.iter().rev().find_map(|leg| leg.routing.as_ref())
    }
}
