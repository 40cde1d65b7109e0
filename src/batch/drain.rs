//! Beginning a drain: its queues, one look at who waits, what would move.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    Batches, Drain, DrainOrder, Item, Kind, Plan, PlannedCall, closes_circle,
    draft::{Draft, at, queue_member},
    sight,
};
use crate::{
    problem::{Code, Problem},
    transfer::{
        Caller,
        gateway::{CallContext, GatewayError, WaitingCall, WaitingCalls},
        ids::{ConversationId, PlanId, QueueId},
        model::{Priority, Queue, QueueRef, TransferRequest, Warning},
        permission, problems,
    },
};

/// How long the list of a dry run is good.
const PLAN_LIFETIME: SignedDuration = SignedDuration::from_mins(2);

/// Time left for the record when the check of the target's members is begun.
const TIME_FOR_THE_RECORD: Duration = Duration::from_secs(6);

/// A drain with its first look.
struct Survey {
    drain: Drain,
    look: WaitingCalls,
    total: u32,
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
    let Survey { drain, look, total } = survey(batches, ctx, caller, order).await?;
    let warnings = warnings(batches, ctx, &drain.to).await;
    let shown = sight::oldest(&look, total);
    let asked = ItemLabels { reason: &order.reason, reference: &order.reference };
    Ok(Draft {
        kind: Kind::Drain,
        items: asked.items(&drain, 0, shown.iter().map(|row| (row.conversation_id, row.since))),
        drain: Some(drain),
        total,
        reason: order.reason.clone(),
        reference: order.reference.clone(),
        warnings,
        plan: None,
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
    let Survey { drain, look, total } = survey(batches, ctx, caller, order).await?;
    let now = batches.transfers.clock.now();
    let plan = Plan {
        id: PlanId::new(batches.transfers.ids.next(now)),
        requested_by: caller.name.clone(),
        items: sight::first(&look, total)
            .map(|row| PlannedCall {
                conversation_id: row.conversation_id,
                waiting_since: row.since,
                priority: row.priority,
                new_priority: new_priority(&drain, row, look.clock.theirs(now)),
            })
            .collect(),
        drain,
        total,
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
    // What the caller may do can have changed meanwhile.
    for queue in [&plan.drain.from, &plan.drain.to] {
        permission::permitted_queue(
            &batches.transfers,
            ctx,
            &caller.limits,
            &QueueRef::Id(queue.id),
        )
        .await?;
    }
    caller.limits.check_priority(plan.drain.priority).map_err(|problem| *problem)?;
    let drain = Drain { limit: Some(plan.total), ..plan.drain };
    let shown = u32::try_from(plan.items.len()).unwrap_or(u32::MAX);
    // The newest ones it showed come after those between: they are found again.
    let known = if shown < plan.total { sight::HALF_A_LOOK } else { plan.items.len() };
    let calls = plan.items.iter().take(known);
    let asked = ItemLabels { reason: &plan.reason, reference: &plan.reference };
    let calls = calls.map(|call| (call.conversation_id, call.waiting_since));
    Ok(Draft {
        kind: Kind::Drain,
        items: asked.items(&drain, 0, calls),
        warnings: warnings(batches, ctx, &drain.to).await,
        drain: Some(drain),
        total: plan.total,
        reason: plan.reason,
        reference: plan.reference,
        plan: Some(id),
    })
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
    check_circle(batches, from.id, to.id).await?;
    let look =
        batches.transfers.gateway.waiting(ctx, from.id).await.map_err(problems::from_gateway)?;
    if sight::shows_none(&look) {
        // Taken for an empty queue, all calls in it would be left behind.
        let detail = format!("it counts {} waiting calls and shows none of them", look.count);
        let unreadable = GatewayError::Unreadable { detail, answer: None };
        return Err(problems::from_gateway(unreadable));
    }
    let most = order.limit.unwrap_or(u32::MAX).min(batches.settings.max_size);
    let drain = Drain {
        from,
        to,
        priority: order.priority,
        skill_ids: order.skill_ids.clone(),
        language_id: order.language_id,
        keep_place: order.keep_place,
        limit: order.limit,
        waiting_by: look
            .rows
            .last()
            .map_or_else(|| look.clock.theirs(batches.transfers.clock.now()), |row| row.since),
    };
    let unsupported = batches.transfers.gateway.unsupported(&sample(&drain));
    if !unsupported.is_empty() {
        return Err(Problem::invalid(unsupported));
    }
    let total = u32::try_from(look.count).unwrap_or(u32::MAX).min(most);
    Ok(Survey { drain, look, total })
}

async fn check_circle(batches: &Batches, from: QueueId, to: QueueId) -> Result<(), Problem> {
    if from == to {
        return Err(Problem::new(
            Code::DrainLoop,
            "The source queue and the target queue are the same.",
        ));
    }
    let running = batches.store.running_drains().await?;
    match closes_circle(&running, (from, to)) {
        Some(_) => Err(drain_loop()),
        None => Ok(()),
    }
}

/// What the caller should know although the drain goes ahead.
async fn warnings(batches: &Batches, ctx: &CallContext, to: &Queue) -> Vec<Warning> {
    let Some(by) = ctx.deadline.checked_sub(TIME_FOR_THE_RECORD) else {
        return Vec::new();
    };
    match batches.transfers.gateway.members(&ctx.until(by), to.id).await {
        Ok(Some(0)) => vec![Warning {
            code: "target_has_no_agents".to_owned(),
            detail: format!("No agent is on queue in \"{}\" to answer these calls.", to.name),
        }],
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::debug!(?error, "could not count the target queue's members");
            Vec::new()
        }
    }
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
        calls: impl Iterator<Item = (ConversationId, Timestamp)>,
    ) -> Vec<Item> {
        let item = |(position, (conversation_id, since))| Item {
            position,
            request: TransferRequest {
                reason: self.reason.clone(),
                reference: self.reference.clone(),
                ..request(drain, conversation_id)
            },
            queue: drain.to.clone(),
            waiting_since: Some(since),
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

pub(super) fn drain_loop() -> Problem {
    Problem::new(Code::DrainLoop, "A running drain leads back to the source queue.")
        .hint("GET /batches?status=running lists it; cancel it, or wait until it ends.")
}
