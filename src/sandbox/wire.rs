//! The JSON of the answers, member by member as the SDK's models spell it (269.0.0). Written
//! apart from the gateway's own shapes on purpose: the two must not share a misspelt member.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::world::{Division, Queue, model::Transfer};

pub(super) mod calls;
pub(super) mod conversation;
mod session;

/// A time with milliseconds, as Genesys writes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp(pub(super) Timestamp);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        stamp(&self.0, serializer)
    }
}

/// The same for a field of another type.
pub(super) fn stamp<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// A link to something, with its name when there is one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntityRef {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    self_uri: String,
}

impl EntityRef {
    pub(super) fn division(division: &Division) -> Self {
        Self {
            id: division.id,
            name: Some(division.name.clone()),
            self_uri: format!("/api/v2/authorization/divisions/{}", division.id),
        }
    }

    pub(super) fn queue(id: Uuid) -> Self {
        Self { id, name: None, self_uri: format!("/api/v2/routing/queues/{id}") }
    }

    pub(super) fn user(id: Uuid) -> Self {
        Self { id, name: None, self_uri: format!("/api/v2/users/{id}") }
    }

    pub(super) fn skill(id: Uuid) -> Self {
        Self { id, name: None, self_uri: format!("/api/v2/routing/skills/{id}") }
    }

    pub(super) fn language(id: Uuid) -> Self {
        Self { id, name: None, self_uri: format!("/api/v2/routing/languages/{id}") }
    }

    pub(super) fn label(id: Uuid) -> Self {
        Self { id, name: None, self_uri: format!("/api/v2/routing/utilization/labels/{id}") }
    }
}

/// SDK model `Queue`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueueBody {
    id: Uuid,
    name: String,
    division: EntityRef,
    date_created: Stamp,
    date_modified: Stamp,
    member_count: u32,
    user_member_count: u32,
    joined_member_count: u32,
    scoring_method: &'static str,
    skill_evaluation_method: &'static str,
    auto_answer_only: bool,
    enable_transcription: bool,
    enable_manual_assignment: bool,
    self_uri: String,
}

impl QueueBody {
    pub(super) fn new(queue: &Queue) -> Self {
        Self {
            id: queue.id,
            name: queue.name.clone(),
            division: EntityRef::division(&queue.division),
            date_created: Stamp(queue.created),
            date_modified: Stamp(queue.modified),
            member_count: queue.member_count,
            user_member_count: queue.member_count,
            joined_member_count: queue.joined_count,
            scoring_method: "TimestampAndPriority",
            skill_evaluation_method: "ALL",
            auto_answer_only: false,
            enable_transcription: false,
            enable_manual_assignment: false,
            self_uri: format!("/api/v2/routing/queues/{}", queue.id),
        }
    }
}

/// SDK model `QueueEntityListing`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueuePage {
    pub(super) entities: Vec<QueueBody>,
    pub(super) page_size: usize,
    pub(super) page_number: usize,
    pub(super) total: usize,
    pub(super) page_count: usize,
    pub(super) first_uri: String,
    pub(super) last_uri: String,
    pub(super) self_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous_uri: Option<String>,
}

/// SDK model `TransferResponse`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransferBody {
    id: Uuid,
    state: &'static str,
    date_issued: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    initiator: Option<Initiator>,
    destination: Destination,
    transfer_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Initiator {
    user_id: Uuid,
}

/// SDK model `TransferDestination`: it has no member for a queue.
#[derive(Debug, Serialize)]
struct Destination {}

impl TransferBody {
    pub(super) fn new(transfer: &Transfer) -> Self {
        Self {
            id: transfer.id,
            state: "Complete",
            date_issued: Stamp(transfer.issued),
            initiator: transfer.initiator.map(|user_id| Initiator { user_id }),
            destination: Destination {},
            transfer_type: transfer.kind.word(),
        }
    }
}
