//! Sending the command, and what each kind of answer means (the classes A, B, C, D and R of the
//! retry rules).

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{COMMAND_NEEDS, Engine, Job, Outcome, time_left};
use crate::{
    problem::{Code, Problem, UpstreamAnswer},
    trace,
    transfer::{
        class::Again,
        conversation::Conversation,
        evidence::{self, Before, Finding, Seen},
        gateway::{CallContext, GatewayError, Lane, MoveCommand, RoutingChange, Sent},
        legs,
        model::{Stage, Transfer, Warning},
        plan::Plan,
        problems,
        records::Lost,
        store::KeyChange,
    },
};

/// How long setting priority and skills of a moved call of a batch is tried.
const ROUTING_PATIENCE: Duration = Duration::from_mins(3);

/// Shortest pause between two such tries.
const ROUTING_PAUSE: Duration = Duration::from_secs(2);

/// The transfer went ahead but its priority or skills could not be set.
pub(in crate::transfer) const ROUTING_NOT_APPLIED: &str = "routing_attributes_not_applied";

impl Engine {
    /// Sends the command once; a second time only after a complete 500 or 503 that certainly had
    /// no effect, if the settings allow.
    pub(super) async fn send_and_learn(&self, job: &mut Job, command: &MoveCommand) -> Outcome {
        let ctx = job.ctx.in_lane(Lane::Command);
        let span = trace::stage(trace::Stage::Send);
        let sent = self.gateway.send(&ctx, command).instrument(span).await;
        crate::failpoint!(AfterSend);
        if let Some(turn) = job.turn.take() {
            turn.pass(&sent, self.clock.now());
        }
        let again = sent.class().again() == Again::OnceIfUnmoved;
        match sent {
            Sent::Finished(answer) => match self.after_5xx(job, answer.clone(), again).await {
                Some(outcome) => outcome,
                None => self.send_again(job, command, failed_5xx(answer)).await,
            },
            Sent::NotSent(error) => Outcome::not_sent(problems::from_gateway(error)),
            Sent::Abandoned(problem) => Outcome::Failed { problem, key_used: false },
            other => self.learn(job, other).await,
        }
    }

    /// Sends the command a second time; `in_vain` is what the first one came to.
    async fn send_again(&self, job: &mut Job, command: &MoveCommand, in_vain: Outcome) -> Outcome {
        crate::failpoint!(BeforeSendAgain);
        let begun = Instant::now();
        // Writing proves that the row is still ours: nobody else judges it meanwhile.
        match self.records.step(&mut job.transfer, Stage::Dispatching, KeyChange::Keep).await {
            Ok(()) => {}
            Err(Lost::TakenOver) => return Outcome::TakenOver,
            Err(Lost::Store(error)) => {
                return Outcome::sent_in_vain(problems::from_store(&error));
            }
        }
        crate::failpoint!(AfterSendAgainRecorded);
        if self.is_held_up(begun) {
            return in_vain;
        }
        let ctx = job.ctx.in_lane(Lane::Command);
        let span = trace::stage(trace::Stage::Send);
        match self.gateway.send(&ctx, command).instrument(span).await {
            Sent::Finished(answer) => {
                let again = self.after_5xx(job, answer.clone(), false).await;
                again.unwrap_or_else(|| failed_5xx(answer))
            }
            Sent::NotSent(error) => Outcome::sent_in_vain(problems::from_gateway(error)),
            Sent::Abandoned(problem) => Outcome::sent_in_vain(*problem),
            other => self.learn(job, other).await,
        }
    }

    async fn learn(&self, job: &Job, sent: Sent) -> Outcome {
        match sent {
            Sent::Taken(_) => Outcome::Accepted,
            Sent::Refused(error) => self.refused(job, error).await,
            Sent::Uncertain { detail, answer } => self.after_uncertain(job, &detail, answer).await,
            // Handled before, where it matters whether it was the first try.
            Sent::NotSent(error) => Outcome::sent_in_vain(problems::from_gateway(error)),
            Sent::Abandoned(problem) => Outcome::sent_in_vain(*problem),
            Sent::Finished(answer) => failed_5xx(answer),
        }
    }

    /// After a complete 500 or 503: `None` when it certainly had no effect and may be sent again.
    async fn after_5xx(
        &self,
        job: &Job,
        answer: UpstreamAnswer,
        may_send_again: bool,
    ) -> Option<Outcome> {
        let span = trace::stage(trace::Stage::Learn);
        let finding = self.watch_after_5xx(&job.transfer, &job.ctx).instrument(span).await;
        match finding {
            Finding::Unmoved => {
                let time = time_left(&job.ctx) >= COMMAND_NEEDS;
                let again = may_send_again && self.settings.resend_after_5xx && time;
                (!again).then(|| failed_5xx(answer))
            }
            other => Some(outcome_of(job, other, "Genesys answered with an error", Some(answer))),
        }
    }

    /// After no certain answer: only looks, never sends.
    async fn after_uncertain(
        &self,
        job: &Job,
        detail: &str,
        answer: Option<UpstreamAnswer>,
    ) -> Outcome {
        let span = trace::stage(trace::Stage::Learn);
        let finding = self.watch_in_request(&job.transfer, &job.ctx).instrument(span).await;
        outcome_of(job, finding, detail, answer)
    }

    /// The command was refused. On 404 and 409 one look tells why.
    async fn refused(&self, job: &Job, error: GatewayError) -> Outcome {
        let (answer, unexplained) = match &error {
            GatewayError::NotFound(answer) => (answer.clone(), Code::RejectedByGenesys),
            GatewayError::Conflict(answer) => (answer.clone(), Code::Conflict),
            _ => return Outcome::sent_in_vain(problems::from_gateway(error)),
        };
        let ctx = job.ctx.in_lane(Lane::Settling);
        let id = job.transfer.request.conversation_id;
        let span = trace::stage(trace::Stage::Learn);
        let look = self.gateway.conversation(&ctx, id).instrument(span).await;
        let problem = match look {
            Ok(conversation) => why_refused(&job.transfer, &conversation, unexplained),
            Err(GatewayError::NotFound(_)) => Problem::new(
                Code::ConversationNotFound,
                "Genesys knows no such conversation any more, or it is not visible to this client.",
            ),
            Err(_) => Problem::new(unexplained, "Genesys refused the command."),
        };
        Outcome::sent_in_vain(problem.upstream(Some(answer)))
    }

    /// The call waits in the target queue already: only priority, skills or language are set.
    /// These are absolute values, so the call may be repeated.
    pub(super) async fn set_routing_only(&self, job: &mut Job, plan: &Plan) -> Outcome {
        let ctx = job.ctx.in_lane(Lane::Command);
        let id = job.transfer.request.conversation_id;
        match self.gateway.set_routing(&ctx, id, &plan.routing).await {
            Ok(()) => Outcome::Accepted,
            Err(error @ (GatewayError::NotFound(_) | GatewayError::Conflict(_))) => {
                self.refused(job, error).await
            }
            Err(error) => routing_outcome(&job.transfer, error),
        }
    }

    /// Sets priority, skills and language once the call is in the queue. Failing that never turns
    /// a moved call into an error; it leaves a warning.
    pub(super) async fn set_routing_after_move(&self, job: &mut Job, change: &RoutingChange) {
        if change.is_empty() || self.gateway.command_carries_routing() {
            return;
        }
        crate::failpoint!(BeforeRouting);
        let ctx = match job.transfer.batch_id {
            Some(_) => job.ctx.until(Instant::now() + ROUTING_PATIENCE),
            None => job.ctx.clone(),
        };
        let set = self.set_routing_on_arrival(&job.transfer, &ctx, change);
        let set = set.instrument(trace::stage(trace::Stage::Routing)).await;
        crate::failpoint!(AfterRouting);
        if let Err(detail) = set {
            job.transfer.warnings.push(Warning { code: ROUTING_NOT_APPLIED.to_owned(), detail });
        }
    }

    /// As soon as the conversation waits in the target queue, sets `change`.
    ///
    /// # Errors
    /// Why it could not, in a sentence.
    pub(in crate::transfer) async fn set_routing_on_arrival(
        &self,
        transfer: &Transfer,
        ctx: &CallContext,
        change: &RoutingChange,
    ) -> Result<(), String> {
        let ctx = ctx.in_lane(Lane::Command).outlasting_stop();
        let id = transfer.request.conversation_id;
        let mut arrival = self.arrival.begin(transfer.may_have_waited());
        loop {
            let at = arrival.next_try();
            if at >= ctx.deadline {
                return Err("The call did not show in the queue in time.".to_owned());
            }
            // A stop of the service does not cut this short: a moved call gets its priority. Should
            // the process end first, the row still stands as sent, and the next start goes on.
            tokio::time::sleep_until(at).await;
            match self.gateway.set_routing(&ctx, id, change).await {
                Ok(()) => {
                    self.arrival.learn(&arrival);
                    return Ok(());
                }
                Err(GatewayError::NotFound(_) | GatewayError::Conflict(_))
                    if !arrival.is_given_up() => {}
                Err(GatewayError::NotFound(_) | GatewayError::Conflict(_)) => {
                    return Err(
                        "The call did not wait in the queue any more, or not yet; perhaps \
                                an agent answered at once."
                            .to_owned(),
                    );
                }
                Err(error)
                    if transfer.batch_id.is_some() && self.retry_routing(&error, &ctx).await => {}
                // "Nothing was sent" would be said of a call that moved.
                Err(GatewayError::DeadlineExceeded | GatewayError::ShuttingDown) => {
                    return Err("There was no time left to set them.".to_owned());
                }
                Err(error) => return Err(problems::from_gateway(error).detail),
            }
        }
    }
}

/// How long a pause may be before the next try to set a batch's priority and skills.
const LONGEST_ROUTING_PAUSE: Duration = Duration::from_secs(30);

impl Engine {
    /// Nobody waits for the answer to a call of a batch: for what may pass there is time. Whether
    /// to try again, after the pause it takes.
    async fn retry_routing(&self, error: &GatewayError, ctx: &CallContext) -> bool {
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
        if in_time {
            tokio::time::sleep(pause).await;
        }
        in_time
    }
}

/// What a routing change that failed comes to: unclear, refused, or certainly not carried out.
fn routing_outcome(transfer: &Transfer, error: GatewayError) -> Outcome {
    match error {
        GatewayError::Unclear { detail, answer } => {
            Outcome::Unknown(Box::new(problems::outcome_unknown(transfer, &detail, answer)))
        }
        GatewayError::PermissionMissing { .. } | GatewayError::Rejected(_) => {
            Outcome::sent_in_vain(problems::from_gateway(error))
        }
        error => Outcome::not_sent(problems::from_gateway(error)),
    }
}

/// What looks without a certain answer come to.
pub(super) fn outcome_of(
    job: &Job,
    finding: Finding,
    seen: &str,
    answer: Option<UpstreamAnswer>,
) -> Outcome {
    match settled(finding) {
        Some(Ok(())) => Outcome::Accepted,
        Some(Err(problem)) => Outcome::sent_in_vain(problem.upstream(answer)),
        None => Outcome::Unknown(Box::new(problems::outcome_unknown(&job.transfer, seen, answer))),
    }
}

/// What a finding settles; `None` when it settles nothing.
pub(in crate::transfer) fn settled(finding: Finding) -> Option<Result<(), Problem>> {
    if finding.settles()? {
        return Some(Ok(()));
    }
    Some(Err(match finding {
        Finding::MovedElsewhere => Problem::new(
            Code::ConversationMoved,
            "Somebody else moved the conversation to another place first.",
        ),
        _ => Problem::new(
            Code::ConversationEnded,
            "The conversation ended; no sign of this transfer was observed.",
        ),
    }))
}

fn failed_5xx(answer: UpstreamAnswer) -> Outcome {
    Outcome::sent_in_vain(
        Problem::new(
            Code::GenesysError,
            format!("Genesys answered {} and did not move the call.", answer.status),
        )
        .hint("Send the request again with a new key.")
        .upstream(Some(answer)),
    )
}

/// Why a command was refused with 404 or 409, as one look tells.
fn why_refused(transfer: &Transfer, now: &Conversation, unexplained: Code) -> Problem {
    if let Err(problem) = legs::choose(now, transfer.participant_id) {
        return match problem.code {
            Code::ParticipantNotFound => moved_by_another(),
            _ => *problem,
        };
    }
    let before = Before {
        picture: transfer.picture.as_ref(),
        leg: transfer.participant_id,
        target: transfer.queue.id,
        recorded_at: transfer.created_at,
    };
    match evidence::judge(now, before) {
        Seen::Unmoved => Problem::new(unexplained, "Genesys refused the command."),
        Seen::Ended => Problem::new(Code::ConversationEnded, "The conversation has ended."),
        Seen::Moved | Seen::MovedElsewhere | Seen::Changed => moved_by_another(),
    }
}

fn moved_by_another() -> Problem {
    Problem::new(Code::ConversationMoved, "Somebody else moved or answered the conversation first.")
}
