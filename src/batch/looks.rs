//! The looks of standing drains at their queues. All of them together, in whatever process, make at
//! most [`MOST`] a minute; one that tells of many queues serves all.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    Batches, Drain, When,
    store::{LookClaim, QueueLook},
};
use crate::transfer::{
    context,
    gateway::{CallContext, Lane, WaitingCalls},
    ids::QueueId,
    model::CallerName,
    store::StoreError,
};

/// Looks of all standing drains in a minute.
const MOST: u32 = 12;

/// Up to so many standing drains look at who waits without a look at many queues before.
const FEW: usize = 2;

/// What another process saw is as good for so long.
const SHARED: SignedDuration = SignedDuration::from_secs(9);

/// Time for a look.
const LOOK_TIME: Duration = Duration::from_secs(30);

/// Queues that one look tells of.
const QUEUES: usize = 100;

/// What a look brought; what it did not bring is `None`.
#[derive(Debug, Default)]
pub(super) struct StandingLook {
    /// Who waits.
    pub(super) waiting: Option<WaitingCalls>,
    /// There was no room for a look before then.
    pub(super) not_before: Option<Timestamp>,
}

/// Looks at the queue of `drain`, and at who waits there if calls may be moved, as `moves` says when
/// it is told the agents on queue.
pub(super) async fn look(
    batches: &Batches,
    drain: &Drain,
    caller: &CallerName,
    moves: impl FnOnce(Option<u64>) -> bool,
) -> StandingLook {
    let ctx = context(Instant::now() + LOOK_TIME, Lane::Batch).on_behalf_of(caller);
    let looked = look_in_turn(batches, &ctx, drain, moves).await;
    looked.unwrap_or_else(|error| {
        tracing::warn!(operation = error.operation, cause = %error.cause, "a standing drain cannot look");
        StandingLook::default()
    })
}

async fn look_in_turn(
    batches: &Batches,
    ctx: &CallContext,
    drain: &Drain,
    moves: impl FnOnce(Option<u64>) -> bool,
) -> Result<StandingLook, StoreError> {
    let mut seen = StandingLook::default();
    // One at a time: the next one finds what this one saw.
    let _turn = batches.looking.lock().await;
    let running = batches.store.running_drains().await?;
    let queues: Vec<QueueId> =
        running.iter().filter(|other| other.standing).map(|other| other.from).collect();
    let (mut may_wait, mut on_queue) = (true, None);
    if drain.when == When::NobodyOnQueue || queues.len() > FEW {
        match look_at_all(batches, ctx, queues, drain.from.id).await? {
            Ok(look) => {
                on_queue = look.on_queue;
                may_wait = look.waiting != Some(0);
            }
            Err(not_before) => return Ok(StandingLook { not_before: Some(not_before), ..seen }),
        }
    }
    let agents_may_be_there = drain.when == When::NobodyOnQueue && on_queue != Some(0);
    if !moves(on_queue) || !may_wait || agents_may_be_there {
        return Ok(seen);
    }
    match claim(batches, None).await? {
        LookClaim::NotBefore(at) => seen.not_before = Some(at),
        LookClaim::Granted | LookClaim::Seen(_) => {
            match batches.transfers.gateway.waiting(ctx, drain.from.id).await {
                Ok(waiting) => seen.waiting = Some(waiting),
                Err(error) => tracing::warn!(%error, "a standing drain cannot see who waits"),
            }
        }
    }
    Ok(seen)
}

async fn claim(batches: &Batches, shared: Option<SignedDuration>) -> Result<LookClaim, StoreError> {
    let now = batches.transfers.clock.now();
    batches.store.claim_look(batches.transfers.ids.next(now), now, MOST, shared).await
}

/// What the queues of all standing drains do, as `queue` needs to know it.
///
/// # Errors
/// Inside: there is no room for a look before then.
async fn look_at_all(
    batches: &Batches,
    ctx: &CallContext,
    mut queues: Vec<QueueId>,
    queue: QueueId,
) -> Result<Result<QueueLook, Timestamp>, StoreError> {
    let now = batches.transfers.clock.now();
    let id = batches.transfers.ids.next(now);
    let mut claimed = batches.store.claim_look(id, now, MOST, Some(SHARED)).await?;
    if let LookClaim::Seen(looks) = &claimed {
        match looks.iter().find(|look| look.queue == queue) {
            Some(look) => return Ok(Ok(*look)),
            // It began after that look.
            None => claimed = batches.store.claim_look(id, now, MOST, None).await?,
        }
    }
    if let LookClaim::NotBefore(at) = claimed {
        return Ok(Err(at));
    }
    queues.retain(|other| *other != queue);
    queues.insert(0, queue);
    queues.truncate(QUEUES);
    let found = batches.transfers.gateway.queue_activity(ctx, &queues).await;
    let found = found.unwrap_or_else(|error| {
        tracing::warn!(%error, "a standing drain cannot look at its queue");
        std::collections::HashMap::new()
    });
    let look = |queue: QueueId| {
        let activity = found.get(&queue);
        QueueLook {
            queue,
            waiting: activity.and_then(|activity| activity.waiting),
            on_queue: activity.and_then(|activity| activity.on_queue),
        }
    };
    let looks: Vec<QueueLook> = queues.iter().map(|queue| look(*queue)).collect();
    if !found.is_empty() {
        batches.store.share_look(id, &looks).await?;
    }
    Ok(Ok(look(queue)))
}
