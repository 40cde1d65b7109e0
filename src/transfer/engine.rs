//! Carries one transfer through its stages: look, record, send, learn, record.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{
    Transfers,
    caller::{Limits, check_priority},
    conversation::Conversation,
    gateway::{CallContext, GatewayError, MoveCommand, Sent},
    model::{Stage, Transfer, TransferRequest},
    permission,
    plan::{self, MovePlan, PlannedAction},
    problems,
    records::NotRecorded,
    store::{KeyChange, StoredResponse},
    submission::Wait,
    undo,
    watch::Schedule,
};
use crate::{
    problem::{Code, Problem},
    trace,
};

pub(super) mod dispatch;
pub(crate) mod finish;
pub(super) mod routing;

/// The command is not begun with less time than this: a command cut short by us is of unknown
/// outcome.
const COMMAND_NEEDS: Duration = Duration::from_secs(3);

/// Less than this after the durable write means that something held us up; the command is not
/// sent then.
const COMMAND_NEEDS_AT_LEAST: Duration = Duration::from_secs(1);

/// How long an undo waits for the move that it undoes to show.
const PATIENCE_FOR_A_MOVE: Duration = Duration::from_secs(4);

/// Told once what became of the first send of a command.
pub(crate) type OnSent = Box<dyn FnOnce(&Sent) + Send + Sync>;

/// One transfer on its way.
pub(crate) struct Job {
    pub transfer: Transfer,
    /// What its caller may ask for and know of.
    pub limits: Limits,
    pub ctx: CallContext,
    pub wait: Wait,
    /// The response already given (`Prefer: respond-async`), kept for the key.
    pub given: Option<StoredResponse>,
    /// Whether an idempotency key may belong to it, which then learns the outcome.
    pub keyed: bool,
    pub on_sent: Option<OnSent>,
}

/// What became of a transfer.
#[derive(Debug)]
pub(crate) enum Outcome {
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

/// Carries a recorded transfer (its row is in `received`) to its outcome and records that.
/// Returns the transfer as it then stands.
pub(crate) async fn carry_out(transfers: &Arc<Transfers>, mut job: Job) -> Transfer {
    let prepared = prepare(transfers, &job).instrument(trace::stage(trace::TraceStage::Look)).await;
    crate::failpoint!(AfterLook);
    let outcome = match prepared {
        Ok(plan) => dispatch(transfers, &mut job, plan).await,
        Err(problem) => Outcome::Failed { problem, key_used: false },
    };
    finish::finish(transfers, job, outcome).await
}

/// Looks at the conversation and decides what to do.
pub(super) async fn prepare(transfers: &Transfers, job: &Job) -> Result<MovePlan, Box<Problem>> {
    let request = &job.transfer.request;
    if !transfers.settings.verify
        && let Some(plan) = plan::blind(request)
    {
        return Ok(plan);
    }
    let conversation =
        look(transfers, job).await.map_err(|error| Box::new(problems::from_gateway(error)))?;
    let queue = &job.transfer.queue;
    let plan =
        plan::plan(request, queue, &conversation, transfers.clock.now(), transfers.carrier())?;
    transfers.check_priority(request, &plan)?;
    // What was asked for was checked before; with `keepPlace` the sum is known only now.
    check_priority(plan.priority, job.transfer.max_priority)?;
    Ok(plan)
}

/// The conversation. For an undo it is read again while it does not show the move yet.
async fn look(transfers: &Transfers, job: &Job) -> Result<Conversation, GatewayError> {
    let request = &job.transfer.request;
    let start = Instant::now();
    let mut looks = Schedule::new(PATIENCE_FOR_A_MOVE).take_while(|at| *at <= PATIENCE_FOR_A_MOVE);
    loop {
        let conversation =
            transfers.gateway.conversation(&job.ctx, request.conversation_id).await?;
        let terms = request.undo.as_ref();
        let is_early = terms.is_some_and(|terms| undo::is_not_shown(terms, &conversation));
        match looks.next() {
            Some(at) if is_early && transfers.pause_until(start + at, job.ctx.deadline).await => {}
            _ => return Ok(conversation),
        }
    }
}

/// The row was not where we left it: another process has it now, or the database crashed and
/// lost it.
async fn row_not_found(transfers: &Transfers, job: &mut Job) -> Outcome {
    if !matches!(transfers.records.get(job.transfer.id).await, Ok(None)) {
        return Outcome::TakenOver;
    }
    job.transfer.stage = Stage::Received;
    Outcome::not_sent(problems::forgotten())
}

/// Makes the intention of a transfer that is recorded as `received` durable, then sends the
/// command and learns what became of it.
pub(crate) async fn dispatch(transfers: &Transfers, job: &mut Job, plan: MovePlan) -> Outcome {
    if let Err(problem) = in_time(&job.ctx) {
        return Outcome::not_sent(*problem);
    }
    adopt_plan(&mut job.transfer, &plan);
    permission::hide_previous_queue(transfers, &mut job.transfer, &job.limits);

    crate::failpoint!(BeforeDispatching);
    let intended = Instant::now();
    // The durable write before the first byte of the command.
    job.transfer.stage = Stage::Dispatching;
    let recorded = transfers
        .records
        .step(&mut job.transfer, Stage::Received, KeyChange::Keep)
        .instrument(trace::stage(trace::TraceStage::Dispatching));
    match recorded.await {
        Ok(()) => command(transfers, job, plan, intended).await,
        Err(NotRecorded::TakenOver) => row_not_found(transfers, job).await,
        Err(NotRecorded::Store(error)) => {
            // Whether the write counted is not certain, but that nothing was sent is.
            job.transfer.stage = Stage::Received;
            Outcome::not_sent(problems::from_store(&error))
        }
    }
}

/// Sends the command of a transfer that is recorded as `dispatching`, by a write that began at
/// `intended`, and learns what became of it.
pub(super) async fn command(
    transfers: &Transfers,
    job: &mut Job,
    plan: MovePlan,
    intended: Instant,
) -> Outcome {
    crate::failpoint!(AfterDispatching);
    if transfers.is_held_up(intended) || time_left(&job.ctx) < COMMAND_NEEDS_AT_LEAST {
        return Outcome::not_sent(too_late());
    }
    crate::failpoint!(BeforeSend);
    match plan.action {
        PlannedAction::RoutingOnly if !transfers.gateway.command_carries_routing() => {
            let span = trace::stage(trace::TraceStage::Routing);
            routing::set_routing_only(transfers, job, &plan).instrument(span).await
        }
        PlannedAction::Move | PlannedAction::RoutingOnly => {
            let command = move_command(&job.transfer, &plan);
            match transfers.send_and_learn(job, &command).await {
                Outcome::Accepted => {
                    routing::set_routing_after_move(transfers, job, &plan.routing).await
                }
                other => other,
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
pub(crate) fn calls_needed(transfers: &Transfers, request: &TransferRequest) -> u32 {
    let look = u32::from(transfers.settings.verify || plan::blind(request).is_none());
    let routing = !transfers.gateway.command_carries_routing() && request.changes_routing();
    look + 1 + u32::from(routing)
}

pub(crate) fn adopt_plan(transfer: &mut Transfer, plan: &MovePlan) {
    transfer.participant_id = plan.participant_id;
    transfer.previous.clone_from(&plan.previous);
    transfer.picture.clone_from(&plan.picture);
    transfer.priority = plan.priority;
    transfer.waited_minutes = plan.waited_minutes;
}

fn move_command(transfer: &Transfer, plan: &MovePlan) -> MoveCommand {
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
