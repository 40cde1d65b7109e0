use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::*;
use crate::{
    problem::Candidate,
    transfer::{
        Caller, Submission, Wait,
        conversation::samples,
        gateway::{GatewayError, Sent},
        ids::TransferId,
        model::{Priority, QueueName, Transfer},
        testing::*,
    },
};

fn limited(limits: Limits) -> Caller {
    Caller { admin: false, limits, ..caller() }
}

fn only_support() -> Caller {
    limited(limits_to(&["Support*"]))
}

fn named(name: &str) -> QueueRef {
    QueueRef::Name(QueueName::parse(name).unwrap())
}

fn by_id() -> QueueRef {
    QueueRef::Id(samples::queue(9))
}

fn queue(name: &str) -> Queue {
    Queue { id: samples::queue(9), name: name.to_owned(), division: None }
}

fn asking(caller: Caller, queue: QueueRef) -> Submission {
    let mut submission = submission(None, Wait::Outcome);
    submission.caller = caller;
    submission.request.queue = queue;
    submission
}

/// What a caller limited to `Support*` is answered when Genesys finds `found` for `asked`.
async fn answer(asked: QueueRef, found: Result<Queue, QueueError>) -> Result<(), Problem> {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(crate::problem::UpstreamAnswer::default()), Effect::Never);
    bench.gateway.finds(found);
    let submitted = bench.transfers.submit(asking(only_support(), asked)).await;
    submitted.map(drop)
}

fn not_found() -> Result<Queue, QueueError> {
    Err(QueueError::NotFound { closest: vec!["Sales".to_owned(), "Support".to_owned()] })
}

#[tokio::test(start_paused = true)]
async fn a_covered_queue_is_used_by_name_and_by_id() {
    assert_eq!(answer(named("support"), Ok(queue("Support"))).await, Ok(()));
    assert_eq!(answer(by_id(), Ok(queue("Support"))).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn every_queue_out_of_reach_looks_the_same_whether_it_exists_or_not() {
    let several = || Err(QueueError::Ambiguous(vec![queue("Sales"), queue("sales")]));
    let mut answers = Vec::new();
    for (asked, found) in [
        (named("Sales"), Ok(queue("Sales"))),
        (named("Sales"), not_found()),
        (named("Sales"), several()),
        (by_id(), Ok(queue("Sales"))),
        (by_id(), not_found()),
        // Found under a name that is not the one asked for.
        (named("Support"), Ok(queue("Sales"))),
        (named("Support"), several()),
    ] {
        answers.push(answer(asked, found).await.unwrap_err());
    }
    assert_eq!(answers[0].code, Code::QueueNotPermitted);
    assert!(answers.iter().all(|problem| *problem == answers[0]), "{answers:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_out_of_reach_is_not_even_looked_for_by_name() {
    let down = || Err(QueueError::Gateway(GatewayError::DeadlineExceeded));
    assert_eq!(answer(named("Sales"), down()).await.unwrap_err().code, Code::QueueNotPermitted);
    assert_eq!(answer(named("Support"), down()).await.unwrap_err().code, Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn hints_name_only_queues_within_reach() {
    let problem = answer(named("Suport"), not_found()).await.unwrap_err();
    assert_eq!(problem.code, Code::QueueNotPermitted, "outside the pattern");
    let problem = answer(named("Support 9"), not_found()).await.unwrap_err();
    assert_eq!(problem.code, Code::QueueNotFound);
    let hint = problem.hint.unwrap();
    assert!(hint.contains("\"Support\"") && !hint.contains("Sales"), "{hint}");
}

#[tokio::test(start_paused = true)]
async fn candidates_are_only_queues_within_reach() {
    let found = Err(QueueError::Ambiguous(vec![queue("Support"), queue("Sales")]));
    let problem = answer(named("Support"), found).await.unwrap_err();
    assert_eq!(problem.code, Code::QueueAmbiguous);
    let [Candidate::Queue { name, .. }] = problem.candidates.as_slice() else {
        panic!("{problem:?}")
    };
    assert_eq!(name, "Support");
}

#[tokio::test(start_paused = true)]
async fn an_unlimited_caller_is_told_what_is_there() {
    let bench = Bench::new().await;
    bench.gateway.finds(not_found());
    let problem = bench.transfers.submit(asking(caller(), named("Sale"))).await.unwrap_err();
    assert_eq!(problem.code, Code::QueueNotFound);
    assert!(problem.hint.unwrap().contains("Sales"));
}

#[tokio::test(start_paused = true)]
async fn a_preview_is_limited_like_a_transfer() {
    let bench = Bench::new().await;
    bench.gateway.finds(Ok(queue("Sales")));
    let by = Instant::now() + DEADLINE;
    let id = request().conversation_id;
    let preview = bench.transfers.preview(&only_support(), id, Some(by_id()), by).await;
    assert_eq!(preview.unwrap_err().code, Code::QueueNotPermitted);
}

#[tokio::test(start_paused = true)]
async fn a_listing_shows_only_queues_within_reach() {
    let bench = Bench::new().await;
    bench.gateway.lists(vec![queue("Sales"), queue("Support"), queue("Support 2")]);
    let by = Instant::now() + DEADLINE;
    let searched = bench.transfers.queues(&only_support(), "", by).await.unwrap();
    let refreshed = bench.transfers.refresh_queues(&only_support(), by).await.unwrap();
    let all = bench.transfers.queues(&caller(), "", by).await.unwrap();
    assert_eq!(searched.items, [queue("Support"), queue("Support 2")]);
    assert_eq!(refreshed.items, searched.items);
    assert_eq!(all.items.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_priority_over_the_callers_highest_is_refused_before_anything_is_recorded() {
    let limits = Limits { max_priority: Priority::new(5), ..Limits::default() };
    let bench = Bench::new().await;
    let mut asked = asking(limited(limits), named("Support"));
    asked.request.priority = Priority::new(6);
    let problem = bench.transfers.submit(asked).await.unwrap_err();
    assert_eq!((problem.code, problem.transfer_id), (Code::NotPermitted, None));
    assert_eq!(bench.gateway.commands(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_place_kept_counts_toward_the_highest_priority() {
    for (highest, status) in [(7, 201), (6, 403)] {
        let limits = Limits { max_priority: Priority::new(highest), ..Limits::default() };
        let bench = Bench::new().await;
        bench.gateway.next(Sent::Taken(crate::problem::UpstreamAnswer::default()), SOON);
        bench.gateway.waits_since(SignedDuration::from_secs(7 * 60 + 5));
        let mut asked = asking(limited(limits), named("Support"));
        asked.request.keep_place = true;
        let reply = bench.transfers.submit(asked).await.unwrap();
        assert_eq!(reply.response.status, status, "{highest}");
        assert_eq!(bench.gateway.commands(), u32::from(status == 201));
    }
}

const SOON: Effect = Effect::After(Duration::from_millis(50));

fn twice_an_hour() -> Caller {
    limited(Limits { moves_per_conversation: Some(2), ..Limits::default() })
}

/// A bench whose record holds a transfer of the call for each age and stage.
async fn after(moves: &[(SignedDuration, Stage)]) -> Bench {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(crate::problem::UpstreamAnswer::default()), SOON);
    bench.outcome().await;
    let row = bench.only_transfer().await;
    let bench = Bench::new().await;
    for (number, (age, stage)) in moves.iter().enumerate() {
        let created_at = row.created_at - *age;
        // Ids carry the time; the newest is listed first.
        let id = u128::from(u64::try_from(created_at.as_millisecond()).unwrap()) << 80;
        let id = TransferId::new(uuid::Uuid::from_u128(id + number as u128));
        bench.store.left_behind(Transfer { id, created_at, stage: *stage, ..row.clone() });
    }
    bench.gateway.next(Sent::Taken(crate::problem::UpstreamAnswer::default()), SOON);
    bench
}

const fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

async fn move_again(bench: &Bench, caller: Caller) -> Result<u16, Problem> {
    let reply = bench.transfers.submit(asking(caller, named("Support"))).await?;
    Ok(reply.response.status)
}

#[tokio::test(start_paused = true)]
async fn a_call_moved_as_often_as_allowed_waits_until_the_oldest_move_is_an_hour_old() {
    let moves = [(minutes(50), Stage::Confirmed), (minutes(10), Stage::Accepted)];
    let bench = after(&moves).await;
    let problem = move_again(&bench, twice_an_hour()).await.unwrap_err();
    assert_eq!(problem.code, Code::TooManyRequests);
    let wait = problem.retry_after.unwrap();
    assert!((590..=600).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(bench.gateway.commands(), 0);
}

#[tokio::test(start_paused = true)]
async fn moves_that_are_old_or_did_not_happen_do_not_count() {
    let moves = [
        (minutes(70), Stage::Accepted),
        (minutes(61), Stage::Accepted),
        (minutes(20), Stage::Accepted),
        (minutes(2), Stage::Failed),
        (minutes(1), Stage::Skipped),
    ];
    let bench = after(&moves).await;
    assert_eq!(move_again(&bench, twice_an_hour()).await, Ok(201));
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_the_guard_moves_a_call_any_number_of_times() {
    let bench = after(&[(minutes(1), Stage::Accepted); 20]).await;
    assert_eq!(move_again(&bench, caller()).await, Ok(201));
}

/// The caller's patterns are not recorded: even a queue they cover stays hidden.
#[tokio::test(start_paused = true)]
async fn a_transfer_taken_over_from_a_dead_process_hides_the_queue_it_was_in() {
    let before = Bench::new().await;
    before.gateway.next(Sent::Taken(crate::problem::UpstreamAnswer::default()), SOON);
    before.outcome().await;
    let row = Transfer {
        stage: Stage::Received,
        previous: None,
        hides_previous_queue: true,
        ..before.only_transfer().await
    };
    let (gateway, store) = (Arc::<ScriptedGateway>::default(), Arc::<MemoryStore>::default());
    gateway.lists(vec![Queue { id: samples::queue(5), ..queue("Support") }]);
    gateway.waits_since(minutes(1));
    gateway.next(Sent::Taken(crate::problem::UpstreamAnswer::default()), SOON);
    store.left_behind(row.clone());
    let bench = Bench::with(gateway, store, true).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    for (caller, shown) in [(only_support(), None), (caller(), Some(samples::queue(5)))] {
        let transfer = bench.transfers.get(&caller, row.id).await.unwrap();
        assert_eq!(transfer.stage, Stage::Accepted);
        assert_eq!(transfer.shown_previous().unwrap().queue_id, shown);
    }
}
