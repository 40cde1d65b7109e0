//! Where a transfer stands, and which steps are allowed.

use serde::{Deserialize, Serialize};

use crate::metrics::Label;

/// Where a transfer stands. The order of the steps is fixed by [`Stage::may_become`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Recorded; nothing was looked at yet.
    Received,
    /// The leg is chosen and a picture of the conversation is kept.
    Prepared,
    /// The command may leave at any moment, or has left.
    Dispatching,
    /// Genesys took the command.
    Accepted,
    /// The conversation was seen in, or answered from, the target queue.
    Confirmed,
    /// Never sent (in a batch only).
    Skipped,
    /// It certainly did not happen by our hand.
    Failed,
    /// It may have happened; being settled.
    Unknown,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 8] = [
        Self::Received,
        Self::Prepared,
        Self::Dispatching,
        Self::Accepted,
        Self::Confirmed,
        Self::Skipped,
        Self::Failed,
        Self::Unknown,
    ];

    /// The stage as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Prepared => "prepared",
            Self::Dispatching => "dispatching",
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The stage with this text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text)
    }

    /// The status callers see.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::Received | Self::Prepared | Self::Dispatching => Status::Pending,
            Self::Accepted => Status::Accepted,
            Self::Confirmed => Status::Confirmed,
            Self::Skipped => Status::Skipped,
            Self::Failed => Status::Failed,
            Self::Unknown => Status::Unknown,
        }
    }

    /// Whether another transfer of the same conversation must wait.
    #[must_use]
    pub const fn is_unsettled(self) -> bool {
        matches!(self.status(), Status::Pending | Status::Unknown)
    }

    /// What a process that takes a row over from one that is gone may do with it; `fresh`: it is so
    /// young that its caller still wants it.
    #[must_use]
    pub const fn left_behind(self, fresh: bool) -> Takeover {
        match self {
            Self::Received | Self::Prepared if fresh => Takeover::CarryOn,
            Self::Received | Self::Prepared => Takeover::GiveUp,
            Self::Dispatching => Takeover::OnlyLook,
            Self::Unknown => Takeover::Settle,
            Self::Accepted | Self::Confirmed | Self::Skipped | Self::Failed => Takeover::Nothing,
        }
    }

    /// Where the row of an outcome that was reached from `from` may stand instead of there: a step
    /// further, when a write that failed was carried out after all; a step behind, when an earlier
    /// outcome still waits in memory. And who sent the command and has Genesys' word on it knows
    /// better than another process that took the row over meanwhile and found it `unknown` only.
    #[must_use]
    pub const fn outcome_also_from(from: Self, outcome: Self) -> Option<AlsoFrom> {
        match (from, outcome) {
            (Self::Dispatching, Self::Accepted | Self::Failed) => {
                Some(AlsoFrom { stage: Self::Unknown, whose: Whose::Anybodys })
            }
            (Self::Dispatching, _) => None,
            _ => Some(AlsoFrom { stage: Self::Dispatching, whose: Whose::Ours }),
        }
    }

    /// Whether the step from `self` to `next` is allowed.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        use Stage::{
            Accepted, Confirmed, Dispatching, Failed, Prepared, Received, Skipped, Unknown,
        };
        match self {
            Received => matches!(next, Prepared | Dispatching | Failed | Skipped),
            Prepared => matches!(next, Dispatching | Failed | Skipped),
            Dispatching => matches!(next, Accepted | Confirmed | Failed | Unknown),
            Unknown => matches!(next, Accepted | Confirmed | Failed),
            Accepted => matches!(next, Confirmed),
            Confirmed | Skipped | Failed => false,
        }
    }
}

/// What may be done with a row that a process left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Takeover {
    /// Nothing was sent: it runs as if it had just come.
    CarryOn,
    /// Nothing was sent, and it is too late to do so: it failed, and its key is free.
    GiveUp,
    /// The command may have left: look, never send.
    OnlyLook,
    /// It is `unknown`: go on looking.
    Settle,
    /// It is settled.
    Nothing,
}

/// Where else the row of an outcome may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlsoFrom {
    /// The stage.
    pub stage: Stage,
    /// Who may own it.
    pub whose: Whose,
}

/// Who may own a row that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The process that writes.
    Ours,
    /// Any.
    Anybodys,
}

/// The status callers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Recorded, not settled.
    Pending,
    /// Genesys took the command.
    Accepted,
    /// Seen in, or answered from, the target queue.
    Confirmed,
    /// Never sent.
    Skipped,
    /// It certainly did not happen.
    Failed,
    /// It may have happened; being settled.
    Unknown,
}

impl Label for Status {
    const ALL: &'static [Self] = &Status::ALL;

    fn label(self) -> &'static str {
        self.as_str()
    }
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Accepted,
        Self::Confirmed,
        Self::Skipped,
        Self::Failed,
        Self::Unknown,
    ];

    /// The status as callers see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The status with this text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// The stages that show as this status.
    pub fn stages(self) -> impl Iterator<Item = Stage> {
        Stage::ALL.into_iter().filter(move |stage| stage.status() == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_allowed_or_not_as_this_table_says() {
        // From the stage in front to those marked, in the order of `Stage::ALL`:
        // received prepared dispatching accepted confirmed skipped failed unknown.
        let table = [
            (Stage::Received, ".xx..xx."),
            (Stage::Prepared, "..x..xx."),
            (Stage::Dispatching, "...xx.xx"),
            (Stage::Accepted, "....x..."),
            (Stage::Confirmed, "........"),
            (Stage::Skipped, "........"),
            (Stage::Failed, "........"),
            (Stage::Unknown, "...xx.x."),
        ];
        for (from, marks) in table {
            let steps = Stage::ALL.map(|to| if from.may_become(to) { 'x' } else { '.' });
            assert_eq!(steps.iter().collect::<String>(), marks, "{from:?}");
        }
    }

    #[test]
    fn who_takes_a_row_over_sends_only_what_cannot_have_been_sent() {
        let sends = |stage: &Stage| {
            [true, false].map(|fresh| stage.left_behind(fresh)).contains(&Takeover::CarryOn)
        };
        let sending: Vec<_> = Stage::ALL.into_iter().filter(sends).collect();
        assert_eq!(sending, [Stage::Received, Stage::Prepared]);
        assert_eq!(Stage::Received.left_behind(false), Takeover::GiveUp);
        assert_eq!(Stage::Dispatching.left_behind(true), Takeover::OnlyLook);
    }

    #[test]
    fn nothing_leaves_a_final_stage() {
        for end in [Stage::Confirmed, Stage::Failed, Stage::Skipped] {
            assert!(Stage::ALL.iter().all(|next| !end.may_become(*next)), "{end:?}");
        }
    }

    #[test]
    fn a_command_that_may_have_left_is_never_taken_back() {
        let before = [Stage::Received, Stage::Prepared];
        for sent in [Stage::Dispatching, Stage::Unknown, Stage::Accepted] {
            assert!(before.iter().all(|earlier| !sent.may_become(*earlier)), "{sent:?}");
            assert!(!sent.may_become(Stage::Dispatching) && !sent.may_become(Stage::Skipped));
        }
    }

    #[test]
    fn a_conversation_is_taken_exactly_while_its_transfer_is_pending_or_unknown() {
        use Stage::{Dispatching, Prepared, Received, Unknown};
        let unsettled: Vec<_> = Stage::ALL.into_iter().filter(|s| s.is_unsettled()).collect();
        assert_eq!(unsettled, [Received, Prepared, Dispatching, Unknown]);
    }

    #[test]
    fn stored_words_are_read_back() {
        assert!(Stage::ALL.iter().all(|stage| Stage::from_text(stage.as_str()) == Some(*stage)));
        assert!(
            Status::ALL.iter().all(|status| Status::from_text(status.as_str()) == Some(*status))
        );
    }
}
