//! One runner per batch; what it and callers change.

use std::slice;

use genesys_transfer::{
    batch::{Batch, BatchStatus},
    clock::Clock,
    transfer::model::Warning,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::on_both_stores;
use crate::support::{records::fresh_id, store::Fixture};

on_both_stores!(
    runner_changes_the_record,
    nobody_else_changes_the_record,
    cancel_stays_whatever_the_runner_says,
    cancel_leaves_what_does_not_run,
    batch_of_a_silent_runner_is_adopted_and_lost_to_it,
    batch_of_a_live_runner_is_left_alone,
    finished_batches_are_not_adopted,
    adoption_is_bounded_and_oldest_first,
    two_adopters_share_and_never_overlap,
);

fn other() -> Uuid {
    fresh_id(Timestamp::UNIX_EPOCH)
}

/// The batch as its runner leaves it.
fn ended(fixture: &Fixture, batch: &Batch) -> Batch {
    let now = fixture.clock.now();
    Batch {
        status: BatchStatus::Completed,
        vanished: 1,
        unseen: 0,
        warnings: vec![Warning { code: "w".to_owned(), detail: "\0".to_owned() }],
        updated_at: now,
        finished_at: Some(now),
        ..batch.clone()
    }
}

async fn runner_changes_the_record(fixture: Fixture) {
    let (batch, _) = fixture.begun(2).await;
    let ended = ended(&fixture, &batch);
    for _ in 0..2 {
        assert!(fixture.batches.update_batch(&ended, fixture.owner).await.unwrap());
    }
    assert_eq!(fixture.batches.batch(batch.id).await.unwrap(), Some(ended));
}

async fn nobody_else_changes_the_record(fixture: Fixture) {
    let (batch, _) = fixture.begun(2).await;
    let ended = ended(&fixture, &batch);
    assert!(!fixture.batches.update_batch(&ended, other()).await.unwrap());
    assert_eq!(fixture.batches.batch(batch.id).await.unwrap(), Some(batch));
}

async fn cancel_stays_whatever_the_runner_says(fixture: Fixture) {
    let (batch, _) = fixture.begun(2).await;
    fixture.clock.advance(SignedDuration::from_secs(1));
    let now = fixture.clock.now();

    let cancelled = fixture.batches.cancel_batch(batch.id, now).await.unwrap().unwrap();

    let status = BatchStatus::Cancelled;
    assert_eq!(cancelled, Batch { status, updated_at: now, ..batch.clone() });
    let ended = ended(&fixture, &batch);
    assert!(fixture.batches.update_batch(&ended, fixture.owner).await.unwrap());
    let found = fixture.batches.batch(batch.id).await.unwrap();
    assert_eq!(found, Some(Batch { status, ..ended }));
}

async fn cancel_leaves_what_does_not_run(fixture: Fixture) {
    let (batch, _) = fixture.begun(2).await;
    let ended = ended(&fixture, &batch);
    fixture.batches.update_batch(&ended, fixture.owner).await.unwrap();
    let later = fixture.clock.now() + SignedDuration::from_secs(1);

    assert_eq!(fixture.batches.cancel_batch(batch.id, later).await.unwrap(), Some(ended));
    let nobody = crate::support::records::batch(later, 1);
    assert_eq!(fixture.batches.cancel_batch(nobody.id, later).await.unwrap(), None);
}

const SILENCE: SignedDuration = SignedDuration::from_secs(30);

async fn adopt(fixture: &Fixture, runner: Uuid) -> Vec<Batch> {
    let stale_before = fixture.clock.now() - SILENCE;
    fixture.batches.adopt_batches(runner, stale_before, 100).await.unwrap()
}

async fn batch_of_a_silent_runner_is_adopted_and_lost_to_it(fixture: Fixture) {
    let (batch, _) = fixture.begun(2).await;
    fixture.store.heartbeat(fixture.owner, fixture.clock.now()).await.unwrap();
    fixture.clock.advance(SILENCE + SignedDuration::from_secs(1));
    let heir = other();

    assert_eq!(adopt(&fixture, heir).await, slice::from_ref(&batch));

    assert!(!fixture.batches.update_batch(&batch, fixture.owner).await.unwrap());
    assert!(fixture.batches.update_batch(&batch, heir).await.unwrap());
    assert_eq!(adopt(&fixture, heir).await, [], "it is his already");
}

async fn batch_of_a_live_runner_is_left_alone(fixture: Fixture) {
    fixture.begun(2).await;
    fixture.store.heartbeat(fixture.owner, fixture.clock.now()).await.unwrap();
    fixture.clock.advance(SILENCE);
    assert_eq!(adopt(&fixture, other()).await, []);
}

async fn finished_batches_are_not_adopted(fixture: Fixture) {
    let (finished, _) = fixture.begun(2).await;
    let ended = ended(&fixture, &finished);
    fixture.batches.update_batch(&ended, fixture.owner).await.unwrap();
    let (stopped, _) = fixture.begun(2).await;
    let stopped = fixture.batches.cancel_batch(stopped.id, fixture.clock.now()).await.unwrap();

    assert_eq!(adopt(&fixture, other()).await, [stopped.unwrap()], "it is not finished yet");
}

async fn adoption_is_bounded_and_oldest_first(fixture: Fixture) {
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(fixture.begun(1).await.0);
    }
    let (heir, now) = (other(), fixture.clock.now());
    let adopted = fixture.batches.adopt_batches(heir, now, 3).await.unwrap();
    assert_eq!(adopted, all[..3]);
    assert_eq!(adopt(&fixture, heir).await, all[3..]);
}

async fn two_adopters_share_and_never_overlap(fixture: Fixture) {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(fixture.begun(1).await.0);
    }
    let replica = fixture.batches_replica().await;
    let now = fixture.clock.now();
    for heir in [other(), other()] {
        fixture.store.heartbeat(heir, now).await.unwrap();
    }
    let (one, two) = (other(), other());
    fixture.store.heartbeat(one, now).await.unwrap();
    fixture.store.heartbeat(two, now).await.unwrap();
    let (mine, theirs) = tokio::join!(
        fixture.batches.adopt_batches(one, now, 100),
        replica.adopt_batches(two, now, 100)
    );
    let mut adopted = [mine.unwrap(), theirs.unwrap()].concat();
    adopted.sort_unstable_by_key(|batch| batch.id);
    assert_eq!(adopted, all);
}
