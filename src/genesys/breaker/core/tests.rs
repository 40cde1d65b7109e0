use proptest::prelude::*;

use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn call(core: &mut Core, now: Instant, outcome: Shown) {
    let pass = core.enter(now, true).unwrap();
    core.record(now, pass, outcome);
}

fn opened(now: Instant) -> Core {
    let mut core = Core::new(now);
    (0..5).for_each(|_| call(&mut core, now, Shown::Bad));
    core
}

#[test]
fn five_failures_in_a_row_open_it_for_five_seconds() {
    let now = Instant::now();
    let mut core = opened(now);
    assert_eq!(core.enter(now + secs(2), true), Err(Refused(secs(3))));
    assert_eq!(core.open_until(now), Some(secs(5)));
}

#[test]
fn a_good_call_breaks_the_row() {
    let now = Instant::now();
    let mut core = Core::new(now);
    for _ in 0..2 {
        (0..4).for_each(|_| call(&mut core, now, Shown::Bad));
        (0..4).for_each(|_| call(&mut core, now, Shown::Good));
    }
    assert!(core.enter(now, true).is_ok());
}

#[test]
fn less_than_half_good_of_twenty_in_thirty_seconds_opens_it() {
    let now = Instant::now();
    let mut core = Core::new(now);
    for i in 0..20u64 {
        let outcome = if i % 5 < 2 { Shown::Good } else { Shown::Bad };
        call(&mut core, now + secs(i), outcome);
    }
    assert!(core.enter(now + secs(20), true).is_err());
}

#[test]
fn failures_older_than_the_window_do_not_count() {
    let now = Instant::now();
    let mut core = Core::new(now);
    for i in 0..40u64 {
        let outcome = if i % 5 < 2 { Shown::Good } else { Shown::Bad };
        call(&mut core, now + secs(i * 3), outcome);
    }
    assert!(core.enter(now + secs(120), true).is_ok());
}

#[test]
fn answers_that_say_nothing_do_not_count() {
    let now = Instant::now();
    let mut core = Core::new(now);
    (0..100).for_each(|_| call(&mut core, now, Shown::Nothing));
    assert!(core.enter(now, true).is_ok());
}

#[test]
fn half_open_lets_one_probe_through_and_no_command() {
    let now = Instant::now();
    let mut core = opened(now);
    let later = now + secs(5);
    assert!(core.wants_probe(later));
    assert!(core.enter(later, false).is_err(), "a command is no probe");
    assert!(core.enter(later, true).is_ok());
    assert!(core.enter(later, true).is_err(), "one probe at a time");
}

#[test]
fn a_good_probe_closes_it() {
    let now = Instant::now();
    let mut core = opened(now);
    call(&mut core, now + secs(5), Shown::Good);
    assert!(core.enter(now + secs(5), false).is_ok());
}

#[test]
fn bad_probes_double_the_time_up_to_a_minute() {
    let mut now = Instant::now();
    let mut core = opened(now);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let wait = core.open_until(now).unwrap();
        waits.push(wait.as_secs());
        now += wait;
        call(&mut core, now, Shown::Bad);
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
}

#[test]
fn a_probe_that_was_dropped_leaves_room_for_the_next() {
    let now = Instant::now();
    let mut core = opened(now);
    call(&mut core, now + secs(5), Shown::Nothing);
    assert!(core.enter(now + secs(5), true).is_ok());
}

#[test]
fn calls_begun_before_it_opened_do_not_close_it() {
    let now = Instant::now();
    let mut core = Core::new(now);
    let early = core.enter(now, true).unwrap();
    (0..5).for_each(|_| call(&mut core, now, Shown::Bad));
    core.record(now + secs(6), early, Shown::Good);
    assert!(core.enter(now + secs(4), true).is_err());
}

proptest! {
    #[test]
    fn it_always_lets_a_probe_through_within_a_minute(
        events in proptest::collection::vec((0u64..4000, 0u8..3), 0..300)
    ) {
        let mut now = Instant::now();
        let mut core = Core::new(now);
        for (ms, outcome) in events {
            now += Duration::from_millis(ms);
            let outcome = [Shown::Good, Shown::Bad, Shown::Nothing][usize::from(outcome)];
            if let Ok(pass) = core.enter(now, true) {
                core.record(now, pass, outcome);
            }
        }
        prop_assert!(core.enter(now + secs(60), true).is_ok());
    }
}

#[test]
fn a_call_that_insists_goes_in_any_state_and_changes_none_that_refuses() {
    let now = Instant::now();
    let mut core = opened(now);
    for outcome in [Shown::Good, Shown::Bad, Shown::Nothing] {
        let pass = core.enter_anyway(now);
        assert!(!core.record(now, pass, outcome));
    }
    assert_eq!(core.enter(now, true), Err(Refused(secs(5))));

    let probe = core.enter(now + secs(5), true).unwrap();
    let pass = core.enter_anyway(now + secs(5));
    core.record(now + secs(5), pass, Shown::Nothing);
    assert!(core.enter(now + secs(5), true).is_err(), "the probe is still under way");
    core.record(now + secs(5), probe, Shown::Good);
    assert!(core.enter(now + secs(5), false).is_ok());
}

/// So many calls under way together, all of which fail.
fn burst(core: &mut Core, now: Instant, calls: usize) {
    let passes: Vec<_> = (0..calls).map(|_| core.enter(now, true).unwrap()).collect();
    for pass in passes {
        core.record(now, pass, Shown::Bad);
    }
}

#[test]
fn calls_that_fail_together_count_once_for_the_row() {
    let now = Instant::now();
    let mut core = Core::new(now);
    for _ in 0..4 {
        burst(&mut core, now, 4);
        assert!(core.enter(now, true).is_ok());
    }
    call(&mut core, now, Shown::Bad);
    assert!(core.enter(now, true).is_err(), "five in a row");
}

#[test]
fn of_calls_that_fail_together_the_share_over_twenty_decides() {
    let now = Instant::now();
    for (good, opens) in [(25, false), (24, true)] {
        let mut core = Core::new(now);
        (0..good).for_each(|_| call(&mut core, now, Shown::Good));
        burst(&mut core, now, 25);
        assert_eq!(core.enter(now, true).is_err(), opens, "{good} good, 25 bad");
    }
}
