//! The words of the domain: what is asked for, what is recorded.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    conversation::{LegState, Picture, Purpose},
    ids::{BatchId, ConversationId, LanguageId, ParticipantId, QueueId, SkillId, TransferId},
};
use crate::{names::trim, problem::Problem};

pub use super::stage::{Stage, Status, Takeover, Whose};

/// A queue name as callers give it: trimmed, 1 to 256 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueueName(String);

impl QueueName {
    /// Longest name taken, in characters.
    pub const MAX_CHARS: usize = 256;

    /// Trims `text`; `None` unless 1 to 256 characters remain.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = trim(text);
        let fits = !name.is_empty() && name.chars().count() <= Self::MAX_CHARS;
        fits.then(|| Self(name.to_owned()))
    }

    /// The name, trimmed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a caller names the target queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QueueRef {
    /// By name, to be looked up.
    Name(QueueName),
    /// By id.
    Id(QueueId),
}

/// A queue that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// Its name as Genesys spells it.
    pub name: String,
    /// The name of its division, when known.
    #[serde(default)]
    pub division: Option<String>,
}

/// A routing priority: one point is worth one minute in the queue, higher is served sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(i32);

impl Priority {
    /// Lowest priority Genesys takes (SDK 269.0.0, `RoutingConversationAttributesRequest`).
    pub const MIN: i32 = -25_000_000;
    /// Highest priority Genesys takes.
    pub const MAX: i32 = 25_000_000;

    /// `None` outside the range.
    #[must_use]
    pub fn new(value: i64) -> Option<Self> {
        let value = i32::try_from(value).ok()?;
        (Self::MIN..=Self::MAX).contains(&value).then_some(Self(value))
    }

    /// The nearest priority in the range.
    #[must_use]
    pub fn saturating(value: i64) -> Self {
        let value = value.clamp(i64::from(Self::MIN), i64::from(Self::MAX));
        Self(i32::try_from(value).unwrap_or_default())
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

/// Whether Genesys keeps the replaced agent on until the transfer is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferType {
    /// Blind transfer.
    #[default]
    Unattended,
    /// Attended transfer.
    Attended,
}

/// A validated request to move one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferRequest {
    /// What to move.
    pub conversation_id: ConversationId,
    /// Where to.
    pub queue: QueueRef,
    /// Priority in the target queue.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Skills asked for in the target queue; an empty list clears them.
    #[serde(default)]
    pub skill_ids: Option<Vec<SkillId>>,
    /// Language asked for in the target queue.
    #[serde(default)]
    pub language_id: Option<LanguageId>,
    /// Whether the time already waited counts in the target queue.
    #[serde(default)]
    pub keep_place: bool,
    /// The leg to replace, when the usual choice is not wanted.
    #[serde(default)]
    pub participant_id: Option<ParticipantId>,
    /// Blind or attended.
    #[serde(default)]
    pub transfer_type: TransferType,
    /// Why, for the record; at most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
    /// The caller's own ticket number; at most 128 characters.
    #[serde(default)]
    pub reference: Option<String>,
    /// The move that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Box<UndoTerms>>,
}

/// The move that an undo takes back, as its record tells. Kept with the request, so that any
/// process can carry the undo on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UndoTerms {
    /// The transfer that is undone.
    pub undoes: TransferId,
    /// The queue it moved the call to.
    pub from: QueueId,
    /// When it was recorded, by our clock.
    pub moved_at: Timestamp,
    /// The participants that were there before it.
    pub participants: Vec<ParticipantId>,
    /// The priority the call had before it, when known.
    pub priority: Option<i64>,
    /// Since when the call had waited before it, by Genesys' clock; `None` when it did not wait.
    pub waiting_since: Option<Timestamp>,
}

impl TransferRequest {
    /// Moves a conversation to `queue`, and asks for nothing else.
    #[must_use]
    pub const fn plain(conversation_id: ConversationId, queue: QueueRef) -> Self {
        Self {
            conversation_id,
            queue,
            priority: None,
            skill_ids: None,
            language_id: None,
            keep_place: false,
            participant_id: None,
            transfer_type: TransferType::Unattended,
            reason: None,
            reference: None,
            undo: None,
        }
    }

    /// Whether anything beside the queue is to be set on the conversation.
    #[must_use]
    pub fn changes_routing(&self) -> bool {
        self.priority.is_some()
            || self.skill_ids.is_some()
            || self.language_id.is_some()
            || self.keep_place
    }
}

/// Who asks: the stable name of a caller, not its current secret. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallerName(Arc<str>);

impl CallerName {
    /// Wraps a configured name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into().into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The leg as it was before the transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Previous {
    /// What the leg was for.
    pub purpose: Purpose,
    /// How it stood.
    pub state: LegState,
    /// The queue it came from, when known.
    pub queue_id: Option<QueueId>,
    /// The conversation's priority, when known.
    #[serde(default)]
    pub priority: Option<i64>,
    /// The skills asked for. `None` when not known: an older record does not tell.
    #[serde(default)]
    pub skill_ids: Option<Vec<SkillId>>,
    /// The language asked for, when one was.
    #[serde(default)]
    pub language_id: Option<LanguageId>,
    /// Since when it waited, by Genesys' clock; `None` when it did not wait.
    #[serde(default)]
    pub waiting_since: Option<Timestamp>,
}

/// Something callers should know although the transfer went ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A fixed word, such as `routing_attributes_not_applied`.
    pub code: String,
    /// What happened, in a sentence.
    pub detail: String,
}

/// What a transfer cost upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamUse {
    /// Calls the transfer needed.
    pub calls: u32,
    /// HTTP requests sent for them, repeats included.
    pub attempts: u32,
    /// Milliseconds spent waiting for the rate limit or between tries.
    pub waited_ms: u64,
    /// `ININ-Correlation-Id` of the last answer.
    pub correlation_id: Option<String>,
}

/// The record of one transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// Our id; sorts by age.
    pub id: TransferId,
    /// Where it stands.
    pub stage: Stage,
    /// What was asked for.
    pub request: TransferRequest,
    /// The target queue.
    pub queue: Queue,
    /// Who asked.
    pub requested_by: CallerName,
    /// The `X-Request-Id` it came with.
    pub request_id: String,
    /// Whether the request carried an `Idempotency-Key`. An older record does not tell: then it
    /// counts as having one, so that no caller is told to send the request again on a guess.
    #[serde(default = "assumed")]
    pub has_key: bool,
    /// The batch it belongs to.
    #[serde(default)]
    pub batch_id: Option<BatchId>,
    /// The leg that is replaced, once chosen.
    #[serde(default)]
    pub participant_id: Option<ParticipantId>,
    /// That leg before the command.
    #[serde(default)]
    pub previous: Option<Previous>,
    /// The conversation before the command, for later comparison.
    #[serde(default)]
    pub picture: Option<Picture>,
    /// The priority that ends up on the conversation, when one was asked for.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Whole minutes waited that were added to it, with `keepPlace`.
    #[serde(default)]
    pub waited_minutes: Option<i64>,
    /// The highest priority the caller may end up with. Recorded, because another process may
    /// have to carry on what this one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_priority: Option<Priority>,
    /// Whether the caller may not know of the queue in `previous`. Recorded, because the answer
    /// that its key replays is made of the record alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hides_previous_queue: bool,
    /// What callers should know although it went ahead.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Why it failed, was skipped, or is unknown.
    #[serde(default)]
    pub error: Option<Problem>,
    /// What it cost upstream.
    #[serde(default)]
    pub upstream: UpstreamUse,
    /// Whether it was accepted and is still to be seen in its queue (`transfers.confirm = always`).
    /// A process that takes it over goes on looking.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaited: bool,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

const fn assumed() -> bool {
    true
}

impl Transfer {
    /// The record of a transfer that was asked for at `now`, without key and batch, by a caller
    /// without limits.
    pub(crate) fn received(
        id: TransferId,
        now: Timestamp,
        request: TransferRequest,
        queue: Queue,
        requested_by: CallerName,
        request_id: String,
    ) -> Self {
        Self {
            id,
            stage: Stage::Received,
            queue,
            requested_by,
            request_id,
            has_key: false,
            batch_id: None,
            participant_id: request.participant_id,
            previous: None,
            picture: None,
            priority: request.priority,
            waited_minutes: None,
            max_priority: None,
            hides_previous_queue: false,
            warnings: Vec::new(),
            error: None,
            upstream: UpstreamUse::default(),
            awaited: false,
            created_at: now,
            updated_at: now,
            request,
        }
    }

    /// The transfer that this one undoes.
    #[must_use]
    pub fn undoes(&self) -> Option<TransferId> {
        self.request.undo.as_ref().map(|terms| terms.undoes)
    }

    /// Whether only priority, skills or language are set, because the conversation waited in the
    /// target queue already.
    #[must_use]
    pub fn is_routing_only(&self) -> bool {
        self.previous.as_ref().is_some_and(|previous| {
            previous.purpose == Purpose::Acd
                && previous.state == LegState::Waiting
                && previous.queue_id == Some(self.queue.id)
        })
    }

    /// Whether the conversation was, or may have been, waiting in a queue when it was moved.
    #[must_use]
    pub fn may_have_waited(&self) -> bool {
        self.previous.as_ref().is_none_or(|previous| previous.state == LegState::Waiting)
    }

    /// The leg before the command, as the caller may see it.
    #[must_use]
    pub fn shown_previous(&self) -> Option<Previous> {
        let previous = self.previous.clone()?;
        let queue_id = previous.queue_id.filter(|_| !self.hides_previous_queue);
        Some(Previous { queue_id, ..previous })
    }

    /// The id as a bare UUID, for [`Problem::transfer`].
    #[must_use]
    pub const fn uuid(&self) -> Uuid {
        self.id.uuid()
    }
}
