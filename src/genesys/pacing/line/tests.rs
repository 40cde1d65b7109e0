use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Percent kept for single transfers.
const RESERVE: u32 = 30;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn headers(allowed: u32, count: u32, reset: u64) -> Option<RateHeaders> {
    let text = |number: u64| Some(number.to_string());
    RateHeaders::parse(
        text(allowed.into()).as_deref(),
        text(count.into()).as_deref(),
        text(reset).as_deref(),
    )
}

const GET: Operation = Operation::GetConversation;
const QUERY: Operation = Operation::QueryWaiting;
const REQUEST: Ask = Ask::Request(GET);

/// So many operations of a transfer.
fn operations(count: u32) -> Operations {
    let all = [GET, Operation::ReplaceWithQueue, Operation::SetRouting];
    all.into_iter().take(count as usize).collect()
}

fn enter(
    line: &mut PacingQueue,
    now: Instant,
    lane: Lane,
    ask: Ask,
    start_by: Instant,
) -> AskResult {
    line.enter(now, lane, None, ask, start_by)
}

fn burst(line: &mut PacingQueue, now: Instant, who: Lane, until: Instant) -> u64 {
    let mut granted = 0;
    while enter(line, now, who, REQUEST, until) == AskResult::Granted {
        granted += 1;
    }
    granted
}

#[test]
fn an_unused_minutes_allowance_goes_in_one_burst_and_no_more() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, RESERVE, now);
    assert_eq!(burst(&mut line, now, Lane::Single, now), 300);
    (0..300).for_each(|_| line.answer(now, GET));
    assert_eq!(burst(&mut line, now + secs(60), Lane::Single, now + secs(60)), 0);
    assert_eq!(burst(&mut line, now + secs(61), Lane::Single, now + secs(61)), 300);
}

#[test]
fn the_budget_says_when_all_of_it_is_left_again() {
    let now = Instant::now();
    let mut line = PacingQueue::new(3, RESERVE, now);
    assert_eq!(line.budget(now).whole_in, Duration::ZERO);
    burst(&mut line, now, Lane::Single, now);
    (0..3).for_each(|tens| line.answer(now + secs(tens * 10), GET));
    let last = now + secs(20);
    let spent = line.budget(last);
    assert_eq!((spent.left, spent.limit), (0, 3));
    let rest = line.budget(last + spent.whole_in);
    assert_eq!((rest.left, rest.whole_in), (3, Duration::ZERO));
    assert!((secs(60)..=secs(61)).contains(&spent.whole_in), "{:?}", spent.whole_in);
}

#[test]
fn the_budget_waits_for_the_end_of_the_window_that_genesys_tells() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, RESERVE, now);
    assert_eq!(enter(&mut line, now, Lane::Single, REQUEST, now), AskResult::Granted);
    line.observe(now, GET, headers(100, 40, 90));
    let told = line.budget(now);
    assert_eq!((told.limit, told.whole_in), (100, secs(90)));
}

#[test]
fn one_who_cannot_go_in_time_is_told_when_he_could() {
    let now = Instant::now();
    let mut line = PacingQueue::new(1, RESERVE, now);
    assert_eq!(enter(&mut line, now, Lane::Single, REQUEST, now), AskResult::Granted);
    line.answer(now, GET);
    let entry = enter(&mut line, now, Lane::Single, REQUEST, now + secs(30));
    let AskResult::Refused(when) = entry else { panic!("{entry:?}") };
    assert!((secs(60)..=secs(61)).contains(&(when - now)), "{:?}", when - now);
}

#[test]
fn a_batch_never_takes_the_reserve_of_singles() {
    let now = Instant::now();
    let mut line = PacingQueue::new(100, RESERVE, now);
    assert_eq!(burst(&mut line, now, Lane::Batch, now), 70);
    assert_eq!(burst(&mut line, now, Lane::Refresh, now), 0);
    assert_eq!(burst(&mut line, now, Lane::Single, now), 30);
}

#[test]
fn the_neediest_goes_first_and_each_lane_in_order() {
    let now = Instant::now();
    let mut line = PacingQueue::new(3, RESERVE, now);
    burst(&mut line, now, Lane::Single, now);
    (0..3).for_each(|_| line.answer(now, GET));
    let by = now + secs(90);
    let lanes = [Lane::Refresh, Lane::Single, Lane::Single, Lane::Settling];
    for lane in lanes {
        enter(&mut line, now, lane, REQUEST, by);
    }
    let order: Vec<_> = line.pump(now + secs(61)).into_iter().map(|(number, _)| number).collect();
    assert_eq!(order, [3, 1, 2]);
}

#[test]
fn a_429_rests_its_lane_and_those_with_less_need() {
    let now = Instant::now();
    let mut line = PacingQueue::new(100, RESERVE, now);
    line.pause(Lane::Single, None, now + secs(10));
    for (lane, rests) in [
        (Lane::Settling, false),
        (Lane::Command, false),
        (Lane::Single, true),
        (Lane::Batch, true),
        (Lane::Refresh, true),
    ] {
        let entry = enter(&mut line, now, lane, REQUEST, now + secs(5));
        assert_eq!(entry != AskResult::Granted, rests, "{lane:?}");
    }
}

#[test]
fn a_pause_sends_away_at_once_who_would_wait_in_vain() {
    let now = Instant::now();
    let mut line = PacingQueue::new(100, RESERVE, now);
    line.pause(Lane::Single, None, now + secs(2));
    let entry = enter(&mut line, now, Lane::Single, REQUEST, now + secs(20));
    line.pause(Lane::Single, None, now + secs(60));
    let fates = line.pump(now);
    assert_eq!(entry, AskResult::Waiting(0));
    assert_eq!(fates, [(0, Fate::Refused(now + secs(60)))]);
}

#[test]
fn headers_lower_the_limit_at_once_until_their_window_ends() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, RESERVE, now);
    line.observe(now, GET, headers(180, 178, 20));
    assert_eq!(burst(&mut line, now, Lane::Single, now), 2);
    assert_eq!(burst(&mut line, now + secs(21), Lane::Single, now + secs(21)), 178);
}

#[test]
fn reserved_requests_go_without_asking_for_room_again() {
    let now = Instant::now();
    let mut line = PacingQueue::new(3, RESERVE, now);
    assert_eq!(
        enter(&mut line, now, Lane::Single, Ask::Reserve(operations(3)), now),
        AskResult::Granted
    );
    assert_eq!(burst(&mut line, now, Lane::Settling, now), 0);
    for operation in operations(3).iter() {
        line.take_ticket(operation, operation);
        let ticket = Ask::Ticket(operation);
        assert_eq!(enter(&mut line, now, Lane::Single, ticket, now), AskResult::Granted);
    }
}

#[test]
fn reserved_requests_are_not_stuck_in_a_window_without_answers() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, RESERVE, now);
    line.observe(now, GET, headers(2, 2, 1));
    let later = now + secs(2);
    assert_eq!(
        enter(&mut line, later, Lane::Single, Ask::Reserve(operations(2)), later),
        AskResult::Granted
    );
    line.take_ticket(GET, GET);
    assert_eq!(enter(&mut line, later, Lane::Single, Ask::Ticket(GET), later), AskResult::Granted);
}

#[test]
fn what_was_reserved_and_not_used_is_there_again() {
    let now = Instant::now();
    let mut line = PacingQueue::new(3, RESERVE, now);
    enter(&mut line, now, Lane::Single, Ask::Reserve(operations(3)), now);
    line.give_back(operations(3));
    assert_eq!(burst(&mut line, now, Lane::Single, now), 3);
}

/// What a stand-in for Genesys would see of each request.
#[derive(Clone, Copy)]
struct Sent {
    from: Instant,
    to: Option<Instant>,
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Ask(Lane),
    Reserve(u32),
    Ticket,
    Answer(usize),
    Cancel,
    Observe(u32, u32, u64),
}

fn any_lane() -> impl Strategy<Value = Lane> {
    proptest::sample::select(vec![
        Lane::Settling,
        Lane::Command,
        Lane::Single,
        Lane::Batch,
        Lane::Refresh,
    ])
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..20_000).prop_map(Step::Pass),
        6 => any_lane().prop_map(Step::Ask),
        1 => (1u32..4).prop_map(Step::Reserve),
        2 => Just(Step::Ticket),
        5 => (0usize..8).prop_map(Step::Answer),
        1 => Just(Step::Cancel),
        1 => (1u32..50, 0u32..60, 0u64..70).prop_map(|(a, c, r)| Step::Observe(a, c, r)),
    ]
}

proptest! {
    /// However requests come and however long they take: no 60 s window of Genesys' own, however
    /// it lies, can hold more than the limit.
    #[test]
    fn never_more_than_the_limit_in_any_minute(
        limit in 1u32..12,
        steps in proptest::collection::vec(any_step(), 1..250),
    ) {
        let mut now = Instant::now();
        let mut line = PacingQueue::new(limit, RESERVE, now);
        let (mut sent, mut tickets): (Vec<Sent>, u32) = (Vec::new(), 0);
        for step in steps {
            let mut gone = 0;
            match step {
                Step::Pass(ms) => now += Duration::from_millis(ms),
                Step::Ask(lane) => {
                    let entry = enter(&mut line, now, lane, REQUEST, now + secs(90));
                    gone += u32::from(entry == AskResult::Granted);
                }
                Step::Reserve(calls) => {
                    let calls = calls.min(line.largest(Lane::Single, operations(calls)));
                    let ask = Ask::Reserve(operations(calls));
                    if calls > 0 && enter(&mut line, now, Lane::Single, ask, now) == AskResult::Granted {
                        tickets += calls;
                    }
                }
                Step::Ticket if tickets > 0 => {
                    tickets -= 1;
                    line.take_ticket(GET, GET);
                    match enter(&mut line, now, Lane::Command, Ask::Ticket(GET), now + secs(90)) {
                        AskResult::Granted => gone += 1,
                        AskResult::Waiting(_) => {}
                        AskResult::Refused(_) => line.cancel(GET),
                    }
                }
                Step::Answer(index) => {
                    let mut open: Vec<_> = sent.iter_mut().filter(|s| s.to.is_none()).collect();
                    if let Some(request) = open.get_mut(index) {
                        request.to = Some(now);
                        line.answer(now, GET);
                    }
                }
                Step::Cancel => {
                    if let Some(at) = sent.iter().position(|s| s.to.is_none()) {
                        sent.remove(at);
                        line.cancel(GET);
                    }
                }
                Step::Observe(allowed, count, reset) => {
                    line.observe(now, GET, headers(allowed, count, reset));
                }
                Step::Ticket => {}
            }
            for (_, fate) in line.pump(now) {
                match fate {
                    Fate::Granted(Ask::Reserve(calls)) => {
                        tickets += u32::try_from(calls.count()).unwrap();
                    }
                    Fate::Granted(_) => gone += 1,
                    Fate::Refused(_) => {}
                }
            }
            sent.extend((0..gone).map(|_| Sent { from: now, to: None }));
            // All that Genesys may have seen in the 60 s up to now.
            let window = sent.iter().filter(|s| s.to.is_none_or(|to| now - to < secs(60)));
            let seen = window.filter(|s| s.from <= now).count();
            prop_assert!(seen <= limit as usize, "{} of {}", seen, limit);
        }
    }

    /// A request in the neediest lane goes as soon as the minute allows, however many wait in
    /// the others.
    #[test]
    fn the_neediest_lane_does_not_starve(
        limit in 1u32..10,
        others in proptest::collection::vec(any_lane(), 0..60),
    ) {
        let now = Instant::now();
        let mut line = PacingQueue::new(limit, RESERVE, now);
        burst(&mut line, now, Lane::Batch, now);
        burst(&mut line, now, Lane::Single, now);
        (0..limit).for_each(|_| line.answer(now, GET));
        for lane in others.into_iter().filter(|lane| *lane != Lane::Settling) {
            enter(&mut line, now, lane, REQUEST, now + secs(3600));
        }
        let AskResult::Waiting(number) =
            enter(&mut line, now, Lane::Settling, REQUEST, now + secs(61))
        else {
            return Err(TestCaseError::fail("it was not let in"));
        };
        let fates = line.pump(now + secs(61));
        prop_assert_eq!(fates.first(), Some(&(number, Fate::Granted(REQUEST))));
    }

    /// A waiting request whose turn can be told is granted at that time, not later.
    #[test]
    fn a_told_time_is_kept(limit in 1u32..10, waiting in 1usize..30) {
        let start = Instant::now();
        let mut line = PacingQueue::new(limit, RESERVE, start);
        burst(&mut line, start, Lane::Single, start);
        (0..limit).for_each(|_| line.answer(start, GET));
        for _ in 0..waiting {
            enter(&mut line, start, Lane::Single, REQUEST, start + secs(3600));
        }
        let mut now = start;
        let mut rounds = 0;
        while !line.is_empty() {
            now = line.next_change(now).unwrap().max(now);
            let granted = line.pump(now).len();
            prop_assert!(granted > 0, "woken for nothing after {:?}", now - start);
            (0..granted).for_each(|_| line.answer(now, GET));
            rounds += 1;
        }
        prop_assert_eq!(rounds, waiting.div_ceil(limit as usize));
    }
}

#[test]
fn one_whose_turn_the_other_replicas_took_is_told_at_once() {
    let now = Instant::now();
    let mut line = PacingQueue::new(10, 30, now);
    line.keep_to(now, Some(RateShare { others: 0, left: 0, parts: 3 }));
    let AskResult::Waiting(number) = enter(&mut line, now, Lane::Single, REQUEST, now + secs(20))
    else {
        panic!("it may wait for the next round");
    };
    line.keep_to(now + secs(1), Some(RateShare { others: 10, left: 0, parts: 3 }));
    let fates = line.pump(now + secs(1));
    assert!(matches!(fates[..], [(told, Fate::Refused(_))] if told == number), "{fates:?}");
}

#[test]
fn a_share_ends_with_the_next_round() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, 30, now);
    line.keep_to(now, Some(RateShare { others: 100, left: 20, parts: 3 }));
    assert_eq!(burst(&mut line, now, Lane::Single, now), 20);
    assert_eq!(line.used(now), RateUse { limit: 300, spent: 20 });
    assert_eq!(burst(&mut line, now, Lane::Single, now), 0);
    line.keep_to(now, Some(RateShare { others: 100, left: 60, parts: 3 }));
    assert_eq!(burst(&mut line, now, Lane::Single, now), 60);
}

#[test]
fn a_used_up_limit_of_one_operation_keeps_no_other_request_waiting() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, RESERVE, now);
    line.observe(now, GET, headers(300, 1, 50));
    line.observe(now, QUERY, headers(60, 60, 40));
    let by = now + secs(45);
    let query = enter(&mut line, now, Lane::Settling, Ask::Request(QUERY), by);
    let (AskResult::Waiting(first), get) =
        (query, enter(&mut line, now, Lane::Single, REQUEST, by))
    else {
        panic!("{query:?}")
    };
    assert_eq!((get, line.pump(now)), (AskResult::Granted, vec![]));
    let ends = line.next_change(now).unwrap();
    assert_eq!(ends, now + secs(40));
    assert_eq!(line.pump(ends), [(first, Fate::Granted(Ask::Request(QUERY)))]);
}

#[test]
fn a_request_for_a_used_up_limit_does_not_overtake_one_that_waits_for_it() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, RESERVE, now);
    line.observe(now, QUERY, headers(300, 1, 50));
    for operation in operations(2).iter() {
        line.observe(now, operation, headers(60, 59, 50));
    }
    let by = now + secs(90);
    let reserve = enter(&mut line, now, Lane::Single, Ask::Reserve(operations(2)), by);
    let behind = enter(&mut line, now, Lane::Single, REQUEST, by);
    assert_eq!((reserve, behind), (AskResult::Waiting(0), AskResult::Waiting(1)));
    assert_eq!(line.pump(now), []);
}

#[test]
fn a_429_that_names_the_used_up_limit_of_one_operation_rests_that_operation_alone() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, RESERVE, now);
    line.observe(now, GET, headers(300, 1, 50));
    for (told, rests) in [(headers(60, 20, 50), true), (headers(60, 61, 50), false)] {
        let mut line = PacingQueue::new(300, RESERVE, now);
        line.observe(now, GET, headers(300, 1, 50));
        line.observe(now, QUERY, told);
        line.pause(Lane::Single, told, now + secs(10));
        let query = enter(&mut line, now, Lane::Single, Ask::Request(QUERY), now);
        assert_ne!(query, AskResult::Granted);
        let get = enter(&mut line, now, Lane::Single, REQUEST, now);
        assert_eq!(get != AskResult::Granted, rests, "{told:?}");
    }
}

/// Requests of these callers, in the order in which they are let go one at a time.
fn order(callers: &[&str]) -> Vec<usize> {
    let now = Instant::now();
    let mut line = PacingQueue::new(1, RESERVE, now);
    burst(&mut line, now, Lane::Single, now);
    line.answer(now, GET);
    for caller in callers {
        let caller = CallerName::new(*caller);
        line.enter(now, Lane::Single, Some(&caller), REQUEST, now + secs(3600));
    }
    let (mut now, mut order) = (now, Vec::new());
    while let Some(next) = line.next_change(now) {
        now = next;
        for (number, _) in line.pump(now) {
            order.push(usize::try_from(number).unwrap());
            line.answer(now, GET);
        }
    }
    order
}

#[test]
fn callers_in_one_lane_take_turns() {
    assert_eq!(order(&["a", "a", "a", "b", "a", "c", "b"]), [0, 3, 5, 1, 6, 2, 4]);
    assert_eq!(order(&["a", "a", "a"]), [0, 1, 2]);
}

#[test]
fn one_that_asks_again_and_again_gets_every_other_turn() {
    let start = Instant::now();
    let mut line = PacingQueue::new(1, RESERVE, start);
    burst(&mut line, start, Lane::Single, start);
    line.answer(start, GET);
    let (busy, quiet) = (CallerName::new("busy"), CallerName::new("quiet"));
    let by = start + secs(36_000);
    let enter = |line: &mut PacingQueue, now, caller| match line.enter(
        now,
        Lane::Single,
        Some(caller),
        REQUEST,
        by,
    ) {
        AskResult::Waiting(number) => number,
        other => panic!("{other:?}"),
    };
    for _ in 0..20 {
        enter(&mut line, start, &busy);
    }
    let mut own = enter(&mut line, start, &quiet);
    let (mut now, mut turns) = (start, Vec::new());
    while turns.len() < 10 {
        now = line.next_change(now).unwrap();
        for (number, _) in line.pump(now) {
            line.answer(now, GET);
            turns.push(number == own);
            // Each asks for more as soon as it has had its turn.
            if number == own {
                own = enter(&mut line, now, &quiet);
            } else {
                enter(&mut line, now, &busy);
            }
        }
    }
    assert_eq!(turns, [false, true].repeat(5));
}

#[test]
fn one_that_cannot_go_in_time_behind_another_callers_request_is_told_at_once() {
    let now = Instant::now();
    let mut line = PacingQueue::new(2, RESERVE, now);
    burst(&mut line, now, Lane::Single, now);
    (0..2).for_each(|_| line.answer(now, GET));
    let (busy, quiet) = (CallerName::new("busy"), CallerName::new("quiet"));
    for caller in [&busy, &busy, &quiet] {
        let entry = line.enter(now, Lane::Single, Some(caller), REQUEST, now + secs(90));
        assert!(matches!(entry, AskResult::Waiting(_)), "{entry:?}");
    }
    let fates = line.pump(now);
    assert!(matches!(fates[..], [(1, Fate::Refused(when))] if when > now + secs(90)), "{fates:?}");
}

#[test]
fn a_reservation_takes_one_request_out_of_a_limit_for_one_of_its_operations() {
    let now = Instant::now();
    let mut line = PacingQueue::new(300, RESERVE, now);
    line.observe(now, QUERY, headers(300, 1, 50));
    line.observe(now, Operation::ReplaceWithQueue, headers(2, 0, 50));
    let mut reserve = || enter(&mut line, now, Lane::Single, Ask::Reserve(operations(3)), now);
    assert_eq!([reserve(), reserve()], [AskResult::Granted; 2]);
    assert_eq!(reserve(), AskResult::Refused(now + secs(50)));
    line.give_back(operations(3));
    assert_eq!(burst(&mut line, now, Lane::Single, now), 300 - 1 - 3);
}
