//! Every course that two replicas, two callers, a crash, a store that reports a write wrongly and
//! a command that takes effect late can take together, step by step as the engine makes them, and
//! the promises held against each state on the way.

use std::collections::{HashSet, VecDeque};

mod steps;
mod words;

use steps::successors;
use words::{Budget, Rules, State};

/// Walks the whole space breadth first; how many states it has, or what is wrong with one.
fn explore(start: State, rules: Rules) -> Result<usize, String> {
    let mut seen = HashSet::from([start]);
    let mut queue = VecDeque::from([start]);
    while let Some(state) = queue.pop_front() {
        let next = successors(&state, rules);
        if next.is_empty() {
            state.check_end()?;
        }
        for state in next {
            state.check()?;
            if seen.insert(state) {
                queue.push_back(state);
            }
        }
    }
    Ok(seen.len())
}

/// One of each trouble alone with everything, and pairs of the worst.
const BUDGETS: &[Budget] = &[
    Budget { crashes: 1, late: 1, hiccups: 0, suspicions: 0, people: 1 },
    Budget { crashes: 0, late: 1, hiccups: 1, suspicions: 0, people: 1 },
    Budget { crashes: 0, late: 1, hiccups: 0, suspicions: 1, people: 1 },
    Budget { crashes: 1, late: 0, hiccups: 1, suspicions: 1, people: 0 },
];

#[test]
fn no_course_of_events_breaks_a_promise() {
    for same_key in [true, false] {
        for budget in BUDGETS {
            let t = std::time::Instant::now();
            let states = explore(State::start(same_key, *budget), Rules::KEPT);
            println!("{same_key} {budget:?} {states:?} {:?}", t.elapsed());
            assert!(states.as_ref().is_ok_and(|states| *states > 1_000), "{budget:?}: {states:?}");
        }
    }
}

#[test]
fn each_rule_is_needed() {
    for broken in [
        Rules { adopter_only_reads: false, ..Rules::KEPT },
        Rules { durable_before_sending: false, ..Rules::KEPT },
        Rules { writes_compare_first: false, ..Rules::KEPT },
        Rules { one_unsettled_per_conversation: false, ..Rules::KEPT },
        Rules { lost_answers_forbid_sending: false, ..Rules::KEPT },
        Rules { outcome_finds_its_row: false, ..Rules::KEPT },
        Rules { answers_as_recorded: false, ..Rules::KEPT },
    ] {
        let found = [true, false].into_iter().any(|same_key| {
            BUDGETS.iter().any(|budget| explore(State::start(same_key, *budget), broken).is_err())
        });
        assert!(found, "{broken:?} breaks nothing");
    }
}
