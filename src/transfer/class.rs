//! What is known about the command after a try, and whether it may be sent again. Pure, and the
//! one place that decides either.

use super::gateway::Sent;

/// What one try of the command brought, as far as its class rests on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trace {
    /// Certainly not a byte was looked at: no connection, closed before a byte left, a stream
    /// refused, or held back by this service itself.
    NothingLeft,
    /// An HTTP answer came.
    Answered {
        /// Its status.
        status: u16,
        /// Whether its body arrived whole.
        complete: bool,
        /// Whether its body can be Genesys' own; asked of a 2xx only, where it is empty or JSON.
        genuine: bool,
    },
    /// Bytes may have left and nothing readable came back: our timeout, reset, end of stream, not
    /// HTTP, the end of this process.
    NoAnswer,
}

/// What is known about the command after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Certainly not carried out.
    A,
    /// Refused.
    R,
    /// Genesys is finished with it, unclear how.
    B,
    /// It may still be running.
    C,
    /// Done.
    D,
}

/// Whether a command may be sent again after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Again {
    /// When time and budget are left, and, if time has passed, the same leg is still there.
    Yes,
    /// Once, if every look shows the call unmoved and the same leg still there.
    OnceIfUnmoved,
    /// Never.
    Never,
}

impl Class {
    /// The class of a try.
    #[must_use]
    pub const fn of(trace: Trace) -> Self {
        let (status, complete, genuine) = match trace {
            Trace::NothingLeft => return Self::A,
            Trace::NoAnswer => return Self::C,
            Trace::Answered { status, complete, genuine } => (status, complete, genuine),
        };
        match status {
            200..=299 if genuine => Self::D,
            401 | 429 => Self::A,
            400 | 403 | 404 | 405 | 409 | 410 | 413 | 415 | 422 => Self::R,
            500 | 503 if complete => Self::B,
            _ => Self::C,
        }
    }

    /// Whether the command may be sent again.
    #[must_use]
    pub const fn again(self) -> Again {
        match self {
            Self::A => Again::Yes,
            Self::B => Again::OnceIfUnmoved,
            Self::R | Self::C | Self::D => Again::Never,
        }
    }
}

impl Sent {
    /// What is known about the command by its last try.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Taken(_) => Class::D,
            Self::NotSent(_) | Self::Abandoned(_) => Class::A,
            Self::Refused(_) => Class::R,
            Self::Finished(_) => Class::B,
            Self::Uncertain { .. } => Class::C,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the rules, written down once more and by hand.
    fn by_the_table(status: u16, complete: bool, genuine: bool) -> Class {
        match (status, complete, genuine) {
            (200..=299, _, true) => Class::D,
            (401 | 429, ..) => Class::A,
            (500 | 503, true, _) => Class::B,
            (400 | 403 | 404 | 405 | 409 | 410 | 413 | 415 | 422, ..) => Class::R,
            (_, _, _) => Class::C,
        }
    }

    #[test]
    fn every_answer_has_the_class_the_table_gives_it() {
        for status in 100..=999 {
            for (complete, genuine) in [(true, true), (true, false), (false, true), (false, false)]
            {
                let trace = Trace::Answered { status, complete, genuine };
                let expected = by_the_table(status, complete, genuine);
                assert_eq!(Class::of(trace), expected, "{trace:?}");
            }
        }
    }

    #[test]
    fn without_an_answer_only_what_never_left_is_certain() {
        assert_eq!(Class::of(Trace::NothingLeft), Class::A);
        assert_eq!(Class::of(Trace::NoAnswer), Class::C);
    }

    #[test]
    fn only_a_command_that_certainly_has_no_effect_may_go_again() {
        let again = [Class::A, Class::B, Class::R, Class::C, Class::D].map(Class::again);
        let never = Again::Never;
        assert_eq!(again, [Again::Yes, Again::OnceIfUnmoved, never, never, never]);
    }
}
