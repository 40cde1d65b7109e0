//! Running a command to its end, and how far it has come, for an answer that has to be given before
//! that.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio::{sync::oneshot, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, Span};

use super::{gateway::Departure, ids::TransferId, model::Transfer, problems};
use crate::problem::{Code, Problem};

/// Where the answer of a command goes.
pub type AnswerSender<T> = oneshot::Sender<Result<T, Problem>>;

/// A permit that is held until the work of a command is done, also when its caller was answered
/// before or has gone.
#[derive(Clone)]
pub struct InFlightPermit(Arc<dyn Send + Sync>);

impl InFlightPermit {
    /// Gives `permit` back, by dropping it, when the last copy of this is dropped.
    pub fn new(permit: impl Send + Sync + 'static) -> Self {
        Self(Arc::new(permit))
    }
}

impl fmt::Debug for InFlightPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InFlightPermit, held by {}", Arc::strong_count(&self.0))
    }
}

/// Runs work in tasks that the end of the service waits for.
#[derive(Clone, Default)]
pub struct Completion {
    tracker: TaskTracker,
    /// The service is to stop.
    pub(crate) stop: CancellationToken,
    /// The time for the stop is nearly over.
    pub(crate) over: CancellationToken,
}

impl Completion {
    pub(super) fn new(
        tracker: TaskTracker,
        stop: CancellationToken,
        over: CancellationToken,
    ) -> Self {
        Self { tracker, stop, over }
    }

    /// Runs `work` in the background.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// Runs the work of a command to its end, in a task of its own: a caller that hangs up does not
    /// end it, and a panic ends nothing else. `place` is held until then. Returns what the work
    /// answers. With `cut`, for what moves calls, nothing is begun when the service is to stop, and
    /// the truth so far is returned if the deadline or the end of a stop comes first.
    ///
    /// # Errors
    /// The work's problem; `shutting_down`; see [`Progress::cut_short`].
    pub(crate) async fn run<T, W>(
        &self,
        span: Span,
        place: Option<InFlightPermit>,
        cut: Option<(Instant, &Progress)>,
        work: impl FnOnce(AnswerSender<T>) -> W,
    ) -> Result<T, Problem>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        if cut.is_some() && self.stop.is_cancelled() {
            return Err(problems::shutting_down());
        }
        let (answer, answered) = oneshot::channel();
        let work = work(answer);
        let work = async move {
            let _place = place;
            work.await;
        };
        self.tracker.spawn(work.instrument(span));
        let Some((deadline, progress)) = cut else {
            return match answered.await {
                Ok(result) => result,
                Err(_) => Err(died()),
            };
        };
        let cut = tokio::select! {
            biased;
            result = answered => match result {
                Ok(result) => return result,
                Err(_) => Cut::Died,
            },
            () = tokio::time::sleep_until(deadline) => Cut::Deadline,
            () = self.over.cancelled() => Cut::Stop,
        };
        Err(progress.cut_short(cut))
    }

    /// As [`Completion::run`], for work whose end is its answer.
    ///
    /// # Errors
    /// As [`Completion::run`].
    pub(crate) async fn run_whole<T: Send + 'static>(
        &self,
        span: Span,
        place: Option<InFlightPermit>,
        cut: Option<(Instant, &Progress)>,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        // A receiver that is gone only means that no caller waits; the work is done all the same.
        let work = |answer: AnswerSender<T>| async move { drop(answer.send(work.await)) };
        self.run(span, place, cut, work).await
    }

    /// Waits until `at`; `false` when the service stops.
    pub(crate) async fn pause_until(&self, at: Instant) -> bool {
        if self.stop.is_cancelled() {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep_until(at) => true,
            () = self.stop.cancelled() => false,
        }
    }
}

/// How far a command has come. Shared by its work and by what may have to answer before that has
/// ended: the domain at the deadline and at the end of a stop, the HTTP layers as a net under it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Of a transfer: whether its command has left. Of a batch: whether it may be recorded.
    pub(crate) departure: Arc<Departure>,
    /// The transfer, once its row is recorded.
    pub(super) recorded: OnceLock<Recorded>,
}

/// A transfer that was recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded {
    pub id: TransferId,
    pub has_key: bool,
}

/// Why an answer is given before the work has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The request's deadline has come.
    Deadline,
    /// The service stops, and the time for that is nearly over.
    Stop,
    /// The work's task ended without an outcome.
    Died,
}

impl Progress {
    /// Notes that `transfer` is recorded: an answer may name it.
    pub(super) fn recorded_as(&self, transfer: &Transfer) {
        let Transfer { id, has_key, .. } = *transfer;
        self.recorded.get_or_init(|| Recorded { id, has_key });
    }

    /// The answer, which is true whatever the work does from here on: what has not left by now is
    /// held back.
    #[must_use]
    pub fn cut_short(&self, why: Cut) -> Problem {
        if self.departure.call_off() {
            return nothing_was_sent(why);
        }
        match self.recorded.get() {
            Some(Recorded { id, has_key }) => problems::still_unknown(*id, *has_key),
            None => batch_unknown(),
        }
    }
}

fn nothing_was_sent(why: Cut) -> Problem {
    match why {
        Cut::Deadline => Problem::new(
            Code::DeadlineExceeded,
            "The deadline passed before anything was sent; nothing will be sent.",
        ),
        Cut::Stop => problems::shutting_down(),
        Cut::Died => died(),
    }
}

fn died() -> Problem {
    let detail = "An internal error occurred before anything was sent; see the service's log.";
    Problem::new(Code::InternalError, detail).hint("Send the same request again.")
}

fn batch_unknown() -> Problem {
    Problem::new(Code::OutcomeUnknown, "It was not certain in time whether the batch was recorded.").hint(
        "GET /batches shows whether it was recorded. With an Idempotency-Key, the same request is \
         answered with it; without one, check before you send the request again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(progress: &Progress, why: Cut) -> (Code, bool) {
        let problem = progress.cut_short(why);
        (problem.code, problem.is_retryable())
    }

    #[test]
    fn what_has_not_left_is_certainly_not_sent() {
        for (why, expected) in [
            (Cut::Deadline, Code::DeadlineExceeded),
            (Cut::Stop, Code::ShuttingDown),
            (Cut::Died, Code::InternalError),
        ] {
            let progress = Progress::default();
            assert_eq!(code(&progress, why), (expected, true));
            assert!(progress.departure.leave().is_err(), "{why:?}");
        }
    }

    #[test]
    fn what_has_left_is_unknown_and_named() {
        for has_key in [true, false] {
            let progress = Progress::default();
            let id = TransferId::new(uuid::Uuid::from_u128(7));
            progress.recorded.set(Recorded { id, has_key }).unwrap();
            progress.departure.leave().unwrap();

            let problem = progress.cut_short(Cut::Stop);

            assert_eq!(
                (problem.code, problem.transfer_id),
                (Code::OutcomeUnknown, Some(id.uuid()))
            );
            // Without a key, a repeat after it has settled would be another move.
            assert_eq!(problem.is_retryable(), has_key);
            assert_eq!(problem.hint.unwrap().contains("Key"), has_key);
        }
    }
}
