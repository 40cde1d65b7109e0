//! The state of the model and what must hold in it.

use genesys_transfer::transfer::model::Stage;

/// Transfers there can be: two callers, and one more when a key is free again.
pub(super) const TRANSFERS: usize = 3;
pub(super) const REPLICAS: usize = 2;
pub(super) const CALLERS: usize = 2;

/// The rules of the engine; each can be broken to see that it is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub adopter_only_reads: bool,
    pub durable_before_sending: bool,
    pub writes_compare_first: bool,
    pub one_unsettled_per_conversation: bool,
    pub lost_answers_forbid_sending: bool,
    pub outcome_finds_its_row: bool,
    pub answers_as_recorded: bool,
}

impl Rules {
    pub(super) const KEPT: Self = Self {
        adopter_only_reads: true,
        durable_before_sending: true,
        writes_compare_first: true,
        one_unsettled_per_conversation: true,
        lost_answers_forbid_sending: true,
        outcome_finds_its_row: true,
        answers_as_recorded: true,
    };
}

/// Troubles that may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// A replica dies and is started again.
    pub crashes: u8,
    /// A command's connection breaks, and it takes effect later.
    pub late: u8,
    /// A write is carried out, or not, and reported as failed.
    pub hiccups: u8,
    /// A living replica is taken to be dead.
    pub suspicions: u8,
    /// Somebody hangs up or moves the call elsewhere.
    pub people: u8,
}

/// Where the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// With its first leg.
    Here,
    /// In the target queue, by the command of this transfer.
    Moved(u8),
    Elsewhere,
    Ended,
}

/// A durable row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub stage: Stage,
    /// The replica whose running process owns it; `None` for a process that is dead.
    pub owner: Option<u8>,
    pub key: u8,
    /// Its insert was reported as failed.
    pub doubtful: bool,
}

/// The commands of one transfer at Genesys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Commands {
    pub sent: u8,
    /// Genesys works on one.
    pub running: bool,
    /// One whose connection is lost will take effect later, perhaps.
    pub late: bool,
    pub applied: bool,
    /// One was sent while another might still work or had worked.
    pub doubled: bool,
}

/// What a replica is about to do for a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Task {
    None,
    Look,
    Intend,
    Send,
    Await,
    /// Reads after a complete 500 or 503.
    WatchFinished,
    SendAgain,
    /// Reads after no certain answer.
    WatchLost,
    Record {
        from: Stage,
        to: Stage,
        key_used: bool,
    },
    /// Marks a row found in `dispatching` as unknown.
    Judge,
    /// Reads in the background.
    Settle,
}

/// A caller; the first sends up to two times, the other once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Caller {
    pub tries_left: u8,
    /// Where he waits, and for which transfer.
    pub waits: Option<(u8, u8)>,
    /// The last certain thing he heard: the transfer, and whether it worked.
    pub heard: Option<(u8, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub rows: [Option<Row>; TRANSFERS],
    /// The transfer that holds each key.
    pub keys: [Option<u8>; CALLERS],
    pub tasks: [[Task; TRANSFERS]; REPLICAS],
    pub place: Place,
    pub commands: [Commands; TRANSFERS],
    pub callers: [Caller; CALLERS],
    pub same_key: bool,
    pub budget: Budget,
}

impl State {
    pub(super) fn start(same_key: bool, budget: Budget) -> Self {
        Self {
            rows: [None; TRANSFERS],
            keys: [None; CALLERS],
            tasks: [[Task::None; TRANSFERS]; REPLICAS],
            place: Place::Here,
            commands: [Commands::default(); TRANSFERS],
            callers: [2, 1].map(|tries_left| Caller { tries_left, waits: None, heard: None }),
            same_key,
            budget,
        }
    }

    /// The promises, in every state.
    pub(super) fn check(&self) -> Result<(), String> {
        let broken = |what: &str| Err(format!("{what}: {self:#?}"));
        for (row, commands) in self.rows.iter().zip(&self.commands) {
            if commands.doubled {
                return broken("asked twice");
            }
            let stage = row.map(|row| row.stage);
            if commands.sent > 0 && matches!(stage, None | Some(Stage::Received)) {
                return broken("sent without a durable intention");
            }
            let told = match stage {
                Some(Stage::Accepted) => Some(true),
                Some(Stage::Failed) => Some(false),
                _ => None,
            };
            if told.is_some_and(|told| told != commands.applied) {
                return broken("false status");
            }
        }
        for (transfer, worked) in self.callers.iter().filter_map(|caller| caller.heard) {
            if worked != self.commands[usize::from(transfer)].applied {
                return broken("false answer");
            }
        }
        Ok(())
    }

    /// What must hold besides when nothing more can happen.
    pub(super) fn check_end(&self) -> Result<(), String> {
        for (row, commands) in self.rows.iter().zip(&self.commands) {
            let open = row.is_some_and(|row| match row.stage {
                Stage::Accepted | Stage::Failed => false,
                Stage::Unknown => commands.applied || self.place != Place::Here,
                _ => true,
            });
            if open {
                return Err(format!("never settled: {self:#?}"));
            }
        }
        Ok(())
    }
}
