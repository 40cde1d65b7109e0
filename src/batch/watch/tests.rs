use std::{collections::HashSet, sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::*;
use crate::{
    batch::{
        BatchOrder,
        testing::{BatchBench, Floor, order},
    },
    transfer::testing::caller,
};

/// A drain that takes about a minute.
async fn slow_drain() -> (BatchBench, BatchId) {
    let floor = Floor::with(120, Duration::from_secs(8));
    *floor.latency.lock().unwrap() = Duration::from_secs(1);
    let bench = BatchBench::new(floor).await;
    let id = bench.start(BatchOrder::Drain(order())).await;
    (bench, id)
}

async fn watch(bench: &BatchBench, id: BatchId) -> BatchWatch {
    bench.batches.watch(&caller(), id).await.unwrap()
}

fn watched(bench: &BatchBench) -> usize {
    bench.batches.watched.count()
}

fn looks(bench: &BatchBench) -> usize {
    bench.store.looks.load(Ordering::SeqCst)
}

/// What a watcher is told to the end: the transfers, and how the batch stood at last.
async fn all(mut watch: BatchWatch) -> (HashSet<crate::transfer::ids::TransferId>, u32) {
    let mut told = HashSet::new();
    while let Some(event) = watch.next().await {
        match event {
            BatchEvent::Progress(_) => {}
            BatchEvent::Transfer(transfer) => assert!(told.insert(transfer.id)),
            BatchEvent::End(state) => {
                assert!(watch.next().await.is_none());
                return (told, state.counts.accepted);
            }
        }
    }
    panic!("no end");
}

#[tokio::test(start_paused = true)]
async fn many_watchers_ask_the_store_as_often_as_one() {
    let (bench, id) = slow_drain().await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        watchers.push(watch(&bench, id).await);
    }
    tokio::time::sleep(BEAT * 40).await;
    for watcher in &mut watchers {
        assert!(matches!(watcher.next().await, Some(BatchEvent::Progress(_))));
    }
    assert!((35..=41).contains(&looks(&bench)), "{}", looks(&bench));
    assert_eq!(watched(&bench), 1);
}

#[tokio::test(start_paused = true)]
async fn progress_comes_at_most_four_times_a_second() {
    let (bench, id) = slow_drain().await;
    let mut watch = watch(&bench, id).await;
    let mut told = Vec::new();
    while let Some(event) = watch.next().await {
        if matches!(event, BatchEvent::Progress(_)) {
            told.push(Instant::now());
        }
    }
    assert!(told.len() > 10, "{told:?}");
    let quarter = Duration::from_millis(250);
    assert!(told.is_sorted_by(|one, next| *next - *one >= quarter), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_the_store_after_the_last_watcher_left() {
    let (bench, id) = slow_drain().await;
    let (one, other) = (watch(&bench, id).await, watch(&bench, id).await);
    drop(one);
    tokio::time::sleep(BEAT * 4).await;
    assert_eq!(watched(&bench), 1);

    drop(other);
    tokio::time::sleep(BEAT * 2).await;

    assert_eq!(watched(&bench), 0);
    let before = looks(&bench);
    tokio::time::sleep(BEAT * 20).await;
    assert_eq!(looks(&bench), before);
}

#[tokio::test(start_paused = true)]
async fn who_joins_late_or_again_or_asks_seldom_is_told_everything_once() {
    let (bench, id) = slow_drain().await;
    let first = tokio::spawn(all(watch(&bench, id).await));
    tokio::time::sleep(Duration::from_secs(15)).await;
    let second = tokio::spawn(all(watch(&bench, id).await));
    let idle = watch(&bench, id).await;
    drop(watch(&bench, id).await);
    bench.finished(id).await;
    tokio::time::sleep(BEAT * 4).await;
    assert_eq!(watched(&bench), 0, "the poller ends with the batch");
    let after = watch(&bench, id).await;

    let (first, second) = (first.await.unwrap(), second.await.unwrap());

    assert_eq!((first.0.len(), first.1), (120, 120));
    assert_eq!((&first, &first, &first), (&second, &all(idle).await, &all(after).await));
}

#[tokio::test(start_paused = true)]
async fn watching_ends_when_the_service_stops() {
    let (bench, id) = slow_drain().await;
    let mut watcher = watch(&bench, id).await;
    assert!(matches!(watcher.next().await, Some(BatchEvent::Progress(_))));
    bench.stop.cancel();
    while watcher.next().await.is_some() {}
    assert_eq!(watched(&bench), 0);
}

#[tokio::test]
async fn progress_that_is_closed_late_leaves_its_successor() {
    let (watched, id) = (Watched::default(), BatchId::new(uuid::Uuid::nil()));
    let (reader, old) = watched.join(id);
    let old = old.unwrap();
    assert!(!watched.close_unread(id, &old));
    drop(reader);
    assert!(watched.close_unread(id, &old));
    let (_reader, new) = watched.join(id);
    assert!(new.is_some());

    watched.close(id, &old);

    assert!(watched.join(id).1.is_none(), "the new board is still there");
}
