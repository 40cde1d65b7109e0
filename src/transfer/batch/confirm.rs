//! Seeing the calls of batches arrive: by looking at the target queue, not at each call.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::transfer::{
    engine::{self, Engine},
    gateway::{Lane, WaitingCalls},
    ids::QueueId,
    model::Transfer,
};

/// How long a moved call is looked for.
const WINDOW: Duration = Duration::from_mins(1);

/// A look is worth its request when so many calls are looked for, or one for so long.
const ENOUGH_CALLS: usize = 25;
const LONG_ENOUGH: Duration = Duration::from_secs(8);

/// How often it is seen whether a look is worth it.
const TICK: Duration = Duration::from_secs(2);

/// The moved calls of batches that were not seen to arrive yet.
#[derive(Default)]
pub(super) struct Awaited {
    calls: Vec<(Transfer, Instant)>,
    looking: bool,
    looked_at: Option<Instant>,
}

impl Engine {
    /// Looks for a call of a batch that was moved.
    pub(in crate::transfer) fn await_call(self: &Arc<Self>, transfer: Transfer) {
        let mut awaited = self.batches.awaited();
        awaited.calls.push((transfer, Instant::now()));
        if !std::mem::replace(&mut awaited.looking, true) {
            let engine = Arc::clone(self);
            self.tracker.spawn(async move { engine.look_for_calls().await });
        }
    }

    async fn look_for_calls(&self) {
        while self.pause_until(Instant::now() + TICK, super::item::far()).await {
            // Where only priority or skills were set, nothing has to arrive.
            self.confirm_calls(Transfer::is_routing_only).await;
            for queue in self.worth_a_look() {
                self.look_for_calls_in(queue).await;
            }
            for transfer in self.take_awaited(|_, since| since.elapsed() >= WINDOW) {
                self.no_longer_awaited(transfer, false).await;
            }
            let mut awaited = self.batches.awaited();
            if awaited.calls.is_empty() {
                awaited.looking = false;
                return;
            }
        }
    }

    fn worth_a_look(&self) -> HashSet<QueueId> {
        let mut awaited = self.batches.awaited();
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

    async fn look_for_calls_in(&self, queue: QueueId) {
        let ctx = engine::context(Instant::now() + WINDOW, Lane::Batch);
        match self.gateway.waiting(&ctx, queue).await {
            Ok(look) => self.confirm_calls(|transfer| arrived(&look, queue, transfer)).await,
            Err(error) => tracing::debug!(?error, "a confirming look failed"),
        }
    }

    async fn confirm_calls(&self, arrived: impl Fn(&Transfer) -> bool) {
        for transfer in self.take_awaited(|transfer, _| arrived(transfer)) {
            self.no_longer_awaited(transfer, true).await;
        }
    }

    /// Those for which `done` holds, which are then no longer looked for.
    fn take_awaited(&self, done: impl Fn(&Transfer, &Instant) -> bool) -> Vec<Transfer> {
        let mut awaited = self.batches.awaited();
        let gone = awaited.calls.extract_if(.., |(transfer, since)| done(transfer, since));
        gone.map(|(transfer, _)| transfer).collect()
    }
}

/// Whether the look shows the call as one that came after its command.
fn arrived(look: &WaitingCalls, queue: QueueId, transfer: &Transfer) -> bool {
    transfer.queue.id == queue
        && look.rows.iter().any(|row| {
            row.conversation_id == transfer.request.conversation_id
                && look.clock.is_after(row.since, transfer.created_at)
        })
}
