//! The end of a batch: the rest is skipped or gone, and the books are closed.

use futures_util::{StreamExt, stream};
use std::time::Duration;
use tokio::time::Instant;

use super::{Open, PAUSED, Runner, fetch::tell_the_unseen, phase::IN_FLIGHT};
use crate::{
    batch::{
        BatchStatus,
        item::ItemResult,
        judge::{cancelled, stand_is_over},
        trouble::Pauses,
    },
    problem::Problem,
    transfer::{
        context,
        gateway::Lane,
        model::{Stage, Status},
    },
};

/// How often it is seen whether the last transfers have settled.
const SETTLED_YET: Duration = Duration::from_millis(500);

/// Time for the last look at the queue.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// Items skipped in one go.
const PAGE: u32 = 200;

/// All items are transfers: when the last has settled, the batch is done.
pub(super) async fn complete(mut runner: Runner) {
    runner.batch.status = BatchStatus::Completed;
    // Of a standing drain that waited for agents to leave.
    if runner.open.is_empty() || skip_open(&mut runner, stand_is_over).await {
        close_the_books(runner).await;
    }
}

/// The batch was stopped: what was not sent is skipped.
pub(super) async fn skip_the_rest(mut runner: Runner) {
    runner.batch.status = BatchStatus::Cancelled;
    if skip_open(&mut runner, cancelled).await {
        close_the_books(runner).await;
    }
}

/// Skips all items that are left, for that reason. `false`: another process does, or will.
async fn skip_open(runner: &mut Runner, why: fn() -> Problem) -> bool {
    // Some of these may have been recorded without our knowing: they come first.
    let in_memory: Vec<Open> = std::mem::take(&mut runner.open).into_values().collect();
    let mut next = in_memory;
    let mut pauses = Pauses::default();
    loop {
        if !next.is_empty() {
            match skip(runner, next, why).await {
                Skipped::All => pauses = Pauses::default(),
                Skipped::NotYet => {
                    if !pause(runner, &mut pauses).await {
                        return false;
                    }
                }
                Skipped::NotOurs => return false,
            }
        }
        let read = runner.batches.store.open_items(runner.batch.id, 0, PAGE).await;
        match runner.logged("cannot read items", read) {
            Some(items) if items.is_empty() => return true,
            Some(items) => next = items.into_iter().map(Open::from).collect(),
            None => {
                next = Vec::new();
                if !pause(runner, &mut pauses).await {
                    return false;
                }
            }
        }
    }
}

async fn skip(runner: &Runner, items: Vec<Open>, why: fn() -> Problem) -> Skipped {
    let skips = items
        .into_iter()
        .map(|mut open| async move { runner.run.settle(&mut open, Stage::Skipped, why()).await });
    let ends: Vec<ItemResult> = stream::iter(skips).buffer_unordered(IN_FLIGHT).collect().await;
    if ends.iter().any(|end| matches!(end, ItemResult::Stopped)) {
        Skipped::NotOurs
    } else if ends.iter().all(|end| matches!(end, ItemResult::Taken)) {
        Skipped::All
    } else {
        Skipped::NotYet
    }
}

async fn pause(runner: &Runner, pauses: &mut Pauses) -> bool {
    runner.transfers.completion.pause_until(Instant::now() + pauses.next()).await
}

async fn close_the_books(mut runner: Runner) {
    if !wait_until_settled(&runner).await {
        return;
    }
    crate::failpoint!(BeforeBatchEnd);
    let mut pauses = Pauses::default();
    // From the record: a batch that was stopped before it had its turn was not read before.
    while !runner.recall().await {
        if !pause(&runner, &mut pauses).await {
            return;
        }
    }
    let known = u32::try_from(runner.known.len()).unwrap_or(u32::MAX);
    let rest = match &runner.stand {
        // All it knows came to light, some more than once.
        Some(_) => 0,
        None => runner.batch.total.saturating_sub(known),
    };
    runner.batch.waiting_until = None;
    runner.batch.still_waiting = still_waiting(&runner).await;
    let cancelled = runner.batch.status == BatchStatus::Cancelled;
    runner.batch.unseen = if cancelled { 0 } else { runner.view.unseen.min(rest) };
    runner.batch.vanished = rest.saturating_sub(runner.batch.unseen);
    tell_the_unseen(&mut runner.batch);
    runner.batch.warn(PAUSED, None);
    loop {
        runner.batch.finished_at = Some(runner.transfers.clock.now());
        if runner.save().await {
            break;
        }
        if !pause(&runner, &mut pauses).await {
            return;
        }
    }
    tracing::info!(
        target: "audit",
        batch_id = %runner.batch.id,
        caller = %runner.batch.requested_by,
        total = runner.batch.total,
        vanished = runner.batch.vanished,
        unseen = runner.batch.unseen,
        cancelled,
        "batch finished"
    );
}

/// How many calls wait in the queue of a drain that were not moved; `None` when it cannot be seen.
async fn still_waiting(runner: &Runner) -> Option<u64> {
    let drain = runner.batch.drain.as_ref()?;
    if runner.view.still_waiting.is_some() {
        return runner.view.still_waiting;
    }
    let ctx = context(Instant::now() + LAST_LOOK, Lane::Batch);
    let ctx = ctx.on_behalf_of(&runner.batch.requested_by);
    let look = runner.transfers.gateway.waiting(&ctx, drain.from.id).await;
    look.ok().map(|look| runner.unmoved(&look))
}

/// Waits for transfers that a process before us left, and for what the store still owes.
async fn wait_until_settled(runner: &Runner) -> bool {
    let store = &runner.batches.store;
    loop {
        match store.tally(runner.batch.id, runner.batch.created_at).await {
            Ok(tally)
                if tally
                    .settled
                    .iter()
                    .all(|(status, _, count)| *status != Status::Pending || *count == 0) =>
            {
                return true;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(cause = %error.cause, "cannot count the batch's transfers");
            }
        }
        if !runner.transfers.completion.pause_until(Instant::now() + SETTLED_YET).await {
            return false;
        }
    }
}

/// What came of skipping some items.
enum Skipped {
    All,
    NotYet,
    NotOurs,
}
