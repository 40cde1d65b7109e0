//! Seeing the calls of a batch arrive: by looking at the target queue, not at each call.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    config::Confirm,
    transfer::{
        engine::{self, Engine},
        gateway::{Lane, WaitingCalls},
        ids::QueueId,
        model::{Stage, Transfer},
        store::KeyChange,
    },
};

/// How long a moved call is looked for.
const WINDOW: Duration = Duration::from_mins(1);

/// A look is worth its request when so many calls are looked for, or one for so long.
const ENOUGH_CALLS: usize = 25;
const LONG_ENOUGH: Duration = Duration::from_secs(8);

/// How often it is seen whether a look is worth it.
const TICK: Duration = Duration::from_secs(2);

/// The moved calls of one batch that were not seen to arrive yet.
pub(super) struct Confirmer {
    engine: Arc<Engine>,
    awaited: Mutex<Awaited>,
}

#[derive(Default)]
struct Awaited {
    calls: Vec<(Transfer, Instant)>,
    looking: bool,
    looked_at: Option<Instant>,
}

impl Confirmer {
    pub(super) fn new(engine: Arc<Engine>) -> Arc<Self> {
        Arc::new(Self { engine, awaited: Mutex::default() })
    }

    /// Looks for a call that was moved, if the settings ask for that.
    pub(super) fn add(self: &Arc<Self>, transfer: Transfer) {
        if self.engine.settings.confirm != Confirm::Always {
            return;
        }
        let mut awaited = self.lock();
        awaited.calls.push((transfer, Instant::now()));
        if !std::mem::replace(&mut awaited.looking, true) {
            let confirmer = Arc::clone(self);
            self.engine.tracker.spawn(async move { confirmer.look_on().await });
        }
    }

    async fn look_on(&self) {
        while self.engine.pause_until(Instant::now() + TICK, super::item::far()).await {
            self.confirm_at_once().await;
            for queue in self.worth_a_look() {
                self.look(queue).await;
            }
            let mut awaited = self.lock();
            awaited.calls.retain(|(_, since)| since.elapsed() < WINDOW);
            if awaited.calls.is_empty() {
                awaited.looking = false;
                return;
            }
        }
    }

    /// Where only priority or skills were set, nothing has to arrive.
    async fn confirm_at_once(&self) {
        self.confirm(Transfer::is_routing_only).await;
    }

    fn worth_a_look(&self) -> HashSet<QueueId> {
        let mut awaited = self.lock();
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

    async fn look(&self, queue: QueueId) {
        let ctx = engine::context(Instant::now() + WINDOW, Lane::Batch);
        match self.engine.gateway.waiting(&ctx, queue).await {
            Ok(look) => self.confirm(|transfer| arrived(&look, queue, transfer)).await,
            Err(error) => tracing::debug!(?error, "a confirming look failed"),
        }
    }

    async fn confirm(&self, arrived: impl Fn(&Transfer) -> bool) {
        let seen: Vec<Transfer> = {
            let mut awaited = self.lock();
            let gone = awaited.calls.extract_if(.., |(transfer, _)| arrived(transfer));
            gone.map(|(transfer, _)| transfer).collect()
        };
        for mut transfer in seen {
            transfer.stage = Stage::Confirmed;
            let records = &self.engine.records;
            records.conclude(&mut transfer, Stage::Accepted, KeyChange::Keep).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
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
