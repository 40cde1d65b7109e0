//! Working through a batch: one task per batch, one process at a time.
//!
//! The task keeps a few items in flight; each is admitted to the request budget before it is begun,
//! and their commands leave in order (`send_order`). What may pass pauses the whole batch, not an
//! item (`phase`). A standing drain stays when its queue is empty (`stand`). The store decides in the
//! step that takes an item whether the batch is still running and ours, so a cancel or a take-over
//! counts at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, watch},
    task::{JoinError, JoinSet},
    time::Instant,
};

use self::{
    phase::{Close, Control, NextStep},
    stand::StandingDrain,
};
use super::{
    Batch, BatchStatus, Batches,
    drain::TAIL,
    item::{ItemResult, Open, Run},
    send_order::{Course, Gone, SendOrder},
    sight::View,
    trouble::Trouble,
};
use crate::{
    metrics::{BatchActivity, InFlight},
    problem::{Code, Problem},
    transfer::{
        Transfers, audit, context,
        engine::calls_needed,
        gateway::{Lane, Reservation},
        ids::ConversationId,
        model::{Status, Transfer},
        store::{StoreError, TransferFilter},
    },
};

mod close;
mod fetch;
mod phase;
mod stand;

/// How long the batch waits in line for its next requests before it asks anew.
const ADMISSION: Duration = Duration::from_secs(90);

/// The warning a paused batch shows.
const PAUSED: &str = "paused";

/// Transfers read at once.
const PAGE: u32 = 500;

/// A ringing call is looked at again after this time.
const LATER: Duration = Duration::from_secs(10);

/// While it waits, a batch looks so often whether another process cancelled it.
const GLANCE: Duration = Duration::from_secs(2);

/// An item that is no longer in flight.
struct Back {
    open: Open,
    result: ItemResult,
    /// Whether it could have come back until now.
    course: Arc<Course>,
}

/// Where more items are.
#[derive(Debug, Clone, Copy)]
enum Unread {
    /// In the store, from this position on.
    From(u32),
    /// The store has none.
    None,
    /// An item was lost on the way: the record has it, once it is put back.
    Lost,
}

/// Works through one batch.
struct Runner {
    batches: Arc<Batches>,
    transfers: Arc<Transfers>,
    run: Arc<Run>,
    batch: Batch,
    news: Arc<Notify>,
    control: Control,
    /// Items to do, by position.
    open: BTreeMap<u32, Open>,
    unread: Unread,
    known: HashSet<ConversationId>,
    /// Of a standing drain: since when those waited that it knows.
    arrived: HashMap<ConversationId, Timestamp>,
    /// Calls that moved, or may have.
    moved: HashSet<ConversationId>,
    /// Of a standing drain: when it looks, and whether it moves calls now.
    stand: Option<StandingDrain>,
    /// How many transfers moved a call, or may have.
    moves: u32,
    /// How many transfers there are.
    ended: u32,
    /// The items that a look left for the end may go.
    tail_may_go: bool,
    /// Until then, items are begun on pictures as they come.
    pictures_until: Option<Instant>,
    /// Time between two requests until then.
    apart: Duration,
    /// So that the requests of a minute are spread over it, no others are begun before.
    spread_until: Instant,
    view: View,
    in_flight: JoinSet<Back>,
    send_order: Arc<SendOrder>,
    /// How many of those in flight cannot come back.
    gone: watch::Receiver<Gone>,
    /// What it does, in the metrics.
    measured: InFlight,
}

/// Works through a recorded batch whose runner this process is.
pub(super) fn run(batches: &Arc<Batches>, batch: Batch) {
    if batch.finished_at.is_some() {
        return;
    }
    let Some(news) = batches.running.enter(&batch) else {
        return;
    };
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

/// What a process recorded of this batch and did not send when it died is to be done again, in its
/// turn: the batch is still wanted, however long ago that was.
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
            measured: batches.transfers.metrics().batch_runs(BatchActivity::Waiting),
            transfers: Arc::clone(&batches.transfers),
            batches,
            send_order: run.send_order(),
            gone: run.gone.subscribe(),
            run,
            news,
            control: Control::default(),
            open: BTreeMap::new(),
            unread: Unread::From(0),
            known: HashSet::new(),
            arrived: HashMap::new(),
            moved: HashSet::new(),
            stand: StandingDrain::of(batch.drain.as_ref()),
            moves: 0,
            ended: 0,
            tail_may_go: false,
            pictures_until: None,
            apart: Duration::ZERO,
            spread_until: Instant::now(),
            view: View::default(),
            in_flight: JoinSet::new(),
            batch,
        }
    }

    async fn work(mut self) {
        while !self.put_back().await && self.control.closing() != Some(Close::Gone) {
            self.rest_a_while().await;
        }
        let _place = self.a_place().await;
        self.measured = self.transfers.metrics().batch_runs(BatchActivity::Running);
        while self.control.closing().is_none() && !self.recall().await {
            self.rest_a_while().await;
        }
        let why = loop {
            if let Some(why) = self.step().await {
                break why;
            }
        };
        while let Some(ended) = self.in_flight.join_next().await {
            self.take_back(ended);
        }
        match why {
            Close::Finished => close::complete(self).await,
            Close::Cancelled => close::skip_the_rest(self).await,
            Close::Gone => {}
        }
    }

    /// Makes items again of what was recorded and not sent. `false` when the store is away. Only
    /// while none is in flight.
    async fn put_back(&self) -> bool {
        let put_back = put_back_unsent(&self.batches, &self.batch).await;
        self.logged("cannot put items back", put_back).is_some()
    }

    /// A place among the batches that run; `None` when it is not to run any more.
    async fn a_place(&mut self) -> Option<OwnedSemaphorePermit> {
        if self.batch.status == BatchStatus::Cancelled {
            self.control.close(Close::Cancelled);
        }
        if self.stand.is_some() {
            // It may be there for a day, and keeps none waiting.
            return None;
        }
        while self.control.closing().is_none() {
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
        let read = self.read_the_record().await;
        self.logged("cannot read the batch", read).is_some()
    }

    async fn read_the_record(&mut self) -> Result<(), StoreError> {
        let known = self.batches.store.known_conversations(self.batch.id).await?;
        self.known = known.into_iter().collect();
        if !self.batch.keeps_order() {
            return Ok(());
        }
        if let Some(batch) = self.batches.store.batch(self.batch.id).await? {
            self.batch.total = batch.total;
        }
        if self.stand.is_some() {
            self.recall_arrivals().await?;
        }
        (self.moves, self.ended) = (0, 0);
        let mut filter = TransferFilter { batch_id: Some(self.batch.id), ..Default::default() };
        loop {
            let page = self.transfers.records.store().list(&filter, PAGE).await?;
            for transfer in &page {
                self.recall_transfer(transfer);
            }
            if page.len() < PAGE as usize {
                return Ok(());
            }
            filter.before = page.last().map(|transfer| transfer.id);
        }
    }

    /// Calls that a standing drain knows and has not taken: a look is not to take them for new ones.
    async fn recall_arrivals(&mut self) -> Result<(), StoreError> {
        let mut from = 0;
        loop {
            let items = self.batches.store.open_items(self.batch.id, from, PAGE).await?;
            for item in &items {
                let since = item.waiting_since.unwrap_or(Timestamp::MAX);
                self.arrived.insert(item.request.conversation_id, since);
            }
            match items.last() {
                Some(last) if items.len() >= PAGE as usize => from = last.position + 1,
                _ => return Ok(()),
            }
        }
    }

    fn recall_transfer(&mut self, transfer: &Transfer) {
        self.run.order().recall(transfer);
        let (id, at) = (transfer.request.conversation_id, transfer.created_at);
        if self.stand.is_some() {
            let arrived = self.arrived.entry(id).or_insert(at);
            *arrived = at.max(*arrived);
        }
        self.ended = self.ended.saturating_add(1);
        if !matches!(transfer.stage.status(), Status::Failed | Status::Skipped) {
            self.moved.insert(id);
            self.moves = self.moves.saturating_add(1);
        }
    }

    /// What the store answered; its failure is logged as `what`.
    fn logged<T>(&self, what: &'static str, answered: Result<T, StoreError>) -> Option<T> {
        let logged = |error: &StoreError| {
            tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "{what}");
        };
        answered.inspect_err(logged).ok()
    }

    /// One step: whatever is to be done next, or a wait for it. `Some` at the end.
    async fn step(&mut self) -> Option<Close> {
        self.take_back_all();
        if self.transfers.completion.stop.is_cancelled() {
            self.control.close(Close::Gone);
        }
        let step = self.control.step(Instant::now());
        match step {
            NextStep::Close(why) => return Some(why),
            NextStep::CheckRecord => {
                if !self.check_the_record().await {
                    self.rest_a_while().await;
                } else if self.control.closing().is_none() {
                    self.control.close(Close::Gone);
                }
                return None;
            }
            NextStep::Regroup | NextStep::Rest(_) | NextStep::Work => self.tell_the_pause().await,
        }
        match step {
            NextStep::Rest(until) => {
                let why = self.control.told_pause().map(|problem| problem.code);
                if why == Some(Code::GenesysRateLimited) {
                    self.tell_the_wait(until.saturating_duration_since(Instant::now())).await;
                }
                self.rest_until(until).await;
            }
            NextStep::Regroup => {
                self.wait_for_all_that_may_come_back().await;
                self.send_order = self.run.send_order();
                self.control.regrouped();
            }
            _ if self.watch_queue().await => self.begin_or_wait().await,
            _ => {}
        }
        None
    }

    async fn begin_or_wait(&mut self) {
        if !self.fetch().await {
            return;
        }
        let gone = *self.gone.borrow_and_update();
        let may_move = self.stand.as_ref().is_none_or(StandingDrain::is_moving);
        match self.next_due().filter(|_| may_move) {
            Some(position) if self.control.has_room(self.in_flight.len(), gone) => {
                self.begin(position).await;
            }
            due => {
                // No item is back before the next one is due: that one is waited for.
                let items = self.open.values().filter(|_| may_move);
                let look = self.stand.as_ref().and_then(StandingDrain::next_look);
                let until = items.filter_map(Open::due).chain(look).min();
                match until.filter(|_| due.is_none()) {
                    _ if self.in_flight.is_empty() && self.is_done_standing() => {
                        self.control.close(Close::Finished);
                    }
                    Some(until) if self.in_flight.is_empty() => self.rest_until(until).await,
                    None if self.in_flight.is_empty() => self.nothing_to_do().await,
                    until => self.wait_for_one(until).await,
                }
            }
        }
    }

    fn next_due(&self) -> Option<u32> {
        let now = Instant::now();
        let end = if self.is_tail_held() { TAIL } else { u32::MAX };
        let open = self.open.range(..end).map(|(_, open)| open);
        let mut due = open.filter(|open| open.due().is_none_or(|at| at <= now));
        // Not always the same item probes whether the trouble is over.
        let probing = self.control.is_failing();
        let next = if probing { due.min_by_key(|open| open.failures()) } else { due.next() };
        next.map(|open| open.item.position)
    }

    /// Waits for room in the request budget, then begins an item.
    async fn begin(&mut self, position: u32) {
        if !self.look_ahead(position).await {
            return;
        }
        let Some(open) = self.open.get(&position) else {
            return;
        };
        let (look, open_is_gone) = (u32::from(open.has_picture()), open.is_gone());
        let calls = calls_needed(&self.transfers, &open.item.request).saturating_sub(look);
        self.tell_the_wait(self.pace().ready_in).await;
        if !open_is_gone {
            self.spend(calls);
        }
        let Some(admission) = self.admission(calls).await else {
            return;
        };
        if self.batch.waiting_until.take_if(|until| *until > self.transfers.clock.now()).is_some() {
            self.save().await;
        }
        let Some(mut open) = self.open.remove(&position) else {
            return;
        };
        open.alone = self.open.is_empty() && self.may_come_back() == 0;
        let (run, slot) = (Arc::clone(&self.run), Arc::new(self.send_order.next()));
        let course = slot.course();
        self.in_flight.spawn(async move {
            let (open, result) = run.carry(open, admission, slot).await;
            Back { open, result, course }
        });
    }

    /// Room for `calls` requests; `None` when something else has to be done first.
    async fn admission(&mut self, calls: u32) -> Option<Arc<dyn Reservation>> {
        let transfers = Arc::clone(&self.transfers);
        let ctx = context(Instant::now() + ADMISSION, Lane::Batch);
        let ctx = ctx.on_behalf_of(&self.batch.requested_by);
        let admitted = self.unless_stopped(transfers.gateway.admit(&ctx, calls)).await?;
        self.take_back_all();
        match admitted.map_err(Trouble::of) {
            Ok(admission) => self.control.is_undisturbed().then_some(admission),
            Err(Ok(trouble)) => {
                self.control.pause(&trouble, Instant::now());
                None
            }
            Err(Err(problem)) => {
                let code = problem.code.as_str();
                tracing::warn!(batch_id = %self.batch.id, code, "the next item cannot be admitted");
                None
            }
        }
    }

    fn take_back_all(&mut self) {
        while let Some(ended) = self.in_flight.try_join_next() {
            self.take_back(ended);
        }
    }

    fn take_back(&mut self, ended: Result<Back, JoinError>) {
        let Back { mut open, result, course } = match ended {
            Ok(back) => back,
            Err(error) => {
                tracing::error!(batch_id = %self.batch.id, %error, "an item's task failed");
                self.unread = Unread::Lost;
                return;
            }
        };
        drop(course);
        let (now, failing) = (Instant::now(), self.control.is_failing());
        self.control.came_back(&result, now);
        for id in self.run.take_moved() {
            self.moved.insert(id);
            self.moves = self.moves.saturating_add(1);
        }
        if matches!(result, ItemResult::Taken | ItemResult::GivenUp | ItemResult::Unclear(_)) {
            self.ended = self.ended.saturating_add(1);
        }
        match result {
            ItemResult::Taken if failing => {
                self.open.values_mut().for_each(|open| open.aside = None);
            }
            ItemResult::Taken | ItemResult::GivenUp | ItemResult::Unclear(_) => {}
            ItemResult::Later
            | ItemResult::Again
            | ItemResult::Halted
            | ItemResult::Trouble(_)
            | ItemResult::Stopped => {
                if matches!(result, ItemResult::Later) {
                    open.not_before = Some(now + LATER);
                }
                self.open.insert(open.item.position, open);
            }
        }
    }

    /// How many of those in flight may come back.
    fn may_come_back(&mut self) -> usize {
        let Gone { taken, unclear } = *self.gone.borrow_and_update();
        self.in_flight.len().saturating_sub(taken + unclear)
    }

    async fn wait_for_all_that_may_come_back(&mut self) {
        while self.may_come_back() > 0 {
            tokio::select! {
                Some(ended) = self.in_flight.join_next() => self.take_back(ended),
                _ = self.gone.changed() => {}
            }
        }
    }

    /// Waits until one in flight is back or gone, or until then.
    async fn wait_for_one(&mut self, until: Option<Instant>) {
        tokio::select! {
            Some(ended) = self.in_flight.join_next() => self.take_back(ended),
            _ = self.gone.changed() => {}
            () = self.news.notified() => {
                self.check_the_record().await;
            }
            () = tokio::time::sleep_until(until.unwrap_or_else(far)) => {}
            () = self.transfers.completion.stop.cancelled() => {}
        }
    }

    /// Waits for `work`, unless the batch is stopped meanwhile.
    async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        let stop = self.transfers.completion.stop.clone();
        while self.control.closing().is_none() {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = stop.cancelled() => return None,
                () = self.news.notified() => {}
                () = tokio::time::sleep(GLANCE) => {}
            }
            self.check_the_record().await;
        }
        None
    }

    async fn rest_a_while(&mut self) {
        let until = Instant::now() + self.control.next_pause();
        self.rest_until(until).await;
    }

    /// Waits until then, but looks at the record now and then.
    async fn rest_until(&mut self, until: Instant) {
        let glance = until.min(Instant::now() + GLANCE);
        tokio::select! {
            () = tokio::time::sleep_until(glance) => {}
            () = self.news.notified() => {}
            () = self.transfers.completion.stop.cancelled() => {
                return self.control.close(Close::Gone);
            }
        }
        self.check_the_record().await;
    }

    /// Whether a caller stopped the batch. `false` when the store is away.
    async fn check_the_record(&mut self) -> bool {
        let read = self.batches.store.batch(self.batch.id).await;
        let Ok(found) = read.inspect_err(|error| {
            tracing::debug!(cause = %error.cause, "cannot read the batch");
        }) else {
            return false;
        };
        match found {
            Some(batch) if batch.status == BatchStatus::Running => {}
            Some(Batch { status: BatchStatus::Cancelled, finished_at: None, .. }) => {
                self.control.close(Close::Cancelled);
            }
            _ => self.control.close(Close::Gone),
        }
        true
    }

    /// Shows or takes back the warning of a pause. Should it not be written: the next one will be.
    async fn tell_the_pause(&mut self) {
        let detail = self.control.told_pause().map(|problem| {
            let hint = problem.hint.as_deref().unwrap_or_default();
            format!("{} {hint}", problem.detail).trim().to_owned()
        });
        let activity =
            if detail.is_some() { BatchActivity::Paused } else { BatchActivity::Running };
        self.measured = self.transfers.metrics().batch_runs(activity);
        let shown = self.batch.warning(PAUSED).is_some();
        if detail.is_some() == shown {
            return;
        }
        if let Some(problem) = self.control.told_pause() {
            let code = problem.code.as_str();
            tracing::warn!(batch_id = %self.batch.id, code, "batch paused");
        }
        self.batch.warn(PAUSED, detail);
        self.save().await;
    }

    /// Writes the batch's row. `false` when it could not be; a row that another process has now is
    /// that process's to write.
    async fn save(&mut self) -> bool {
        self.batch.updated_at = self.transfers.clock.now();
        let owner = self.transfers.records.owner();
        let saved = self.batches.store.update_batch(&self.batch, owner).await;
        self.logged("cannot write the batch", saved).is_some()
    }
}

/// A time that no pause reaches.
fn far() -> Instant {
    Instant::now() + Duration::from_hours(365 * 24)
}

#[cfg(test)]
mod tests;
