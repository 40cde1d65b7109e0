//! What is outside the service: Genesys with its calls and answers, people, death. What a look at
//! a call shows and what an answer means is asked of the product.

use std::sync::LazyLock;

use genesys_transfer::transfer::{
    class::{Again, Class, Trace},
    clock_offset::ClockOffset,
    conversation::{Conversation, Leg, LegState, Purpose, Routing},
    evidence::{self, Before, Finding, Seen},
    ids::{ParticipantId, QueueId},
    model::Stage,
    plan::{Carrier, plan},
};
use jiff::Timestamp;

use super::words::{Place, REQUESTS, Scene, State, Task};
use crate::support::records::transfer;

/// Most commands of one transfer; what more of them could do, two can.
pub(super) const MOST_SENT: u8 = 2;

const PLACES: [Place; 4] = [Place::Here, Place::Moved, Place::Elsewhere, Place::Ended];

/// What the product makes of a look at a call in each place.
struct Looks {
    movable: [bool; PLACES.len()],
    seen: [Seen; PLACES.len()],
}

static LOOKS: LazyLock<Looks> = LazyLock::new(|| {
    let transfer = transfer(Timestamp::UNIX_EPOCH);
    let target = transfer.queue.id;
    let carrier = Carrier { command_carries_routing: false };
    let plan = |place| {
        let call = conversation(place, target);
        plan(&transfer.request, &transfer.queue, &call, Timestamp::UNIX_EPOCH, carrier)
    };
    let here = plan(Place::Here).expect("it can be moved");
    let before = Before {
        picture: here.picture.as_ref(),
        leg: here.participant_id,
        target,
        recorded_at: transfer.created_at,
    };
    Looks {
        movable: PLACES.map(|place| plan(place).is_ok()),
        seen: PLACES.map(|place| {
            evidence::judge(&conversation(place, target), before).expect("all of it can be read")
        }),
    }
});

/// The call as Genesys shows it.
fn conversation(place: Place, target: QueueId) -> Conversation {
    let customer = leg(1, Purpose::Customer, LegState::Connected);
    let agent = leg(2, Purpose::Agent, LegState::Connected);
    let transferred = Leg {
        state: LegState::Ended,
        disconnect_type: Some("transfer".to_owned()),
        ..agent.clone()
    };
    let waiting = Leg { queue_id: Some(target), ..leg(3, Purpose::Acd, LegState::Waiting) };
    let legs = match place {
        Place::Here => vec![customer, agent],
        Place::Moved => vec![customer, transferred, waiting],
        Place::Elsewhere => {
            vec![customer, transferred, leg(4, Purpose::Agent, LegState::Ringing)]
        }
        Place::Ended => [customer, agent].map(|leg| Leg { state: LegState::Ended, ..leg }).to_vec(),
    };
    let transfers = matches!(place, Place::Moved | Place::Elsewhere);
    Conversation {
        id: "00000000-0000-4000-8000-00000000c0de".parse().unwrap(),
        ended: place == Place::Ended,
        blocked: None,
        legs,
        unread: false,
        clock: ClockOffset::default(),
        recent_transfers: if transfers { vec!["transfer-1".to_owned()] } else { Vec::new() },
    }
}

fn leg(n: u32, purpose: Purpose, state: LegState) -> Leg {
    let id: ParticipantId = format!("00000000-0000-4000-8000-0000000{n:05}").parse().unwrap();
    Leg {
        participant_id: Some(id),
        purpose,
        state,
        supervision: None,
        queue_id: None,
        since: None,
        disconnect_type: None,
        routing: Routing::default(),
    }
}

/// Whether the product would move a call from there.
pub(super) fn is_movable(place: Place) -> bool {
    LOOKS.movable[place as usize]
}

/// What the product makes of looks that all show the call there.
pub(super) fn finding(place: Place) -> Finding {
    Finding::of(&[Some(LOOKS.seen[place as usize])])
}

/// An answer whose body can be Genesys' own.
const fn answer(status: u16) -> Trace {
    Trace::Answered { status, complete: true, genuine: true }
}

const PROXY_PAGE: Trace = Trace::Answered { status: 200, complete: true, genuine: false };
const CUT_503: Trace = Trace::Answered { status: 503, complete: false, genuine: true };

/// What the sender may see of a command that worked.
const WORKED: [Trace; 6] =
    [answer(202), answer(500), answer(503), answer(502), PROXY_PAGE, Trace::NoAnswer];
/// Of one that certainly did not and will not.
const REFUSED: [Trace; 9] = [
    Trace::NothingLeft,
    answer(401),
    answer(429),
    answer(400),
    answer(500),
    answer(503),
    answer(504),
    answer(302),
    Trace::NoAnswer,
];
/// Of one that came when its leg was gone.
const GONE: [Trace; 4] = [answer(404), answer(409), answer(503), Trace::NoAnswer];
/// Of one that may still take effect.
const RUNNING: [Trace; 6] =
    [Trace::NoAnswer, answer(502), answer(504), answer(408), PROXY_PAGE, CUT_503];

fn changed(state: &State, change: impl FnOnce(&mut State)) -> State {
    let mut next = *state;
    change(&mut next);
    next
}

/// What Genesys may do with a command it has, and what the sender then sees.
pub(super) fn genesys(state: &State, scene: Scene, transfer: usize, next: &mut Vec<State>) {
    let commands = state.commands[transfer];
    let here = state.places[scene.conversation(transfer)] == Place::Here;
    if commands.late {
        let gone = changed(state, |next| next.commands[transfer].late = false);
        if here {
            next.push(changed(&gone, |next| apply(next, scene, transfer)));
        }
        next.push(gone);
    }
    if !commands.running {
        return;
    }
    let done = changed(state, |next| next.commands[transfer].running = false);
    if here {
        let applied = changed(&done, |next| apply(next, scene, transfer));
        answer_with(&applied, transfer, &WORKED, next);
        answer_with(&done, transfer, &REFUSED, next);
    } else {
        answer_with(&done, transfer, &GONE, next);
    }
    if state.budget.late > 0 {
        let late = changed(&done, |next| {
            next.budget.late -= 1;
            next.commands[transfer].late = true;
        });
        answer_with(&late, transfer, &RUNNING, next);
    }
}

fn apply(state: &mut State, scene: Scene, transfer: usize) {
    state.places[scene.conversation(transfer)] = Place::Moved;
    state.commands[transfer].applied = true;
}

/// The sender, if he still lives, sees one of `traces`.
fn answer_with(state: &State, transfer: usize, traces: &[Trace], next: &mut Vec<State>) {
    let waits = |tasks: &[Task; REQUESTS]| matches!(tasks[transfer], Task::Await { .. });
    let Some(replica) = state.tasks.iter().position(waits) else {
        return next.push(*state);
    };
    let Task::Await { second } = state.tasks[replica][transfer] else { return };
    let mut then: Vec<Task> = Vec::new();
    for trace in traces {
        for task in what_follows(*trace, second, state.commands[transfer].sent) {
            // Several answers mean the same; the space need not hold them twice.
            if !then.contains(&task) {
                then.push(task);
            }
        }
    }
    next.extend(
        then.into_iter().map(|task| changed(state, |next| next.tasks[replica][transfer] = task)),
    );
}

/// What the engine and the layer that repeats do after an answer.
fn what_follows(trace: Trace, second: bool, sent: u8) -> Vec<Task> {
    let class = Class::of(trace);
    let record = |to, key_used| Task::Record { from: Stage::Dispatching, to, key_used };
    match (class.again(), class) {
        (Again::Yes, _) => {
            // The key is used up when an earlier try was not certainly without effect.
            let given_up = record(Stage::Failed, second);
            let again = (sent < MOST_SENT).then_some(Task::Send { again: true, second });
            again.into_iter().chain([given_up]).collect()
        }
        (Again::OnceIfUnmoved, _) => vec![Task::WatchFinished { second }],
        (Again::Never, Class::D) => vec![record(Stage::Accepted, true)],
        (Again::Never, Class::R) => vec![record(Stage::Failed, true)],
        (Again::Never, Class::A | Class::B | Class::C) => vec![Task::WatchLost],
    }
}

/// Somebody hangs up or hands the call to another agent.
pub(super) fn people(state: &State, next: &mut Vec<State>) {
    if state.budget.people == 0 {
        return;
    }
    for (n, place) in state.places.iter().enumerate() {
        for then in [Place::Ended, Place::Elsewhere] {
            if *place == Place::Here {
                next.push(changed(state, |next| {
                    next.budget.people -= 1;
                    next.places[n] = then;
                }));
            }
        }
    }
}

/// An operator looks at the call of an unknown transfer and says that it did not move. He is
/// believed, so he has looked well: nothing of it is on the way, nor can be.
pub(super) fn operator(state: &State, scene: Scene, transfer: usize, next: &mut Vec<State>) {
    let Some(row) = state.rows[transfer].filter(|row| row.stage == Stage::Unknown) else { return };
    let again =
        |tasks: &[Task; REQUESTS]| matches!(tasks[transfer], Task::Send { again: true, .. });
    let on_the_way = state.commands[transfer].is_live() || state.tasks.iter().any(again);
    let here = state.places[scene.conversation(transfer)] == Place::Here;
    if state.budget.operators > 0 && here && !on_the_way {
        next.push(changed(state, |next| {
            next.budget.operators -= 1;
            next.rows[transfer] = Some(super::words::Row { stage: Stage::Failed, ..row });
        }));
    }
}

/// A replica dies and is at once there again.
pub(super) fn crash(state: &State, replica: usize, next: &mut Vec<State>) {
    if state.budget.crashes == 0 || state.asked == [false; REQUESTS] {
        return;
    }
    next.push(changed(state, |next| {
        next.budget.crashes -= 1;
        next.tasks[replica] = [Task::None; REQUESTS];
        for row in next.rows.iter_mut().flatten() {
            row.owner = row.owner.filter(|owner| usize::from(*owner) != replica);
        }
    }));
}
