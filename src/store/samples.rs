//! Records for tests.

use jiff::Timestamp;
use uuid::Uuid;

use crate::transfer::{
    ids::{ConversationId, QueueId},
    model::{CallerName, Queue, QueueRef, Stage, Transfer, TransferRequest, TransferType},
};

/// A transfer that was just recorded.
pub(super) fn transfer() -> Transfer {
    let queue_id = QueueId::new(Uuid::from_u128(2));
    serde_json::from_value(serde_json::json!({
        "id": Uuid::from_u128(1),
        "stage": Stage::Received,
        "request": TransferRequest {
            conversation_id: ConversationId::new(Uuid::from_u128(3)),
            queue: QueueRef::Id(queue_id),
            priority: None,
            skill_ids: None,
            language_id: None,
            keep_place: false,
            participant_id: None,
            transfer_type: TransferType::Unattended,
            reason: None,
            reference: None,
            undo: None,
        },
        "queue": Queue { id: queue_id, name: "Support".to_owned(), division: None },
        "requestedBy": CallerName::new("crm"),
        "requestId": "request",
        "createdAt": Timestamp::UNIX_EPOCH,
        "updatedAt": Timestamp::UNIX_EPOCH,
    }))
    .unwrap()
}
