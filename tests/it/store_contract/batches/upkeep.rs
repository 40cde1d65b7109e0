//! Retention of batches.

use genesys_transfer::{
    batch::{Batch, BatchStatus, store::NewBatch},
    clock::Clock,
    transfer::model::Stage,
};
use jiff::{SignedDuration, Timestamp};

use super::{new, on_both_stores};
use crate::support::{
    records::{answer, batch, claim, items, transfer_of},
    store::Fixture,
};

on_both_stores!(
    old_finished_batches_go_with_all_they_have,
    unfinished_batches_stay_for_ever,
    young_batches_stay,
    batch_stays_while_its_key_counts,
    many_items_go_a_part_at_a_time,
    transfers_stay_as_long_as_their_batch,
);

async fn finish(fixture: &Fixture, batch: &Batch) {
    let finished_at = Some(fixture.clock.now());
    let ended = Batch { status: BatchStatus::Completed, finished_at, ..batch.clone() };
    assert!(fixture.batches.update_batch(&ended, fixture.owner).await.unwrap());
}

fn later(fixture: &Fixture) -> Timestamp {
    fixture.clock.now() + SignedDuration::from_secs(1)
}

async fn old_finished_batches_go_with_all_they_have(fixture: Fixture) {
    let (old, _) = fixture.begun(3).await;
    finish(&fixture, &old).await;

    assert_eq!(fixture.reap(later(&fixture), Timestamp::MIN, 100).await, 4);

    assert_eq!(fixture.batches.batch(old.id).await.unwrap(), None);
    assert_eq!(fixture.batches.open_items(old.id, 0, 10).await.unwrap(), []);
}

async fn unfinished_batches_stay_for_ever(fixture: Fixture) {
    fixture.begun(3).await;
    let (stopped, _) = fixture.begun(3).await;
    fixture.batches.cancel_batch(stopped.id, fixture.clock.now()).await.unwrap();
    let far = fixture.clock.now() + SignedDuration::from_hours(24 * 365);
    assert_eq!(fixture.reap(far, far, 100).await, 0);
}

async fn young_batches_stay(fixture: Fixture) {
    let (young, _) = fixture.begun(3).await;
    finish(&fixture, &young).await;
    assert_eq!(fixture.reap(fixture.clock.now(), Timestamp::MIN, 100).await, 0);
}

async fn batch_stays_while_its_key_counts(fixture: Fixture) {
    let batch = batch(fixture.clock.now(), 0);
    let keyed = NewBatch { key: Some((claim("k", 1), answer())), ..new(&batch, Vec::new()) };
    fixture.batches.create_batch(&keyed, fixture.owner).await.unwrap();
    finish(&fixture, &batch).await;

    assert_eq!(fixture.reap(later(&fixture), Timestamp::MIN, 100).await, 0);
    assert!(fixture.batches.batch_key(&claim("k", 1).scope).await.unwrap().is_some());

    let both = fixture.reap(later(&fixture), later(&fixture), 100).await;
    assert_eq!(both, 2);
    assert_eq!(fixture.batches.batch_key(&claim("k", 1).scope).await.unwrap(), None);
}

async fn many_items_go_a_part_at_a_time(fixture: Fixture) {
    let (old, _) = fixture.begun(25).await;
    finish(&fixture, &old).await;
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(fixture.reap(later(&fixture), Timestamp::MIN, 10).await);
    }
    assert_eq!(steps, [10, 10, 6, 0]);
}

async fn transfers_stay_as_long_as_their_batch(fixture: Fixture) {
    let batch = batch(fixture.clock.now(), 1);
    let items = items(&batch, 0, 1);
    fixture.begin(&batch, &items).await;
    let mut row = transfer_of(&batch, &items[0]);
    row.stage = Stage::Accepted;
    fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap();
    assert_eq!(fixture.reap(later(&fixture), Timestamp::MIN, 100).await, 0);

    finish(&fixture, &batch).await;
    assert_eq!(fixture.reap(later(&fixture), Timestamp::MIN, 100).await, 3);
}
