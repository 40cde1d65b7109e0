//! One call of a batch: look, wait for its turn, record, send.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Batch, Item,
    confirm::Confirmer,
    judge::{self, Refusal},
    order::{Order, Standing},
    store::Taken,
    trouble::{Strikes, Trouble},
    turns::Turn,
};
use crate::{
    problem::{Code, Problem},
    transfer::{
        caller::{Limits, check_priority},
        conversation::Conversation,
        engine::{self, Engine, Job, Outcome},
        gateway::{CallContext, Lane, Reservation},
        ids::TransferId,
        model::{Stage, Transfer, UpstreamUse},
        plan::{self, Moment, Plan},
        problems,
        service::Wait,
        store::KeyChange,
    },
};

/// Time for one call from its turn on. Nobody waits for the answer, but a command is not to be sent
/// long after its look.
const ITEM_TIME: Duration = Duration::from_secs(30);

/// A look older than this is not acted on: an agent may have answered meanwhile.
const FRESH: Duration = Duration::from_secs(3);

/// How often a call that rings, or has another transfer in hand, is looked at again.
const MOST_LATERS: u32 = 3;

/// Tries to record one transfer before the batch pauses.
const TAKES: u32 = 3;

/// What the calls of one batch share.
pub(super) struct Run {
    pub(super) engine: Arc<Engine>,
    pub(super) batch: Batch,
    pub(super) order: Arc<Mutex<Order>>,
    pub(super) confirmer: Arc<Confirmer>,
    /// Looks that succeeded.
    pub(super) looked: AtomicU64,
    /// Calls that moved.
    pub(super) moved: AtomicU64,
}

/// An item that is not a transfer yet.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) item: Item,
    /// Not to be looked at before.
    pub(super) not_before: Option<Instant>,
    /// The transfer that may have been recorded: the store did not say.
    transfer_id: Option<TransferId>,
    laters: u32,
    looks: Strikes,
    commands: Strikes,
}

impl From<Item> for Open {
    fn from(item: Item) -> Self {
        Self {
            item,
            not_before: None,
            transfer_id: None,
            laters: 0,
            looks: Strikes::default(),
            commands: Strikes::default(),
        }
    }
}

/// How an item left our hands.
#[derive(Debug)]
pub(super) enum End {
    /// It is a transfer.
    Taken,
    /// To be looked at again in a while.
    Later,
    /// Something that passes is in the way of all.
    Trouble(Trouble),
    /// One before it stays behind.
    Halted,
    /// The batch is not ours any more, or not running.
    Stopped,
}

impl Run {
    pub(super) fn new(engine: Arc<Engine>, batch: Batch) -> Self {
        Self {
            order: Arc::default(),
            confirmer: Confirmer::new(Arc::clone(&engine)),
            looked: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            engine,
            batch,
        }
    }

    /// Carries one item as far as it goes.
    pub(super) async fn carry(
        &self,
        mut open: Open,
        admission: Arc<dyn Reservation>,
        turn: Turn,
    ) -> (Open, End) {
        let mut turn = Some(turn);
        let end = self.attempt(&mut open, admission, &mut turn).await.unwrap_or_else(|end| end);
        if let (End::Trouble(_), Some(turn)) = (&end, &turn) {
            turn.halt();
        }
        (open, end)
    }

    async fn attempt(
        &self,
        open: &mut Open,
        admission: Arc<dyn Reservation>,
        turn: &mut Option<Turn>,
    ) -> Result<End, End> {
        let mut ctx = context();
        ctx.admission = Some(admission);
        self.check_repetition(open).await?;
        let mut seen = self.look(&ctx, open).await?;
        let mut looked_at = Instant::now();
        self.judged(open, seen.as_ref(), i64::MAX).await?;
        let Some(my_turn) = turn.as_mut() else { return Err(End::Halted) };
        if !my_turn.comes().await {
            return Err(End::Halted);
        }
        ctx = ctx.until(context().deadline);
        if looked_at.elapsed() > FRESH {
            seen = self.look(&ctx, open).await?;
            looked_at = Instant::now();
        }
        tracing::trace!(age = ?looked_at.elapsed(), "its turn has come");
        let (plan, place) = self.placed(open, seen.as_ref()).await?;
        let transfer = self.transfer(open, Some(&plan));
        crate::failpoint!(BeforeItem);
        self.take(open, &transfer).await?;
        crate::failpoint!(AfterItem);
        if let Some((standing, priority)) = place {
            my_turn.takes(standing, priority);
        }
        let job = Job {
            transfer,
            ctx,
            wait: Wait::Outcome,
            given: None,
            sent: Arc::default(),
            turn: turn.take(),
        };
        self.send(open, job, plan).await
    }

    /// The plan for right now, and the place it gives the call.
    async fn placed(
        &self,
        open: &mut Open,
        seen: Option<&Conversation>,
    ) -> Result<(Plan, Option<(Standing, i64)>), End> {
        let plan = self.judged(open, seen, i64::MAX).await?;
        let (Some(since), Some(waited), Some(priority), Some(_)) =
            (open.item.waiting_since, plan.waited_minutes, plan.priority, &self.batch.drain)
        else {
            return Ok((plan, None));
        };
        let base = i64::from(priority.get()).saturating_sub(waited);
        let standing = Standing { since, base };
        let now = self.engine.clock.now();
        let most = self.order().most_minutes(standing, now);
        let plan = if most < waited { self.judged(open, seen, most).await? } else { plan };
        let priority = plan.priority.map_or(0, |priority| i64::from(priority.get()));
        Ok((plan, Some((standing, priority))))
    }

    /// Sends the command and records what became of it.
    async fn send(&self, open: &mut Open, mut job: Job, plan: Plan) -> Result<End, End> {
        let engine = &self.engine;
        let outcome = engine.dispatch(&mut job, plan).await;
        let trouble = match &outcome {
            Outcome::Failed { problem, key_used } => Trouble::of_command(problem, *key_used),
            _ => None,
        };
        // Held back until it is known whether this one comes back.
        let turn = job.turn.take();
        let ours = trouble.as_ref().is_some_and(|trouble| {
            trouble.own && open.commands.strike(self.moved.load(Ordering::Relaxed))
        });
        let again = trouble.filter(|_| !ours);
        if let (Some(_), Some(turn)) = (&again, &turn) {
            turn.halt();
        }
        drop(turn);
        let transfer = engine.finish(job, outcome).await;
        match (again, transfer.stage) {
            (Some(trouble), Stage::Failed) => {
                self.reopen(open, &transfer).await?;
                Err(End::Trouble(trouble))
            }
            (_, Stage::Accepted) => {
                self.moved.fetch_add(1, Ordering::Relaxed);
                self.confirmer.add(transfer);
                Ok(End::Taken)
            }
            _ => Ok(End::Taken),
        }
    }

    /// Puts the item back whose transfer certainly was not sent.
    async fn reopen(&self, open: &mut Open, transfer: &Transfer) -> Result<(), End> {
        let engine = &self.engine;
        let mut pauses = super::pause::Pauses::default();
        loop {
            // What waits in memory would be written over it.
            if !engine.records.is_unsaved(transfer.id) {
                let store = &engine.batches.store;
                let position = open.item.position;
                match store.reopen_item(self.batch.id, position, transfer.id).await {
                    Ok(()) => {
                        open.transfer_id = None;
                        return Ok(());
                    }
                    Err(error) => {
                        tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "cannot put a call back");
                    }
                }
            }
            if !engine.pause_until(Instant::now() + pauses.next(), far()).await {
                return Err(End::Stopped);
            }
        }
    }

    async fn check_repetition(&self, open: &mut Open) -> Result<(), End> {
        let most = self.batch.moves_per_conversation;
        let limits = Limits { moves_per_conversation: most, ..Limits::default() };
        let id = open.item.request.conversation_id;
        match self.engine.check_repetition(&limits, id).await {
            Ok(()) => Ok(()),
            Err(problem) if problem.code == Code::StoreUnavailable => {
                Err(End::Trouble(Trouble::of_store(problem)))
            }
            Err(problem) => Err(self.settle(open, Stage::Failed, problem).await),
        }
    }

    /// Looks at the call; `None` when it is to be moved without a look.
    async fn look(&self, ctx: &CallContext, open: &mut Open) -> Result<Option<Conversation>, End> {
        let request = &open.item.request;
        if !self.engine.settings.verify && plan::blind(request).is_some() {
            return Ok(None);
        }
        let looked = self.engine.gateway.conversation(ctx, request.conversation_id).await;
        match looked.map_err(Trouble::of) {
            Ok(conversation) => {
                self.looked.fetch_add(1, Ordering::Relaxed);
                Ok(Some(conversation))
            }
            Err(Ok(trouble)) => {
                let others = self.looked.load(Ordering::Relaxed);
                if trouble.own && open.looks.strike(others) {
                    return Err(self.settle(open, Stage::Failed, trouble.problem).await);
                }
                Err(End::Trouble(trouble))
            }
            Err(Err(problem)) => Err(self.settle(open, Stage::Failed, problem).await),
        }
    }

    /// What is to be done with the call as it was seen, adding at most so many minutes.
    async fn judged(
        &self,
        open: &mut Open,
        seen: Option<&Conversation>,
        most_minutes: i64,
    ) -> Result<Plan, End> {
        match self.judge(&open.item, seen, most_minutes) {
            Ok(plan) => Ok(plan),
            Err(Refusal::Later(problem)) => Err(self.later(open, problem).await),
            Err(Refusal::Skip(problem)) => Err(self.settle(open, Stage::Skipped, problem).await),
            Err(Refusal::Fail(problem)) => Err(self.settle(open, Stage::Failed, problem).await),
        }
    }

    pub(super) fn judge(
        &self,
        item: &Item,
        seen: Option<&Conversation>,
        most_minutes: i64,
    ) -> Result<Plan, Refusal> {
        let engine = &self.engine;
        let Some(conversation) = seen else {
            return plan::blind(&item.request).ok_or_else(|| Refusal::Fail(judge::unseen()));
        };
        if let Some(drain) = &self.batch.drain {
            judge::waits(conversation, &drain.from)?;
        }
        let moment = Moment { now: engine.clock.now(), most_minutes };
        let (request, queue) = (&item.request, &item.queue);
        let plan = plan::plan_at_most(request, queue, conversation, moment, engine.carrier());
        let plan = plan.map_err(|problem| Refusal::Fail(*problem))?;
        engine.check_priority(&plan).map_err(|problem| Refusal::Fail(*problem))?;
        let most = self.batch.max_priority;
        check_priority(plan.priority, most).map_err(|problem| Refusal::Fail(*problem))?;
        Ok(plan)
    }

    async fn later(&self, open: &mut Open, problem: Problem) -> End {
        open.laters += 1;
        if open.laters > MOST_LATERS {
            return self.settle(open, Stage::Failed, problem).await;
        }
        End::Later
    }

    /// Records a call that is not moved.
    pub(super) async fn settle(&self, open: &mut Open, stage: Stage, problem: Problem) -> End {
        let mut transfer = self.transfer(open, None);
        transfer.stage = stage;
        transfer.error = Some(Problem { retryable: Some(false), ..problem });
        let end = self.take(open, &transfer).await;
        match end {
            Ok(Found::New) => Engine::audit(&transfer),
            Ok(Found::Again) => {
                // It was recorded as one that goes ahead, and did not.
                let records = &self.engine.records;
                records.conclude(&mut transfer, Stage::Received, KeyChange::Free).await;
                Engine::audit(&transfer);
            }
            Err(end) => return end,
        }
        End::Taken
    }

    /// Turns the item into `transfer`.
    async fn take(&self, open: &mut Open, transfer: &Transfer) -> Result<Found, End> {
        let engine = &self.engine;
        let position = open.item.position;
        let mut tries = TAKES;
        loop {
            let store = &engine.batches.store;
            match store.take_item(transfer, position, engine.records.owner()).await {
                Ok(Taken::Done) => return Ok(Found::New),
                Ok(Taken::Already(id)) if id == transfer.id => return Ok(Found::Again),
                Ok(Taken::Already(_)) => return Err(End::Taken),
                Ok(Taken::Stopped) => return Err(End::Stopped),
                Ok(Taken::ConversationTaken(other)) => {
                    let id = transfer.request.conversation_id;
                    let problem = problems::transfer_in_progress(id, Some(other));
                    return Err(Box::pin(self.later(open, problem)).await);
                }
                Err(error) => {
                    // It may have been recorded: from now on under this name only.
                    open.transfer_id = Some(transfer.id);
                    tries -= 1;
                    if tries == 0 {
                        let problem = problems::from_store(&error);
                        return Err(End::Trouble(Trouble::of_store(problem)));
                    }
                }
            }
        }
    }

    fn transfer(&self, open: &Open, plan: Option<&Plan>) -> Transfer {
        let engine = &self.engine;
        let now = engine.clock.now();
        let Item { request, queue, .. } = &open.item;
        let mut transfer = Transfer {
            id: open.transfer_id.unwrap_or_else(|| TransferId::new(engine.ids.next(now))),
            stage: Stage::Received,
            request: request.clone(),
            queue: queue.clone(),
            requested_by: self.batch.requested_by.clone(),
            request_id: self.batch.request_id.clone(),
            batch_id: Some(self.batch.id),
            participant_id: request.participant_id,
            previous: None,
            picture: None,
            priority: request.priority,
            waited_minutes: None,
            max_priority: self.batch.max_priority,
            warnings: Vec::new(),
            error: None,
            upstream: UpstreamUse::default(),
            created_at: now,
            updated_at: now,
        };
        if let Some(plan) = plan {
            engine::adopt_plan(&mut transfer, plan);
        }
        transfer
    }

    pub(super) fn order(&self) -> std::sync::MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a transfer came to be recorded.
enum Found {
    /// Just now.
    New,
    /// By an earlier try whose end was not seen.
    Again,
}

/// The context of a call's own requests.
pub(super) fn context() -> CallContext {
    engine::context(Instant::now() + ITEM_TIME, Lane::Batch)
}

/// A time that no pause reaches.
pub(super) fn far() -> Instant {
    Instant::now() + Duration::from_hours(365 * 24)
}
