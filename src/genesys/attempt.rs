//! What came of one try of a call: an answer, or what is known about the bytes when none came. The
//! retry decision, the breaker and the pacing read this; what it means to the domain is said here,
//! too.

use std::{error::Error as _, time::Duration};

use super::call::{CallKind, Operation};
use crate::{
    outgoing,
    problem::UpstreamAnswer,
    transfer::{
        class::{Class, Trace},
        clock_offset::ClockOffset,
        gateway::{GatewayError, Repeat, Sent, Tried},
    },
};

/// When a host that did not answer may be tried again.
const UNAVAILABLE: Duration = Duration::from_secs(1);

/// One try of a call.
#[derive(Debug)]
pub(super) enum Attempt<T> {
    /// A 2xx that is Genesys' own.
    Done {
        /// Its body, as far as that matters.
        value: T,
        /// Its status and correlation id.
        answer: UpstreamAnswer,
        /// How Genesys' clock differs from ours, by its `Date`.
        clock: ClockOffset,
    },
    /// Any other status.
    Status {
        /// Status, Genesys' code and message, correlation id.
        answer: UpstreamAnswer,
        /// Whether the body arrived whole.
        complete: bool,
        /// How long to pause; only with 429.
        throttle: Option<Throttle>,
        /// Whether a fresh token may help; only with 401.
        fresh_token: bool,
    },
    /// A 2xx whose body cannot be what was asked for.
    Unreadable {
        /// What was wrong with it.
        detail: String,
        /// Its status and correlation id.
        answer: UpstreamAnswer,
    },
    /// Certainly not a byte of the request left.
    NothingLeft(String),
    /// Bytes may have left and no whole answer came: timeout, reset, end of stream.
    Broken(String),
    /// The same, because the caller's deadline came before the try's own time was over.
    Late(String),
    /// What came is not HTTP.
    Garbled(String),
    /// This service did not let the try go.
    HeldBack(GatewayError),
}

/// What a 429 asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Throttle {
    /// How long nothing more is sent: what was asked for plus jitter, or a back-off.
    pub pause: Duration,
    /// What a caller is told.
    pub retry_after: Duration,
}

impl<T> Attempt<T> {
    /// Sorts an error of the HTTP client by what is known about the bytes.
    pub(super) fn failed(error: reqwest::Error) -> Self {
        // The URL may carry a queue name; the root cause says more anyway.
        let error = error.without_url();
        let detail = root_cause(&error);
        if error.is_builder() || error.is_connect() || never_left(&error) {
            Self::NothingLeft(detail)
        } else if is_garbled(&error) {
            Self::Garbled(detail)
        } else {
            Self::Broken(detail)
        }
    }

    /// The HTTP status, when there was a usable one.
    pub(super) const fn status(&self) -> Option<u16> {
        match self {
            Self::Done { answer, .. } | Self::Status { answer, .. } => Some(answer.status),
            _ => None,
        }
    }

    /// What it says about a command.
    pub(super) fn class(&self) -> Class {
        Class::of(match self {
            Self::NothingLeft(_) | Self::HeldBack(_) => Trace::NothingLeft,
            Self::Broken(_) | Self::Late(_) | Self::Garbled(_) => Trace::NoAnswer,
            Self::Done { answer, .. } => {
                Trace::Answered { status: answer.status, complete: true, genuine: true }
            }
            Self::Status { answer, complete, .. } => {
                Trace::Answered { status: answer.status, complete: *complete, genuine: true }
            }
            Self::Unreadable { answer, .. } => {
                Trace::Answered { status: answer.status, complete: true, genuine: false }
            }
        })
    }

    /// How the call may be sent again after this try, as far as the rules of its kind go; whether
    /// time, tries and budget are left is asked elsewhere. Of a command only what was certainly not
    /// carried out is sent again; other calls on any failure that may pass.
    pub(super) fn repeat(&self, kind: CallKind, backoff: Duration) -> Repeat {
        if kind == CallKind::Command && self.class() != Class::A {
            return Repeat::Never;
        }
        match self {
            Self::Status { fresh_token: true, .. } if kind != CallKind::Token => Repeat::FreshToken,
            Self::Status { throttle: Some(throttle), .. } => Repeat::Throttled(throttle.pause),
            Self::Status { answer, .. } if !matches!(answer.status, 408 | 500..=599) => {
                Repeat::Never
            }
            Self::Done { .. } | Self::HeldBack(_) => Repeat::Never,
            _ => Repeat::After(backoff),
        }
    }

    /// The outcome of a call that changes nothing.
    pub(super) fn read(self, operation: Operation) -> Result<(T, ClockOffset), GatewayError> {
        match self {
            Self::Done { value, clock, .. } => Ok((value, clock)),
            other => Err(other.error(operation)),
        }
    }

    /// The outcome of a call that sets absolute values: what is not [`GatewayError::Unclear`] was
    /// certainly not carried out.
    pub(super) fn set(self, operation: Operation) -> Result<(), GatewayError> {
        let (detail, answer) = match (self.class(), self) {
            (Class::D, _) => return Ok(()),
            (Class::A | Class::R, attempt) => return Err(attempt.error(operation)),
            (Class::B, Self::Status { answer, .. }) => {
                (format!("answered {}", answer.status), Some(answer))
            }
            (Class::B | Class::C, attempt) => attempt.seen(),
        };
        Err(GatewayError::Unclear { detail, answer })
    }

    /// What became of a command, told by its [`Class`].
    pub(super) fn sent(self, operation: Operation, backoff: Duration) -> Tried {
        let repeat = self.repeat(CallKind::Command, backoff);
        let sent = match (self.class(), self) {
            (Class::A, attempt) => Sent::NotSent(attempt.error(operation)),
            (Class::R, attempt) => Sent::Refused(attempt.error(operation)),
            (Class::B, Self::Status { answer, .. }) => Sent::Finished(answer),
            (Class::D, Self::Done { answer, .. }) => Sent::Taken(answer),
            (_, attempt) => {
                let (detail, answer) = attempt.seen();
                Sent::Uncertain { detail, answer }
            }
        };
        Tried { sent, repeat }
    }

    fn error(self, operation: Operation) -> GatewayError {
        match self {
            Self::Done { answer, .. } => GatewayError::Failed(answer),
            Self::Status { answer, throttle, .. } => match answer.status {
                401 => GatewayError::CredentialsRejected(Some(answer)),
                403 => {
                    GatewayError::PermissionMissing { answer, permission: operation.permission() }
                }
                404 => GatewayError::NotFound(answer),
                400 | 405 | 410 | 413 | 415 | 422 => GatewayError::Rejected(answer),
                409 => GatewayError::Conflict(answer),
                429 => GatewayError::RateLimited {
                    retry_after: throttle.map_or(UNAVAILABLE, |throttle| throttle.retry_after),
                    answer: Some(answer),
                },
                _ => GatewayError::Failed(answer),
            },
            Self::NothingLeft(detail) | Self::Broken(detail) => {
                GatewayError::Unavailable { retry_after: UNAVAILABLE, detail }
            }
            Self::Late(_) => GatewayError::DeadlineExceeded,
            Self::Garbled(detail) => GatewayError::Unreadable { detail, answer: None },
            Self::Unreadable { detail, answer } => {
                GatewayError::Unreadable { detail, answer: Some(answer) }
            }
            Self::HeldBack(error) => error,
        }
    }

    /// What was seen of a call whose outcome is open, in words, and the answer if there was one.
    fn seen(self) -> (String, Option<UpstreamAnswer>) {
        match self {
            Self::Done { answer, .. } | Self::Status { answer, .. } => {
                let status = answer.status;
                let detail =
                    format!("answered with status {status}, which does not say what was done");
                (detail, Some(answer))
            }
            Self::Unreadable { detail, answer } => (detail, Some(answer)),
            Self::NothingLeft(detail)
            | Self::Broken(detail)
            | Self::Late(detail)
            | Self::Garbled(detail) => (detail, None),
            Self::HeldBack(error) => (error.to_string(), None),
        }
    }

    /// In one line for logs.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Done { answer, .. } | Self::Status { answer, .. } => {
                format!("answered {}", answer.status)
            }
            Self::NothingLeft(detail) => format!("nothing left: {detail}"),
            Self::Broken(detail) | Self::Late(detail) => format!("no whole answer: {detail}"),
            Self::Garbled(detail) => format!("not HTTP: {detail}"),
            Self::Unreadable { detail, .. } => detail.clone(),
            Self::HeldBack(error) => error.to_string(),
        }
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// hyper hands a request back as cancelled only when it was never put on the connection; a peer
/// that answers `REFUSED_STREAM` promises not to have looked at it (RFC 9113, section 8.7).
fn never_left(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let unsent = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        let refused = cause.downcast_ref::<h2::Error>().is_some_and(|error| {
            error.is_remote()
                && error.is_reset()
                && error.reason() == Some(h2::Reason::REFUSED_STREAM)
        });
        unsent || refused
    })
}

fn is_garbled(error: &reqwest::Error) -> bool {
    causes(error)
        .any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse))
}

/// The innermost cause, which names what happened ("connection refused") and no address.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    super::text::tidy(&outgoing::why(error), 200)
}

#[cfg(test)]
mod tests;
