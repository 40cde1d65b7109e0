//! Sending the command, and what each kind of answer means (the classes A, B, C, D and R of the
//! retry rules).

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::{COMMAND_NEEDS, Job, Outcome, time_left};
use crate::{
    problem::{Code, Problem, UpstreamAnswer},
    trace,
    transfer::{
        Transfers,
        class::Again,
        conversation::Conversation,
        evidence::{self, Before, Finding, Seen},
        gateway::{CallContext, GatewayError, Lane, MoveCommand, Repeat, Sent, Tried},
        legs,
        model::{Stage, Transfer},
        plan, problems,
        records::NotRecorded,
        store::KeyChange,
        undo, watch,
    },
};

/// Most tries of a command of which every try was certainly not carried out.
const MOST_TRIES: u32 = 4;

/// How long a look at the conversation is trusted.
const FRESH: Duration = Duration::from_secs(1);

impl Transfers {
    /// Sends the command once; a second time only after a complete 500 or 503 that certainly had
    /// no effect, if the settings allow.
    pub(super) async fn send_and_learn(&self, job: &mut Job, command: &MoveCommand) -> Outcome {
        let span = trace::stage(trace::TraceStage::Send);
        let sent = self.send(job, command).instrument(span).await;
        crate::failpoint!(AfterSend);
        if let Some(tell) = job.on_sent.take() {
            tell(&sent);
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

    /// Sends the command, and again while it certainly was not carried out (class A) and tries, time
    /// and the retry budget are left: after a 401 at once and once, else after a pause. When time
    /// has passed, or while the host has yet to show that it is back, a fresh look comes first.
    async fn send(&self, job: &Job, command: &MoveCommand) -> Sent {
        let ctx = job.ctx.in_lane(Lane::Command);
        // The leg was chosen right before.
        let mut looked_at = Instant::now();
        let (mut attempt, mut throttled, mut fresh_token) = (1, false, false);
        loop {
            let repeated = attempt > 1 && (throttled || looked_at.elapsed() > FRESH);
            if repeated || self.gateway.needs_a_look() {
                if let Err(sent) = self.still_fits(job, &ctx).await {
                    return sent;
                }
                looked_at = Instant::now();
            }
            let Tried { sent, repeat } = self.gateway.send(&ctx, command, attempt).await;
            let pause = match repeat {
                Repeat::Never => return sent,
                Repeat::FreshToken if fresh_token || time_left(&ctx) < COMMAND_NEEDS => {
                    return sent;
                }
                Repeat::FreshToken => {
                    fresh_token = true;
                    None
                }
                Repeat::After(pause) | Repeat::Throttled(pause) => Some(pause),
            };
            if let Some(pause) = pause {
                let fits = pause.saturating_add(COMMAND_NEEDS) <= time_left(&ctx);
                if attempt >= MOST_TRIES || !fits || !self.gateway.may_repeat() {
                    return sent;
                }
                ctx.usage.add_wait(pause);
                if timeout(pause, self.completion.stop.cancelled()).await.is_ok() {
                    return Sent::NotSent(GatewayError::ShuttingDown);
                }
            }
            throttled |= matches!(repeat, Repeat::Throttled(_));
            attempt += 1;
        }
    }

    /// Whether the same leg is still there to be replaced, by a look that leaves time for the
    /// command.
    async fn still_fits(&self, job: &Job, ctx: &CallContext) -> Result<(), Sent> {
        let ctx = ctx.until(ctx.deadline.checked_sub(COMMAND_NEEDS).unwrap_or_else(Instant::now));
        let id = job.transfer.request.conversation_id;
        let now = self.gateway.conversation(&ctx, id).await.map_err(Sent::NotSent)?;
        plan::still_fits(&job.transfer, &now).map_err(Sent::Abandoned)
    }

    /// Sends the command a second time; `in_vain` is what the first one came to.
    async fn send_again(&self, job: &mut Job, command: &MoveCommand, in_vain: Outcome) -> Outcome {
        crate::failpoint!(BeforeSendAgain);
        let begun = Instant::now();
        // Writing proves that the row is still ours: no other process judges it meanwhile.
        match self.records.step(&mut job.transfer, Stage::Dispatching, KeyChange::Keep).await {
            Ok(()) => {}
            Err(NotRecorded::TakenOver) => return Outcome::TakenOver,
            Err(NotRecorded::Store(error)) => {
                return Outcome::sent_in_vain(problems::from_store(&error));
            }
        }
        crate::failpoint!(AfterSendAgainRecorded);
        if self.is_held_up(begun) {
            return in_vain;
        }
        let span = trace::stage(trace::TraceStage::Send);
        match self.send(job, command).instrument(span).await {
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
        let span = trace::stage(trace::TraceStage::Learn);
        let finding = watch::watch_after_5xx(self, &job.transfer, &job.ctx).instrument(span).await;
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
        let span = trace::stage(trace::TraceStage::Learn);
        let finding = watch::watch_in_request(self, &job.transfer, &job.ctx).instrument(span).await;
        outcome_of(job, finding, detail, answer)
    }

    /// The command was refused. On 404 and 409 one look tells why.
    pub(super) async fn refused(&self, job: &Job, error: GatewayError) -> Outcome {
        let refused = |code| Problem::new(code, "Genesys refused the command.");
        let (answer, unexplained) = match &error {
            // Without a leg the address names the conversation alone, which was there a moment ago.
            GatewayError::NotFound(answer) if job.transfer.participant_id.is_none() => {
                let detail = "Genesys no longer finds the conversation, which was there a moment \
                              before: it has ended.";
                (answer.clone(), Problem::new(Code::ConversationEnded, detail))
            }
            GatewayError::NotFound(answer) => (answer.clone(), refused(Code::RejectedByGenesys)),
            GatewayError::Conflict(answer) => (answer.clone(), refused(Code::Conflict)),
            _ => return Outcome::sent_in_vain(problems::refused(error)),
        };
        let ctx = job.ctx.in_lane(Lane::Settling);
        let id = job.transfer.request.conversation_id;
        let span = trace::stage(trace::TraceStage::Learn);
        let look = self.gateway.conversation(&ctx, id).instrument(span).await;
        let problem = match look {
            Ok(conversation) => why_refused(&job.transfer, &conversation, unexplained),
            Err(GatewayError::NotFound(_)) => Problem::new(
                Code::ConversationNotFound,
                "Genesys no longer knows the conversation, or it is not visible to this client.",
            ),
            Err(_) => unexplained,
        };
        Outcome::sent_in_vain(problem.upstream(Some(answer)))
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
            "Someone else moved the conversation elsewhere first.",
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
        .upstream(Some(answer)),
    )
}

/// Why a command was refused with 404 or 409, as one look tells.
fn why_refused(transfer: &Transfer, now: &Conversation, unexplained: Problem) -> Problem {
    if let Some(terms) = &transfer.request.undo {
        return undo::waiting_leg(terms, now).err().map_or(unexplained, |problem| *problem);
    }
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
        Some(Seen::Unmoved) | None => unexplained,
        Some(Seen::Ended) => Problem::new(Code::ConversationEnded, "The conversation has ended."),
        Some(Seen::Moved | Seen::MovedElsewhere | Seen::Changed) => moved_by_another(),
    }
}

fn moved_by_another() -> Problem {
    Problem::new(Code::ConversationMoved, "Someone else moved or answered the conversation first.")
}
