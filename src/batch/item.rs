//! One call of a batch: look, wait for its turn, record, send.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    Batch, Batches, Item,
    judge::{self, Refusal},
    places::{Order, Standing},
    send_order::{Gone, Turn, Turns},
    state,
    trouble::{MOST_COMMANDS, MOST_LOOKS, MOST_REFUSALS, Trouble},
};
use crate::{
    problem::Code,
    transfer::{
        Limits, Transfers, Wait,
        conversation::Conversation,
        engine::{self, Job, Outcome, finish::finish},
        gateway::{CallContext, Lane, Reservation},
        model::Stage,
        permission,
        plan::{self, Moment, Plan},
    },
};

/// Time for one call from its turn on. Nobody waits for the answer, but a command is not to be sent
/// long after its look.
const ITEM_TIME: Duration = Duration::from_secs(30);

/// A look older than this is not acted on: an agent may have answered meanwhile.
const FRESH: Duration = Duration::from_secs(5);

/// Time between two commands of a drain that keeps the order of its calls.
const APART: Duration = Duration::from_millis(250);

mod open;
mod take;

pub(super) use open::{End, Open};

/// What the calls of one batch share.
pub(super) struct Run {
    pub(super) transfers: Arc<Transfers>,
    batches: Arc<Batches>,
    pub(super) batch: Batch,
    /// What its caller may ask for.
    limits: Limits,
    pub(super) order: Arc<Mutex<Order>>,
    /// Looks that succeeded.
    pub(super) looked: AtomicU64,
    /// Calls that moved.
    pub(super) moved: AtomicU64,
    /// How many had moved when a command was last refused for a missing permission, plus one.
    denied: AtomicU64,
    /// How many in hand cannot come back any more.
    pub(super) gone: watch::Sender<Gone>,
}

impl Run {
    pub(super) fn new(batches: Arc<Batches>, batch: Batch) -> Self {
        Self {
            order: Arc::default(),
            looked: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            gone: watch::Sender::default(),
            limits: batch.limits(),
            transfers: Arc::clone(&batches.transfers),
            batches,
            batch,
        }
    }

    /// Turns for the next items. Commands keep apart, but no further than the request limit lets
    /// them follow each other anyway.
    pub(super) fn turns(&self) -> Arc<Turns> {
        let most = state::most_a_minute(&self.batches, &self.batch).max(1);
        let apart = APART.min(Duration::from_secs(30) / most);
        Turns::new(Arc::clone(&self.order), apart, self.gone.clone())
    }

    /// Carries one item as far as it goes.
    pub(super) async fn carry(
        &self,
        mut open: Open,
        admission: Arc<dyn Reservation>,
        turn: Arc<Turn>,
    ) -> (Open, End) {
        let end = self.attempt(&mut open, admission, &turn).await.unwrap_or_else(|end| end);
        // A call with trouble of its own stands aside; for any other trouble all behind it wait.
        if let End::Trouble(trouble) = &end
            && !trouble.own
        {
            turn.halt();
        }
        (open, end)
    }

    async fn attempt(
        &self,
        open: &mut Open,
        admission: Arc<dyn Reservation>,
        turn: &Arc<Turn>,
    ) -> Result<End, End> {
        let mut ctx = context().on_behalf_of(&self.batch.requested_by);
        ctx.usage = Arc::clone(&open.usage);
        ctx.admission = Some(admission);
        self.check_repetition(open).await?;
        let mut seen = self.look(&ctx, open).await?;
        let looked_at = Instant::now();
        self.judged(open, seen.as_ref(), i64::MAX).await?;
        if !turn.comes().await {
            return Err(End::Halted);
        }
        ctx = ctx.until(context().deadline);
        if looked_at.elapsed() > FRESH {
            // A request more than was reserved; the command is prepared, and waits for it.
            seen = self.look(&ctx.in_lane(Lane::Command), open).await?;
        }
        let (plan, place) = self.placed(open, seen.as_ref()).await?;
        let transfer = self.transfer(open, Some(&plan));
        crate::failpoint!(BeforeItem);
        self.take(open, &transfer).await?;
        crate::failpoint!(AfterItem);
        if let Some((standing, priority)) = place {
            turn.takes(standing, priority);
        }
        let (passes, clock) = (Arc::clone(turn), Arc::clone(&self.transfers.clock));
        let job = Job {
            transfer,
            limits: self.limits.clone(),
            ctx,
            wait: Wait::Outcome,
            given: None,
            keyed: false,
            on_sent: Some(Box::new(move |sent| passes.pass(sent, clock.now()))),
        };
        self.send(open, job, plan, turn).await
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
        let now = self.transfers.clock.now();
        let clock = seen.map(|conversation| conversation.clock).unwrap_or_default();
        let most = self.order().most_minutes(standing, now, clock);
        let plan = if most < waited { self.judged(open, seen, most).await? } else { plan };
        let priority = plan.priority.map_or(0, |priority| i64::from(priority.get()));
        Ok((plan, Some((standing, priority))))
    }

    /// Sends the command and records what became of it.
    async fn send(
        &self,
        open: &mut Open,
        mut job: Job,
        plan: Plan,
        turn: &Turn,
    ) -> Result<End, End> {
        let outcome = engine::dispatch(&self.transfers, &mut job, plan).await;
        let trouble = match &outcome {
            Outcome::Failed { problem, key_used } => Trouble::of_command(problem, *key_used),
            _ => None,
        };
        // If the command was not sent, those behind are held back until it is known whether this one
        // comes back.
        let ours = trouble.as_ref().is_some_and(|trouble| self.is_given_up(open, trouble));
        if let Some(trouble) = trouble.filter(|_| !ours) {
            if !trouble.own {
                turn.halt();
            }
            turn.end();
            if self.reopen(open, &job, &trouble.problem).await? {
                open.aside = Some(Instant::now() + open.commands.aside(&trouble));
                return Err(End::Trouble(trouble));
            }
        }
        let transfer = finish(&self.transfers, job, outcome).await;
        match transfer.stage {
            Stage::Failed if ours => Ok(End::GivenUp),
            Stage::Unknown => Ok(transfer.error.map_or(End::Taken, |problem| {
                End::Unclear(Trouble { problem: Box::new(problem), pause: None, own: false })
            })),
            Stage::Accepted => {
                self.moved.fetch_add(1, Ordering::Relaxed);
                Ok(End::Taken)
            }
            _ => Ok(End::Taken),
        }
    }

    /// Whether a command that failed for what may pass is not sent again.
    fn is_given_up(&self, open: &mut Open, trouble: &Trouble) -> bool {
        let moved = self.moved.load(Ordering::Relaxed);
        if !trouble.own {
            return false;
        }
        if trouble.problem.code != Code::GenesysPermissionMissing {
            return open.commands.strike(MOST_COMMANDS, moved, true);
        }
        // Others may be moved, and none was refused since the last of them: it is this call.
        let before = self.denied.swap(moved + 1, Ordering::Relaxed);
        let only_this = moved > 0 && before != moved + 1;
        open.commands.strike(MOST_REFUSALS, moved, open.alone) || only_this
    }

    async fn check_repetition(&self, open: &mut Open) -> Result<(), End> {
        let id = open.item.request.conversation_id;
        match permission::check_repetition(&self.transfers, &self.limits, id).await {
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
        if !self.transfers.settings.verify && plan::blind(request).is_some() {
            return Ok(None);
        }
        let looked = self.transfers.gateway.conversation(ctx, request.conversation_id).await;
        match looked.map_err(Trouble::of) {
            Ok(conversation) => {
                self.looked.fetch_add(1, Ordering::Relaxed);
                Ok(Some(conversation))
            }
            Err(Ok(trouble)) => {
                if trouble.own {
                    let others = self.looked.load(Ordering::Relaxed);
                    let refused = trouble.problem.code == Code::GenesysPermissionMissing;
                    let most = if refused { MOST_REFUSALS } else { MOST_LOOKS };
                    if open.looks.strike(most, others, open.alone) {
                        let end = self.settle(open, Stage::Failed, *trouble.problem).await;
                        return Err(if matches!(end, End::Taken) { End::GivenUp } else { end });
                    }
                    open.aside = Some(Instant::now() + open.looks.aside(&trouble));
                }
                Err(End::Trouble(trouble))
            }
            Err(Err(problem)) => Err(self.settle(open, Stage::Failed, *problem).await),
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
            Err(Refusal::Later(problem)) => Err(self.later(open, *problem).await),
            Err(Refusal::Skip(problem)) => Err(self.settle(open, Stage::Skipped, *problem).await),
            Err(Refusal::Fail(problem)) => Err(self.settle(open, Stage::Failed, *problem).await),
        }
    }

    pub(super) fn judge(
        &self,
        item: &Item,
        seen: Option<&Conversation>,
        most_minutes: i64,
    ) -> Result<Plan, Refusal> {
        let transfers = &self.transfers;
        let Some(conversation) = seen else {
            return plan::blind(&item.request).ok_or_else(|| Refusal::Fail(judge::unseen()));
        };
        if let Some(drain) = &self.batch.drain {
            judge::waits(conversation, &drain.from)?;
        }
        let moment = Moment { now: transfers.clock.now(), most_minutes };
        let (request, queue) = (&item.request, &item.queue);
        let plan = plan::plan_at_most(request, queue, conversation, moment, transfers.carrier());
        let plan = plan.map_err(Refusal::Fail)?;
        transfers.check_priority(&plan).map_err(Refusal::Fail)?;
        self.limits.check_priority(plan.priority).map_err(Refusal::Fail)?;
        Ok(plan)
    }

    pub(super) fn order(&self) -> std::sync::MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context of a call's own requests.
pub(super) fn context() -> CallContext {
    crate::transfer::context(Instant::now() + ITEM_TIME, Lane::Batch)
}

/// A time that no pause reaches.
pub(super) fn far() -> Instant {
    Instant::now() + Duration::from_hours(365 * 24)
}
