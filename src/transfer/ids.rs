//! Identifiers as types of their own, parsed once at the edge. A value of one of these types is
//! always a UUID and may be put into a URL.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text was not a UUID in its hyphenated form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAUuid;

fn parse(text: &str) -> Result<Uuid, NotAUuid> {
    // `Uuid::parse_str` also takes braces, URNs and bare hex, which Genesys does not.
    if text.len() != 36 {
        return Err(NotAUuid);
    }
    Uuid::try_parse(text).map_err(|_| NotAUuid)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAUuid;

            fn from_str(text: &str) -> Result<Self, NotAUuid> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )+};
}

ids! {
    /// A transfer of ours (UUIDv7).
    TransferId,
    /// A batch of transfers of ours (UUIDv7).
    BatchId,
    /// The list of a dry run of ours (UUIDv7).
    PlanId,
    /// A Genesys conversation.
    ConversationId,
    /// A participant ("leg") of a Genesys conversation.
    ParticipantId,
    /// A Genesys queue.
    QueueId,
    /// A Genesys routing skill.
    SkillId,
    /// A Genesys routing language.
    LanguageId,
}
