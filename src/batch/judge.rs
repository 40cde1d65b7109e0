//! Whether a drain may take a call. Pure.

use crate::{
    problem::{Code, Problem},
    transfer::{
        conversation::{Conversation, LegState},
        legs,
        model::{Queue, TransferRequest},
    },
};

/// Why a call of a batch is not moved now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NotMoved {
    /// It may be moved in a while.
    Later(Box<Problem>),
    /// It is not the batch's business any more.
    Skip(Box<Problem>),
    /// It cannot be moved.
    Fail(Box<Problem>),
}

/// Whether the call still waits in the queue that is drained. A call that an agent has, or that was
/// moved elsewhere, is left alone.
///
/// # Errors
/// Why it is not to be moved now.
pub(super) fn waits(conversation: &Conversation, from: &Queue) -> Result<(), NotMoved> {
    let chosen = match legs::choose(conversation, None) {
        Ok(chosen) => chosen,
        Err(problem) => {
            return Err(match problem.code {
                // What cannot be read now may be read in a while.
                Code::ConversationRinging | Code::GenesysError => NotMoved::Later(problem),
                Code::ConversationNotTransferable if conversation.blocked.is_some() => {
                    NotMoved::Later(problem)
                }
                Code::ConversationEnded => NotMoved::Fail(problem),
                _ => NotMoved::Skip(no_longer_waiting(from)),
            });
        }
    };
    let leg = conversation.legs.get(chosen.index);
    let waits =
        leg.is_some_and(|leg| leg.state == LegState::Waiting && leg.queue_id == Some(from.id));
    if waits { Ok(()) } else { Err(NotMoved::Skip(no_longer_waiting(from))) }
}

fn no_longer_waiting(from: &Queue) -> Box<Problem> {
    let detail = format!("The call no longer waited in \"{}\" when its turn came.", from.name);
    Box::new(Problem::new(Code::NoLongerWaiting, detail))
}

/// The batch was stopped before the call's turn came.
pub(super) fn cancelled() -> Problem {
    Problem::new(Code::Cancelled, "The batch was cancelled before this call's turn came.")
}

/// What the refusal of a plan means for its call. One that is not put back, because it went on
/// meanwhile, is no failure.
pub(super) fn refused(request: &TransferRequest, problem: Box<Problem>) -> NotMoved {
    if request.undo.is_none() {
        return NotMoved::Fail(problem);
    }
    match problem.code {
        Code::ConversationRinging | Code::GenesysError | Code::ConversationNotTransferable => {
            NotMoved::Later(problem)
        }
        // Genesys does not show the move yet.
        Code::UndoImpossible if problem.is_retryable() => NotMoved::Later(problem),
        Code::ConversationAnswered | Code::ConversationMoved | Code::ConversationEnded => {
            NotMoved::Skip(problem)
        }
        _ => NotMoved::Fail(problem),
    }
}

/// Standing drains moved the call so often that it is left alone.
pub(super) fn too_often() -> Problem {
    let detail = "Standing drains moved this call 5 times within the last hour; it is left alone.";
    Problem::new(Code::MovedTooOften, detail)
}

/// The standing drain ended before the call's turn came.
pub(super) fn stand_is_over() -> Problem {
    Problem::new(Code::Cancelled, "The standing drain ended before this call's turn came.")
}

/// A plan without a look was asked for where one is needed.
pub(super) fn unseen() -> Box<Problem> {
    Box::new(Problem::new(Code::InternalError, "The conversation was not looked at."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::conversation::{Leg, Supervision, samples::*};

    fn from() -> Queue {
        Queue { id: queue(5), name: "Support".to_owned(), division: None }
    }

    fn code(legs: Vec<Leg>) -> Result<(), (&'static str, Code)> {
        told(&conversation(legs))
    }

    fn told(conversation: &Conversation) -> Result<(), (&'static str, Code)> {
        waits(conversation, &from()).map_err(|refusal| match refusal {
            NotMoved::Later(problem) => ("later", problem.code),
            NotMoved::Skip(problem) => ("skip", problem.code),
            NotMoved::Fail(problem) => ("fail", problem.code),
        })
    }

    #[test]
    fn only_a_call_that_waits_in_the_queue_is_taken() {
        let skip = Err(("skip", Code::NoLongerWaiting));
        let ringing = || agent(3, LegState::Ringing);
        for (legs, expected) in [
            (vec![customer(), waiting(2, queue(5))], Ok(())),
            (vec![customer(), ended(waiting(2, queue(5))), agent(3, LegState::Connected)], skip),
            (vec![customer(), waiting(2, queue(9))], skip),
            (vec![customer(), ended(waiting(2, queue(5)))], skip),
            (vec![customer(), agent(3, LegState::Held), agent(4, LegState::Connected)], skip),
            (
                vec![customer(), waiting(2, queue(5)), ringing()],
                Err(("later", Code::ConversationRinging)),
            ),
            (
                vec![
                    customer(),
                    waiting(2, queue(5)),
                    Leg { supervision: Some(Supervision::Listens), ..ringing() },
                ],
                Ok(()),
            ),
            (vec![ended(customer())], Err(("fail", Code::ConversationEnded))),
        ] {
            assert_eq!(code(legs.clone()), expected, "{legs:?}");
        }
    }

    #[test]
    fn a_call_that_cannot_be_read_is_looked_at_again_before_it_is_given_up() {
        let unread = |legs| Conversation { unread: true, ..conversation(legs) };
        let later = Err(("later", Code::GenesysError));
        assert_eq!(told(&unread(vec![customer()])), later);
        assert_eq!(told(&unread(vec![customer(), waiting(2, queue(5))])), Ok(()));
    }
}
