//! What a batch is, and what is asked for and answered.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    config::QueuePattern,
    problem::{Code, Problem},
    trace::TraceParent,
    transfer::{
        Caller, InFlightPermit, Limits, Progress,
        gateway::{QueueActivity, WaitingCall},
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
    /// What another batch moved, put back.
    Undo,
}

/// When a standing drain moves calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All the time.
    #[default]
    Always,
    /// Only while no agent is on queue in the source queue.
    NobodyOnQueue,
}

impl When {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
    fn is_always(&self) -> bool {
        matches!(self, Self::Always)
    }
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
    /// Calls at most; the longest waiting. Of a standing drain, moved calls at most.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Only calls that have waited for so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_waited_minutes: Option<u32>,
    /// Until then it also moves calls that arrive: a standing drain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When a standing drain moves calls.
    #[serde(default, skip_serializing_if = "When::is_always")]
    pub when: When,
    /// A call that began to wait later than this did not wait when the drain began. Genesys' own
    /// time: the newest row of the first look.
    pub waiting_by: Timestamp,
}

impl Drain {
    /// Whether it stays when its queue is empty.
    #[must_use]
    pub const fn is_standing(&self) -> bool {
        self.until.is_some()
    }

    /// Whether a moved call's priority, skills or language are set.
    pub(super) const fn changes_routing(&self) -> bool {
        self.keep_place
            || self.priority.is_some()
            || self.skill_ids.is_some()
            || self.language_id.is_some()
    }

    /// The latest arrival of a call that has waited long enough at `now`, by Genesys' clock.
    pub(super) fn arrived_by(&self, now: Timestamp) -> Timestamp {
        let minutes = i64::from(self.min_waited_minutes.unwrap_or(0));
        now.saturating_sub(SignedDuration::from_mins(minutes)).unwrap_or(Timestamp::MIN)
    }
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
    /// The batch that is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<BatchId>,
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
    /// Of a drain that has ended: calls in its source queue at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_waiting: Option<u64>,
    /// When the request limit lets it go on, while it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_until: Option<Timestamp>,
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

    /// Whether its calls are served in the order they stood, before and after.
    pub(super) const fn keeps_order(&self) -> bool {
        self.drain.is_some() || self.undoes.is_some()
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
    /// Of a drain: since when it waits. Of an undo: since when it waited before the move.
    #[serde(default)]
    pub waiting_since: Option<Timestamp>,
    /// Of a drain: the priority it waits with, when shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_priority: Option<i64>,
    /// Of a drain: the skills it asks for, when shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_skills: Option<Vec<SkillId>>,
    /// Of a drain: the language it asks for, when shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_language: Option<LanguageId>,
}

impl Item {
    /// As it was shown in its queue; `None` of a list's.
    pub(super) fn row(&self) -> Option<WaitingCall> {
        Some(WaitingCall {
            conversation_id: self.request.conversation_id,
            since: self.waiting_since?,
            priority: self.waiting_priority,
            skill_ids: self.waiting_skills.clone(),
            language_id: self.waiting_language,
        })
    }
}

/// How many items have which status, and why those that did not move did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Transfers recorded so far, by status and, of failed and skipped ones, code.
    pub settled: Vec<(Status, Option<Code>, u32)>,
    /// Transfers recorded within the minute before the tally.
    pub last_minute: u32,
    /// How many transfers carry which warning.
    pub warned: BTreeMap<String, u32>,
}

/// How a dry run's list is kept until it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Its name.
    pub id: PlanId,
    /// Who made it; no other caller may use it.
    pub requested_by: CallerName,
    /// What it would do, unless it undoes a batch.
    #[serde(default)]
    pub drain: Option<Drain>,
    /// The batch it would undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<PlannedUndo>,
    /// Calls that waited when it was made, shown or not.
    pub total: u32,
    /// The calls that were shown, longest wait first.
    pub items: Vec<PlannedCall>,
    /// What the target queue was doing; only in the answer.
    #[serde(skip)]
    pub activity: Option<QueueActivity>,
    /// How long a call waits in the target queue, in seconds; only in the answer.
    #[serde(skip)]
    pub estimated_wait_seconds: Option<u64>,
    /// Requests to Genesys it takes, as far as can be told; only in the answer.
    #[serde(skip)]
    pub requests: u32,
    /// Seconds it takes; only in the answer.
    #[serde(skip)]
    pub eta_seconds: Option<u64>,
    /// What callers should know; only in the answer.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
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

/// The batch that a [`Plan`] would undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedUndo {
    /// The batch.
    pub batch: BatchId,
    /// The queue all its calls wait in, if it is one.
    pub from: Option<Queue>,
    /// The queue they all go back to, if it is one.
    pub to: Option<Queue>,
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
    /// The skills it asks for, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_ids: Option<Vec<SkillId>>,
    /// The language it asks for, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_id: Option<LanguageId>,
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
    /// What another batch moved, put back.
    Undo(UndoOrder),
}

/// What is asked for with the undo of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoOrder {
    /// The batch.
    pub batch: BatchId,
    /// Whether nothing is to be moved, only shown.
    pub dry_run: bool,
    /// Why.
    pub reason: Option<String>,
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
    /// Only calls that have waited for so many minutes, 0 to 10 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_waited_minutes: Option<u32>,
    /// Until then it stands; at most 24 hours ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// When a standing drain moves calls.
    #[serde(skip_serializing_if = "When::is_always")]
    pub when: When,
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
    /// When the request limit lets it go on, while it waits for that.
    pub waiting_until: Option<Timestamp>,
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
    /// How many transfers carry which warning.
    pub warning_counts: BTreeMap<String, u32>,
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

/// A drain that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningDrain {
    /// The batch.
    pub id: BatchId,
    /// The queue that is emptied.
    pub from: QueueId,
    /// Where its calls go.
    pub to: QueueId,
    /// Whether it is a standing drain.
    pub standing: bool,
}

/// The running drain that `drain` cannot run beside: it leads back to the queue `drain` empties, so
/// that calls would go in a circle, or both are standing drains of one queue.
#[must_use]
pub fn drain_in_the_way(running: &[RunningDrain], drain: &Drain) -> Option<BatchId> {
    let (from, to) = (drain.from.id, drain.to.id);
    let twin = |other: &&RunningDrain| drain.is_standing() && other.standing && other.from == from;
    let twin = running.iter().find(twin).map(|other| other.id);
    twin.or_else(|| closes_circle(running, from, to))
}

/// The first running drain on a way back from `to` to `from`.
fn closes_circle(running: &[RunningDrain], from: QueueId, to: QueueId) -> Option<BatchId> {
    let mut reached = vec![to];
    let mut first_steps = Vec::new();
    let mut next = 0;
    while let Some(here) = reached.get(next).copied() {
        for drain in running.iter().filter(|drain| drain.from == here) {
            // The drain by which the way leaves `to` is the one to tell of.
            let first = if next == 0 { drain.id } else { *first_steps.get(next - 1)? };
            if drain.to == from {
                return Some(first);
            }
            if !reached.contains(&drain.to) {
                reached.push(drain.to);
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
            .map(|(number, (from, to))| RunningDrain {
                id: BatchId::new(id(number)),
                from: queue(*from),
                to: queue(*to),
                standing: false,
            })
            .collect();
        let found = closes_circle(&running, queue(edge.0), queue(edge.1))?;
        running.iter().position(|drain| drain.id == found)
    }

    #[test]
    fn one_standing_drain_keeps_another_from_its_queue_and_no_plain_one() {
        let plain = crate::batch::samples::batch(Kind::Drain, 1).drain.unwrap();
        let standing = Drain { until: Some(Timestamp::UNIX_EPOCH), ..plain.clone() };
        let running = |standing| {
            let id = BatchId::new(id(1));
            [RunningDrain { id, from: plain.from.id, to: QueueId::new(self::id(9)), standing }]
        };
        assert_eq!(drain_in_the_way(&running(true), &standing), Some(BatchId::new(id(1))));
        assert_eq!(drain_in_the_way(&running(true), &plain), None);
        assert_eq!(drain_in_the_way(&running(false), &standing), None);
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
