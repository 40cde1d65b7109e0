use super::*;

const GET: Operation = Operation::GetConversation;
const QUERY: Operation = Operation::QueryWaiting;

fn headers(allowed: u32, count: u32, reset: u64) -> RateHeaders {
    RateHeaders { allowed, count, reset: Duration::from_secs(reset) }
}

/// All that answers have told of, and the requests under way.
struct Bench {
    ceilings: Ceilings,
    window: RequestWindow,
}

impl Bench {
    fn new(now: Instant) -> Self {
        Self { ceilings: Ceilings::default(), window: RequestWindow::new(1_000_000, now) }
    }

    fn told(
        &mut self,
        now: Instant,
        operation: Operation,
        headers: impl Into<Option<RateHeaders>>,
    ) {
        self.ceilings.answered(now, &self.window, operation, headers.into());
    }

    fn known(now: Instant, allowed: u32, count: u32, reset: u64) -> Self {
        let mut bench = Self::new(now);
        bench.told(now, GET, headers(allowed, count, reset));
        bench
    }

    fn let_go(&mut self, operation: Operation, requests: u64) {
        for _ in 0..requests {
            self.ceilings.let_go(Ask::Request(operation));
            self.window.in_flight.add(operation);
        }
    }

    /// How many requests could be let go now.
    fn room(&mut self, now: Instant, operation: Operation) -> u64 {
        let mut ahead = Ahead::default();
        let ask = Ask::Request(operation);
        let mut room = 0;
        while room < 1_000 && self.ceilings.hold(now, &self.window, ask, &ahead, 0).is_none() {
            self.ceilings.queue(&mut ahead, ask, false);
            room += 1;
        }
        room
    }

    fn each(&mut self, now: Instant) -> Vec<(u64, u64)> {
        let each = self.ceilings.each(now, &self.window);
        each.map(|reading| (reading.limit, reading.left)).collect()
    }
}

#[test]
fn only_three_sensible_headers_count() {
    let parse = |allowed, count, reset| {
        RateHeaders::parse(Some(allowed), Some(count), Some(reset)).is_some()
    };
    assert!(parse("300", "12", "47"));
    assert!(parse("300", "301", "0"));
    for (allowed, count, reset) in [
        ("0", "1", "10"),
        ("-300", "1", "10"),
        ("300", "x", "10"),
        ("300", "1", "86400"),
        ("300", "1", "-1"),
        ("99999999999", "1", "1"),
    ] {
        assert!(!parse(allowed, count, reset), "{allowed} {count} {reset}");
    }
    assert_eq!(RateHeaders::parse(Some("300"), None, Some("3")), None);
}

#[test]
fn the_highest_count_of_a_window_stands_though_answers_overtake_each_other() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 300, 60, 30);
    let later = now + Duration::from_secs(1);
    bench.told(later, GET, headers(300, 20, 29));
    assert_eq!(bench.room(later, GET), 240);
}

#[test]
fn a_new_window_starts_a_new_count() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 300, 299, 3);
    let later = now + Duration::from_secs(4);
    bench.told(later, GET, headers(300, 1, 59));
    assert_eq!(bench.room(later, GET), 299);
}

#[test]
fn requests_on_their_way_are_taken_not_to_be_counted_yet() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 10, 4, 30);
    bench.let_go(GET, 5);
    assert_eq!(bench.room(now, GET), 1);
    assert_eq!(Bench::known(now, 10, 12, 30).room(now, GET), 0);
}

#[test]
fn after_the_window_only_its_allowance_goes_until_an_answer_comes() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 5, 5, 3);
    let later = now + Duration::from_secs(3);
    assert_eq!(bench.room(later, GET), 5);
    bench.let_go(GET, 5);
    assert_eq!(bench.room(later, GET), 0);
    (0..5).for_each(|_| bench.window.answer(later, GET));
    bench.told(later, GET, None);
    assert_eq!(bench.room(later, GET), 5);
}

#[test]
fn a_window_without_any_answer_ends_after_a_minute() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 5, 5, 3);
    let later = now + Duration::from_secs(3);
    bench.room(later, GET);
    bench.let_go(GET, 5);
    (0..5).for_each(|_| bench.window.answer(later, GET));
    assert_eq!(bench.room(later, GET), 0);
    assert_eq!(bench.room(later + WINDOW, GET), 5);
}

#[test]
fn counters_of_different_allowances_are_kept_apart() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 300, 70, 50);
    bench.told(now, QUERY, headers(60, 1, 50));
    bench.told(now, GET, headers(300, 71, 50));
    assert_eq!(bench.each(now), [(300, 229), (60, 59)]);
    assert_eq!((bench.room(now, GET), bench.room(now, QUERY)), (229, 59));
}

#[test]
fn the_tightest_room_counts() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 300, 280, 50);
    bench.told(now, QUERY, headers(60, 1, 50));
    assert_eq!(bench.room(now, QUERY), 20);
    bench.told(now, QUERY, headers(60, 50, 50));
    assert_eq!(bench.room(now, QUERY), 10);
}

#[test]
fn a_used_up_lower_limit_holds_only_for_operations_whose_answers_told_of_it() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 300, 1, 50);
    bench.told(now, QUERY, headers(60, 60, 50));
    let get = [GET, Operation::SetRouting].map(|operation| bench.room(now, operation));
    assert_eq!((get, bench.room(now, QUERY)), ([299, 299], 0));
    bench.told(now, GET, headers(60, 60, 50));
    assert_eq!(bench.room(now, GET), 0);
}

#[test]
fn the_only_limit_known_holds_for_all() {
    let now = Instant::now();
    assert_eq!(Bench::known(now, 60, 60, 50).room(now, QUERY), 0);
}

#[test]
fn however_many_limits_are_told_of_few_are_kept_the_widest_and_the_newest_among_them() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 5_000, 1, 50);
    for allowed in 1..1_000 {
        bench.told(now, QUERY, headers(allowed, 1, 50));
    }
    let kept: Vec<_> = bench.each(now).into_iter().map(|(allowed, _)| allowed).collect();
    assert_eq!(kept.len(), MOST, "{kept:?}");
    assert!(kept.contains(&5_000) && kept.first() == Some(&999), "{kept:?}");
}

#[test]
fn a_limit_that_is_told_of_no_more_is_forgotten() {
    let now = Instant::now();
    let mut bench = Bench::known(now, 300, 1, 50);
    bench.told(now, QUERY, headers(1, 1, 50));
    let later = now + FORGOTTEN;
    bench.told(later, QUERY, headers(300, 1, 50));
    assert_eq!(bench.each(later), [(300, 299)]);
    bench.told(later + FORGOTTEN, QUERY, None);
    assert_eq!(bench.each(later + FORGOTTEN), []);
}
