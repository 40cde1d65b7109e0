//! Batches for tests.

use uuid::Uuid;

use super::{Batch, BatchStatus, Drain, Kind, When};
use crate::transfer::{
    ids::{BatchId, QueueId},
    model::{CallerName, Queue},
};

/// A running batch of `total` calls, from Support Tier 1 to Support Tier 2 when it is a drain.
pub(crate) fn batch(kind: Kind, total: u32) -> Batch {
    let at = "2026-03-27T09:30:00Z".parse().unwrap();
    let queue = |n, name: &str| Queue {
        id: QueueId::new(Uuid::from_u128(n)),
        name: name.to_owned(),
        division: None,
    };
    let drain = Drain {
        from: queue(2, "Support Tier 1"),
        to: queue(3, "Support Tier 2"),
        priority: None,
        skill_ids: None,
        language_id: None,
        keep_place: true,
        limit: None,
        min_waited_minutes: None,
        until: None,
        when: When::Always,
        waiting_by: at,
    };
    Batch {
        id: BatchId::new(Uuid::from_u128(1)),
        kind,
        status: BatchStatus::Running,
        requested_by: CallerName::new("crm"),
        request_id: "req-1".to_owned(),
        reason: None,
        reference: Some("CASE-4711".to_owned()),
        drain: (kind == Kind::Drain).then_some(drain),
        undoes: None,
        max_priority: None,
        moves_per_conversation: None,
        queues: None,
        total,
        vanished: 0,
        unseen: 0,
        still_waiting: None,
        waiting_until: None,
        warnings: Vec::new(),
        error: None,
        created_at: at,
        updated_at: at,
        finished_at: None,
    }
}
