//! Batches and plans, member for member as the public contract lists them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use utoipa::ToSchema;

use super::{ActivityView, ProblemBody, QueueName, maybe_time, shapes, time};
use crate::{
    batch::{BatchState, BatchStatus, Counts, Kind, Pace, Plan, PlannedCall, When},
    problem::Code,
    transfer::{
        ids::{BatchId, ConversationId, PlanId, QueueId},
        model::{CallerName, Priority, Warning},
    },
};

/// A batch: what was asked for, where it stands, what became of its calls.
#[derive(Serialize, ToSchema)]
#[schema(as = Batch)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct BatchView<'a> {
    /// Its id (UUIDv7).
    #[schema(value_type = Uuid)]
    id: BatchId,
    kind: Kind,
    status: BatchStatus,
    /// Of a standing drain: until then it also moves calls that arrive.
    #[serde(serialize_with = "maybe_time")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// When a standing drain moves calls.
    when: When,
    /// The batch that is undone.
    #[schema(required, value_type = Option<Uuid>)]
    undoes: Option<BatchId>,
    /// Calls it is about: of a drain those that waited when it began, seen yet or not. Of a
    /// standing drain it grows.
    total: u32,
    counts: CountsView,
    #[schema(value_type = shapes::ReasonsShape)]
    reasons: Reasons<'a>,
    pace: PaceView,
    /// How many transfers carry which warning.
    #[schema(value_type = shapes::WarningCountsShape)]
    warning_counts: &'a BTreeMap<String, u32>,
    /// Of a drain that has ended: calls in its source queue at the last look.
    #[schema(required)]
    still_waiting: Option<u64>,
    /// The queue that is emptied; of a drain only.
    #[schema(required)]
    from: Option<QueueName<'a>>,
    /// Where its calls go; of a drain only.
    #[schema(required)]
    to: Option<QueueName<'a>>,
    #[schema(required)]
    reason: Option<&'a str>,
    #[schema(required)]
    reference: Option<&'a str>,
    /// The caller who asked.
    #[schema(value_type = String)]
    requested_by: &'a CallerName,
    /// What to know although it goes ahead: `nobody_on_queue`, `paused`,
    /// `not_all_shown`, `agents_unknown`, …
    #[schema(value_type = Vec<shapes::WarningShape>)]
    warnings: &'a [Warning],
    /// Why it could not start.
    #[schema(required)]
    error: Option<ProblemBody<'a>>,
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When nothing of it was left to do; of a cancelled one, when what was on its way settled.
    #[serde(serialize_with = "maybe_time")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
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
            until: drain.and_then(|drain| drain.until),
            when: drain.map(|drain| drain.when).unwrap_or_default(),
            undoes: batch.undoes,
            total: batch.total,
            counts: state.counts.into(),
            reasons: Reasons(&state.reasons),
            pace: state.pace.into(),
            warning_counts: &state.warning_counts,
            still_waiting: batch.still_waiting,
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

/// The calls by where their transfers stand; they always add up to `total`.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchCounts)]
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

/// How fast it goes; of a finished one, how fast it went.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchPace)]
#[serde(rename_all = "camelCase")]
struct PaceView {
    /// Calls a minute.
    per_minute: u32,
    /// Seconds until all are done at this pace; null when that cannot be said.
    #[schema(required)]
    eta_seconds: Option<u64>,
    /// When Genesys' request limit lets the batch go on, while it waits for that.
    #[serde(serialize_with = "maybe_time")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    waiting_until: Option<Timestamp>,
}

impl From<Pace> for PaceView {
    fn from(Pace { per_minute, eta_seconds, waiting_until }: Pace) -> Self {
        Self { per_minute, eta_seconds, waiting_until }
    }
}

/// A page of batches.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchPage)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct BatchPage<'a> {
    pub items: Vec<BatchView<'a>>,
    /// Goes into `cursor` for the next page; null on the last one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// What a dry run answers: what would move.
#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct PlanView<'a> {
    /// Goes into `POST /batches` alone, to move exactly these calls.
    #[schema(value_type = Uuid)]
    plan_id: PlanId,
    /// Until then it does.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Calls that would move, shown or not.
    total: u32,
    /// The queue that would be emptied; of an undo the one all calls wait in, if it is one.
    #[schema(required)]
    from: Option<QueueName<'a>>,
    /// Where its calls would go; of an undo null when that is not one queue.
    #[schema(required)]
    to: Option<PlanTargetView<'a>>,
    /// Requests to Genesys it takes, as far as can be told.
    requests: u32,
    /// Seconds it takes; null when that cannot be said.
    #[schema(required)]
    eta_seconds: Option<u64>,
    /// The calls, longest wait first.
    items: Vec<PlannedItem>,
    /// What to know before it is carried out: `nobody_on_queue`, …
    #[schema(value_type = Vec<shapes::WarningShape>)]
    warnings: &'a [Warning],
}

/// The queue the calls of a plan would go to, and what it is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = PlanTarget)]
struct PlanTargetView<'a> {
    #[schema(value_type = Uuid)]
    id: QueueId,
    name: &'a str,
    /// What the queue was doing; null when Genesys did not say.
    #[schema(required)]
    activity: Option<ActivityView>,
}

impl<'a> From<&'a Plan> for PlanView<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self {
            plan_id: plan.id,
            expires_at: plan.expires_at,
            total: plan.total,
            from: plan.from().map(Into::into),
            to: plan.to().map(|to| PlanTargetView {
                id: to.id,
                name: &to.name,
                activity: plan
                    .activity
                    .as_ref()
                    .map(|activity| ActivityView::new(activity, plan.estimated_wait_seconds)),
            }),
            requests: plan.requests,
            eta_seconds: plan.eta_seconds,
            items: plan.items.iter().map(Into::into).collect(),
            warnings: &plan.warnings,
        }
    }
}

/// The batch; of a dry run (200) the plan.
// One type for both statuses: generated clients often have one for all answers of an operation.
#[derive(ToSchema)]
#[schema(as = BatchOrPlan)]
#[serde(untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "described, never made")]
pub(in crate::http) enum BatchOrPlan<'a> {
    Batch(BatchView<'a>),
    Plan(PlanView<'a>),
}

/// A call that would move.
#[derive(Serialize, ToSchema)]
#[schema(as = PlannedCall)]
#[serde(rename_all = "camelCase")]
struct PlannedItem {
    #[schema(value_type = Uuid)]
    conversation_id: ConversationId,
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    waiting_since: Timestamp,
    /// The priority it has now, when known.
    #[schema(required)]
    priority: Option<i64>,
    /// The priority it would get, as of now; null when none would be set.
    #[schema(required, value_type = Option<i32>)]
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
