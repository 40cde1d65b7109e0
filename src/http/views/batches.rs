//! Batches and plans, member for member as the public contract lists them.

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{ProblemBody, QueueName, time};
use crate::{
    problem::Code,
    transfer::{
        batch::{BatchState, BatchStatus, Counts, Kind, Pace, Plan, PlannedCall},
        ids::{BatchId, ConversationId, PlanId},
        model::{CallerName, Priority, Warning},
    },
};

/// A batch.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct BatchView<'a> {
    id: BatchId,
    kind: Kind,
    status: BatchStatus,
    total: u32,
    counts: CountsView,
    reasons: Reasons<'a>,
    pace: PaceView,
    from: Option<QueueName<'a>>,
    to: Option<QueueName<'a>>,
    reason: Option<&'a str>,
    reference: Option<&'a str>,
    requested_by: &'a CallerName,
    warnings: &'a [Warning],
    error: Option<ProblemBody<'a>>,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    updated_at: Timestamp,
    #[serde(serialize_with = "maybe_time")]
    finished_at: Option<Timestamp>,
}

impl<'a> From<&'a BatchState> for BatchView<'a> {
    fn from(state: &'a BatchState) -> Self {
        let batch = &state.batch;
        let drain = batch.drain.as_ref();
        Self {
            id: batch.id,
            kind: batch.kind,
            status: batch.status,
            total: batch.total,
            counts: state.counts.into(),
            reasons: Reasons(&state.reasons),
            pace: state.pace.into(),
            from: drain.map(|drain| (&drain.from).into()),
            to: drain.map(|drain| (&drain.to).into()),
            reason: batch.reason.as_deref(),
            reference: batch.reference.as_deref(),
            requested_by: &batch.requested_by,
            warnings: &batch.warnings,
            error: batch.error.as_ref().map(|problem| ProblemBody::new(problem, None)),
            created_at: batch.created_at,
            updated_at: batch.updated_at,
            finished_at: batch.finished_at,
        }
    }
}

#[expect(clippy::ref_option, reason = "serde hands the field over so")]
fn maybe_time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

#[derive(Serialize)]
struct CountsView {
    pending: u32,
    accepted: u32,
    confirmed: u32,
    failed: u32,
    unknown: u32,
    skipped: u32,
}

impl From<Counts> for CountsView {
    fn from(counts: Counts) -> Self {
        let Counts { pending, accepted, confirmed, failed, unknown, skipped } = counts;
        Self { pending, accepted, confirmed, failed, unknown, skipped }
    }
}

/// An object, most frequent reason first.
struct Reasons<'a>(&'a [(Code, u32)]);

impl Serialize for Reasons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (code, count) in self.0 {
            map.serialize_entry(code, count)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaceView {
    per_minute: u32,
    eta_seconds: Option<u64>,
}

impl From<Pace> for PaceView {
    fn from(pace: Pace) -> Self {
        Self { per_minute: pace.per_minute, eta_seconds: pace.eta_seconds }
    }
}

/// A page of batches.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct BatchPage<'a> {
    pub items: Vec<BatchView<'a>>,
    pub next_cursor: Option<String>,
}

/// What a dry run answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct PlanView<'a> {
    plan_id: PlanId,
    #[serde(serialize_with = "time")]
    expires_at: Timestamp,
    total: u32,
    from: QueueName<'a>,
    to: QueueName<'a>,
    items: Vec<PlannedItem>,
}

impl<'a> From<&'a Plan> for PlanView<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self {
            plan_id: plan.id,
            expires_at: plan.expires_at,
            total: plan.total,
            from: (&plan.drain.from).into(),
            to: (&plan.drain.to).into(),
            items: plan.items.iter().map(Into::into).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlannedItem {
    conversation_id: ConversationId,
    #[serde(serialize_with = "time")]
    waiting_since: Timestamp,
    priority: Option<i64>,
    new_priority: Option<Priority>,
}

impl From<&PlannedCall> for PlannedItem {
    fn from(call: &PlannedCall) -> Self {
        Self {
            conversation_id: call.conversation_id,
            waiting_since: call.waiting_since,
            priority: call.priority,
            new_priority: call.new_priority,
        }
    }
}

#[cfg(test)]
mod tests;
