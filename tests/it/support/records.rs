//! Records to store.

use std::sync::OnceLock;

use genesys_transfer::{
    batch::{Batch, BatchStatus, Drain, Item, Kind, When},
    clock::IdSource,
    config::QueuePattern,
    transfer::{
        ids::{BatchId, ConversationId, QueueId, TransferId},
        model::{
            CallerName, Queue, QueueRef, Stage, Transfer, TransferRequest, TransferType,
            UpstreamUse,
        },
        store::{KeyClaim, KeyScope, StoredResponse},
    },
};
use jiff::Timestamp;
use uuid::Uuid;

/// An id used nowhere else.
pub(crate) fn fresh_id(now: Timestamp) -> Uuid {
    static IDS: OnceLock<IdSource> = OnceLock::new();
    IDS.get_or_init(IdSource::default).next(now)
}

/// A transfer just received, of a conversation of its own, to a queue of its own.
pub(crate) fn transfer(now: Timestamp) -> Transfer {
    let queue_id = QueueId::new(fresh_id(now));
    Transfer {
        id: TransferId::new(fresh_id(now)),
        stage: Stage::Received,
        request: TransferRequest {
            conversation_id: ConversationId::new(fresh_id(now)),
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
        queue: Queue { id: queue_id, name: "Support".to_owned(), division: None },
        requested_by: CallerName::new("crm"),
        request_id: "request".to_owned(),
        has_key: true,
        batch_id: None,
        max_priority: None,
        hides_previous_queue: true,
        participant_id: None,
        previous: None,
        picture: None,
        priority: None,
        waited_minutes: None,
        warnings: Vec::new(),
        error: None,
        upstream: UpstreamUse::default(),
        awaited: false,
        created_at: now,
        updated_at: now,
    }
}

/// A claim of `key` by the caller `crm`, for a request that hashes to `print`.
pub(crate) fn claim(key: &str, print: u8) -> KeyClaim {
    KeyClaim {
        scope: KeyScope {
            caller: CallerName::new("crm"),
            route: "POST /transfers",
            key: key.to_owned(),
        },
        fingerprint: [print; 32],
    }
}

/// An answer with every field set.
pub(crate) fn answer() -> StoredResponse {
    StoredResponse {
        status: 201,
        content_type: "application/json".to_owned(),
        location: Some("/transfers/1".to_owned()),
        retry_after: Some(7),
        body: b"{\"bytes\":\"\xff\x00\"}".to_vec(),
    }
}

/// A drain of `total` calls between queues of its own that just began.
pub(crate) fn batch(now: Timestamp, total: u32) -> Batch {
    let queue =
        || Queue { id: QueueId::new(fresh_id(now)), name: "Support".to_owned(), division: None };
    Batch {
        id: BatchId::new(fresh_id(now)),
        kind: Kind::Drain,
        status: BatchStatus::Running,
        requested_by: CallerName::new("crm"),
        request_id: "request".to_owned(),
        reason: Some("the \\ and \0".to_owned()),
        reference: None,
        drain: Some(Drain {
            from: queue(),
            to: queue(),
            priority: None,
            skill_ids: None,
            language_id: None,
            keep_place: true,
            limit: None,
            min_waited_minutes: None,
            until: None,
            when: When::Always,
            waiting_by: now,
        }),
        undoes: None,
        max_priority: None,
        moves_per_conversation: None,
        queues: QueuePattern::new("Support *").map(|pattern| vec![pattern]),
        total,
        vanished: 0,
        unseen: 0,
        still_waiting: None,
        waiting_until: None,
        warnings: Vec::new(),
        error: None,
        created_at: now,
        updated_at: now,
        finished_at: None,
    }
}

/// Items of `batch` from `position` on, each of a conversation of its own.
pub(crate) fn items(batch: &Batch, position: u32, count: u32) -> Vec<Item> {
    let queue = batch.drain.as_ref().unwrap().to.clone();
    (position..position + count)
        .map(|position| Item {
            position,
            request: transfer(batch.created_at).request,
            queue: queue.clone(),
            waiting_since: Some(batch.created_at),
            waiting_priority: Some(-2),
            waiting_skills: None,
            waiting_language: None,
        })
        .collect()
}

/// The transfer that `item` of `batch` becomes.
pub(crate) fn transfer_of(batch: &Batch, item: &Item) -> Transfer {
    Transfer {
        request: item.request.clone(),
        queue: item.queue.clone(),
        batch_id: Some(batch.id),
        ..transfer(batch.created_at)
    }
}
