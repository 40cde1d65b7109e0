//! Carries one transfer through its stages: look, record, send, learn, record.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use super::{
    arrival::ArrivalDelay,
    batch::{desk::Desk, turns::Turn},
    caller::{Limits, check_priority},
    gateway::{CallContext, CallGateway, Lane, MoveCommand},
    model::{Stage, Transfer},
    plan::{self, Carrier, Deed, Plan},
    problems,
    records::{Lost, Records},
    service::{Answers, Wait},
    store::{Answer, KeyChange},
    waiting::Waiting,
};
use crate::{
    clock::{Clock, IdSource},
    config::Transfers as Settings,
    metrics::Metrics,
    problem::{Code, FieldError, Problem},
    trace,
};

pub(super) mod dispatch;
mod finish;
pub(super) mod routing;

pub(super) use finish::add_up;

/// The command is not begun with less time than this: a command cut short by us is of unknown
/// outcome.
pub(super) const COMMAND_NEEDS: Duration = Duration::from_secs(3);

/// Less than this after the durable write means that something held us up; the command is not
/// sent then.
const COMMAND_NEEDS_AT_LEAST: Duration = Duration::from_secs(1);

/// Kept back from the request's deadline for the last write and the answer.
pub(super) const ANSWER_MARGIN: Duration = Duration::from_millis(250);

/// What the engine needs to work; shared by all transfers.
pub struct Engine {
    pub(super) gateway: Arc<dyn CallGateway>,
    pub(super) records: Arc<Records>,
    pub(super) answers: Arc<dyn Answers>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: IdSource,
    pub(super) settings: Settings,
    pub(super) batches: Desk,
    /// Longest a request may take (`server.deadline`).
    pub(super) deadline: Duration,
    /// A process that was not heard of for this long is taken to be dead (`store.lease`).
    pub(super) lease: Duration,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    /// The time for the stop is nearly over.
    pub(super) over: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
    pub(super) arrival: ArrivalDelay,
    /// Unknown transfers being settled in the background.
    pub(super) settling: AtomicUsize,
    /// Transfers whose answer waits for confirmation.
    pub(super) waiting: Waiting,
    /// Whole seconds that the clock is behind the newest record in the store.
    pub(super) clock_behind: AtomicU64,
}

/// One transfer on its way.
pub(super) struct Job {
    pub transfer: Transfer,
    /// What its caller may ask for and know of.
    pub limits: Limits,
    pub ctx: CallContext,
    pub wait: Wait,
    /// The answer already given (`Prefer: respond-async`), kept for the key.
    pub given: Option<Answer>,
    /// Whether an idempotency key may belong to it, which then learns the outcome.
    pub keyed: bool,
    /// Of a batch: its turn among the commands, until its own has been answered.
    pub turn: Option<Turn>,
}

/// What became of a transfer.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Genesys took it, or it was seen to have worked.
    Accepted,
    /// It certainly did not happen.
    Failed { problem: Box<Problem>, key_used: bool },
    /// It may have happened.
    Unknown(Box<Problem>),
    /// Another process owns the row now, or will after this one's stop; nothing more is to be
    /// written here.
    TakenOver,
}

impl Outcome {
    /// It ended before the command left: the key stays free.
    fn not_sent(problem: Problem) -> Self {
        Self::Failed { problem: Box::new(problem), key_used: false }
    }

    /// The command left and certainly did not work: the key is used up.
    fn sent_in_vain(problem: Problem) -> Self {
        Self::Failed { problem: Box::new(problem), key_used: true }
    }
}

impl Engine {
    /// What the configured API can carry.
    pub(super) fn carrier(&self) -> Carrier {
        Carrier { command_carries_routing: self.gateway.command_carries_routing() }
    }

    /// Carries a recorded transfer (its row is in `received`) to its outcome and records that.
    /// Returns the transfer as it then stands.
    pub(super) async fn carry_out(self: &Arc<Self>, mut job: Job) -> Transfer {
        let prepared = self.prepare(&job).instrument(trace::stage(trace::Stage::Look)).await;
        crate::failpoint!(AfterLook);
        let outcome = match prepared {
            Ok(plan) => self.dispatch(&mut job, plan).await,
            Err(problem) => Outcome::Failed { problem, key_used: false },
        };
        self.finish(job, outcome).await
    }

    /// Looks at the conversation and decides what to do.
    pub(super) async fn prepare(&self, job: &Job) -> Result<Plan, Box<Problem>> {
        let request = &job.transfer.request;
        if !self.settings.verify
            && let Some(plan) = plan::blind(request)
        {
            return Ok(plan);
        }
        let conversation = self
            .gateway
            .conversation(&job.ctx, request.conversation_id)
            .await
            .map_err(|error| Box::new(problems::from_gateway(error)))?;
        let queue = &job.transfer.queue;
        let plan = plan::plan(request, queue, &conversation, self.clock.now(), self.carrier())?;
        self.check_priority(&plan)?;
        // What was asked for was checked before; with `keepPlace` the sum is known only now.
        check_priority(plan.priority, job.transfer.max_priority)?;
        Ok(plan)
    }

    /// The row was not where we left it: another process has it now, or the database crashed and
    /// lost it.
    async fn row_not_found(&self, job: &mut Job) -> Outcome {
        if !matches!(self.records.get(job.transfer.id).await, Ok(None)) {
            return Outcome::TakenOver;
        }
        job.transfer.stage = Stage::Received;
        Outcome::not_sent(problems::forgotten())
    }

    pub(super) fn check_priority(&self, plan: &Plan) -> Result<(), Box<Problem>> {
        match plan.priority {
            Some(priority) if !self.gateway.takes_priority(priority) => {
                Err(Box::new(Problem::invalid(vec![FieldError {
                    pointer: "/priority".to_owned(),
                    detail: format!(
                        "The priority would be {}, which the configured Genesys API cannot carry.",
                        priority.get()
                    ),
                }])))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is so long since the write that began at `written` that others may have given this
    /// process up, and told an operator so: it must not send any more.
    fn is_held_up(&self, written: Instant) -> bool {
        written.elapsed() > self.lease / 2
    }

    /// Makes the intention of a transfer that is recorded as `received` durable, then sends the
    /// command and learns what became of it.
    pub(super) async fn dispatch(&self, job: &mut Job, plan: Plan) -> Outcome {
        if let Err(problem) = in_time(&job.ctx) {
            return Outcome::not_sent(*problem);
        }
        adopt_plan(&mut job.transfer, &plan);
        self.hide_previous_queue(job);

        crate::failpoint!(BeforeDispatching);
        let intended = Instant::now();
        // The durable write before the first byte of the command.
        job.transfer.stage = Stage::Dispatching;
        let recorded = self
            .records
            .step(&mut job.transfer, Stage::Received, KeyChange::Keep)
            .instrument(trace::stage(trace::Stage::Dispatching));
        match recorded.await {
            Ok(()) => self.command(job, plan, intended).await,
            Err(Lost::TakenOver) => self.row_not_found(job).await,
            Err(Lost::Store(error)) => {
                // Whether the write counted is not certain, but that nothing was sent is.
                job.transfer.stage = Stage::Received;
                Outcome::not_sent(problems::from_store(&error))
            }
        }
    }

    /// Sends the command of a transfer that is recorded as `dispatching`, by a write that began at
    /// `intended`, and learns what became of it.
    pub(super) async fn command(&self, job: &mut Job, plan: Plan, intended: Instant) -> Outcome {
        crate::failpoint!(AfterDispatching);
        if self.is_held_up(intended) || time_left(&job.ctx) < COMMAND_NEEDS_AT_LEAST {
            return Outcome::not_sent(too_late());
        }
        crate::failpoint!(BeforeSend);
        match plan.deed {
            Deed::RoutingOnly if !self.gateway.command_carries_routing() => {
                let span = trace::stage(trace::Stage::Routing);
                self.set_routing_only(job, &plan).instrument(span).await
            }
            Deed::Move | Deed::RoutingOnly => {
                let command = command(&job.transfer, &plan);
                match self.send_and_learn(job, &command).await {
                    Outcome::Accepted => self.set_routing_after_move(job, &plan.routing).await,
                    other => other,
                }
            }
        }
    }
}

/// Fails when too little time is left to begin a command.
pub(super) fn in_time(ctx: &CallContext) -> Result<(), Box<Problem>> {
    if time_left(ctx) < COMMAND_NEEDS { Err(Box::new(too_late())) } else { Ok(()) }
}

/// Time until the context's deadline.
pub(super) fn time_left(ctx: &CallContext) -> Duration {
    ctx.deadline.saturating_duration_since(Instant::now())
}

/// How many requests a transfer needs at most when nothing goes wrong.
pub(super) fn calls_needed(request: &super::model::TransferRequest, engine: &Engine) -> u32 {
    let look = u32::from(engine.settings.verify || plan::blind(request).is_none());
    let routing = !engine.gateway.command_carries_routing() && request.changes_routing();
    look + 1 + u32::from(routing)
}

pub(super) fn adopt_plan(transfer: &mut Transfer, plan: &Plan) {
    transfer.participant_id = plan.participant_id;
    transfer.previous.clone_from(&plan.previous);
    transfer.picture.clone_from(&plan.picture);
    transfer.priority = plan.priority;
    transfer.waited_minutes = plan.waited_minutes;
}

fn command(transfer: &Transfer, plan: &Plan) -> MoveCommand {
    MoveCommand {
        conversation_id: transfer.request.conversation_id,
        participant_id: plan.participant_id,
        queue: transfer.queue.clone(),
        transfer_type: transfer.request.transfer_type,
        routing: plan.routing.clone(),
    }
}

fn too_late() -> Problem {
    Problem::new(
        Code::DeadlineExceeded,
        "Too little time was left to send the command safely; nothing was sent.",
    )
}

/// The context of a transfer that somebody (or nobody) waits for.
pub(super) fn context(deadline: Instant, lane: Lane) -> CallContext {
    CallContext::new(deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline), lane)
}
