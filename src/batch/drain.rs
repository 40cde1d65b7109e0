//! Beginning a drain: its queues, one look at who waits, what would move.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use tokio::time::Instant;

use super::{
    Batches, Drain, DrainOrder, Item, Kind, Plan, PlannedCall, When,
    draft::{Draft, PLAN_LIFETIME, at, queue_member},
    drain_in_the_way, sight, state, undo,
};
use crate::{
    problem::{Code, FieldError, Problem},
    transfer::{
        Caller,
        gateway::{CallContext, GatewayError, Lane, QueueActivity, WaitingCall, WaitingCalls},
        ids::{BatchId, ConversationId, PlanId},
        model::{Priority, Queue, QueueRef, TransferRequest, Warning},
        permission, problems,
    },
};

/// How far ahead a standing drain may end.
const LONGEST_STAND: SignedDuration = SignedDuration::from_hours(24);

/// Time left for the record when the target queue is looked at.
const TIME_FOR_THE_RECORD: Duration = Duration::from_secs(6);

/// The warning of a target queue without agents.
const NOBODY_ON_QUEUE: &str = "nobody_on_queue";

/// Items that a look left for the end have positions from here on: whatever comes to light before
/// them finds room.
pub(super) const TAIL: u32 = 1_000_000;

/// A drain with its first look.
struct Survey {
    drain: Drain,
    look: WaitingCalls,
    total: u32,
    /// Calls that wait, long enough or not.
    waiting: u64,
}

/// Begins a drain.
///
/// # Errors
/// Queue problems, `drain_loop`, Genesys' problems.
pub(super) async fn draft_drain(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    order: &DrainOrder,
) -> Result<Draft, Problem> {
    let Survey { drain, look, total, waiting } = survey(batches, ctx, caller, order).await?;
    let warnings = activity(batches, ctx, &drain.to).await;
    let warnings = warnings.map(|activity| self::warnings(&drain, &activity));
    // One that waits for agents to leave looks again when they have left.
    let total = if drain.when == When::Always { total } else { 0 };
    let shown = sight::oldest(&look, total);
    let total = if drain.is_standing() { count(shown.len()) } else { total };
    let asked = ItemLabels { reason: &order.reason, reference: &order.reference };
    Ok(Draft {
        kind: Kind::Drain,
        items: asked.items(&drain, 0, shown.iter().cloned()),
        drain: Some(drain),
        total,
        reason: order.reason.clone(),
        reference: order.reference.clone(),
        warnings: warnings.unwrap_or_default(),
        waiting: Some(waiting),
        plan: None,
        undoes: None,
    })
}

/// Works out what a drain would move, and keeps that for a while.
///
/// # Errors
/// As [`draft_drain`]; `store_unavailable`.
pub(super) async fn plan_drain(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    order: &DrainOrder,
) -> Result<Plan, Problem> {
    let Survey { drain, look, total, .. } = survey(batches, ctx, caller, order).await?;
    let activity = activity(batches, ctx, &drain.to).await;
    let gateway = &batches.transfers.gateway;
    let estimated_wait_seconds = match in_time(ctx) {
        Some(ctx) => gateway.estimated_wait(&ctx, drain.to.id).await.ok().flatten(),
        None => None,
    };
    let now = batches.transfers.clock.now();
    let (requests, eta_seconds) = state::estimate(batches, Some(&drain), total);
    let plan = Plan {
        id: PlanId::new(batches.transfers.ids.next(now)),
        requested_by: caller.name.clone(),
        items: sight::first(&look, total)
            .map(|row| PlannedCall {
                conversation_id: row.conversation_id,
                waiting_since: row.since,
                priority: row.priority,
                skill_ids: row.skill_ids.clone(),
                language_id: row.language_id,
                new_priority: new_priority(&drain, row, look.clock.theirs(now)),
            })
            .collect(),
        warnings: activity.as_ref().map(|activity| warnings(&drain, activity)).unwrap_or_default(),
        drain: Some(drain),
        undo: None,
        total,
        activity,
        estimated_wait_seconds,
        requests,
        eta_seconds,
        reason: order.reason.clone(),
        reference: order.reference.clone(),
        created_at: now,
        expires_at: now.saturating_add(PLAN_LIFETIME).unwrap_or(Timestamp::MAX),
    };
    let kept = batches.store.keep_plan(&plan).await;
    kept?;
    Ok(plan)
}

/// Begins the drain that a dry run planned: the calls it listed, and if one look could not
/// show all, those that waited then and come to light.
///
/// # Errors
/// `plan_expired`, `queue_not_permitted`, `not_permitted`, `store_unavailable`.
pub(super) async fn draft_planned(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    id: PlanId,
) -> Result<Draft, Problem> {
    let found = batches.store.plan(id).await?;
    let now = batches.transfers.clock.now();
    let good = found.filter(|plan| plan.requested_by == caller.name && now < plan.expires_at);
    let plan = good.ok_or_else(plan_expired)?;
    let Some(drain) = plan.drain.clone() else {
        return undo::draft_planned(batches, ctx, caller, plan).await;
    };
    // What the caller may do can have changed meanwhile.
    for queue in [&drain.from, &drain.to] {
        permission::permitted_queue(
            &batches.transfers,
            ctx,
            &caller.limits,
            &QueueRef::Id(queue.id),
        )
        .await?;
    }
    caller.limits.check_priority(drain.priority).map_err(|problem| *problem)?;
    let activity = activity(batches, ctx, &drain.to).await;
    let warnings = activity.map(|activity| warnings(&drain, &activity)).unwrap_or_default();
    let asked = ItemLabels { reason: &plan.reason, reference: &plan.reference };
    let (drain, items, total) = if drain.is_standing() {
        let now = drain.when == When::Always;
        let calls = plan.items.iter().filter(|_| now);
        let items = asked.items(&drain, 0, calls.map(PlannedCall::row));
        (drain, items, None)
    } else {
        let drain = Drain { limit: Some(plan.total), ..drain };
        // The newest ones that were shown come after those between, which come to light later.
        let hidden = count(plan.items.len()) < plan.total;
        let oldest = if hidden { sight::HALF_A_LOOK } else { plan.items.len() };
        let (oldest, newest) = plan.items.split_at(oldest.min(plan.items.len()));
        let mut items = asked.items(&drain, 0, oldest.iter().map(PlannedCall::row));
        items.extend(asked.items(&drain, TAIL, newest.iter().map(PlannedCall::row)));
        (drain, items, Some(plan.total))
    };
    Ok(Draft {
        kind: Kind::Drain,
        total: total.unwrap_or_else(|| count(items.len())),
        items,
        warnings,
        drain: Some(drain),
        reason: plan.reason,
        reference: plan.reference,
        waiting: Some(0),
        plan: Some(id),
        undoes: None,
    })
}

impl PlannedCall {
    fn row(&self) -> WaitingCall {
        WaitingCall {
            conversation_id: self.conversation_id,
            since: self.waiting_since,
            priority: self.priority,
            skill_ids: self.skill_ids.clone(),
            language_id: self.language_id,
        }
    }
}

async fn survey(
    batches: &Batches,
    ctx: &CallContext,
    caller: &Caller,
    order: &DrainOrder,
) -> Result<Survey, Problem> {
    let limits = &caller.limits;
    limits
        .check_priority(order.priority)
        .map_err(|problem| at("/priority".to_owned(), *problem))?;
    check_until(order.until, batches.transfers.clock.now()).map_err(|problem| *problem)?;
    let from = permission::permitted_queue(&batches.transfers, ctx, limits, &order.from)
        .await
        .map_err(|problem| {
            at(format!("/{}", queue_member(&order.from, "fromQueueName", "fromQueueId")), problem)
        })?;
    let to = permission::permitted_queue(&batches.transfers, ctx, limits, &order.to)
        .await
        .map_err(|problem| {
            at(format!("/{}", queue_member(&order.to, "toQueueName", "toQueueId")), problem)
        })?;
    let mut drain = Drain {
        from,
        to,
        priority: order.priority,
        skill_ids: order.skill_ids.clone(),
        language_id: order.language_id,
        keep_place: order.keep_place,
        limit: order.limit,
        min_waited_minutes: order.min_waited_minutes,
        until: order.until,
        when: order.when,
        waiting_by: Timestamp::MAX,
    };
    check_circle(batches, &drain).await?;
    let look = batches.transfers.gateway.waiting(ctx, drain.from.id).await;
    let look = look.map_err(problems::from_gateway)?;
    if sight::shows_none(&look) {
        // Taken for an empty queue, all calls in it would be left behind.
        let detail = format!("it counts {} waiting calls and shows none of them", look.count);
        let unreadable = GatewayError::Unreadable { detail, answer: None };
        return Err(problems::from_gateway(unreadable));
    }
    let unsupported = batches.transfers.gateway.unsupported(&sample(&drain));
    if !unsupported.is_empty() {
        return Err(Problem::invalid(unsupported));
    }
    let now = look.clock.theirs(batches.transfers.clock.now());
    let waiting = look.count;
    let look = match drain.min_waited_minutes {
        Some(_) => sight::arrived_by(look, drain.arrived_by(now)),
        None => look,
    };
    drain.waiting_by = look.rows.last().map_or_else(|| drain.arrived_by(now), |row| row.since);
    let most = order.limit.unwrap_or(u32::MAX).min(batches.settings.max_size);
    let total = u32::try_from(look.count).unwrap_or(u32::MAX).min(most);
    Ok(Survey { drain, look, total, waiting })
}

fn check_until(until: Option<Timestamp>, now: Timestamp) -> Result<(), Box<Problem>> {
    let latest = now.saturating_add(LONGEST_STAND).unwrap_or(Timestamp::MAX);
    if until.is_none_or(|until| until > now && until <= latest) {
        return Ok(());
    }
    Err(Box::new(Problem::invalid(vec![FieldError {
        pointer: "/until".to_owned(),
        detail: "must be in the future, and at most 24 hours ahead".to_owned(),
    }])))
}

async fn check_circle(batches: &Batches, drain: &Drain) -> Result<(), Problem> {
    if drain.from.id == drain.to.id {
        return Err(Problem::new(
            Code::DrainLoop,
            "The source queue and the target queue are the same.",
        ));
    }
    let running = batches.store.running_drains().await?;
    match drain_in_the_way(&running, drain) {
        Some(other) => Err(drain_loop(other)),
        None => Ok(()),
    }
}

/// The context for what is nice to know, while enough time is left for the record.
fn in_time(ctx: &CallContext) -> Option<CallContext> {
    let by = ctx.deadline.checked_sub(TIME_FOR_THE_RECORD)?;
    (Instant::now() < by).then(|| ctx.until(by).in_lane(Lane::Batch))
}

/// What the target queue is doing, if Genesys says so in time.
async fn activity(batches: &Batches, ctx: &CallContext, to: &Queue) -> Option<QueueActivity> {
    let ctx = in_time(ctx)?;
    let looked = batches.transfers.gateway.queue_activity(&ctx, &[to.id]).await;
    let looked = looked.inspect_err(|error| {
        tracing::debug!(?error, "could not look at the target queue");
    });
    looked.ok()?.remove(&to.id)
}

/// What the caller should know although the drain goes ahead.
fn warnings(drain: &Drain, activity: &QueueActivity) -> Vec<Warning> {
    if activity.on_queue != Some(0) {
        return Vec::new();
    }
    let waiting = match activity.waiting {
        Some(1) => "; 1 call waits there".to_owned(),
        Some(waiting) => format!("; {waiting} calls wait there"),
        None => String::new(),
    };
    let longest = match activity.longest_wait_seconds {
        Some(seconds) => format!(", the longest for {} min {} s", seconds / 60, seconds % 60),
        None => String::new(),
    };
    let detail = format!(
        "0 agents are on queue in \"{}\" to answer these calls{waiting}{longest}.",
        drain.to.name
    );
    vec![Warning { code: NOBODY_ON_QUEUE.to_owned(), detail }]
}

fn count(calls: usize) -> u32 {
    u32::try_from(calls).unwrap_or(u32::MAX)
}

/// Why and under which number, as it was asked.
pub(super) struct ItemLabels<'a> {
    pub(super) reason: &'a Option<String>,
    pub(super) reference: &'a Option<String>,
}

impl ItemLabels<'_> {
    /// Items for `calls`, from `position` on.
    pub(super) fn items(
        &self,
        drain: &Drain,
        position: u32,
        calls: impl Iterator<Item = WaitingCall>,
    ) -> Vec<Item> {
        let item = |(position, call): (u32, WaitingCall)| Item {
            position,
            request: TransferRequest {
                reason: self.reason.clone(),
                reference: self.reference.clone(),
                ..request(drain, call.conversation_id)
            },
            queue: drain.to.clone(),
            waiting_since: Some(call.since),
            waiting_priority: call.priority,
            waiting_skills: call.skill_ids,
            waiting_language: call.language_id,
        };
        (position..).zip(calls).map(item).collect()
    }
}

fn request(drain: &Drain, conversation_id: ConversationId) -> TransferRequest {
    TransferRequest {
        priority: drain.priority,
        skill_ids: drain.skill_ids.clone(),
        language_id: drain.language_id,
        keep_place: drain.keep_place,
        ..TransferRequest::plain(conversation_id, QueueRef::Id(drain.to.id))
    }
}

/// A transfer of the drain, whatever the call.
fn sample(drain: &Drain) -> TransferRequest {
    request(drain, ConversationId::new(drain.from.id.uuid()))
}

/// The priority a call would get as of `now` by Genesys' clock; `None` when none would be set.
fn new_priority(drain: &Drain, call: &WaitingCall, now: Timestamp) -> Option<Priority> {
    if !drain.keep_place {
        return drain.priority;
    }
    let given = drain.priority.map(|priority| i64::from(priority.get()));
    let base = given.or(call.priority).unwrap_or(0);
    let waited = now.duration_since(call.since).as_mins().max(0);
    Some(Priority::saturating(base.saturating_add(waited)))
}

pub(super) fn plan_expired() -> Problem {
    Problem::new(
        Code::PlanExpired,
        "The plan no longer exists: it was carried out, or is older than 2 minutes.",
    )
    .hint("Make a new plan with dryRun and review it again.")
}

pub(super) fn drain_loop(other: BatchId) -> Problem {
    let detail = "A running drain leads back to the source queue, or stands there already.";
    let hint = "batchId names it: cancel it, or wait until it ends.";
    Problem { batch_id: Some(other.uuid()), ..Problem::new(Code::DrainLoop, detail).hint(hint) }
}
