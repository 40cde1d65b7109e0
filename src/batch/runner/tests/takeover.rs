//! Several processes, one batch.

use super::*;
use crate::{
    config::Confirm,
    transfer::{
        ids::{ConversationId, TransferId},
        model::{Stage, Transfer},
        testing::MemoryStore,
    },
};

fn floor() -> Arc<Floor> {
    let floor = Floor::with(180, seconds(8));
    *floor.latency.lock().unwrap() = Duration::from_millis(250);
    floor
}

#[tokio::test(start_paused = true)]
async fn another_process_goes_on_where_one_died() {
    let (floor, store) = (floor(), Arc::<MemoryStore>::default());
    let before = floor.line(from());
    let first = BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await;
    let id = first.start(drain()).await;
    let second = BatchBench::sharing(Arc::clone(&floor), store).await;
    after(seconds(10)).await;
    first.die().await;
    let moved = floor.moves().len();
    assert!((10..170).contains(&moved), "{moved}");
    let state = second.finished(id).await;
    assert_eq!(closed(&state).accepted, 180);
    once(&floor);
    assert_eq!((floor.moves(), floor.line(to())), (before.clone(), before));
}

#[tokio::test(start_paused = true)]
async fn one_that_was_taken_over_in_the_middle_takes_nothing_more() {
    let (floor, store) = (floor(), Arc::<MemoryStore>::default());
    let first = BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await;
    let id = first.start(drain()).await;
    after(seconds(10)).await;
    // As if it had been stopped for a while: its heartbeats are missing, and it goes on.
    store.forget_heartbeats();
    let second = BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await;
    let state = second.finished(id).await;
    let counts = closed(&state);
    assert_eq!(counts.accepted + counts.unknown, 180, "{state:?}");
    once(&floor);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_on_one_process_stops_the_runner_on_another() {
    let (floor, store) = (floor(), Arc::<MemoryStore>::default());
    let first = BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await;
    let second = BatchBench::sharing(Arc::clone(&floor), store).await;
    let id = first.start(drain()).await;
    after(seconds(5)).await;
    second.batches.cancel(&caller(), id).await.unwrap();
    let moved = floor.moves().len();
    let state = second.finished(id).await;
    assert!(floor.moves().len() <= moved + 1, "{moved} then {}", floor.moves().len());
    assert_eq!(closed(&state).skipped as usize, 180 - floor.moves().len());
}

#[tokio::test(start_paused = true)]
async fn the_books_of_a_batch_cancelled_while_nobody_worked_on_it_are_closed() {
    let (floor, store) = (floor(), Arc::<MemoryStore>::default());
    let first = BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await;
    let second = BatchBench::sharing(Arc::clone(&floor), store).await;
    let id = first.start(drain()).await;
    after(seconds(5)).await;
    first.die().await;
    second.batches.cancel(&caller(), id).await.unwrap();
    let state = second.finished(id).await;
    assert_eq!(closed(&state).skipped as usize, 180 - floor.moves().len());
}

#[tokio::test(start_paused = true)]
async fn calls_recorded_and_not_sent_go_on_in_their_turn() {
    let (floor, store) = (floor(), Arc::<MemoryStore>::default());
    let before = floor.line(from());
    let first = BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await;
    let id = first.start(drain()).await;
    after(seconds(10)).await;
    first.die().await;
    let last: Vec<ConversationId> = floor.moves().into_iter().rev().take(5).collect();
    let left = last.iter().map(|call| {
        floor.becomes(*call, floor_stand(&floor));
        store.back_to_received(*call)
    });
    let left: Vec<TransferId> = left.collect();
    let moved = floor.moves().len() - 5;
    let second = BatchBench::sharing(Arc::clone(&floor), store).await;
    let state = second.finished(id).await;
    assert_eq!(closed(&state).accepted, 180);
    let again = floor.moves().split_off(moved + 5);
    assert_eq!(again, before[moved..]);
    for id in left {
        let transfer = second.transfers.get(&caller(), id).await.unwrap();
        let code = transfer.error.map(|problem| problem.code);
        let found = (transfer.stage, transfer.batch_id, code);
        assert_eq!(found, (Stage::Failed, None, Some(Code::ShuttingDown)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_recorded_and_not_sent_goes_on_only_if_it_still_waits() {
    for (stand, expected) in [
        (None, Status::Accepted),
        (Some(Stand::Answered), Status::Skipped),
        (Some(Stand::Ended), Status::Failed),
    ] {
        let (floor, store) = (floor(), Arc::<MemoryStore>::default());
        let first = BatchBench::sharing(Arc::clone(&floor), Arc::clone(&store)).await;
        let id = first.start(drain()).await;
        after(seconds(5)).await;
        first.die().await;
        store.back_to_received(call(3));
        if let Some(stand) = stand {
            floor.becomes(call(3), stand);
        } else {
            floor.becomes(call(3), floor_stand(&floor));
        }
        after(Duration::from_mins(2)).await;
        let second = BatchBench::sharing(floor, store).await;
        second.finished(id).await;
        let transfers = second.transfers(id).await;
        let of_it = |transfer: &&Transfer| transfer.request.conversation_id == call(3);
        let transfer = transfers.iter().find(of_it).unwrap();
        assert_eq!(transfer.stage.status(), expected, "{transfer:?}");
    }
}

/// Waiting in the queue that is drained.
fn floor_stand(floor: &Floor) -> Stand {
    let since = crate::clock::Clock::now(&*floor.clock);
    Stand::Waiting { queue: from(), since, priority: 0 }
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_moved_and_not_seen_are_looked_for_by_the_next_process() {
    let (floor, store) = (Floor::with(40, seconds(8)), Arc::<MemoryStore>::default());
    let first = BatchBench::over(Arc::clone(&floor), Arc::clone(&store), Confirm::Always).await;
    *floor.empty_looks_at.lock().unwrap() = Some(to());
    let id = first.start(drain()).await;
    let moved = first.finished(id).await;
    assert_eq!((moved.counts.accepted, moved.counts.confirmed), (40, 0));
    first.die().await;
    *floor.empty_looks_at.lock().unwrap() = None;

    let next = BatchBench::over(Arc::clone(&floor), Arc::clone(&store), Confirm::Always).await;
    after(seconds(30)).await;

    assert_eq!(closed(&next.state(id).await).confirmed, 40);
    assert_eq!(floor.cost().reads, 40);
    once(&floor);
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_looked_for_in_vain_are_not_looked_for_again() {
    let (floor, store) = (Floor::with(40, seconds(8)), Arc::<MemoryStore>::default());
    let first = BatchBench::over(Arc::clone(&floor), Arc::clone(&store), Confirm::Always).await;
    *floor.empty_looks_at.lock().unwrap() = Some(to());
    let id = first.start(drain()).await;
    first.finished(id).await;
    after(seconds(120)).await;
    let looks = floor.cost().looks;
    first.die().await;

    let next = BatchBench::over(Arc::clone(&floor), store, Confirm::Always).await;
    after(seconds(120)).await;

    assert_eq!((floor.cost().looks, closed(&next.state(id).await).accepted), (looks, 40));
}
