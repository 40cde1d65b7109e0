//! Whether a call is sent again: a pure function of what is known, and the one place that
//! decides it. See "What may be sent again" in the project's rules: only class A of a command is
//! resent, as [`Class::again`] says; reads, token requests and absolute patches are resent on any
//! passing failure.

use std::time::Duration;

use crate::{
    genesys::{
        answer::{Answer, Failure},
        call::Kind,
    },
    transfer::class::{Again, Class, Trace},
};

/// What one try brought, as far as the decision needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A 2xx with a usable body.
    Done,
    /// Certainly not a byte left.
    NothingLeft,
    /// 401; `replay` when a fresh token may help and none was tried for this call.
    Unauthorized {
        /// Whether a fresh token may help.
        replay: bool,
    },
    /// 429, which asks for this pause.
    Throttled {
        /// How long nothing more is sent.
        pause: Duration,
    },
    /// Any other status.
    Status(u16),
    /// No whole answer, or not HTTP.
    Broken,
    /// A 2xx that cannot be understood.
    Unreadable,
    /// Not let go by this service itself; the reason will not pass by trying again.
    HeldBack,
}

impl Seen {
    /// Sorts a result; `reauthorized` says that an earlier try of the call had a 401.
    pub(super) fn of(result: &Result<Answer, Failure>, reauthorized: bool) -> Self {
        match result {
            Ok(answer) => match (answer.status(), answer.throttle) {
                (200..=299, _) => Self::Done,
                (401, _) => Self::Unauthorized { replay: answer.replay && !reauthorized },
                (429, Some(throttle)) => Self::Throttled { pause: throttle.pause },
                (status, _) => Self::Status(status),
            },
            Err(Failure::NothingLeft(_)) => Self::NothingLeft,
            Err(Failure::Broken(_) | Failure::Late(_) | Failure::Garbled(_)) => Self::Broken,
            Err(Failure::Unreadable { .. }) => Self::Unreadable,
            Err(Failure::HeldBack(_) | Failure::Abandoned(_)) => Self::HeldBack,
        }
    }

    /// What it says about a command.
    fn class(self) -> Class {
        let answered = |status| Trace::Answered { status, complete: true, genuine: true };
        Class::of(match self {
            Self::NothingLeft | Self::HeldBack => Trace::NothingLeft,
            Self::Broken => Trace::NoAnswer,
            Self::Unreadable => Trace::Answered { status: 200, complete: true, genuine: false },
            Self::Done => answered(200),
            Self::Unauthorized { .. } => answered(401),
            Self::Throttled { .. } => answered(429),
            // Whether a 500 is complete makes no difference here: it is not sent again at once.
            Self::Status(status) => answered(status),
        })
    }

    /// Whether this try was certainly not carried out.
    pub(super) fn is_certainly_not_done(self) -> bool {
        self.class() == Class::A
    }
}

/// Everything the decision rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// What a repeat would mean.
    pub kind: Kind,
    /// What the last try brought.
    pub seen: Seen,
    /// How many tries there were, this one included.
    pub attempt: u32,
    /// Time left before the deadline.
    pub left: Duration,
    /// Whether the retry budget has something left.
    pub budget: bool,
    /// The pause that back-off would make now.
    pub backoff: Duration,
}

/// What to do with the result of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It stands.
    Keep,
    /// Send again after this pause, at the cost of the budget.
    Resend(Duration),
    /// Send again at once with a fresh token. Happens once per call, so it costs no budget:
    /// a revoked token must not fail more calls than the budget holds.
    Replay,
}

/// Decides.
pub(super) fn decide(situation: Situation) -> Decision {
    let Situation { kind, seen, attempt, left, budget, backoff } = situation;
    if let Seen::Unauthorized { replay } = seen {
        let again = replay && kind != Kind::Token && kind.needs() <= left;
        return if again { Decision::Replay } else { Decision::Keep };
    }
    let Some(pause) = pause(kind, seen, backoff) else {
        return Decision::Keep;
    };
    let fits = pause.saturating_add(kind.needs()) <= left;
    if attempt < kind.max_attempts() && budget && fits {
        Decision::Resend(pause)
    } else {
        Decision::Keep
    }
}

/// How long to wait before a repeat; `None` when there may be none.
fn pause(kind: Kind, seen: Seen, backoff: Duration) -> Option<Duration> {
    if kind == Kind::Command && seen.class().again() != Again::Yes {
        return None;
    }
    match seen {
        Seen::Throttled { pause } => Some(pause),
        Seen::NothingLeft | Seen::Broken | Seen::Unreadable | Seen::Status(408 | 500..=599) => {
            Some(backoff)
        }
        Seen::Done | Seen::HeldBack | Seen::Unauthorized { .. } | Seen::Status(_) => None,
    }
}

#[cfg(test)]
mod tests;
