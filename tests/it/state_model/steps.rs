//! Every step that can come next, in the order in which the engine makes them. What may be done is
//! asked of the product: [`Stage`], [`Class`], the evidence.
//!
//! [`Class`]: genesys_transfer::transfer::class::Class

use genesys_transfer::transfer::{
    evidence::Finding,
    model::{Stage, Takeover, Whose},
};

use super::{
    words::{REPLICAS, REQUESTS, Row, Rules, Scene, State, Task},
    world::{MOST_SENT, crash, finding, genesys, is_movable, operator, people},
};

/// What is the same in the whole space.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    pub scene: Scene,
    pub rules: Rules,
}

/// One step's beginning: a state, and who does what.
#[derive(Clone, Copy)]
struct Step<'a> {
    state: &'a State,
    model: Model,
    replica: usize,
    transfer: usize,
}

impl Model {
    /// All states that can come next; none when everything has come to rest.
    pub(super) fn successors(self, state: &State, next: &mut Vec<State>) {
        people(state, next);
        for transfer in 0..REQUESTS {
            genesys(state, self.scene, transfer, next);
            operator(state, self.scene, transfer, next);
            for replica in 0..REPLICAS {
                let step = Step { state, model: self, replica, transfer };
                step.submit(next);
                step.adopt(next);
                step.undo(next);
                step.work(next);
            }
        }
        for replica in 0..REPLICAS {
            crash(state, replica, next);
        }
    }
}

impl Step<'_> {
    fn row(&self) -> Option<Row> {
        self.state.rows[self.transfer]
    }

    fn me(&self) -> Option<u8> {
        u8::try_from(self.replica).ok()
    }

    fn then(&self, task: Task) -> State {
        let mut next = *self.state;
        next.tasks[self.replica][self.transfer] = task;
        next
    }

    /// The call is looked at, as often as it takes.
    fn finding(&self) -> Finding {
        finding(self.state.places[self.model.scene.conversation(self.transfer)])
    }

    fn is_movable(&self) -> bool {
        is_movable(self.state.places[self.model.scene.conversation(self.transfer)])
    }

    /// The request arrives at this replica.
    fn submit(&self, next: &mut Vec<State>) {
        let Model { scene, rules } = self.model;
        // Requests and replicas are alike: the first to come is called the first, and so is the
        // replica it comes to.
        let first = self.state.asked == [false; REQUESTS];
        let renamed = first && (self.replica, self.transfer) != (0, 0);
        if self.state.asked[self.transfer] || renamed {
            return;
        }
        let mut state = *self.state;
        state.asked[self.transfer] = true;
        let others = (0..REQUESTS).filter_map(|n| Some((n, state.rows[n]?)));
        let key_taken = others.clone().any(|(n, row)| {
            rules.one_use_per_key && scene.key(n) == scene.key(self.transfer) && !row.key_free
        });
        let conversation_taken = others.clone().any(|(n, row)| {
            rules.one_unsettled_per_conversation
                && scene.conversation(n) == scene.conversation(self.transfer)
                && row.stage.is_unsettled()
        });
        if key_taken || conversation_taken {
            // Answered with what the rows say, and nothing is done.
            next.push(state);
            return;
        }
        let row =
            Row { stage: Stage::Received, owner: self.me(), key_free: false, doubtful: false };
        if state.budget.hiccups > 0 {
            let mut unheard = state;
            unheard.budget.hiccups -= 1;
            unheard.rows[self.transfer] = Some(Row { doubtful: true, ..row });
            next.push(unheard);
        }
        state.rows[self.transfer] = Some(row);
        state.tasks[self.replica][self.transfer] = Task::Look;
        next.push(state);
    }

    /// Takes over the row of a process that is dead, or taken to be.
    fn adopt(&self, next: &mut Vec<State>) {
        let Some(row) = self.row().filter(|row| row.stage.is_unsettled()) else { return };
        let asleep = row.owner.is_some();
        if row.owner == self.me() || (asleep && self.state.budget.sleeps == 0) {
            return;
        }
        let mut ways = [true, false].map(|fresh| row.stage.left_behind(fresh)).to_vec();
        ways.dedup();
        for way in ways {
            let mut state = self.then(match way {
                Takeover::CarryOn => Task::Look,
                Takeover::GiveUp => give_up(Stage::Received),
                Takeover::OnlyLook => Task::Judge,
                Takeover::Settle => Task::Settle,
                Takeover::Nothing => Task::None,
            });
            state.budget.sleeps -= u8::from(asleep);
            state.rows[self.transfer] = Some(Row { owner: self.me(), ..row });
            next.push(state);
        }
    }

    /// Gives up an insert that was reported as failed, with the next heartbeat.
    fn undo(&self, next: &mut Vec<State>) {
        let Some(row) = self.row() else { return };
        let idle = self.state.tasks[self.replica][self.transfer] == Task::None;
        if row.doubtful && idle && row.stage == Stage::Received && row.owner == self.me() {
            let mut state = *self.state;
            self.write(&mut state, Stage::Failed, false);
            next.push(state);
        }
    }

    fn work(&self, next: &mut Vec<State>) {
        let unknown = outcome(Stage::Dispatching, Stage::Unknown);
        match self.state.tasks[self.replica][self.transfer] {
            Task::None | Task::Await { .. } => {}
            Task::Look if self.is_movable() => next.push(self.then(Task::Intend)),
            Task::Look => next.push(self.then(give_up(Stage::Received))),
            Task::Intend => self.intend(next),
            Task::Send { again, second } => next.push(self.send(again, second)),
            Task::WatchFinished { second } => self.after_finished(second, next),
            Task::SendSecond => next.push(self.then(self.before_second())),
            Task::WatchLost => {
                // Seen by now, or not before the deadline.
                next.extend(self.settled(Stage::Dispatching).map(|task| self.then(task)));
                next.push(self.then(unknown));
            }
            Task::Record { from, to, key_used } => self.record(from, to, key_used, next),
            Task::Confirm => {
                let seen = self.finding().settles() == Some(true);
                let confirmed = outcome(Stage::Accepted, Stage::Confirmed);
                next.push(self.then(if seen { confirmed } else { Task::None }));
            }
            Task::Judge => {
                let mut state = self.then(Task::Settle);
                if self.is_at(Stage::Dispatching, Whose::Ours) {
                    self.write(&mut state, Stage::Unknown, true);
                }
                next.push(state);
            }
            Task::Settle => {
                next.extend(self.settled(Stage::Unknown).map(|task| self.then(task)));
            }
        }
    }

    /// The durable write before the command.
    fn intend(&self, next: &mut Vec<State>) {
        let send = Task::Send { again: false, second: false };
        if !self.model.rules.durable_before_sending {
            next.push(self.then(send));
            return;
        }
        let mut reported = self.then(give_up(Stage::Received));
        reported.budget.hiccups = reported.budget.hiccups.saturating_sub(1);
        if self.state.budget.hiccups > 0 {
            next.push(reported);
        }
        if !self.is_at(Stage::Received, Whose::Ours) {
            next.push(self.then(Task::None));
            return;
        }
        let mut written = self.then(send);
        self.write(&mut written, Stage::Dispatching, true);
        if self.state.budget.hiccups > 0 {
            self.write(&mut reported, Stage::Dispatching, true);
            next.push(reported);
        }
        next.push(written);
    }

    /// The clock is asked right before the command leaves. Who lost the row was away for a lease.
    fn send(&self, again: bool, second: bool) -> State {
        let Rules { held_up_sends_nothing, proves_ownership_before_sending_again, .. } =
            self.model.rules;
        // Measured from the write before.
        let measured = !again && (!second || proves_ownership_before_sending_again);
        let lost = self.row().is_some_and(|row| row.owner != self.me());
        if lost && measured && held_up_sends_nothing {
            return self.then(in_vain(second));
        }
        if again && !self.is_movable() {
            return self.then(in_vain(second));
        }
        let mut state = self.then(Task::Await { second });
        let conversation = self.model.scene.conversation(self.transfer);
        for (n, commands) in state.commands.iter().enumerate() {
            if self.model.scene.conversation(n) == conversation && commands.is_live() {
                state.wrong = Some("asked again while the earlier ask may work, or did");
            }
        }
        state.commands[self.transfer].sent += 1;
        state.commands[self.transfer].running = true;
        state
    }

    fn after_finished(&self, second: bool, next: &mut Vec<State>) {
        if let Some(task) = self.settled(Stage::Dispatching) {
            next.push(self.then(task));
            return;
        }
        let unknown = self.finding() != Finding::Unmoved;
        let to = if unknown { Stage::Unknown } else { Stage::Failed };
        next.push(self.then(outcome(Stage::Dispatching, to)));
        if !unknown && !second && self.state.commands[self.transfer].sent < MOST_SENT {
            next.push(self.then(Task::SendSecond));
        }
    }

    fn before_second(&self) -> Task {
        let ours = self.is_at(Stage::Dispatching, Whose::Ours);
        if ours || !self.model.rules.proves_ownership_before_sending_again {
            return Task::Send { again: false, second: true };
        }
        Task::None
    }

    /// What a look settles.
    fn settled(&self, from: Stage) -> Option<Task> {
        let worked = self.finding().settles()?;
        Some(outcome(from, if worked { Stage::Accepted } else { Stage::Failed }))
    }

    /// Writes an outcome where its row stands, and tells who waits.
    fn record(&self, from: Stage, to: Stage, key_used: bool, next: &mut Vec<State>) {
        let may_arrive = (from, to) == (Stage::Dispatching, Stage::Accepted);
        let mut state = self.then(match to {
            Stage::Unknown => Task::Settle,
            Stage::Accepted if may_arrive => Task::Confirm,
            _ => Task::None,
        });
        let also = Stage::outcome_also_from(from, to);
        // An earlier try that was reported as failed may have made the step.
        let made = self.row().is_some_and(|row| row.stage == to && row.owner == self.me());
        let found = made
            || self.is_at(from, Whose::Ours)
            || also.is_some_and(|also| self.is_at(also.stage, also.whose));
        if self.state.budget.hiccups > 0 {
            // Kept in memory, tried again, and told already: written or not.
            let mut kept = *self.state;
            kept.budget.hiccups -= 1;
            self.tell(&mut kept, to);
            next.push(kept);
            if found {
                self.write(&mut kept, to, key_used);
                next.push(kept);
            }
        }
        if found {
            self.write(&mut state, to, key_used);
        } else {
            state.tasks[self.replica][self.transfer] = Task::None;
        }
        let recorded = self.row_of(&state).map_or(to, |row| row.stage);
        let told = if self.model.rules.answers_as_recorded { recorded } else { to };
        self.tell(&mut state, told);
        next.push(state);
    }

    fn tell(&self, state: &mut State, stage: Stage) {
        match stage {
            Stage::Failed => state.told_failed[self.transfer] = true,
            Stage::Accepted | Stage::Confirmed if !state.commands[self.transfer].applied => {
                state.wrong = Some("a false answer");
            }
            _ => {}
        }
    }

    fn row_of(&self, state: &State) -> Option<Row> {
        state.rows[self.transfer]
    }

    /// Whether a write that expects this stage and owner finds its row.
    fn is_at(&self, stage: Stage, whose: Whose) -> bool {
        let Some(row) = self.row() else { return false };
        let owned = whose == Whose::Anybodys || row.owner == self.me();
        (row.stage == stage && owned) || !self.model.rules.writes_compare_first
    }

    /// Changes the row, if the product allows the step; a key that is not used up becomes free.
    fn write(&self, state: &mut State, to: Stage, key_used: bool) {
        let Some(row) = &mut state.rows[self.transfer] else { return };
        if row.stage == to {
            return;
        }
        if !row.stage.may_become(to) {
            state.wrong = Some("a step that the store refuses for ever");
            return;
        }
        row.stage = to;
        row.key_free |= !key_used;
    }
}

/// Nothing was sent.
fn give_up(from: Stage) -> Task {
    Task::Record { from, to: Stage::Failed, key_used: false }
}

/// Sent no more; the key is used up when something was sent before.
fn in_vain(second: bool) -> Task {
    Task::Record { from: Stage::Dispatching, to: Stage::Failed, key_used: second }
}

fn outcome(from: Stage, to: Stage) -> Task {
    Task::Record { from, to, key_used: true }
}
