//! JSON shapes exactly as Genesys sends and takes them (SDK 269.0.0, `models/`). Only what is
//! needed is read. Unknown members and unknown words are accepted; an optional member of an
//! unexpected type counts as absent; an entry of a list without a member that gives it its meaning
//! is left out and counted (`listed`); only a missing member without which the answer has no
//! meaning makes it unreadable.

use std::{borrow::Cow, ops::Deref, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::value::RawValue;

pub(super) use self::listed::lenient;
use self::listed::{Listed, is_strict, optional};
use crate::transfer::{
    gateway::GatewayError,
    ids::{ConversationId, QueueId},
};

/// A text of the document, not copied out of it unless it has escapes.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Reads a text that stands for something else.
fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
{
    let text = Text::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom("not of the documented form"))
}

/// A time, which is RFC 3339 with any number of digits after the second; those beyond nanoseconds
/// are cut off.
pub(super) fn timestamp(text: &str) -> Option<Timestamp> {
    let Some((whole, rest)) = text.split_once('.') else { return text.parse().ok() };
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = rest.strip_suffix(zone)?;
    match digits.len() {
        0 => format!("{whole}{zone}").parse().ok(),
        1..=9 => text.parse().ok(),
        _ => format!("{whole}.{}{zone}", digits.get(..9)?).parse().ok(),
    }
}

/// `POST /oauth/token`
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    /// The token; a secret.
    pub access_token: secrecy::SecretString,
    /// Seconds, if it says so (RFC 6749, section 5.1, leaves it out at will).
    #[serde(default, deserialize_with = "whole")]
    pub expires_in: Option<i64>,
}

/// Reads a whole number, also one written as text or with a fraction; anything else is none.
fn whole<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr + TryFrom<i64>,
{
    if is_strict() {
        let number = Option::<i64>::deserialize(deserializer)?;
        return Ok(number.and_then(|number| number.try_into().ok()));
    }
    let value = <&RawValue>::deserialize(deserializer)?;
    let whole = value.get().trim_matches('"').split('.').next().unwrap_or_default();
    Ok(whole.trim().parse().ok())
}

/// `QueueEntityListing`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueuePage {
    pub entities: Listed<QueueEntity>,
    /// Fewer than were asked for when Genesys cut the page.
    #[serde(default, deserialize_with = "whole")]
    pub page_size: Option<u64>,
    #[serde(default, deserialize_with = "whole")]
    pub page_count: Option<u64>,
    #[serde(default, deserialize_with = "whole")]
    pub total: Option<u64>,
}

/// `Queue`
#[derive(Debug, Clone, Deserialize)]
pub(super) struct QueueEntity {
    #[serde(deserialize_with = "parsed")]
    pub id: QueueId,
    pub name: String,
    #[serde(default, deserialize_with = "lenient")]
    pub division: Option<NamedEntity>,
}

/// How many people are in a queue (`Queue`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueueMembers {
    /// Members on queue.
    #[serde(default, deserialize_with = "whole")]
    pub joined_member_count: Option<u64>,
    #[serde(default, deserialize_with = "whole")]
    pub member_count: Option<u64>,
}

/// Anything with a name.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct NamedEntity {
    #[serde(default)]
    pub name: Option<String>,
}

/// Anything referred to by id.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reference<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
}

/// `Conversation`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireConversation<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(default, deserialize_with = "lenient")]
    pub end_time: Option<Text<'a>>,
    pub participants: Listed<Participant<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub recent_transfers: Listed<Reference<'a>>,
}

/// `Participant`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Participant<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub id: Option<Text<'a>>,
    /// Of another type it could be anything: the entry cannot be read then.
    #[serde(default)]
    pub purpose: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub queue_id: Option<Text<'a>>,
    /// Only in the `calls` form of a conversation.
    #[serde(default, deserialize_with = "lenient")]
    pub queue: Option<Reference<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub start_time: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub connected_time: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub end_time: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub conversation_routing_data: Option<RoutingData<'a>>,
    /// The participant that this one listens to.
    #[serde(default, deserialize_with = "lenient")]
    pub monitored_participant_id: Option<Text<'a>>,
    /// The participant that this one listens to and talks to.
    #[serde(default, deserialize_with = "lenient")]
    pub coached_participant_id: Option<Text<'a>>,
    /// The participant on whose call this one has barged in.
    #[serde(default, deserialize_with = "lenient")]
    pub barged_participant_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub calls: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub callbacks: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub chats: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub cobrowsesessions: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub emails: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub messages: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub internal_messages: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub screenshares: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub social_expressions: Listed<Medium<'a>>,
    #[serde(default, deserialize_with = "optional")]
    pub videos: Listed<Medium<'a>>,
}

impl<'a> Participant<'a> {
    /// What it holds, over all media.
    pub(super) fn media(&self) -> impl Iterator<Item = &Medium<'a>> {
        self.lists().into_iter().flat_map(|listed| &listed.items)
    }

    /// Whether something it holds cannot be read.
    pub(super) fn holds_unreadable(&self) -> bool {
        self.lists().into_iter().any(|listed| listed.left_out > 0)
    }

    fn lists(&self) -> [&Listed<Medium<'a>>; 10] {
        [
            &self.calls,
            &self.callbacks,
            &self.chats,
            &self.cobrowsesessions,
            &self.emails,
            &self.messages,
            &self.internal_messages,
            &self.screenshares,
            &self.social_expressions,
            &self.videos,
        ]
    }
}

/// What `Call`, `Callback`, `Email`, `Message` and so on have in common.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Medium<'a> {
    /// Of another type it could be anything: the entry cannot be read then.
    #[serde(borrow, default)]
    pub state: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub held: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub connected_time: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub disconnect_type: Option<Text<'a>>,
}

/// `ConversationRoutingData`
#[derive(Debug, Deserialize)]
pub(super) struct RoutingData<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub queue: Option<Reference<'a>>,
    #[serde(default, deserialize_with = "whole")]
    pub priority: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub skills: Option<Listed<Reference<'a>>>,
    #[serde(default, deserialize_with = "lenient")]
    pub language: Option<Reference<'a>>,
}

/// An answer about another conversation must not decide over this one.
pub(super) fn same_conversation(asked: ConversationId, told: &str) -> Result<(), GatewayError> {
    if told.parse() == Ok(asked) {
        return Ok(());
    }
    let detail = "the answer is about another conversation".to_owned();
    Err(GatewayError::Unreadable { detail, answer: None })
}

/// `TransferToQueueRequest`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransferToQueue {
    pub queue_id: String,
    pub transfer_type: &'static str,
}

/// `RoutingConversationAttributesRequest`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoutingAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skill_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_id: Option<String>,
}

/// `ContactCenterSettings`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContactCenterSettings {
    #[serde(default, deserialize_with = "lenient")]
    pub remove_skills_from_blind_transfer: Option<bool>,
}

/// The conversation of the `conversation-patch` API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Communication<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    pub state: Text<'a>,
    #[serde(default, deserialize_with = "lenient")]
    pub routing: Option<CommunicationRouting<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub start_time: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    pub connected_time: Option<Text<'a>>,
}

/// Its `routing`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommunicationRouting<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    pub queue_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "whole")]
    pub priority: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    pub skill_requirements: Option<Listed<SkillRequirement<'a>>>,
}

/// A skill by its id alone, or in an object.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum SkillRequirement<'a> {
    #[serde(borrow)]
    Id(Text<'a>),
    Reference(Reference<'a>),
}

/// `PATCH /api/v2/communications/conversations/{id}`
#[derive(Debug, Serialize)]
pub(super) struct CommunicationPatch {
    pub routing: CommunicationTarget,
}

/// Its `routing`; every member is always sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommunicationTarget {
    pub queue_id: String,
    pub priority: i32,
    pub skill_requirements: Vec<String>,
}

pub(super) mod analytics;
pub(super) mod listed;
pub(super) mod observations;

#[cfg(test)]
mod tests;
