//! Priority, skills and language: of a call that waits in its queue, and of one on its way there.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Job, Outcome};
use crate::{
    trace,
    transfer::{
        Transfers,
        arrival::{Evidence, RoutingStep},
        gateway::{CallContext, GatewayError, Lane, RoutingChange},
        model::{Transfer, Warning},
        plan::MovePlan,
        problems, watch,
    },
};

/// How long setting priority and skills of a moved call of a batch is tried.
const ROUTING_PATIENCE: Duration = Duration::from_mins(3);

/// Shortest pause between two such tries.
const ROUTING_PAUSE: Duration = Duration::from_secs(2);

/// Why priority and skills were not set.
const NOT_IN_THE_QUEUE: &str = "The call did not wait in the queue any more, or not yet; perhaps an \
                                agent answered at once.";

const NO_TIME: &str = "There was no time left to set them.";

/// How long a pause may be before the next try to set a batch's priority and skills.
const LONGEST_ROUTING_PAUSE: Duration = Duration::from_secs(30);

/// The transfer went ahead but its priority or skills could not be set.
pub(in crate::transfer) const ROUTING_NOT_APPLIED: &str = "routing_attributes_not_applied";

/// The call waits in the target queue already: only priority, skills or language are set.
/// These are absolute values, so the call may be repeated.
pub(super) async fn set_routing_only(
    transfers: &Transfers,
    job: &mut Job,
    plan: &MovePlan,
) -> Outcome {
    let ctx = job.ctx.in_lane(Lane::Command);
    let id = job.transfer.request.conversation_id;
    match transfers.gateway.set_routing(&ctx, id, &plan.routing).await {
        Ok(()) => Outcome::Accepted,
        Err(error @ (GatewayError::NotFound(_) | GatewayError::Conflict(_))) => {
            transfers.refused(job, error).await
        }
        Err(error) => routing_outcome(&job.transfer, error),
    }
}

/// Sets priority, skills and language once the call is in the queue. Failing that never turns
/// a moved call into an error; it leaves a warning. Cut short by the end of the service, the
/// row still stands as sent, and the next start goes on.
pub(super) async fn set_routing_after_move(
    transfers: &Transfers,
    job: &mut Job,
    change: &RoutingChange,
) -> Outcome {
    if change.is_empty() || transfers.gateway.command_carries_routing() {
        return Outcome::Accepted;
    }
    crate::failpoint!(BeforeRouting);
    let ctx = match job.transfer.batch_id {
        Some(_) => job.ctx.until(Instant::now() + ROUTING_PATIENCE),
        None => job.ctx.clone(),
    };
    let set = set_routing_on_arrival(transfers, &job.transfer, &ctx, change);
    let set = set.instrument(trace::stage(trace::TraceStage::Routing)).await;
    crate::failpoint!(AfterRouting);
    if let Err(detail) = set {
        if transfers.completion.over.is_cancelled() {
            return Outcome::TakenOver;
        }
        job.transfer.warnings.push(Warning { code: ROUTING_NOT_APPLIED.to_owned(), detail });
    }
    Outcome::Accepted
}

/// As soon as the conversation waits in the target queue, sets `change`.
///
/// # Errors
/// Why it could not, in a sentence.
pub(in crate::transfer) async fn set_routing_on_arrival(
    transfers: &Transfers,
    transfer: &Transfer,
    ctx: &CallContext,
    change: &RoutingChange,
) -> Result<(), String> {
    let ctx = ctx.in_lane(Lane::Command).outlasting_stop();
    let id = transfer.request.conversation_id;
    let mut arrival = transfers.arrival.begin(transfer.may_have_waited());
    let mut evidence = Evidence::default();
    loop {
        let at = arrival.next_try();
        if at >= ctx.deadline {
            return Err("The call did not appear in the queue in time.".to_owned());
        }
        // A stop of the service cuts this short only when its time is nearly over: a moved call
        // gets its priority.
        if transfers
            .completion
            .over
            .run_until_cancelled(tokio::time::sleep_until(at))
            .await
            .is_none()
        {
            return Err(NO_TIME.to_owned());
        }
        // Once it was refused: where the call is, that did not take it.
        if evidence.is_asked_for() {
            match evidence.next(watch::look(transfers, transfer, &ctx).await) {
                RoutingStep::Set => {}
                RoutingStep::Wait if !arrival.is_given_up() => continue,
                RoutingStep::Wait | RoutingStep::GiveUp => return Err(NOT_IN_THE_QUEUE.to_owned()),
            }
        }
        match transfers.gateway.set_routing(&ctx, id, change).await {
            Ok(()) => {
                transfers.arrival.learn(&arrival);
                return Ok(());
            }
            Err(GatewayError::NotFound(_) | GatewayError::Conflict(_))
                if !arrival.is_given_up() =>
            {
                evidence.refused();
            }
            Err(GatewayError::NotFound(_) | GatewayError::Conflict(_)) => {
                return Err(NOT_IN_THE_QUEUE.to_owned());
            }
            Err(error)
                if transfer.batch_id.is_some() && retry_routing(transfers, &error, &ctx).await => {}
            // "Nothing was sent" would be said of a call that moved.
            Err(GatewayError::DeadlineExceeded | GatewayError::ShuttingDown) => {
                return Err(NO_TIME.to_owned());
            }
            Err(error) => return Err(problems::from_gateway(error).detail),
        }
    }
}

/// No caller waits for the answer to a call of a batch: there is time for what may pass. Whether to
/// try again, after the pause it takes.
async fn retry_routing(transfers: &Transfers, error: &GatewayError, ctx: &CallContext) -> bool {
    let pause = match error {
        GatewayError::RateLimited { retry_after, .. }
        | GatewayError::Unavailable { retry_after, .. } => *retry_after,
        GatewayError::Failed(_)
        | GatewayError::Unreadable { .. }
        | GatewayError::Unclear { .. } => ROUTING_PAUSE,
        _ => return false,
    };
    let pause = pause.clamp(ROUTING_PAUSE, LONGEST_ROUTING_PAUSE);
    let in_time = Instant::now() + pause < ctx.deadline;
    in_time
        && transfers.completion.over.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
}

/// What a routing change that failed comes to: unclear, refused, or certainly not carried out.
fn routing_outcome(transfer: &Transfer, error: GatewayError) -> Outcome {
    match error {
        GatewayError::Unclear { detail, answer } => {
            Outcome::Unknown(Box::new(problems::outcome_unknown(transfer, &detail, answer)))
        }
        GatewayError::PermissionMissing { .. } | GatewayError::Rejected(_) => {
            Outcome::sent_in_vain(problems::refused(error))
        }
        error => Outcome::not_sent(problems::from_gateway(error)),
    }
}
