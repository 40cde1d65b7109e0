//! Seeing moved calls arrive in their queues. A single transfer is looked for by itself, those of
//! batches together: one look at a queue shows many.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Transfers, context,
    evidence::Seen,
    gateway::{CallContext, Lane, WaitingCalls},
    ids::{QueueId, TransferId},
    model::{Stage, Transfer},
    store::KeyChange,
    watch,
};
use crate::{config::Confirm, trace};

/// The last look comes so long before the end, to be answered by then.
const LAST_LOOK: Duration = Duration::from_millis(200);

/// How long a moved call is looked for.
const WINDOW: Duration = Duration::from_mins(1);

/// A look is worth its request when so many calls are looked for, or one for so long.
const ENOUGH_CALLS: usize = 25;
const LONG_ENOUGH: Duration = Duration::from_secs(8);

/// How often it is seen whether a look is worth it.
const TICK: Duration = Duration::from_secs(2);

/// The moved calls of batches that were not seen to arrive yet.
#[derive(Default)]
pub(super) struct Arrivals(Mutex<Awaited>);

#[derive(Default)]
struct Awaited {
    calls: Vec<(Transfer, Instant)>,
    looking: bool,
    looked_at: Option<Instant>,
}

impl Arrivals {
    fn lock(&self) -> MutexGuard<'_, Awaited> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transfers this process waits for. Only in memory: when the process dies, so do the
/// answers it owed, and the record is all there is to tell.
#[derive(Debug, Default)]
pub(super) struct PendingAnswers(Mutex<HashSet<TransferId>>);

impl PendingAnswers {
    /// Notes that the answer for `id` is still to come, until the guard is dropped.
    pub(super) fn enter(&self, id: TransferId) -> Waits<'_> {
        self.lock().insert(id);
        Waits { all: self, id }
    }

    /// Whether the answer for `id` is still to come.
    pub(super) fn contains(&self, id: TransferId) -> bool {
        self.lock().contains(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<TransferId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One transfer that is waited for.
#[derive(Debug)]
pub(super) struct Waits<'a> {
    all: &'a PendingAnswers,
    id: TransferId,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

/// Whether every accepted transfer is looked for in its queue. It is recorded with `accepted`, so
/// that the next process goes on looking should this one die.
pub(super) fn awaits_all(transfers: &Transfers) -> bool {
    transfers.settings.confirm == Confirm::Always
}

/// Looks in the background for a transfer that is to be seen in its queue.
pub(super) fn see_it_arrive(transfers: &Arc<Transfers>, transfer: &Transfer) {
    if !(transfer.awaited && awaits_all(transfers)) {
        return;
    }
    // Those of batches are looked for together.
    if transfer.batch_id.is_some() {
        await_call(transfers, transfer.clone());
    } else {
        confirm_in_background(transfers, transfer.clone());
    }
}

/// Records that an awaited transfer was seen in its queue, or that it is not looked for any more.
pub(super) async fn no_longer_awaited(transfers: &Transfers, mut transfer: Transfer, seen: bool) {
    transfer.awaited = false;
    if seen {
        transfer.stage = Stage::Confirmed;
        transfers.records.conclude(&mut transfer, Stage::Accepted, KeyChange::Keep).await;
    } else {
        transfers.records.stop_awaiting(&transfer).await;
    }
}

/// Looks until the conversation shows in the target queue or the context's deadline comes.
pub(super) async fn arrives(transfers: &Transfers, transfer: &Transfer, ctx: &CallContext) -> bool {
    // A routing-only change has nothing to arrive: it waits in the queue already.
    if transfer.is_routing_only() {
        return true;
    }
    let last = ctx.deadline.checked_sub(LAST_LOOK).unwrap_or(ctx.deadline);
    let mut at = transfers.arrival.begin(false).next_try().min(last);
    let mut pause = Duration::from_millis(250);
    while transfers.pause_until(at, ctx.deadline).await {
        match watch::look(transfers, transfer, ctx).await {
            Some(Seen::Moved) => return true,
            Some(Seen::Ended | Seen::MovedElsewhere) => return false,
            Some(Seen::Unmoved | Seen::Changed) | None => {}
        }
        let now = Instant::now();
        if now >= last {
            break;
        }
        at = (now + pause).min(last);
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    false
}

fn confirm_in_background(transfers: &Arc<Transfers>, transfer: Transfer) {
    let completion = &transfers.completion;
    let transfers = Arc::clone(transfers);
    let span = trace::background(
        &trace::Origin::here(),
        trace::TraceStage::Confirm,
        &transfer.request_id,
        &transfer.id,
    );
    let confirm = async move {
        let deadline = Instant::now() + WINDOW;
        let ctx = context(deadline, Lane::Batch).on_behalf_of(&transfer.requested_by);
        let seen = arrives(&transfers, &transfer, &ctx).await;
        // After a stop the next process goes on.
        if seen || !transfers.completion.stop.is_cancelled() {
            no_longer_awaited(&transfers, transfer, seen).await;
        }
    };
    completion.spawn(confirm.instrument(span));
}

/// Looks for a call of a batch that was moved.
fn await_call(transfers: &Arc<Transfers>, transfer: Transfer) {
    let mut awaited = transfers.arrivals.lock();
    awaited.calls.push((transfer, Instant::now()));
    if !std::mem::replace(&mut awaited.looking, true) {
        let all = Arc::clone(transfers);
        transfers.completion.spawn(async move { look_for_calls(&all).await });
    }
}

async fn look_for_calls(transfers: &Transfers) {
    while transfers.completion.pause_until(Instant::now() + TICK).await {
        // Where only priority or skills were set, nothing has to arrive.
        confirm_calls(transfers, Transfer::is_routing_only).await;
        for queue in worth_a_look(transfers) {
            look_for_calls_in(transfers, queue).await;
        }
        for transfer in take_awaited(transfers, |_, since| since.elapsed() >= WINDOW) {
            no_longer_awaited(transfers, transfer, false).await;
        }
        let mut awaited = transfers.arrivals.lock();
        if awaited.calls.is_empty() {
            awaited.looking = false;
            return;
        }
    }
}

fn worth_a_look(transfers: &Transfers) -> HashSet<QueueId> {
    let mut awaited = transfers.arrivals.lock();
    let rest = awaited.looked_at.map_or(LONG_ENOUGH, |at| at.elapsed());
    let long = awaited.calls.iter().any(|(_, at)| at.elapsed() >= LONG_ENOUGH);
    let many = awaited.calls.len() >= ENOUGH_CALLS;
    let worth = many || (long && rest >= LONG_ENOUGH);
    if rest < LONG_ENOUGH / 2 || !worth {
        return HashSet::new();
    }
    awaited.looked_at = Some(Instant::now());
    awaited.calls.iter().map(|(transfer, _)| transfer.queue.id).collect()
}

async fn look_for_calls_in(transfers: &Transfers, queue: QueueId) {
    let ctx = context(Instant::now() + WINDOW, Lane::Batch);
    match transfers.gateway.waiting(&ctx, queue).await {
        Ok(look) => confirm_calls(transfers, |transfer| arrived(&look, queue, transfer)).await,
        Err(error) => tracing::debug!(?error, "could not check whether the call arrived"),
    }
}

async fn confirm_calls(transfers: &Transfers, arrived: impl Fn(&Transfer) -> bool) {
    for transfer in take_awaited(transfers, |transfer, _| arrived(transfer)) {
        no_longer_awaited(transfers, transfer, true).await;
    }
}

/// Those for which `done` holds, which are then no longer looked for.
fn take_awaited(
    transfers: &Transfers,
    done: impl Fn(&Transfer, &Instant) -> bool,
) -> Vec<Transfer> {
    let mut awaited = transfers.arrivals.lock();
    let gone = awaited.calls.extract_if(.., |(transfer, since)| done(transfer, since));
    gone.map(|(transfer, _)| transfer).collect()
}

/// Whether the look shows the call as one that came after its command.
fn arrived(look: &WaitingCalls, queue: QueueId, transfer: &Transfer) -> bool {
    transfer.queue.id == queue
        && look.rows.iter().any(|row| {
            row.conversation_id == transfer.request.conversation_id
                && look.clock.is_after(row.since, transfer.created_at)
        })
}
