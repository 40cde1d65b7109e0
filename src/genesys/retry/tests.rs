use proptest::prelude::*;
use url::Url;

use super::*;
use crate::{
    clock::FixedRandom,
    genesys::{attempt::Throttle, call::Operation, reading},
    problem::UpstreamAnswer,
    transfer::{
        clock_offset::ClockOffset,
        gateway::{CallContext, Lane},
    },
};

const PAUSE: Duration = Duration::from_secs(2);

fn policy() -> Retries {
    Retries::new(Arc::new(FixedRandom(0.5)), CancellationToken::new(), Arc::default())
}

fn status(status: u16) -> Attempt<()> {
    let answer = UpstreamAnswer { status, ..UpstreamAnswer::default() };
    let throttle = (status == 429).then_some(Throttle { pause: PAUSE, retry_after: PAUSE });
    Attempt::Status { answer, complete: true, throttle, fresh_token: status == 401 }
}

fn lost() -> Attempt<()> {
    Attempt::Broken("lost".to_owned())
}

/// Which of these attempts at one call are followed by another.
fn repeated(
    policy: &mut Retries,
    operation: Operation,
    left: Duration,
    attempts: impl IntoIterator<Item = Attempt<()>>,
) -> (Vec<bool>, Attempt<()>) {
    let ctx = CallContext::new(Instant::now() + left, Lane::Single);
    let url = Url::parse("http://host/").unwrap();
    let request = UpstreamRequest { operation, url, body: None, authorization: None, ctx: &ctx };
    let mut call = Call::new(&request, &reading::taken, 1);
    let mut again = Vec::new();
    let mut last = Ok(lost());
    for attempt in attempts {
        last = Ok(attempt);
        again.push(policy.retry(&mut call, &mut last).is_some());
    }
    let Ok(last) = last;
    (again, last)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn a_read_has_three_tries() {
    let all = [lost(), lost(), lost()];
    let (again, _) = repeated(&mut policy(), Operation::GetConversation, LONG, all);
    assert_eq!(again, [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_command_is_not_repeated_here() {
    for attempt in [status(429), lost(), Attempt::NothingLeft("x".to_owned())] {
        let (again, _) = repeated(&mut policy(), Operation::ReplaceWithQueue, LONG, [attempt]);
        assert_eq!(again, [false]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_is_tried_once() {
    let (again, _) =
        repeated(&mut policy(), Operation::GetConversation, LONG, [status(401), status(401)]);
    assert_eq!(again, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_cannot_end_in_time_is_not_begun() {
    for (left, expected) in [(2_099, false), (2_100, true)] {
        let left = Duration::from_millis(left);
        let (again, _) = repeated(&mut policy(), Operation::GetConversation, left, [status(429)]);
        assert_eq!(again, [expected], "{left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_stops_repeats_but_not_the_one_with_a_fresh_token() {
    let mut policy = policy();
    while policy.pay() {}
    let (again, _) = repeated(&mut policy, Operation::GetConversation, LONG, [lost()]);
    assert_eq!(again, [false]);
    let (again, _) = repeated(&mut policy, Operation::GetConversation, LONG, [status(401)]);
    assert_eq!(again, [true]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_may_have_been_made_stays_unclear_unless_it_is_refused() {
    let set = |attempts| repeated(&mut policy(), Operation::SetRouting, LONG, attempts).1;
    assert!(matches!(set([lost(), Attempt::NothingLeft("x".to_owned())]), Attempt::NothingLeft(_)));
    let held = Attempt::HeldBack(crate::transfer::gateway::GatewayError::DeadlineExceeded);
    assert!(matches!(set([lost(), held]), Attempt::Broken(_)));
    assert!(matches!(set([lost(), status(400)]), Attempt::Status { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_went_well_is_not_repeated() {
    let answer = UpstreamAnswer { status: 200, ..UpstreamAnswer::default() };
    let done = Attempt::Done { value: (), answer, clock: ClockOffset::default() };
    let (again, _) = repeated(&mut policy(), Operation::GetConversation, LONG, [done]);
    assert_eq!(again, [false]);
}

fn take_all(budget: &mut Budget, now: Instant) -> u32 {
    let mut taken = 0;
    while budget.take_one(now) {
        taken += 1;
    }
    taken
}

#[test]
fn ten_are_in_hand_at_start() {
    let now = Instant::now();
    assert_eq!(take_all(&mut Budget::new(now), now), 10);
}

#[test]
fn the_floor_gives_one_a_second() {
    let now = Instant::now();
    let mut budget = Budget::new(now);
    take_all(&mut budget, now);
    assert_eq!(take_all(&mut budget, now + Duration::from_secs(3)), 3);
}

#[test]
fn first_tries_earn_a_tenth() {
    let now = Instant::now();
    let mut budget = Budget::new(now);
    take_all(&mut budget, now);
    (0..205).for_each(|_| budget.first_try(now));
    assert_eq!(take_all(&mut budget, now), 20);
}

#[test]
fn what_was_earned_is_gone_after_a_minute() {
    let now = Instant::now();
    let mut budget = Budget::new(now);
    (0..1000).for_each(|_| budget.first_try(now));
    assert_eq!(take_all(&mut budget, now + Duration::from_secs(61)), 10);
}

proptest! {
    #[test]
    fn repeats_never_exceed_a_tenth_plus_the_floor(
        steps in proptest::collection::vec((0u64..3000, 0u32..30, 0u32..30), 1..60)
    ) {
        let start = Instant::now();
        let (mut now, mut budget) = (start, Budget::new(start));
        let (mut firsts, mut repeats) = (0.0, 0.0);
        for (ms, tries, wanted) in steps {
            now += Duration::from_millis(ms);
            for _ in 0..tries {
                budget.first_try(now);
                firsts += 1.0;
            }
            for _ in 0..wanted {
                repeats += f64::from(u8::from(budget.take_one(now)));
            }
            let floor = 10.0 + (now - start).as_secs_f64();
            prop_assert!(repeats <= floor + 0.1 * firsts + 1e-6);
        }
    }
}
