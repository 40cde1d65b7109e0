//! Genesys' words for media, purposes, states and ends.

use serde::{Deserialize, Serialize};

/// The medium of a conversation, spelt as `mediaType` of the analytics API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// A phone call.
    Voice,
    /// A call that is to be made.
    Callback,
    /// A web chat.
    Chat,
    /// An e-mail.
    Email,
    /// A message (web, SMS, …).
    Message,
}

impl Media {
    /// Every medium there is.
    pub const ALL: [Self; 5] =
        [Self::Voice, Self::Callback, Self::Chat, Self::Email, Self::Message];

    /// The word of the analytics API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Callback => "callback",
            Self::Chat => "chat",
            Self::Email => "email",
            Self::Message => "message",
        }
    }
}

/// What a participant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// The person who called or was called.
    Customer,
    /// Someone outside the organisation.
    External,
    /// An agent, reached through a queue.
    Agent,
    /// A user, reached directly.
    User,
    /// A queue.
    Acd,
    /// A menu.
    Ivr,
    /// A workflow.
    Workflow,
    /// A bot flow.
    Botflow,
    /// A mailbox.
    Voicemail,
    /// A ring group.
    Group,
    /// The outbound dialer.
    Dialer,
    /// An application.
    Api,
    /// A phone.
    Station,
}

impl Purpose {
    /// The word Genesys uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::External => "external",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Acd => "acd",
            Self::Ivr => "ivr",
            Self::Workflow => "workflow",
            Self::Botflow => "botflow",
            Self::Voicemail => "voicemail",
            Self::Group => "group",
            Self::Dialer => "dialer",
            Self::Api => "api",
            Self::Station => "station",
        }
    }

    /// Whether this is the outside party, which can never be replaced.
    #[must_use]
    pub fn is_outside(self) -> bool {
        matches!(self, Self::Customer | Self::External)
    }

    /// Whether this is a person of the organisation.
    #[must_use]
    pub fn is_staff(self) -> bool {
        matches!(self, Self::Agent | Self::User)
    }
}

/// What a supervisor does on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Supervision {
    /// Listens; nobody hears them.
    Monitor,
    /// Listens, and only the agent hears them.
    Coach,
    /// Talks to the customer, too.
    BargeIn,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Ringing at the participant.
    Alerting,
    /// Being dialled.
    Dialing,
    /// Being reached.
    Contacting,
    /// Being offered.
    Offering,
    /// Through.
    Connected,
    /// Over.
    Disconnected,
    /// Over, and its resources are gone.
    Terminated,
}

impl SessionState {
    /// The word Genesys uses for a session of `media`; e-mails and messages know fewer states.
    #[must_use]
    pub fn word(self, media: Media) -> &'static str {
        let few = matches!(media, Media::Email | Media::Message);
        match self {
            Self::Alerting => "alerting",
            Self::Dialing | Self::Contacting | Self::Offering if few => "alerting",
            Self::Dialing => "dialing",
            Self::Contacting => "contacting",
            Self::Offering => "offering",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Terminated if few => "disconnected",
            Self::Terminated => "terminated",
        }
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Disconnected | Self::Terminated)
    }

    /// Whether it is still ringing somewhere.
    #[must_use]
    pub fn is_ringing(self) -> bool {
        matches!(self, Self::Alerting | Self::Dialing | Self::Contacting | Self::Offering)
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnect {
    /// The far end of this leg hung up.
    Endpoint,
    /// The participant hung up.
    Client,
    /// Another party hung up.
    Peer,
    /// It was moved.
    Transfer,
    /// Nobody answered; it went back to the queue.
    TransferNoAnswer,
}

impl Disconnect {
    /// The word Genesys uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Client => "client",
            Self::Peer => "peer",
            Self::Transfer => "transfer",
            Self::TransferNoAnswer => "transfer.noanswer",
        }
    }
}

/// `transferType` of the replace command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TransferKind {
    /// The one who transfers speaks to the next one first.
    Attended,
    /// Blind.
    #[default]
    Unattended,
}

impl TransferKind {
    /// The word Genesys uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Attended => "Attended",
            Self::Unattended => "Unattended",
        }
    }
}

/// A state of a whole conversation that only the conversation-patch API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocked {
    /// The far end was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// It was declined.
    Declined,
}

impl Blocked {
    /// The word that API uses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Declined => "declined",
        }
    }
}
