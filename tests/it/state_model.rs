//! Every course that two replicas and two requests can take together with a crash, a command that
//! takes effect late, a store that reports a write wrongly, a replica that sleeps, and people, step
//! by step in the order of the engine's steps; and the promises held against each state on the way.
//!
//! What an answer means, what may be sent again, what a look proves, which steps a row may take and
//! what may be done with a row left behind is asked of the product's own functions.

use std::collections::HashSet;

mod steps;
mod words;
mod world;

use steps::Model;
use words::{Budget, Rules, Scene, State};

/// Walks the whole space; how many states it has, or what is wrong with one.
fn explore(model: Model, budget: Budget) -> Result<usize, String> {
    let start = State::start(budget);
    let mut seen = HashSet::from([start]);
    let mut left = vec![start];
    let mut next = Vec::new();
    while let Some(state) = left.pop() {
        model.successors(&state, &mut next);
        if next.is_empty() {
            state.check_end(model.scene)?;
        }
        for state in next.drain(..) {
            if seen.insert(state) {
                state.check(model.scene)?;
                left.push(state);
            }
        }
    }
    Ok(seen.len())
}

/// A crash and a late command together, with somebody who hangs up; and every other trouble with
/// one of these.
const BUDGETS: &[Budget] = &[
    Budget { crashes: 1, late: 1, people: 1, ..Budget::NONE },
    Budget { crashes: 1, hiccups: 1, ..Budget::NONE },
    Budget { late: 1, hiccups: 1, ..Budget::NONE },
    Budget { late: 1, sleeps: 1, operators: 1, ..Budget::NONE },
    Budget { crashes: 1, sleeps: 1, ..Budget::NONE },
];

/// Calls that have nothing in common make a space of pairs; what troubles one of them was walked
/// through before.
const BUDGETS_APART: &[Budget] = &[
    Budget { crashes: 1, late: 1, ..Budget::NONE },
    Budget { late: 1, hiccups: 1, ..Budget::NONE },
];

fn keeps_all_promises(scene: Scene, budgets: &[Budget]) {
    for budget in budgets {
        let states = explore(Model { scene, rules: Rules::KEPT }, *budget);
        println!("{scene:?}, {budget:?}: {states:?} states");
        assert!(states.as_ref().is_ok_and(|states| *states > 1_000), "{budget:?}: {states:?}");
    }
}

#[test]
fn no_course_of_two_requests_with_one_key_breaks_a_promise() {
    keeps_all_promises(Scene::SameKey, BUDGETS);
}

#[test]
fn no_course_of_two_requests_for_one_call_breaks_a_promise() {
    keeps_all_promises(Scene::SameConversation, BUDGETS);
}

#[test]
fn no_course_of_two_requests_for_two_calls_breaks_a_promise() {
    keeps_all_promises(Scene::Apart, BUDGETS_APART);
}

#[test]
fn each_rule_that_is_no_function_is_needed() {
    for rules in [
        Rules { durable_before_sending: false, ..Rules::KEPT },
        Rules { writes_compare_first: false, ..Rules::KEPT },
        Rules { one_unsettled_per_conversation: false, ..Rules::KEPT },
        Rules { one_use_per_key: false, ..Rules::KEPT },
        Rules { proves_ownership_before_sending_again: false, ..Rules::KEPT },
        Rules { held_up_sends_nothing: false, ..Rules::KEPT },
        Rules { answers_as_recorded: false, ..Rules::KEPT },
    ] {
        let mut spaces = [Scene::SameKey, Scene::SameConversation]
            .into_iter()
            .flat_map(|scene| BUDGETS.iter().map(move |budget| (scene, *budget)));
        let broken =
            spaces.find_map(|(scene, budget)| explore(Model { scene, rules }, budget).err());
        let broken = broken.unwrap_or_else(|| panic!("{rules:?} break nothing"));
        println!("{rules:?}: {}", broken.lines().next().unwrap());
    }
}
