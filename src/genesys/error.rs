//! From what a call brought to what it means: for a read, for a command, in words.

use std::time::Duration;

use super::{
    answer::{Answer, Failure},
    call::Operation,
};
use crate::{
    problem::UpstreamAnswer,
    transfer::{
        class::Class,
        gateway::{GatewayError, Sent},
    },
};

/// When a host that did not answer may be tried again.
const UNAVAILABLE: Duration = Duration::from_secs(1);
/// When a 429 said nothing, after all tries.
const THROTTLED: Duration = Duration::from_secs(1);

/// The outcome of a call that changes nothing.
pub(super) fn outcome(
    operation: Operation,
    result: Result<Answer, Failure>,
) -> Result<Answer, GatewayError> {
    match result {
        Ok(answer) if answer.is_success() => Ok(answer),
        Ok(answer) => Err(refusal(operation, answer)),
        Err(failure) => Err(of_failure(failure)),
    }
}

/// The outcome of a call that sets absolute values, told apart by the classes of the rules: what is
/// not `Unclear` was certainly not carried out.
pub(super) fn set(
    operation: Operation,
    result: Result<Answer, Failure>,
) -> Result<(), GatewayError> {
    match sent(operation, result) {
        Sent::Taken(_) => Ok(()),
        Sent::NotSent(error) | Sent::Refused(error) => Err(error),
        Sent::Finished(answer) => {
            let detail = format!("answered {}", answer.status);
            Err(GatewayError::Unclear { detail, answer: Some(answer) })
        }
        Sent::Uncertain { detail, answer } => Err(GatewayError::Unclear { detail, answer }),
        // Only commands are looked at again.
        Sent::Abandoned(problem) => {
            Err(GatewayError::Unreadable { detail: problem.detail, answer: None })
        }
    }
}

fn refusal(operation: Operation, answer: Answer) -> GatewayError {
    let throttle = answer.throttle;
    let answer = answer.upstream;
    match answer.status {
        401 => GatewayError::CredentialsRejected(Some(answer)),
        403 => GatewayError::PermissionMissing { answer, permission: operation.permission() },
        404 => GatewayError::NotFound(answer),
        400 | 405 | 410 | 413 | 415 | 422 => GatewayError::Rejected(answer),
        409 => GatewayError::Conflict(answer),
        429 => GatewayError::RateLimited {
            retry_after: throttle.map_or(THROTTLED, |throttle| throttle.retry_after),
            answer: Some(answer),
        },
        _ => GatewayError::Failed(answer),
    }
}

fn of_failure(failure: Failure) -> GatewayError {
    match failure {
        Failure::NothingLeft(detail) | Failure::Broken(detail) => {
            GatewayError::Unavailable { retry_after: UNAVAILABLE, detail }
        }
        Failure::Late(_) => GatewayError::DeadlineExceeded,
        Failure::Garbled(detail) => GatewayError::Unreadable { detail, answer: None },
        Failure::Unreadable { detail, answer } => {
            GatewayError::Unreadable { detail, answer: Some(answer) }
        }
        Failure::HeldBack(error) => error,
        // Only commands are looked at again, and theirs is told as `Sent::Abandoned`.
        Failure::Abandoned(problem) => {
            GatewayError::Unreadable { detail: problem.detail, answer: None }
        }
    }
}

/// What became of a command or a setting of values, told by its [`Class`].
pub(super) fn sent(operation: Operation, result: Result<Answer, Failure>) -> Sent {
    match result {
        Ok(answer) => of_answer(operation, answer),
        Err(Failure::Abandoned(problem)) => Sent::Abandoned(problem),
        Err(failure) if Class::of(failure.trace()) == Class::A => {
            Sent::NotSent(of_failure(failure))
        }
        Err(Failure::Unreadable { detail, answer }) => {
            Sent::Uncertain { detail, answer: Some(answer) }
        }
        Err(failure) => Sent::Uncertain { detail: detail_of(failure), answer: None },
    }
}

fn detail_of(failure: Failure) -> String {
    match failure {
        Failure::NothingLeft(detail)
        | Failure::Broken(detail)
        | Failure::Late(detail)
        | Failure::Garbled(detail)
        | Failure::Unreadable { detail, .. } => detail,
        Failure::HeldBack(error) => in_words(&error),
        Failure::Abandoned(problem) => problem.detail,
    }
}

fn of_answer(operation: Operation, answer: Answer) -> Sent {
    match Class::of(answer.trace()) {
        Class::A => Sent::NotSent(refusal(operation, answer)),
        Class::R => Sent::Refused(refusal(operation, answer)),
        Class::B => Sent::Finished(answer.upstream),
        Class::C => Sent::Uncertain {
            detail: format!(
                "answered with status {}, which does not say what was done",
                answer.status()
            ),
            answer: Some(answer.upstream),
        },
        Class::D => Sent::Taken(answer.upstream),
    }
}

/// An error in one line for logs and readiness; holds no secret and no address.
pub(super) fn in_words(error: &GatewayError) -> String {
    match error {
        GatewayError::CredentialsRejected(answer) => {
            with_answer("Genesys rejected the credentials", answer.as_ref())
        }
        GatewayError::PermissionMissing { answer, permission } => {
            with_answer(&format!("a permission is missing ({permission})"), Some(answer))
        }
        GatewayError::NotFound(answer) => with_answer("not found", Some(answer)),
        GatewayError::Rejected(answer) => with_answer("Genesys refused the request", Some(answer)),
        GatewayError::Conflict(answer) => with_answer("Genesys reported a conflict", Some(answer)),
        GatewayError::RateLimited { retry_after, .. } => {
            format!("the request limit is used up for {} s", retry_after.as_secs())
        }
        GatewayError::Unavailable { detail, .. } => format!("Genesys cannot be reached: {detail}"),
        GatewayError::Failed(answer) => with_answer("Genesys failed", Some(answer)),
        GatewayError::Unreadable { detail, .. } | GatewayError::Unclear { detail, .. } => {
            detail.clone()
        }
        GatewayError::DeadlineExceeded => "it took too long".to_owned(),
        GatewayError::ShuttingDown => "the service is stopping".to_owned(),
    }
}

fn with_answer(text: &str, answer: Option<&UpstreamAnswer>) -> String {
    let Some(answer) = answer else {
        return text.to_owned();
    };
    match &answer.code {
        Some(code) => format!("{text}: {} {code}", answer.status),
        None => format!("{text}: {}", answer.status),
    }
}

/// A failure in one line for logs.
pub(super) fn failure_in_words(failure: &Failure) -> String {
    match failure {
        Failure::NothingLeft(detail) => format!("nothing left: {detail}"),
        Failure::Broken(detail) | Failure::Late(detail) => format!("no whole answer: {detail}"),
        Failure::Garbled(detail) => format!("not HTTP: {detail}"),
        Failure::Unreadable { detail, .. } => detail.clone(),
        Failure::HeldBack(error) => in_words(error),
        Failure::Abandoned(problem) => problem.detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::{class::Trace, clock_offset::ClockOffset};

    fn answer(status: u16, complete: bool) -> Answer {
        Answer {
            upstream: UpstreamAnswer { status, ..UpstreamAnswer::default() },
            complete,
            decoded: None,
            clock: ClockOffset::default(),
            rate: None,
            throttle: None,
            replay: false,
        }
    }

    #[test]
    fn every_status_of_a_command_is_told_as_its_class() {
        for status in 100..=999 {
            let trace = Trace::Answered { status, complete: true, genuine: true };
            let sent = sent(Operation::ReplaceWithQueue, Ok(answer(status, true)));
            assert_eq!(sent.class(), Class::of(trace), "{status}");
        }
    }

    #[test]
    fn an_error_answer_that_broke_off_is_not_a_finished_one() {
        for status in [500, 503] {
            let sent = sent(Operation::ReplaceWithQueue, Ok(answer(status, false)));
            assert!(matches!(sent, Sent::Uncertain { .. }), "{status}");
        }
    }

    #[test]
    fn failures_of_a_command_have_their_class() {
        let text = || "x".to_owned();
        let operation = Operation::PatchCommunication;
        let not_sent = sent(operation, Err(Failure::NothingLeft(text())));
        assert!(matches!(not_sent, Sent::NotSent(GatewayError::Unavailable { .. })));
        let held = sent(operation, Err(Failure::HeldBack(GatewayError::ShuttingDown)));
        assert_eq!(held, Sent::NotSent(GatewayError::ShuttingDown));
        for failure in [
            Failure::Broken(text()),
            Failure::Late(text()),
            Failure::Garbled(text()),
            Failure::Unreadable { detail: text(), answer: UpstreamAnswer::default() },
        ] {
            assert!(matches!(sent(operation, Err(failure)), Sent::Uncertain { .. }));
        }
    }
}
