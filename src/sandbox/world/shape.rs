//! Conversations to be made: ready-made sets of legs, single legs, and when each began.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    LegPurpose, MediaType, NamedQueue, before,
    model::{SessionState, SupervisorMode},
};

/// A ready-made set of legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// An agent, reached through the queue, talks to the customer.
    #[default]
    Connected,
    /// As `connected`, on hold.
    Held,
    /// Waits in the queue.
    Waiting,
    /// An agent's phone rings while the queue leg still waits.
    Ringing,
    /// A user's phone rings; no queue is involved.
    RingingDirect,
    /// In a menu, before any queue.
    Ivr,
    /// Over.
    Ended,
    /// Two agents talk to the customer.
    Conference,
    /// An agent talks (the customer held) and rings another one.
    Consult,
    /// An agent talks to the customer, a supervisor listens.
    Monitored,
    /// An agent is still there, the customer has left.
    CustomerGone,
}

impl Shape {
    /// Every shape there is.
    pub const ALL: [Self; 11] = [
        Self::Connected,
        Self::Held,
        Self::Waiting,
        Self::Ringing,
        Self::RingingDirect,
        Self::Ivr,
        Self::Ended,
        Self::Conference,
        Self::Consult,
        Self::Monitored,
        Self::CustomerGone,
    ];

    /// Whether a queue must be named to make one.
    pub fn needs_queue(self) -> bool {
        !matches!(self, Self::RingingDirect | Self::Ivr)
    }

    pub(super) fn legs(self) -> Vec<LegSpec> {
        use SessionState::{Alerting, Connected, Dialing};
        let customer = LegSpec::new(LegPurpose::Customer, Connected);
        let menu = LegSpec::new(LegPurpose::Ivr, Connected);
        let menu_done = LegSpec { ended: true, ..menu.clone() };
        let queue = LegSpec::new(LegPurpose::Acd, Connected);
        let queue_done = LegSpec { ended: true, ..queue.clone() };
        let agent = LegSpec::new(LegPurpose::Agent, Connected);
        let rings = LegSpec::new(LegPurpose::Agent, Alerting);
        match self {
            Self::Connected => vec![customer, menu_done, queue_done, agent],
            Self::Held => {
                vec![customer, menu_done, queue_done, LegSpec { held: true, ..agent }]
            }
            Self::Waiting => vec![customer, menu_done, queue],
            Self::Ringing => vec![customer, menu_done, queue, rings],
            Self::RingingDirect => vec![customer, LegSpec::new(LegPurpose::User, Alerting)],
            Self::Ivr => vec![customer, menu],
            Self::Ended => {
                let over = |leg: LegSpec| LegSpec { ended: true, ..leg };
                vec![over(customer), menu_done, queue_done, over(agent)]
            }
            Self::Conference => vec![customer, menu_done, queue_done, agent.clone(), agent],
            Self::Consult => {
                let asks = LegSpec { held: true, second_call: Some(Dialing), ..agent };
                vec![customer, menu_done, queue_done, asks, rings]
            }
            Self::Monitored => {
                let listens =
                    LegSpec { supervision: Some(SupervisorMode::Monitor), ..agent.clone() };
                vec![customer, menu_done, queue_done, agent, listens]
            }
            Self::CustomerGone => {
                vec![LegSpec { ended: true, ..customer }, menu_done, queue_done, agent]
            }
        }
    }
}

/// One leg of a conversation to be made.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LegSpec {
    /// Made when absent.
    pub id: Option<Uuid>,
    pub purpose: LegPurpose,
    #[serde(default = "connected")]
    pub state: SessionState,
    #[serde(default)]
    pub held: bool,
    #[serde(default)]
    pub ended: bool,
    /// Another session of the same participant, in that state.
    pub second_call: Option<SessionState>,
    /// Another queue than the conversation's.
    pub queue_id: Option<Uuid>,
    /// What it does as a supervisor, when it is one.
    pub supervision: Option<SupervisorMode>,
}

fn connected() -> SessionState {
    SessionState::Connected
}

impl LegSpec {
    /// A leg with one session in that state.
    pub fn new(purpose: LegPurpose, state: SessionState) -> Self {
        Self {
            id: None,
            purpose,
            state,
            held: false,
            ended: false,
            second_call: None,
            queue_id: None,
            supervision: None,
        }
    }
}

/// A conversation to be made, as operators order it. May hold a number, so it has no `Debug`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewConversation {
    /// Made when absent.
    pub id: Option<Uuid>,
    pub shape: Shape,
    /// Legs instead of the shape's.
    pub legs: Option<Vec<LegSpec>>,
    /// Ids for the shape's legs, by position; used by the seed.
    #[serde(skip)]
    pub leg_ids: Vec<Uuid>,
    pub media: MediaType,
    #[serde(rename = "queueId")]
    pub queue: Option<Uuid>,
    pub priority: i64,
    #[serde(rename = "skillIds")]
    pub skills: Vec<Uuid>,
    #[serde(rename = "languageId")]
    pub language: Option<Uuid>,
    /// How long it is in its present state already.
    #[serde(skip)]
    pub age: SignedDuration,
    /// The customer's number; a fictitious one when absent.
    pub ani: Option<String>,
    /// The number called; a fictitious one when absent.
    pub dnis: Option<String>,
    /// Free-form data on the customer's leg.
    pub attributes: BTreeMap<String, String>,
}

impl Default for NewConversation {
    fn default() -> Self {
        Self {
            id: None,
            shape: Shape::default(),
            legs: None,
            leg_ids: Vec::new(),
            media: MediaType::Voice,
            queue: None,
            priority: 0,
            skills: Vec::new(),
            language: None,
            age: SignedDuration::from_secs(60),
            ani: None,
            dnis: None,
            attributes: BTreeMap::new(),
        }
    }
}

/// How long before its present state a made conversation began, and entered the queue it left.
const MENU: SignedDuration = SignedDuration::from_secs(30);
const QUEUE: SignedDuration = SignedDuration::from_secs(15);

/// When the parts of a made conversation happened.
pub(super) struct LegTimes {
    pub(super) began: Timestamp,
    menu_left: Timestamp,
    queued: Timestamp,
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
}

impl LegTimes {
    pub(super) fn new(age: SignedDuration, specs: &[LegSpec], now: Timestamp) -> Self {
        let since = before(now, age);
        let queued = before(since, QUEUE);
        let queue_left = specs.iter().any(|leg| leg.purpose == LegPurpose::Acd && leg.ended);
        let menu_left = if queue_left { queued } else { since };
        Self { began: before(since, MENU), menu_left, queued, since, now }
    }

    pub(super) fn start(&self, spec: &LegSpec) -> Timestamp {
        match spec.purpose {
            LegPurpose::Customer | LegPurpose::External | LegPurpose::Ivr => self.began,
            LegPurpose::Acd if spec.ended => self.queued,
            _ => self.since,
        }
    }

    pub(super) fn end(&self, spec: &LegSpec) -> Timestamp {
        if spec.purpose == LegPurpose::Ivr { self.menu_left } else { self.since }
    }
}

/// The display name of a leg.
pub(super) fn name_of(purpose: LegPurpose, queue: Option<&NamedQueue>) -> Option<String> {
    match purpose {
        LegPurpose::Customer | LegPurpose::External => Some("Sample Customer".to_owned()),
        LegPurpose::Agent | LegPurpose::User => Some("Sample Agent".to_owned()),
        LegPurpose::Acd => queue.map(|queue| queue.name.clone()),
        LegPurpose::Ivr => Some("Main Menu".to_owned()),
        _ => None,
    }
}

/// Fictitious addresses (numbers of the 555-01xx block, domains of RFC 2606).
pub(super) fn addresses(media: MediaType, id: Uuid) -> (String, String) {
    let last = id.as_bytes().last().copied().unwrap_or_default() % 100;
    match media {
        MediaType::Voice | MediaType::Callback => {
            (format!("tel:+1317555{:04}", 100 + u32::from(last)), "tel:+13175550100".to_owned())
        }
        MediaType::Email => {
            (format!("customer{last}@example.com"), "support@example.org".to_owned())
        }
        MediaType::Chat | MediaType::Message => (format!("visitor-{last}"), "web".to_owned()),
    }
}
