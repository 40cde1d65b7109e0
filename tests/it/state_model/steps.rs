//! Every step that can come next, as the code makes them.

use genesys_transfer::transfer::model::Stage;

use super::words::{CALLERS, Commands, Place, REPLICAS, Row, Rules, State, TRANSFERS, Task};

/// One step's beginning: a state to change, and who does what.
#[derive(Clone, Copy)]
struct Step<'a> {
    state: &'a State,
    rules: Rules,
    replica: usize,
    transfer: usize,
}

/// All states that can come next; none when everything has come to rest.
pub(super) fn successors(state: &State, rules: Rules) -> Vec<State> {
    let mut next = Vec::new();
    people(state, &mut next);
    for caller in 0..CALLERS {
        for replica in 0..REPLICAS {
            submit(state, rules, caller, replica, &mut next);
        }
    }
    for transfer in 0..TRANSFERS {
        genesys(state, transfer, rules, &mut next);
        for replica in 0..REPLICAS {
            let step = Step { state, rules, replica, transfer };
            step.adopt(&mut next);
            step.undo(&mut next);
            step.work(&mut next);
        }
    }
    for replica in 0..REPLICAS {
        crash(state, replica, &mut next);
    }
    next
}

fn changed(state: &State, change: impl FnOnce(&mut State)) -> State {
    let mut next = *state;
    change(&mut next);
    next
}

fn people(state: &State, next: &mut Vec<State>) {
    if state.budget.people == 0 || matches!(state.place, Place::Ended) {
        return;
    }
    next.push(changed(state, |next| {
        next.budget.people -= 1;
        if state.place == Place::Here {
            next.place = Place::Ended;
        }
    }));
    if state.place == Place::Here {
        next.push(changed(state, |next| {
            next.budget.people -= 1;
            next.place = Place::Elsewhere;
        }));
    }
}

fn crash(state: &State, replica: usize, next: &mut Vec<State>) {
    if state.budget.crashes == 0 {
        return;
    }
    next.push(changed(state, |next| {
        next.budget.crashes -= 1;
        next.tasks[replica] = [Task::None; TRANSFERS];
        for row in next.rows.iter_mut().flatten() {
            row.owner = row.owner.filter(|owner| usize::from(*owner) != replica);
        }
        for caller in &mut next.callers {
            if caller.waits.is_some_and(|(at, _)| usize::from(at) == replica) {
                caller.waits = None;
            }
        }
    }));
}

/// A caller sends his request, for the first time or again.
fn submit(state: &State, rules: Rules, caller: usize, replica: usize, next: &mut Vec<State>) {
    let who = state.callers[caller];
    if who.tries_left == 0 || who.waits.is_some() {
        return;
    }
    let key = if state.same_key { 0 } else { caller };
    let mut tried = *state;
    tried.callers[caller].tries_left -= 1;
    if let Some(transfer) = state.keys[key] {
        let stage = state.rows[usize::from(transfer)].map(|row| row.stage);
        match stage {
            Some(Stage::Accepted) => tried.callers[caller].heard = Some((transfer, true)),
            Some(Stage::Failed) => tried.callers[caller].heard = Some((transfer, false)),
            _ => {}
        }
        next.push(tried);
        return;
    }
    let taken = state.rows.iter().flatten().any(|row| row.stage.is_unsettled());
    let free = state.rows.iter().position(Option::is_none);
    let Some(transfer) = free.filter(|_| !(taken && rules.one_unsettled_per_conversation)) else {
        next.push(tried);
        return;
    };
    let number = u8::try_from(transfer).unwrap();
    let owner = Some(u8::try_from(replica).unwrap());
    let row =
        Row { stage: Stage::Received, owner, key: u8::try_from(key).unwrap(), doubtful: false };
    let mut inserted = tried;
    inserted.keys[key] = Some(number);
    inserted.rows[transfer] = Some(row);
    if state.budget.hiccups > 0 {
        let mut unheard = inserted;
        unheard.budget.hiccups -= 1;
        unheard.rows[transfer] = Some(Row { doubtful: true, ..row });
        next.push(unheard);
    }
    inserted.tasks[replica][transfer] = Task::Look;
    inserted.callers[caller].waits = Some((u8::try_from(replica).unwrap(), number));
    next.push(inserted);
}

/// What Genesys may do with a command it works on, and what the sender then hears.
fn genesys(state: &State, transfer: usize, rules: Rules, next: &mut Vec<State>) {
    let commands = state.commands[transfer];
    if commands.late {
        next.push(changed(state, |next| next.commands[transfer].late = false));
        next.push(changed(state, |next| {
            next.commands[transfer].late = false;
            apply(next, transfer);
        }));
    }
    if !commands.running {
        return;
    }
    let done = changed(state, |next| next.commands[transfer].running = false);
    let failed = |key_used| Task::Record { from: Stage::Dispatching, to: Stage::Failed, key_used };
    let accepted = Task::Record { from: Stage::Dispatching, to: Stage::Accepted, key_used: true };
    let lost =
        if rules.lost_answers_forbid_sending { Task::WatchLost } else { Task::WatchFinished };
    if state.place == Place::Here {
        let applied = changed(&done, |next| apply(next, transfer));
        for task in [accepted, lost, Task::WatchFinished] {
            next.push(hear(applied, transfer, task));
        }
        // Taken, and dropped later: nothing is promised of that, so it is not here.
    } else {
        next.push(hear(done, transfer, failed(true)));
    }
    for task in [failed(false), lost, Task::WatchFinished] {
        next.push(hear(done, transfer, task));
    }
    if state.budget.late > 0 {
        let late = changed(&done, |next| {
            next.budget.late -= 1;
            next.commands[transfer].late = true;
        });
        next.push(hear(late, transfer, lost));
    }
}

fn apply(state: &mut State, transfer: usize) {
    if state.place == Place::Here {
        state.place = Place::Moved(u8::try_from(transfer).unwrap());
        state.commands[transfer].applied = true;
    }
}

/// The sender, if he still lives, goes on with `task`.
fn hear(state: State, transfer: usize, task: Task) -> State {
    changed(&state, |next| {
        for tasks in &mut next.tasks {
            if tasks[transfer] == Task::Await {
                tasks[transfer] = task;
            }
        }
    })
}

impl Step<'_> {
    fn row(&self) -> Option<Row> {
        self.state.rows[self.transfer]
    }

    fn me(&self) -> Option<u8> {
        u8::try_from(self.replica).ok()
    }

    fn then(&self, task: Task) -> State {
        changed(self.state, |next| next.tasks[self.replica][self.transfer] = task)
    }

    /// Takes over the row of a process that is dead, or taken to be.
    fn adopt(&self, next: &mut Vec<State>) {
        let Some(row) = self.row().filter(|row| row.stage.is_unsettled()) else { return };
        let alive = row.owner.is_some();
        if row.owner == self.me() || (alive && self.state.budget.suspicions == 0) {
            return;
        }
        let tasks = match row.stage {
            Stage::Received => vec![Task::Look, give_up()],
            Stage::Dispatching if self.rules.adopter_only_reads => vec![Task::Judge],
            Stage::Dispatching => vec![Task::Send],
            _ => vec![Task::Settle],
        };
        for task in tasks {
            next.push(changed(&self.then(task), |next| {
                next.budget.suspicions -= u8::from(alive);
                next.rows[self.transfer] = Some(Row { owner: self.me(), ..row });
            }));
        }
    }

    /// Gives up an insert that was reported as failed.
    fn undo(&self, next: &mut Vec<State>) {
        let Some(row) = self.row() else { return };
        if row.doubtful && row.stage == Stage::Received && row.owner == self.me() {
            let task = self.state.tasks[self.replica][self.transfer];
            let mut state = self.then(task);
            write(&mut state, self.transfer, Stage::Failed, false);
            next.push(state);
        }
    }

    fn work(&self, next: &mut Vec<State>) {
        match self.state.tasks[self.replica][self.transfer] {
            Task::None | Task::Await => {}
            Task::Look if self.state.place == Place::Here => next.push(self.then(Task::Intend)),
            Task::Look => next.push(self.then(give_up())),
            Task::Intend => self.intend(next),
            Task::Send => next.push(self.send()),
            Task::WatchFinished => next.push(self.then(self.after_finished())),
            Task::SendAgain if self.may_write(Stage::Dispatching) => next.push(self.send()),
            Task::SendAgain => next.push(self.then(Task::None)),
            Task::WatchLost => {
                let unknown = outcome(Stage::Dispatching, Stage::Unknown);
                next.push(self.then(self.seen(Stage::Dispatching).unwrap_or(unknown)));
            }
            Task::Record { from, to, key_used } => self.record(from, to, key_used, next),
            Task::Judge => next.push(self.judge()),
            Task::Settle => next.extend(self.seen(Stage::Unknown).map(|task| self.then(task))),
        }
    }

    /// The durable write before the command.
    fn intend(&self, next: &mut Vec<State>) {
        if !self.rules.durable_before_sending {
            next.push(self.then(Task::Send));
            return;
        }
        let reported = self.then(give_up());
        if self.state.budget.hiccups > 0 {
            next.push(changed(&reported, |next| next.budget.hiccups -= 1));
        }
        if !self.may_write(Stage::Received) {
            next.push(self.then(Task::None));
            return;
        }
        let mut written = self.then(Task::Send);
        write(&mut written, self.transfer, Stage::Dispatching, true);
        if self.state.budget.hiccups > 0 {
            next.push(changed(&written, |next| {
                next.budget.hiccups -= 1;
                next.tasks[self.replica][self.transfer] = give_up();
            }));
        }
        next.push(written);
    }

    fn send(&self) -> State {
        changed(&self.then(Task::Await), |next| {
            let working = |one: &Commands| one.running || one.late || one.applied;
            let doubled = next.commands.iter().any(working);
            let mine = &mut next.commands[self.transfer];
            *mine = Commands { sent: mine.sent + 1, running: true, doubled, ..*mine };
        })
    }

    fn after_finished(&self) -> Task {
        if let Some(task) = self.seen(Stage::Dispatching) {
            return task;
        }
        let again = self.state.commands[self.transfer].sent < 2;
        if again { Task::SendAgain } else { outcome(Stage::Dispatching, Stage::Failed) }
    }

    /// What a look settles.
    fn seen(&self, from: Stage) -> Option<Task> {
        match self.state.place {
            Place::Here => None,
            Place::Moved(_) => Some(outcome(from, Stage::Accepted)),
            Place::Elsewhere | Place::Ended => Some(outcome(from, Stage::Failed)),
        }
    }

    fn judge(&self) -> State {
        let mut next = self.then(Task::Settle);
        if self.may_write(Stage::Dispatching) {
            write(&mut next, self.transfer, Stage::Unknown, true);
        }
        next
    }

    /// Writes an outcome where its row stands, and tells who waits.
    fn record(&self, from: Stage, to: Stage, key_used: bool, next: &mut Vec<State>) {
        let mut state = self.then(if to == Stage::Unknown { Task::Settle } else { Task::None });
        if self.may_write(from) || self.may_write_elsewhere(from, to) {
            write(&mut state, self.transfer, to, key_used);
            if self.state.budget.hiccups > 0 {
                let task = self.state.tasks[self.replica][self.transfer];
                next.push(changed(&state, |next| {
                    next.budget.hiccups -= 1;
                    next.tasks[self.replica][self.transfer] = task;
                }));
            }
        }
        let waits = Some((self.replica, self.transfer));
        let recorded = state.rows[self.transfer].map_or(to, |row| row.stage);
        let answer = if self.rules.answers_as_recorded { recorded } else { to };
        for caller in &mut state.callers {
            if caller.waits.map(|(at, which)| (usize::from(at), usize::from(which))) == waits {
                let number = u8::try_from(self.transfer).unwrap();
                caller.waits = None;
                caller.heard = match answer {
                    Stage::Accepted => Some((number, true)),
                    Stage::Failed => Some((number, false)),
                    _ => caller.heard,
                };
            }
        }
        next.push(state);
    }

    /// Compares stage and owner.
    fn may_write(&self, from: Stage) -> bool {
        let row = self.row();
        let mine = row.is_some_and(|row| row.stage == from && row.owner == self.me());
        mine || (!self.rules.writes_compare_first && row.is_some())
    }

    /// As `Records::write_outcome` does when the row is not where it was left.
    fn may_write_elsewhere(&self, from: Stage, to: Stage) -> bool {
        let stage = self.row().map(|row| row.stage);
        self.rules.outcome_finds_its_row
            && match (from, to) {
                (Stage::Dispatching, Stage::Accepted | Stage::Failed) => {
                    stage == Some(Stage::Unknown)
                }
                (Stage::Dispatching, _) => false,
                _ => self.may_write(Stage::Dispatching),
            }
    }
}

fn give_up() -> Task {
    Task::Record { from: Stage::Received, to: Stage::Failed, key_used: false }
}

fn outcome(from: Stage, to: Stage) -> Task {
    Task::Record { from, to, key_used: true }
}

/// Changes the row; a key that is not used up becomes free.
fn write(state: &mut State, transfer: usize, to: Stage, key_used: bool) {
    let Some(row) = &mut state.rows[transfer] else { return };
    row.stage = to;
    let key = usize::from(row.key);
    if !key_used && state.keys[key] == u8::try_from(transfer).ok() {
        state.keys[key] = None;
    }
}
