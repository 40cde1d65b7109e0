//! Ready-made sets of legs, and how a single one is described.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Purpose,
    model::{SessionState, Supervision},
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
    /// An agent talks (the customer held) while he rings another one.
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
    #[must_use]
    pub fn needs_queue(self) -> bool {
        !matches!(self, Self::RingingDirect | Self::Ivr)
    }

    pub(super) fn legs(self) -> Vec<LegSpec> {
        use SessionState::{Alerting, Connected, Dialing};
        let customer = LegSpec::new(Purpose::Customer, Connected);
        let menu = LegSpec::new(Purpose::Ivr, Connected);
        let menu_done = LegSpec { ended: true, ..menu.clone() };
        let queue = LegSpec::new(Purpose::Acd, Connected);
        let queue_done = LegSpec { ended: true, ..queue.clone() };
        let agent = LegSpec::new(Purpose::Agent, Connected);
        let rings = LegSpec::new(Purpose::Agent, Alerting);
        match self {
            Self::Connected => vec![customer, menu_done, queue_done, agent],
            Self::Held => {
                vec![customer, menu_done, queue_done, LegSpec { held: true, ..agent }]
            }
            Self::Waiting => vec![customer, menu_done, queue],
            Self::Ringing => vec![customer, menu_done, queue, rings],
            Self::RingingDirect => vec![customer, LegSpec::new(Purpose::User, Alerting)],
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
                let listens = LegSpec { supervision: Some(Supervision::Monitor), ..agent.clone() };
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
    /// Its participant id; one is made when absent.
    #[serde(default)]
    pub id: Option<Uuid>,
    /// What it is for.
    pub purpose: Purpose,
    /// How its session stands.
    #[serde(default = "connected")]
    pub state: SessionState,
    /// Whether it is on hold.
    #[serde(default)]
    pub held: bool,
    /// Whether it has left.
    #[serde(default)]
    pub ended: bool,
    /// Another session of the same participant, in that state.
    #[serde(default)]
    pub second_call: Option<SessionState>,
    /// Another queue than the conversation's.
    #[serde(default)]
    pub queue_id: Option<Uuid>,
    /// What it does as a supervisor, when it is one.
    #[serde(default)]
    pub supervision: Option<Supervision>,
}

fn connected() -> SessionState {
    SessionState::Connected
}

impl LegSpec {
    /// A leg with one session in that state.
    #[must_use]
    pub fn new(purpose: Purpose, state: SessionState) -> Self {
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
