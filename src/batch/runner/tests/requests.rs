//! Asking for batches: lists, plans, keys, rules.

use super::*;
use crate::{
    config::Confirm,
    transfer::{
        Caller, Limits,
        gateway::GatewayError,
        model::{CallerName, Priority, QueueName, QueueRef, TransferRequest},
        testing::{limits_to, request},
    },
};

fn transfer(number: u32) -> TransferRequest {
    TransferRequest { conversation_id: call(number), queue: QueueRef::Id(to()), ..request() }
}

fn list(numbers: impl Iterator<Item = u32>) -> BatchOrder {
    BatchOrder::List { transfers: numbers.map(transfer).collect(), reason: None }
}

async fn bench(calls: u32) -> BatchBench {
    BatchBench::new(Floor::with(calls, seconds(8))).await
}

async fn refusal(bench: &BatchBench, order: BatchOrder) -> Problem {
    bench.submit(order, None).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_list_is_moved_in_its_order() {
    let bench = bench(150).await;
    let id = bench.start(list((0..120).rev())).await;
    let state = bench.finished(id).await;
    assert_eq!(closed(&state).accepted, 120);
    assert_eq!(bench.floor.moves(), (0..120).rev().map(call).collect::<Vec<_>>());
    assert_eq!(bench.floor.cost().patches, 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_fails_call_by_call_with_their_own_reasons() {
    let bench = bench(10).await;
    bench.floor.becomes(call(3), Stand::Ended);
    let id = bench.start(list((0..10).chain([77]))).await;
    let state = bench.finished(id).await;
    assert_eq!(closed(&state), Counts { accepted: 9, failed: 2, ..Counts::default() });
    assert_eq!(reason(&state, Code::ConversationEnded), 1);
    assert_eq!(reason(&state, Code::ConversationNotFound), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_with_an_unknown_queue_or_one_call_twice_makes_no_batch() {
    let bench = bench(10).await;
    let nowhere = TransferRequest {
        queue: QueueRef::Name(QueueName::parse("Nowhere").unwrap()),
        ..transfer(1)
    };
    let order = BatchOrder::List { transfers: vec![transfer(0), nowhere], reason: None };
    let problem = refusal(&bench, order).await;
    assert_eq!(problem.code, Code::QueueNotFound);
    assert_eq!(problem.errors[0].pointer, "/transfers/1/queueName");
    let problem = refusal(&bench, list([1, 2, 1].into_iter())).await;
    assert_eq!(problem.code, Code::InvalidRequest);
    assert_eq!(problem.errors[0].pointer, "/transfers/2/conversationId");
    assert_eq!(bench.floor.cost().commands, 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_into_itself_or_in_a_circle_is_refused() {
    let bench = bench(180).await;
    *bench.floor.latency.lock().unwrap() = seconds(1);
    let itself = DrainOrder { to: QueueRef::Id(from()), ..order() };
    assert_eq!(refusal(&bench, BatchOrder::Drain(itself)).await.code, Code::DrainLoop);
    bench.start(drain()).await;
    let back = DrainOrder { from: QueueRef::Id(to()), to: QueueRef::Id(from()), ..order() };
    assert_eq!(refusal(&bench, BatchOrder::Drain(back)).await.code, Code::DrainLoop);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_cannot_look_is_refused_and_its_key_stays_free() {
    let bench = bench(5).await;
    let error = GatewayError::Unavailable { retry_after: seconds(5), detail: "down".to_owned() };
    bench.floor.failing_looks.lock().unwrap().push_back(error);
    let problem = bench.submit(drain(), Some("k")).await.unwrap_err();
    assert_eq!(problem.code, Code::GenesysUnavailable);
    let again = bench.submit(drain(), Some("k")).await.unwrap();
    assert!(matches!(again, BatchReply::Started { replayed: false, .. }), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn the_same_key_makes_one_batch_and_gives_its_answer_again() {
    let bench = bench(20).await;
    let BatchReply::Started { response: first, batch_id, .. } =
        bench.submit(drain(), Some("k")).await.unwrap()
    else {
        panic!()
    };
    bench.finished(batch_id).await;
    let BatchReply::Started { response: answer, replayed, .. } =
        bench.submit(drain(), Some("k")).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((answer, replayed), (first, true));
    let other = DrainOrder { limit: Some(3), ..order() };
    let problem = bench.submit(BatchOrder::Drain(other), Some("k")).await.unwrap_err();
    assert_eq!(problem.code, Code::IdempotencyKeyReused);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_moves_nothing_and_its_plan_moves_exactly_its_list() {
    let bench = bench(40).await;
    let plan = bench.plan(order()).await;
    assert_eq!((plan.total, plan.items.len()), (40, 40));
    let PlannedCall { conversation_id, priority, new_priority, .. } = plan.items[0].clone();
    assert_eq!((conversation_id, priority, new_priority), (call(0), Some(0), Priority::new(5)));
    assert_eq!(bench.floor.cost().commands, 0);
    let since = crate::clock::Clock::now(&*bench.floor.clock);
    bench.floor.put(call(50), Stand::Waiting { queue: from(), since, priority: 0 });
    bench.floor.becomes(call(7), Stand::Answered);
    let id = bench.start(BatchOrder::Plan(plan.id)).await;
    let state = bench.finished(id).await;
    assert_eq!(closed(&state), Counts { accepted: 39, skipped: 1, ..Counts::default() });
    assert_eq!(bench.floor.line(from()), [call(50)]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_with_hidden_calls_moves_those_that_waited_then() {
    let bench = bench(250).await;
    let before = bench.floor.line(from());
    let plan = bench.plan(order()).await;
    assert_eq!((plan.total, plan.items.len()), (250, 100));
    after(seconds(1)).await;
    let since = crate::clock::Clock::now(&*bench.floor.clock);
    bench.floor.put(call(900), Stand::Waiting { queue: from(), since, priority: 0 });
    let id = bench.start(BatchOrder::Plan(plan.id)).await;
    assert_eq!(closed(&bench.finished(id).await).accepted, 250);
    assert_eq!(bench.floor.moves(), before);
    assert_eq!(bench.floor.line(from()), [call(900)]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_good_once_for_two_minutes_and_for_its_maker() {
    let bench = bench(5).await;
    let (used, late) = (bench.plan(order()).await, bench.plan(order()).await);
    let foreign = Caller { admin: false, ..Caller::unlimited(CallerName::new("other")) };
    let as_other = bench.submit_as(foreign, BatchOrder::Plan(used.id), None).await;
    assert_eq!(as_other.unwrap_err().code, Code::PlanExpired);
    bench.submit(BatchOrder::Plan(used.id), Some("k")).await.unwrap();
    assert_eq!(refusal(&bench, BatchOrder::Plan(used.id)).await.code, Code::PlanExpired);
    let again = bench.submit(BatchOrder::Plan(used.id), Some("k")).await.unwrap();
    assert!(matches!(again, BatchReply::Started { replayed: true, .. }));
    after(seconds(121)).await;
    assert_eq!(refusal(&bench, BatchOrder::Plan(late.id)).await.code, Code::PlanExpired);
}

#[tokio::test(start_paused = true)]
async fn a_target_nobody_answers_warns() {
    let bench = bench(5).await;
    *bench.floor.members.lock().unwrap() = Some(0);
    let id = bench.start(drain()).await;
    let warnings = bench.state(id).await.batch.warnings;
    assert_eq!(warnings[0].code, "nobody_on_queue");
    assert!(warnings[0].detail.contains("0 agents are on queue in \"Queue 2\""), "{warnings:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_sees_only_queues_and_batches_of_his_own() {
    let bench = bench(5).await;
    let limited = Caller {
        admin: false,
        limits: limits_to(&["Queue 2"]),
        ..Caller::unlimited(CallerName::new("limited"))
    };
    let problem = bench.submit_as(limited.clone(), drain(), None).await.unwrap_err();
    assert_eq!(problem.code, Code::QueueNotPermitted);
    assert_eq!(problem.errors[0].pointer, "/fromQueueId");
    let id = bench.start(drain()).await;
    let problem = bench.batches.get(&limited, id).await.unwrap_err();
    assert_eq!(problem.code, Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn the_highest_priority_of_a_caller_holds_for_the_sum() {
    let bench = bench(20).await;
    let limits = Limits { max_priority: Priority::new(1), ..Limits::default() };
    let limited = Caller { limits, ..caller() };
    let reply = bench.submit_as(limited, drain(), None).await.unwrap();
    let BatchReply::Started { batch_id, .. } = reply else { panic!("{reply:?}") };
    let state = bench.finished(batch_id).await;
    // The first five have waited two minutes and more.
    assert_eq!(reason(&state, Code::NotPermitted), closed(&state).failed);
    assert!(state.counts.failed >= 5 && state.counts.accepted >= 12, "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_are_confirmed_by_looks_at_the_target_not_one_by_one() {
    let floor = Floor::with(90, seconds(8));
    *floor.latency.lock().unwrap() = Duration::from_millis(200);
    let bench = BatchBench::over(Arc::clone(&floor), Arc::default(), Confirm::Always).await;
    let id = bench.start(drain()).await;
    bench.finished(id).await;
    after(seconds(30)).await;
    assert_eq!(closed(&bench.state(id).await).confirmed, 90);
    let cost = floor.cost();
    assert!(cost.reads == 90 && cost.looks <= 20, "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn every_request_of_a_batch_is_made_on_behalf_of_its_caller() {
    let bench = bench(120).await;
    let state = bench.drain().await;
    assert_eq!(closed(&state).accepted, 120);
    assert_eq!(bench.floor.callers.names(), [Some("crm".to_owned())]);
}
