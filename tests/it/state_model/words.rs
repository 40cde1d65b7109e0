//! The state of the model and what must hold in it.

use genesys_transfer::transfer::model::Stage;

pub(super) const REPLICAS: usize = 2;
/// Each request makes one transfer at most; both have the same number.
pub(super) const REQUESTS: usize = 2;

/// What the two requests have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// One caller who repeats his request.
    SameKey,
    /// Two callers, one call.
    SameConversation,
    /// Two callers, two calls.
    Apart,
}

impl Scene {
    /// The conversation a request is about.
    pub(super) fn conversation(self, request: usize) -> usize {
        if self == Self::Apart { request } else { 0 }
    }

    /// The key a request has.
    pub(super) fn key(self, request: usize) -> usize {
        if self == Self::SameKey { 0 } else { request }
    }
}

/// Rules that are no function of the product but the order of its steps or a constraint of its
/// database. Each can be broken to see that the model would notice.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each rule is kept or broken, by itself")]
pub(super) struct Rules {
    /// The row is in `dispatching` before the first byte of the command.
    pub durable_before_sending: bool,
    /// A write compares stage and owner.
    pub writes_compare_first: bool,
    /// `transfers_unsettled`
    pub one_unsettled_per_conversation: bool,
    /// The primary key of `idempotency_keys`
    pub one_use_per_key: bool,
    /// Writing comes again before the command goes a second time.
    pub proves_ownership_before_sending_again: bool,
    /// A process that was held up after its durable write does not send.
    pub held_up_sends_nothing: bool,
    /// The answer is what the row says.
    pub answers_as_recorded: bool,
}

impl Rules {
    pub(super) const KEPT: Self = Self {
        durable_before_sending: true,
        writes_compare_first: true,
        one_unsettled_per_conversation: true,
        one_use_per_key: true,
        proves_ownership_before_sending_again: true,
        held_up_sends_nothing: true,
        answers_as_recorded: true,
    };
}

/// Troubles that may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// A replica dies and is started again.
    pub crashes: u8,
    /// A command takes effect after its sender stopped waiting, or never.
    pub late: u8,
    /// A write is reported as failed, whether it was carried out or not.
    pub hiccups: u8,
    /// A living replica sleeps past its lease and is taken to be dead.
    pub sleeps: u8,
    /// Somebody hangs up or moves a call elsewhere.
    pub people: u8,
    /// An operator closes an unknown transfer.
    pub operators: u8,
}

impl Budget {
    pub(super) const NONE: Self =
        Self { crashes: 0, late: 0, hiccups: 0, sleeps: 0, people: 0, operators: 0 };
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// With the agent it was with in the beginning.
    Here,
    /// In the target queue, by one of our commands.
    Moved,
    /// Handed to another agent, by somebody else.
    Elsewhere,
    Ended,
}

/// A durable row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub stage: Stage,
    /// The replica whose running process owns it; `None` for a process that is dead.
    pub owner: Option<u8>,
    /// The key may be used again.
    pub key_free: bool,
    /// Its insert was reported as failed.
    pub doubtful: bool,
}

/// The commands of one transfer, at Genesys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Commands {
    pub sent: u8,
    /// Genesys works on one.
    pub running: bool,
    /// One that nobody waits for may still take effect.
    pub late: bool,
    pub applied: bool,
}

impl Commands {
    /// Whether it is not certain that nothing comes of what was sent.
    pub(super) fn is_live(self) -> bool {
        self.running || self.late || self.applied
    }
}

/// What a replica is about to do for a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Task {
    None,
    /// Look at the call and plan.
    Look,
    /// Make the intention durable.
    Intend,
    /// Send; `again`: the last try certainly had no effect; `second`: the one after a 5xx.
    Send {
        again: bool,
        second: bool,
    },
    /// Genesys has it.
    Await {
        second: bool,
    },
    /// Look after an answer by which Genesys is finished.
    WatchFinished {
        second: bool,
    },
    /// Prove that the row is ours, to send the second one.
    SendSecond,
    /// Look after no certain answer.
    WatchLost,
    /// Write an outcome and answer.
    Record {
        from: Stage,
        to: Stage,
        key_used: bool,
    },
    /// See it arrive.
    Confirm,
    /// Judge a row found in `dispatching`.
    Judge,
    /// Look in the background.
    Settle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub rows: [Option<Row>; REQUESTS],
    pub tasks: [[Task; REQUESTS]; REPLICAS],
    pub commands: [Commands; REQUESTS],
    pub places: [Place; REQUESTS],
    /// Whose request has come.
    pub asked: [bool; REQUESTS],
    /// Whose caller heard that it failed.
    pub told_failed: [bool; REQUESTS],
    pub budget: Budget,
    /// What a step did that must never be done.
    pub wrong: Option<&'static str>,
}

impl State {
    pub(super) fn start(budget: Budget) -> Self {
        Self {
            rows: [None; REQUESTS],
            tasks: [[Task::None; REQUESTS]; REPLICAS],
            commands: [Commands::default(); REQUESTS],
            places: [Place::Here; REQUESTS],
            asked: [false; REQUESTS],
            told_failed: [false; REQUESTS],
            budget,
            wrong: None,
        }
    }

    /// The promises, in every state.
    pub(super) fn check(&self, scene: Scene) -> Result<(), String> {
        let broken = |what: &str| Err(format!("{what}: {self:#?}"));
        if let Some(what) = self.wrong {
            return broken(what);
        }
        for ((row, commands), told_failed) in
            self.rows.iter().zip(&self.commands).zip(self.told_failed)
        {
            let stage = row.map(|row| row.stage);
            if commands.sent > 0 && matches!(stage, None | Some(Stage::Received | Stage::Prepared))
            {
                return broken("sent without a durable intention");
            }
            let worked = match stage {
                Some(Stage::Accepted | Stage::Confirmed) => Some(true),
                Some(Stage::Failed | Stage::Skipped) => Some(false),
                _ => None,
            };
            if worked.is_some_and(|worked| worked != commands.applied) {
                return broken("a false status");
            }
            if told_failed && commands.applied {
                return broken("a false answer");
            }
            if row.is_some_and(|row| row.key_free) && commands.is_live() {
                return broken("a key freed too early");
            }
        }
        let used: Vec<usize> = (0..REQUESTS)
            .filter(|n| self.rows[*n].is_some_and(|row| !row.key_free))
            .map(|n| scene.key(n))
            .collect();
        if used == [0, 0] {
            return broken("a key used twice");
        }
        Ok(())
    }

    /// What must hold besides when nothing more can happen: everything that can be known is.
    pub(super) fn check_end(&self, scene: Scene) -> Result<(), String> {
        for (request, (row, commands)) in self.rows.iter().zip(&self.commands).enumerate() {
            let place = self.places[scene.conversation(request)];
            let open = row.is_some_and(|row| match row.stage {
                Stage::Unknown => commands.applied || place != Place::Here,
                stage => stage.is_unsettled(),
            });
            if open {
                return Err(format!("never settled: {self:#?}"));
            }
        }
        Ok(())
    }
}
