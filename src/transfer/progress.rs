//! How far a submission has come, for an answer that has to be given before its work has ended.

use std::sync::{Arc, OnceLock};

use super::{gateway::Departure, ids::TransferId, model::Transfer, problems};
use crate::problem::{Code, Problem};

/// Shared by the work and by those who may have to answer before it has ended: the domain at the
/// deadline and at the end of a stop, the HTTP layers as a net under it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Of a transfer: whether its command has left. Of a batch: whether it may be recorded.
    pub(super) departure: Arc<Departure>,
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
            "The deadline passed before anything was sent; nothing is sent any more.",
        ),
        Cut::Stop => problems::shutting_down(),
        Cut::Died => Problem::new(
            Code::InternalError,
            "The service made a mistake before anything was sent; its log says more.",
        )
        .hint("Send the same request again."),
    }
}

fn batch_unknown() -> Problem {
    Problem::new(Code::OutcomeUnknown, "The batch was not seen to be recorded in time.").hint(
        "GET /batches shows whether it was recorded. With an Idempotency-Key, the same request is \
         answered with it; without one, do not send the request again before you have looked.",
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
