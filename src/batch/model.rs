//! What a batch is, and what is asked for and answered.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    config::QueuePattern,
    problem::{Code, Problem},
    trace::TraceParent,
    transfer::{
        Caller, InFlightPermit, Limits, Progress,
        ids::{BatchId, ConversationId, LanguageId, PlanId, QueueId, SkillId},
        model::{CallerName, Priority, Queue, QueueRef, Status, TransferRequest, Warning},
        store::{KeyScope, StoredResponse},
    },
};

/// How a batch was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A list of transfers.
    List,
    /// All calls that wait in a queue.
    Drain,
}

/// How a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Items are being moved, or wait for it.
    Running,
    /// Every item is settled, or `unknown` and being settled.
    Completed,
    /// Stopped by a caller: what was not yet sent is skipped.
    Cancelled,
    /// It could not start; its `error` says why.
    Failed,
}

impl BatchStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Running, Self::Completed, Self::Cancelled, Self::Failed];

    /// The status as callers and the store see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// The status with this text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// What a drain moves, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// The queue that is emptied.
    pub from: Queue,
    /// Where its calls go.
    pub to: Queue,
    /// Priority asked for; the base when the place is kept.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Skills asked for; an empty list clears them.
    #[serde(default)]
    pub skill_ids: Option<Vec<SkillId>>,
    /// Language asked for.
    #[serde(default)]
    pub language_id: Option<LanguageId>,
    /// Whether the time already waited counts in the target queue.
    pub keep_place: bool,
    /// Calls at most; the longest waiting.
    #[serde(default)]
    pub limit: Option<u32>,
    /// A call that began to wait later than this did not wait when the drain began. Genesys' own
    /// time: the newest row of the first look.
    pub waiting_by: Timestamp,
}

/// The record of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Our id; sorts by age.
    pub id: BatchId,
    /// List or drain.
    pub kind: Kind,
    /// How it stands.
    pub status: BatchStatus,
    /// Who asked.
    pub requested_by: CallerName,
    /// The `X-Request-Id` it came with.
    pub request_id: String,
    /// Why, for the record.
    #[serde(default)]
    pub reason: Option<String>,
    /// The caller's own ticket number.
    #[serde(default)]
    pub reference: Option<String>,
    /// Of a drain only.
    #[serde(default)]
    pub drain: Option<Drain>,
    /// The highest priority the caller's calls may end up with.
    #[serde(default)]
    pub max_priority: Option<Priority>,
    /// How often the caller may move a conversation within an hour.
    #[serde(default)]
    pub moves_per_conversation: Option<u32>,
    /// The queues the caller may know of; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<Vec<QueuePattern>>,
    /// Calls it is about: of a drain those that waited when it began, seen yet or not.
    pub total: u32,
    /// Calls of a drain that waited when it began and were gone before a look showed them. They
    /// count as `skipped`, `no_longer_waiting`.
    #[serde(default)]
    pub vanished: u32,
    /// Calls of a drain that waited when it began, that no look showed, and of which nothing says
    /// that they went. They count as `failed`, `genesys_error`.
    #[serde(default)]
    pub unseen: u32,
    /// What callers should know although it goes ahead.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Why it could not start.
    #[serde(default)]
    pub error: Option<Problem>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// When nothing of it was left to do; of a cancelled one, when what was on its way settled.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
}

impl Batch {
    /// What callers are told with the warning `code`.
    pub(super) fn warning(&self, code: &str) -> Option<&str> {
        let warning = self.warnings.iter().find(|warning| warning.code == code);
        warning.map(|warning| warning.detail.as_str())
    }

    /// Tells callers `detail` with the warning `code`, or takes back what was told. `false` when
    /// that was so before.
    pub(super) fn warn(&mut self, code: &str, detail: Option<String>) -> bool {
        if self.warning(code) == detail.as_deref() {
            return false;
        }
        self.warnings.retain(|warning| warning.code != code);
        let warning = |detail| Warning { code: code.to_owned(), detail };
        self.warnings.extend(detail.map(warning));
        true
    }

    /// What its caller may ask for.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            queues: self.queues.clone().map(Into::into),
            max_priority: self.max_priority,
            moves_per_conversation: self.moves_per_conversation,
        }
    }
}

/// One call of a batch before it is a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Its place in the batch, from 0; items are taken in this order.
    pub position: u32,
    /// What is asked for.
    pub request: TransferRequest,
    /// The target queue.
    pub queue: Queue,
    /// Of a drain: since when it waits.
    #[serde(default)]
    pub waiting_since: Option<Timestamp>,
}

/// How many items have which status, and why those that did not move did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Transfers recorded so far, by status and, of failed and skipped ones, code.
    pub settled: Vec<(Status, Option<Code>, u32)>,
    /// Transfers recorded within the minute before the tally.
    pub last_minute: u32,
}

/// How a dry run's list is kept until it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Its name.
    pub id: PlanId,
    /// Who made it; no other caller may use it.
    pub requested_by: CallerName,
    /// What it would do.
    pub drain: Drain,
    /// Calls that waited when it was made, shown or not.
    pub total: u32,
    /// The calls one look showed, longest wait first.
    pub items: Vec<PlannedCall>,
    /// Why, for the record.
    #[serde(default)]
    pub reason: Option<String>,
    /// The caller's own ticket number.
    #[serde(default)]
    pub reference: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is no longer good.
    pub expires_at: Timestamp,
}

/// A call in a [`Plan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCall {
    /// The call.
    pub conversation_id: ConversationId,
    /// Since when it waits.
    pub waiting_since: Timestamp,
    /// Its priority now, when known.
    #[serde(default)]
    pub priority: Option<i64>,
    /// The priority it would get, as of now; `None` when none would be set.
    #[serde(default)]
    pub new_priority: Option<Priority>,
}

/// What is asked for with `POST /batches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum BatchOrder {
    /// These transfers, 1 to 1000, no conversation twice.
    List {
        /// The transfers, in order.
        transfers: Vec<TransferRequest>,
        /// Why.
        reason: Option<String>,
    },
    /// All calls that wait in a queue.
    Drain(DrainOrder),
    /// The list of a dry run.
    Plan(PlanId),
}

/// What is asked for with a drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrainOrder {
    /// The queue to empty.
    pub from: QueueRef,
    /// Where its calls go.
    pub to: QueueRef,
    /// Priority asked for.
    pub priority: Option<Priority>,
    /// Skills asked for.
    pub skill_ids: Option<Vec<SkillId>>,
    /// Language asked for.
    pub language_id: Option<LanguageId>,
    /// Whether the time already waited counts; true unless said otherwise.
    pub keep_place: bool,
    /// Calls at most, 1 to 10 000.
    pub limit: Option<u32>,
    /// Whether nothing is to be moved, only shown.
    pub dry_run: bool,
    /// Why.
    pub reason: Option<String>,
    /// The caller's own ticket number.
    pub reference: Option<String>,
}

/// How fast a batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Calls a minute: done with one way or the other while it runs, moved once it is finished.
    pub per_minute: u32,
    /// Seconds until all are done at this pace; `None` when that cannot be said.
    pub eta_seconds: Option<u64>,
}

/// A batch as callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchState {
    /// The record.
    pub batch: Batch,
    /// Items by status; adds up to `batch.total`.
    pub counts: Counts,
    /// Why items failed or were skipped, most frequent first.
    pub reasons: Vec<(Code, u32)>,
    /// How fast it goes; of a finished one, how fast it went.
    pub pace: Pace,
}

/// Items by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of `Status`")]
pub struct Counts {
    pub pending: u32,
    pub accepted: u32,
    pub confirmed: u32,
    pub failed: u32,
    pub unknown: u32,
    pub skipped: u32,
}

/// A request for a batch, with everything that came with it.
#[derive(Debug, Clone)]
pub struct BatchSubmission {
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub order: BatchOrder,
    /// Its idempotency key, and where that counts.
    pub key: Option<KeyScope>,
    /// When the answer must be given.
    pub deadline: Instant,
    /// `X-Request-Id`.
    pub request_id: String,
    /// `traceparent`.
    pub traceparent: Option<TraceParent>,
    /// Its place among what the service works on, if that is limited.
    pub place: Option<InFlightPermit>,
    /// How far it has come.
    pub progress: Arc<Progress>,
}

/// The answer to a [`BatchSubmission`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchReply {
    /// The batch is recorded, and runs.
    Started {
        /// What to send.
        response: StoredResponse,
        /// Whether it was given before (`Idempotent-Replayed`).
        replayed: bool,
        /// The batch.
        batch_id: BatchId,
    },
    /// A dry run: what would move.
    Planned(Box<Plan>),
}

/// The edge of a drain that runs: from this queue to that one.
pub type DrainEdge = (QueueId, QueueId);

/// The first running drain on a way back from `edge.1` to `edge.0`: with a drain along `edge` calls
/// would go in a circle.
#[must_use]
pub fn closes_circle(running: &[(BatchId, DrainEdge)], edge: DrainEdge) -> Option<BatchId> {
    let (from, to) = edge;
    let mut reached = vec![to];
    let mut first_steps = Vec::new();
    let mut next = 0;
    while let Some(here) = reached.get(next).copied() {
        for (id, (_, there)) in running.iter().filter(|(_, (start, _))| *start == here) {
            // The drain by which the way leaves `to` is the one to tell of.
            let first = if next == 0 { *id } else { *first_steps.get(next - 1)? };
            if *there == from {
                return Some(first);
            }
            if !reached.contains(there) {
                reached.push(*there);
                first_steps.push(first);
            }
        }
        next += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(number)
    }

    fn circle(running: &[(u128, u128)], edge: (u128, u128)) -> Option<usize> {
        let queue = |number| QueueId::new(id(number));
        let running: Vec<_> = (0..)
            .zip(running)
            .map(|(number, (from, to))| (BatchId::new(id(number)), (queue(*from), queue(*to))))
            .collect();
        let found = closes_circle(&running, (queue(edge.0), queue(edge.1)))?;
        running.iter().position(|(batch, _)| *batch == found)
    }

    #[test]
    fn a_drain_back_closes_a_circle_also_over_several_queues() {
        assert_eq!(circle(&[(2, 1)], (1, 2)), Some(0));
        assert_eq!(circle(&[(9, 8), (2, 3), (3, 4), (4, 1)], (1, 2)), Some(1));
        assert_eq!(circle(&[(2, 3), (3, 2)], (1, 2)), None);
        assert_eq!(circle(&[(1, 2), (3, 2)], (1, 2)), None);
        assert_eq!(circle(&[], (1, 2)), None);
    }
}
