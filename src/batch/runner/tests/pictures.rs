//! Looks at many calls at once.

use super::*;
use crate::{problem::UpstreamAnswer, transfer::gateway::GatewayError};

async fn bench(calls: u32) -> BatchBench {
    let floor = Floor::with(calls, seconds(8));
    *floor.bulk.lock().unwrap() = true;
    BatchBench::new(floor).await
}

#[tokio::test(start_paused = true)]
async fn a_moved_call_costs_two_requests_and_with_the_order_alone_one() {
    for (keep_place, patches) in [(true, 300), (false, 0)] {
        let bench = bench(300).await;
        let before = bench.floor.line(from());
        let order = BatchOrder::Drain(DrainOrder { keep_place, ..order() });
        let id = bench.start(order).await;
        let state = bench.finished(id).await;
        assert_eq!(closed(&state).accepted, 300);
        assert_eq!(bench.floor.moves(), before);
        let cost = bench.floor.cost();
        assert_eq!((cost.reads, cost.commands, cost.patches), (0, 300, patches), "{cost:?}");
        assert!(cost.pictures + cost.looks <= 25, "{cost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_picture_leaves_out_is_looked_at_by_itself() {
    let bench = bench(20).await;
    bench.floor.left_out.lock().unwrap().extend([call(3), call(19)]);
    let state = bench.drain().await;
    assert_eq!((closed(&state).accepted, bench.floor.cost().reads), (20, 2));
    assert_eq!(bench.floor.line(to()), (0..20).map(call).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_command_refused_on_an_old_picture_is_decided_by_a_fresh_look() {
    let bench = bench(20).await;
    *bench.floor.stale.lock().unwrap() = Some(bench.floor.pictures_of((0..20).map(call)));
    *bench.floor.latency.lock().unwrap() = Duration::from_millis(300);
    let id = bench.start(drain()).await;
    bench.floor.becomes(call(15), Stand::Answered);
    bench.floor.becomes(call(16), Stand::Ended);
    let state = bench.finished(id).await;
    let expected = Counts { accepted: 18, failed: 1, skipped: 1, ..Counts::default() };
    assert_eq!(closed(&state), expected);
    assert_eq!(reason(&state, Code::NoLongerWaiting), 1);
    assert_eq!(reason(&state, Code::ConversationEnded), 1);
    once(&bench.floor);
    assert_eq!(bench.floor.cost().reads, 2);
}

#[tokio::test(start_paused = true)]
async fn no_command_is_sent_again_for_a_leg_for_which_one_was_refused() {
    let bench = bench(10).await;
    let refused = GatewayError::Rejected(UpstreamAnswer { status: 400, ..Default::default() });
    bench.floor.refused.lock().unwrap().insert(call(4), Sent::Refused(refused));
    let state = bench.drain().await;
    assert_eq!(closed(&state), Counts { accepted: 9, failed: 1, ..Counts::default() });
    assert_eq!(reason(&state, Code::RejectedByGenesys), 1);
    once(&bench.floor);
}

#[tokio::test(start_paused = true)]
async fn what_still_waits_at_the_end_is_told() {
    let bench = bench(10).await;
    *bench.floor.latency.lock().unwrap() = seconds(1);
    let id = bench.start(drain()).await;
    let since = crate::clock::Clock::now(&*bench.floor.clock);
    for number in [50, 51] {
        bench.floor.put(call(number), Stand::Waiting { queue: from(), since, priority: 0 });
    }
    let state = bench.finished(id).await;
    assert_eq!((closed(&state).accepted, state.batch.still_waiting), (10, Some(2)));
}
