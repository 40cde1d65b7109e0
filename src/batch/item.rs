//! One call of a batch: look, wait for its turn, record, send.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    Batch, Batches, Drain, Item,
    judge::{self, NotMoved},
    places::{PlaceOrder, QueueStanding},
    send_order::{Gone, SendOrder, SendSlot},
    state,
    trouble::{ConsecutiveFailures, MOST_COMMANDS, MOST_LOOKS, MOST_REFUSALS, Trouble},
};
use crate::{
    problem::{Code, Problem},
    transfer::{
        Limits, Transfers, Wait,
        conversation::Conversation,
        engine::{self, Job, Outcome, finish::finish},
        gateway::{CallContext, Lane, Reservation, Sent, Usage},
        ids::{ConversationId, ParticipantId, TransferId},
        model::{Stage, Status},
        permission,
        plan::{self, Moment, MovePlan},
        problems,
        store::StoreError,
    },
};

/// Time for one call from its turn on. No caller waits for the answer, but a command is not to be sent
/// long after its look.
const ITEM_TIME: Duration = Duration::from_secs(30);

/// A look older than this is not acted on: an agent may have answered meanwhile.
const FRESH: Duration = Duration::from_secs(5);

/// The same of a picture that was taken of many calls at once. A command for a leg that has ended
/// meanwhile is refused, so an answered call is not taken from its agent. One that began to ring
/// meanwhile can be moved: its waiting leg is still open.
const FRESH_PICTURE: Duration = Duration::from_secs(8);

/// An item is begun on such a picture while it is no older than this.
pub(super) const BEGIN_PICTURE: Duration = Duration::from_secs(5);

/// Moves of a call by standing drains within an hour; then it is left where it is.
const MOST_STANDING_MOVES: usize = 5;

/// Time between two commands of a drain, so that the order of its calls is kept.
const APART: Duration = Duration::from_millis(250);

mod take;

/// An item that is not a transfer yet.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) item: Item,
    /// Not to be looked at before.
    pub(super) not_before: Option<Instant>,
    /// Stands aside so long for trouble of its own.
    pub(super) aside: Option<Instant>,
    /// No other call of the batch is left that could show whether Genesys is well.
    pub(super) alone: bool,
    /// The transfer that may have been recorded: the store did not say.
    transfer_id: Option<TransferId>,
    /// What its calls to Genesys have cost since it became an item.
    usage: Arc<Usage>,
    /// What a look at many calls showed of it, and when.
    picture: Option<(Conversation, Instant)>,
    /// It has to be looked at by itself.
    pub(super) looks_alone: bool,
    /// The leg for which a command was refused, and how: none is sent for it again.
    refused: Option<(Option<ParticipantId>, Problem)>,
    laters: u32,
    looks: ConsecutiveFailures,
    commands: ConsecutiveFailures,
}

impl From<Item> for Open {
    fn from(item: Item) -> Self {
        Self {
            item,
            not_before: None,
            aside: None,
            alone: false,
            transfer_id: None,
            usage: Arc::default(),
            picture: None,
            looks_alone: false,
            refused: None,
            laters: 0,
            looks: ConsecutiveFailures::default(),
            commands: ConsecutiveFailures::default(),
        }
    }
}

impl Open {
    /// Not to be begun before.
    pub(super) fn due(&self) -> Option<Instant> {
        self.not_before.max(self.aside)
    }

    /// What a look at many calls showed of it; `None`: it was left out, and is looked at by itself.
    pub(super) fn seen(&mut self, picture: Option<Conversation>, at: Instant) {
        self.looks_alone = picture.is_none();
        self.picture = picture.map(|picture| (picture, at));
    }

    /// Whether a picture shows that it is over.
    pub(super) fn is_gone(&self) -> bool {
        self.picture.as_ref().is_some_and(|(picture, _)| picture.ended)
    }

    /// The look at many calls, of `usage`, is what it cost.
    pub(super) fn pays(&self, usage: &Usage) {
        self.usage.count_call();
        self.usage.count_attempt();
        if let Some(id) = usage.sums().correlation_id {
            self.usage.correlate(&id);
        }
    }

    /// Whether it can be begun on what a look at many calls showed.
    pub(super) fn has_picture(&self) -> bool {
        self.picture.as_ref().is_some_and(|(_, at)| at.elapsed() <= BEGIN_PICTURE)
    }

    /// How often its command was answered in vain.
    pub(super) fn failures(&self) -> u32 {
        self.commands.count()
    }
}

/// What became of an item that was in flight.
#[derive(Debug)]
pub(super) enum ItemResult {
    /// It is a transfer.
    Taken,
    /// It is a transfer that failed: what would have passed did not.
    GivenUp,
    /// It is a transfer of unknown outcome.
    Unclear(Trouble),
    /// To be looked at again in a while.
    Later,
    /// Its command was refused on an old picture: to be looked at by itself.
    Again,
    /// Something that passes is in the way of all.
    Trouble(Trouble),
    /// One before it stays behind.
    Halted,
    /// The batch is not ours any more, or not running.
    Stopped,
}

/// What the calls of one batch share.
pub(super) struct Run {
    pub(super) transfers: Arc<Transfers>,
    batches: Arc<Batches>,
    pub(super) batch: Batch,
    /// What its caller may ask for.
    limits: Limits,
    pub(super) order: Arc<Mutex<PlaceOrder>>,
    /// Looks that succeeded.
    pub(super) looked: AtomicU64,
    /// Calls that moved.
    pub(super) moved: AtomicU64,
    /// Calls that moved, or may have, and were not taken note of.
    moved_calls: Mutex<Vec<ConversationId>>,
    /// How many had moved when a command was last refused for a missing permission, plus one.
    denied: AtomicU64,
    /// How many in flight cannot come back any more.
    pub(super) gone: watch::Sender<Gone>,
}

impl Run {
    pub(super) fn new(batches: Arc<Batches>, batch: Batch) -> Self {
        Self {
            order: Arc::default(),
            looked: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            moved_calls: Mutex::default(),
            denied: AtomicU64::new(0),
            gone: watch::Sender::default(),
            limits: batch.limits(),
            transfers: Arc::clone(&batches.transfers),
            batches,
            batch,
        }
    }

    /// The order of the next items. Commands keep apart, but no further than the request limit lets
    /// them follow each other anyway.
    pub(super) fn send_order(&self) -> Arc<SendOrder> {
        let most = state::most_a_minute(&self.batches, &self.batch).max(1);
        let apart = APART.min(Duration::from_secs(30) / most);
        let apart = if self.batch.keeps_order() { apart } else { Duration::ZERO };
        SendOrder::new(Arc::clone(&self.order), apart, self.gone.clone())
    }

    /// Carries one item as far as it goes.
    pub(super) async fn carry(
        &self,
        mut open: Open,
        admission: Arc<dyn Reservation>,
        slot: Arc<SendSlot>,
    ) -> (Open, ItemResult) {
        let end = self.attempt(&mut open, admission, &slot).await.unwrap_or_else(|end| end);
        // A call with trouble of its own stands aside; for any other trouble all behind it wait.
        if let ItemResult::Trouble(trouble) = &end
            && !trouble.own
        {
            slot.halt();
        }
        (open, end)
    }

    async fn attempt(
        &self,
        open: &mut Open,
        admission: Arc<dyn Reservation>,
        slot: &Arc<SendSlot>,
    ) -> Result<ItemResult, ItemResult> {
        let mut ctx = context().on_behalf_of(&self.batch.requested_by);
        ctx.usage = Arc::clone(&open.usage);
        ctx.admission = Some(admission);
        self.check_repetition(open).await?;
        let picture = open.picture.take();
        let fresh = if picture.is_some() { FRESH_PICTURE } else { FRESH };
        let (mut seen, looked_at) = match picture {
            Some((picture, at)) => (Some(picture), at),
            None => (self.look(&ctx, open).await?, Instant::now()),
        };
        self.judged(open, seen.as_ref(), i64::MAX).await?;
        if !slot.comes().await {
            return Err(ItemResult::Halted);
        }
        ctx = ctx.until(context().deadline);
        if looked_at.elapsed() > fresh {
            // A request more than was reserved; the command is prepared, and waits for it.
            seen = self.look(&ctx.in_lane(Lane::Command), open).await?;
        }
        let (plan, place) = self.placed(open, seen.as_ref()).await?;
        let transfer = self.transfer(open, Some(&plan));
        crate::failpoint!(BeforeItem);
        self.take(open, &transfer).await?;
        crate::failpoint!(AfterItem);
        if let Some((standing, priority)) = place {
            slot.takes(standing, priority);
        }
        let (passes, clock) = (Arc::clone(slot), Arc::clone(&self.transfers.clock));
        let (refused, told) = (Arc::new(AtomicBool::new(false)), seen.is_some_and(|it| it.bulk));
        let tells = Arc::clone(&refused);
        let job = Job {
            transfer,
            limits: self.limits.clone(),
            ctx,
            wait: Wait::Outcome,
            given: None,
            keyed: false,
            on_sent: Some(Box::new(move |sent| {
                tells.store(told && matches!(sent, Sent::Refused(_)), Ordering::Relaxed);
                passes.pass(sent, clock.now());
            })),
        };
        self.send(open, job, plan, slot, &refused).await
    }

    /// The plan for right now, and the place it gives the call.
    async fn placed(
        &self,
        open: &mut Open,
        seen: Option<&Conversation>,
    ) -> Result<(MovePlan, Option<(QueueStanding, i64)>), ItemResult> {
        let plan = self.judged(open, seen, i64::MAX).await?;
        let (Some(since), Some(waited), Some(priority), true) =
            (open.item.waiting_since, plan.waited_minutes, plan.priority, self.batch.keeps_order())
        else {
            return Ok((plan, None));
        };
        let base = i64::from(priority.get()).saturating_sub(waited);
        let standing = QueueStanding { since, base };
        let now = self.transfers.clock.now();
        let clock = seen.map(|conversation| conversation.clock).unwrap_or_default();
        let most = self.order().most_minutes(standing, now, clock);
        let plan = if most < waited { self.judged(open, seen, most).await? } else { plan };
        let priority = plan.priority.map_or(0, |priority| i64::from(priority.get()));
        Ok((plan, Some((standing, priority))))
    }

    /// Sends the command and records what became of it. `refused` says at the end whether it was
    /// refused on a picture of many calls.
    async fn send(
        &self,
        open: &mut Open,
        mut job: Job,
        plan: MovePlan,
        slot: &SendSlot,
        refused: &AtomicBool,
    ) -> Result<ItemResult, ItemResult> {
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
                slot.halt();
            }
            slot.end();
            if self.reopen(open, &job, &trouble.problem).await? {
                open.aside = Some(Instant::now() + open.commands.aside(&trouble));
                return Err(ItemResult::Trouble(trouble));
            }
        }
        if let (true, false, Outcome::Failed { problem, .. }) =
            (refused.load(Ordering::Relaxed), ours, &outcome)
        {
            slot.end();
            if self.reopen(open, &job, problem).await? {
                open.looks_alone = true;
                open.refused = Some((job.transfer.participant_id, (**problem).clone()));
                return Err(ItemResult::Again);
            }
        }
        let transfer = finish(&self.transfers, job, outcome).await;
        if !matches!(transfer.stage.status(), Status::Failed | Status::Skipped) {
            self.moved_calls().push(transfer.request.conversation_id);
        }
        match transfer.stage {
            Stage::Failed if ours => Ok(ItemResult::GivenUp),
            Stage::Unknown => Ok(transfer.error.map_or(ItemResult::Taken, |problem| {
                ItemResult::Unclear(Trouble { problem: Box::new(problem), pause: None, own: false })
            })),
            Stage::Accepted => {
                self.moved.fetch_add(1, Ordering::Relaxed);
                Ok(ItemResult::Taken)
            }
            _ => Ok(ItemResult::Taken),
        }
    }

    /// Whether a command that failed for what may pass is not sent again.
    fn is_given_up(&self, open: &mut Open, trouble: &Trouble) -> bool {
        let moved = self.moved.load(Ordering::Relaxed);
        if !trouble.own {
            return false;
        }
        if trouble.problem.code != Code::GenesysPermissionMissing {
            return open.commands.fail(MOST_COMMANDS, moved, true);
        }
        // Others may be moved, and none was refused since the last of them: it is this call.
        let before = self.denied.swap(moved + 1, Ordering::Relaxed);
        let only_this = moved > 0 && before != moved + 1;
        open.commands.fail(MOST_REFUSALS, moved, open.alone) || only_this
    }

    async fn check_repetition(&self, open: &mut Open) -> Result<(), ItemResult> {
        let id = open.item.request.conversation_id;
        if self.batch.drain.as_ref().is_some_and(Drain::is_standing) {
            match self.standing_moves(id).await {
                Ok(moves) if moves < MOST_STANDING_MOVES => {}
                Ok(_) => return Err(self.settle(open, Stage::Skipped, judge::too_often()).await),
                Err(error) => {
                    let problem = problems::from_store(&error);
                    return Err(ItemResult::Trouble(Trouble::of_store(problem)));
                }
            }
        }
        match permission::check_repetition(&self.transfers, &self.limits, id).await {
            Ok(()) => Ok(()),
            Err(problem) if problem.code == Code::StoreUnavailable => {
                Err(ItemResult::Trouble(Trouble::of_store(problem)))
            }
            Err(problem) => Err(self.settle(open, Stage::Failed, problem).await),
        }
    }

    /// How often standing drains moved the call within the hour.
    async fn standing_moves(&self, id: ConversationId) -> Result<usize, StoreError> {
        let moves = permission::moves_within_the_hour(&self.transfers, id).await?;
        let mut count = 0;
        for batch in moves.iter().filter_map(|moved| moved.batch_id) {
            let own = batch == self.batch.id;
            let other = if own { None } else { self.batches.store.batch(batch).await? };
            let drain = other.as_ref().and_then(|other| other.drain.as_ref());
            count += usize::from(own || drain.is_some_and(Drain::is_standing));
        }
        Ok(count)
    }

    /// Looks at the call; `None` when it is to be moved without a look.
    async fn look(
        &self,
        ctx: &CallContext,
        open: &mut Open,
    ) -> Result<Option<Conversation>, ItemResult> {
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
                    if open.looks.fail(most, others, open.alone) {
                        let end = self.settle(open, Stage::Failed, *trouble.problem).await;
                        return Err(if matches!(end, ItemResult::Taken) {
                            ItemResult::GivenUp
                        } else {
                            end
                        });
                    }
                    open.aside = Some(Instant::now() + open.looks.aside(&trouble));
                }
                Err(ItemResult::Trouble(trouble))
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
    ) -> Result<MovePlan, ItemResult> {
        match self.judge(&open.item, seen, most_minutes) {
            Ok(plan) => match open.refused.clone() {
                Some((leg, problem)) if leg == plan.participant_id => {
                    Err(self.settle(open, Stage::Failed, problem).await)
                }
                _ => Ok(plan),
            },
            Err(NotMoved::Later(problem)) => Err(self.later(open, *problem).await),
            Err(NotMoved::Skip(problem)) => Err(self.settle(open, Stage::Skipped, *problem).await),
            Err(NotMoved::Fail(problem)) => Err(self.settle(open, Stage::Failed, *problem).await),
        }
    }

    pub(super) fn judge(
        &self,
        item: &Item,
        seen: Option<&Conversation>,
        most_minutes: i64,
    ) -> Result<MovePlan, NotMoved> {
        let transfers = &self.transfers;
        let Some(conversation) = seen else {
            return plan::blind(&item.request).ok_or_else(|| NotMoved::Fail(judge::unseen()));
        };
        if let Some(drain) = &self.batch.drain {
            judge::waits(conversation, &drain.from)?;
        }
        let moment = Moment { now: transfers.clock.now(), most_minutes };
        let (request, queue) = (&item.request, &item.queue);
        let plan = plan::plan_at_most(request, queue, conversation, moment, transfers.carrier());
        let plan = plan.map_err(|problem| judge::refused(request, problem))?;
        transfers.check_priority(request, &plan).map_err(NotMoved::Fail)?;
        self.limits.check_priority(plan.priority).map_err(NotMoved::Fail)?;
        Ok(plan)
    }

    /// The calls that moved, or may have, each told once.
    pub(super) fn take_moved(&self) -> Vec<ConversationId> {
        std::mem::take(&mut self.moved_calls())
    }

    fn moved_calls(&self) -> std::sync::MutexGuard<'_, Vec<ConversationId>> {
        self.moved_calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn order(&self) -> std::sync::MutexGuard<'_, PlaceOrder> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context of a call's own requests.
pub(super) fn context() -> CallContext {
    crate::transfer::context(Instant::now() + ITEM_TIME, Lane::Batch)
}
