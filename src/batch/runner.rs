//! Working through a batch: one task per batch, one process at a time.
//!
//! The task keeps a few items in hand at once; each is admitted to the request budget before it is
//! begun, and their commands leave in order (`turns`). What may pass pauses the whole batch, not
//! an item. The store decides in the step that takes an item whether the batch is still running and
//! ours, so a cancel or a take-over counts at once.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, watch},
    task::JoinSet,
    time::Instant,
};

use self::{fetch::View, hands::Back, waits::GLANCE};
use super::{
    Batch, BatchStatus, Batches,
    item::{Open, Run},
    pause::Pauses,
    send_order::{Gone, Turns},
    trouble::Trouble,
};
use crate::{
    problem::{Code, Problem},
    transfer::{
        Transfers, audit, context,
        engine::calls_needed,
        gateway::{Lane, Reservation},
        ids::ConversationId,
        store::{StoreError, TransferFilter},
    },
};

mod end;
mod fetch;
mod hands;
mod waits;

/// How long the batch waits in line for its next requests before it asks anew.
const ADMISSION: Duration = Duration::from_secs(90);

/// The warning a paused batch shows.
const PAUSED: &str = "paused";

/// Transfers read at once.
const PAGE: u32 = 500;

/// Why the runner stops.
enum Stop {
    /// All is done.
    Finished,
    /// A caller stopped the batch.
    Cancelled,
    /// The service stops, or another process has the batch.
    Gone,
}

/// Works through one batch.
#[expect(clippy::struct_excessive_bools, reason = "facts, each of its own")]
struct Runner {
    batches: Arc<Batches>,
    transfers: Arc<Transfers>,
    run: Arc<Run>,
    batch: Batch,
    news: Arc<Notify>,
    /// Items to do, by position.
    open: BTreeMap<u32, Open>,
    /// From here on the store may hold more of them; `None` when all are read.
    unread: Option<u32>,
    known: HashSet<ConversationId>,
    view: View,
    tasks: JoinSet<Back>,
    turns: Arc<Turns>,
    /// How many of the tasks have an item that cannot come back.
    gone: watch::Receiver<Gone>,
    /// Items in a row in trouble of their own.
    struck: u32,
    /// After a storm one item at a time, until one gets through.
    careful: bool,
    /// One stays behind: those behind it come back.
    halted: bool,
    /// An item could not be taken.
    doubted: bool,
    /// An item was lost on the way: the record has it.
    lost: bool,
    pauses: Pauses,
    paused_until: Option<Instant>,
    long_pause: bool,
    /// Why it pauses.
    reason: Option<Box<Problem>>,
    stop: Option<Stop>,
}

/// Works through a recorded batch whose runner this process is.
pub(super) fn run(batches: &Arc<Batches>, batch: Batch) {
    if batch.finished_at.is_some() {
        return;
    }
    let Some(news) = batches.running.enter(&batch) else { return };
    let batches = Arc::clone(batches);
    let completion = batches.transfers.completion.clone();
    completion.spawn(async move {
        let id = batch.id;
        Runner::new(Arc::clone(&batches), batch, news).work().await;
        if let Some(batch) = batches.running.leave(id) {
            run(&batches, batch);
        }
    });
}

/// What a process recorded of this batch and did not send when it died is to be done again, in
/// its turn: the batch is still wanted, however long ago that was.
///
/// # Errors
/// When the store fails.
async fn put_back_unsent(batches: &Batches, batch: &Batch) -> Result<(), StoreError> {
    let why = Problem::new(
        Code::ShuttingDown,
        "The service stopped before it sent the command; nothing was sent. The batch goes on \
         with this call in another transfer.",
    );
    let (owner, now) = (batches.transfers.records.owner(), batches.transfers.clock.now());
    for transfer in batches.store.reopen_unsent(batch.id, owner, &why, now).await? {
        audit::settled(&transfer);
        batches.transfers.count(&transfer);
    }
    Ok(())
}

impl Runner {
    fn new(batches: Arc<Batches>, batch: Batch, news: Arc<Notify>) -> Self {
        let run = Arc::new(Run::new(Arc::clone(&batches), batch.clone()));
        Self {
            turns: run.turns(),
            gone: run.gone.subscribe(),
            struck: 0,
            careful: false,
            transfers: Arc::clone(&batches.transfers),
            batches,
            run,
            batch,
            news,
            open: BTreeMap::new(),
            unread: Some(0),
            known: HashSet::new(),
            view: View::default(),
            tasks: JoinSet::new(),
            halted: false,
            doubted: false,
            lost: false,
            pauses: Pauses::default(),
            paused_until: None,
            long_pause: false,
            reason: None,
            stop: None,
        }
    }

    async fn work(mut self) {
        while !self.put_back().await && !matches!(self.stop, Some(Stop::Gone)) {
            self.rest_a_while().await;
        }
        let _place = self.a_place().await;
        while self.stop.is_none() && !self.recall().await {
            self.rest_a_while().await;
        }
        while self.stop.is_none() {
            self.step().await;
        }
        self.finish_what_is_in_hand().await;
        match self.stop.take() {
            Some(Stop::Finished) => self.complete().await,
            Some(Stop::Cancelled) => self.skip_the_rest().await,
            Some(Stop::Gone) | None => {}
        }
    }

    /// Makes items again of what was recorded and not sent. `false` when the store is away. Only
    /// while none is in hand.
    async fn put_back(&mut self) -> bool {
        match put_back_unsent(&self.batches, &self.batch).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "cannot put calls back");
                false
            }
        }
    }

    /// A place among the batches that run; `None` when it is not to run any more.
    async fn a_place(&mut self) -> Option<OwnedSemaphorePermit> {
        if self.batch.status == BatchStatus::Cancelled {
            self.stop = Some(Stop::Cancelled);
        }
        while self.stop.is_none() {
            let places = Arc::clone(&self.batches.places);
            if let Ok(place) = places.try_acquire_owned() {
                return Some(place);
            }
            self.rest_until(Instant::now() + GLANCE).await;
        }
        None
    }

    /// Reads what was done before. `false` when the store is away.
    async fn recall(&mut self) -> bool {
        match self.read_the_record().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "cannot read the batch");
                false
            }
        }
    }

    async fn read_the_record(&mut self) -> Result<(), StoreError> {
        let store = &self.batches.store;
        self.known = store.known_conversations(self.batch.id).await?.into_iter().collect();
        if self.batch.drain.as_ref().is_none_or(|drain| !drain.keep_place) {
            return Ok(());
        }
        let mut filter = TransferFilter { batch_id: Some(self.batch.id), ..Default::default() };
        loop {
            let page = self.transfers.records.store().list(&filter, PAGE).await?;
            let mut order = self.run.order();
            for transfer in &page {
                order.recall(transfer);
            }
            if page.len() < PAGE as usize {
                return Ok(());
            }
            filter.before = page.last().map(|transfer| transfer.id);
        }
    }

    /// One step: whatever is to be done next, or a wait for it.
    async fn step(&mut self) {
        self.take_back_all();
        if self.transfers.completion.stop.is_cancelled() {
            self.stop = Some(Stop::Gone);
        }
        if self.doubted && self.stop.is_none() {
            self.settle_the_doubt().await;
        }
        if self.stop.is_some() {
            return;
        }
        self.tell_the_pause().await;
        if self.halted {
            // Those behind the one that stays behind come back, and all begin again in order.
            self.wait_for_all_who_may_come_back().await;
            self.turns = self.run.turns();
            self.halted = false;
            return;
        }
        if let Some(until) = self.paused_until {
            if Instant::now() < until {
                return self.rest_until(until).await;
            }
            self.paused_until = None;
            self.long_pause = false;
        }
        if !self.fetch().await {
            return;
        }
        match self.next_due() {
            Some(position) if self.has_a_hand_free() => self.begin(position).await,
            due => {
                // Nobody waits until an item is back before the next one is due.
                let until = self.open.values().filter_map(Open::due).min();
                match until.filter(|_| due.is_none()) {
                    Some(until) if self.tasks.is_empty() => self.rest_until(until).await,
                    None if self.tasks.is_empty() => self.nothing_to_do().await,
                    until => self.wait_for_one(until).await,
                }
            }
        }
    }

    fn next_due(&self) -> Option<u32> {
        let now = Instant::now();
        let mut due = self.open.values().filter(|open| open.due().is_none_or(|at| at <= now));
        // Who is asked for to see whether the storm is over should not always be the same one.
        let next = if self.careful { due.min_by_key(|open| open.strikes()) } else { due.next() };
        next.map(|open| open.item.position)
    }

    /// Waits for room in the request budget, then begins an item.
    async fn begin(&mut self, position: u32) {
        let Some(open) = self.open.get(&position) else { return };
        let calls = calls_needed(&self.transfers, &open.item.request);
        let Some(admission) = self.admission(calls).await else { return };
        let Some(mut open) = self.open.remove(&position) else { return };
        open.alone = self.open.is_empty() && self.may_come_back() == 0;
        let (run, turn) = (Arc::clone(&self.run), Arc::new(self.turns.draw()));
        let course = turn.course();
        self.tasks.spawn(async move {
            let (open, end) = run.carry(open, admission, turn).await;
            Back { open, end, course }
        });
    }

    /// Room for `calls` requests; `None` when something else is to be seen to first.
    async fn admission(&mut self, calls: u32) -> Option<Arc<dyn Reservation>> {
        let transfers = Arc::clone(&self.transfers);
        let ctx = context(Instant::now() + ADMISSION, Lane::Batch);
        let ctx = ctx.on_behalf_of(&self.batch.requested_by);
        let admitted = self.unless_stopped(transfers.gateway.admit(&ctx, calls)).await?;
        self.take_back_all();
        match admitted {
            Ok(admission) => (!self.halted && !self.doubted).then_some(admission),
            Err(error) => {
                match Trouble::of(error) {
                    Ok(trouble) => self.pause_for(&trouble),
                    Err(problem) => {
                        tracing::warn!(batch_id = %self.batch.id, code = problem.code.as_str(), "not admitted");
                    }
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
