//! Retention and readiness.

use genesys_transfer::{
    clock::Clock,
    transfer::{
        model::Stage,
        store::{Inserted, KeyChange, TransferFilter},
    },
};
use jiff::{SignedDuration, Timestamp};

use super::on_both_stores;
use crate::support::{
    records::{answer, claim, transfer},
    store::Fixture,
};

on_both_stores!(
    old_settled_transfers_go,
    unsettled_transfers_stay_for_ever,
    young_transfers_stay,
    reaping_is_bounded,
    old_settled_keys_go_and_are_free_again,
    unsettled_keys_stay,
    transfer_stays_while_its_key_counts,
    how_far_reapings_went_is_remembered_and_never_taken_back,
    a_store_that_was_never_reaped_begins_with_its_newest_record,
    an_empty_store_begins_now,
    a_heartbeat_tells_when_the_newest_record_was_written,
    check_says_yes,
);

fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

fn never() -> Timestamp {
    Timestamp::MIN
}

async fn old_settled_transfers_go(fixture: Fixture) {
    for stage in [Stage::Accepted, Stage::Confirmed, Stage::Failed, Stage::Skipped] {
        let mut row = transfer(fixture.clock.now());
        fixture.record(&row).await;
        fixture.settle(&mut row, stage).await;
    }
    fixture.clock.advance(SignedDuration::from_secs(1));

    let now = fixture.clock.now();
    assert_eq!(fixture.reap(now, now, 100).await, 4);
    assert_eq!(fixture.store.list(&TransferFilter::default(), 10).await.unwrap(), []);
}

async fn unsettled_transfers_stay_for_ever(fixture: Fixture) {
    for stage in [None, Some(Stage::Unknown)] {
        let mut row = transfer(fixture.clock.now());
        fixture.record(&row).await;
        if let Some(stage) = stage {
            fixture.settle(&mut row, stage).await;
        }
    }
    let far = fixture.clock.now() + SignedDuration::from_hours(24 * 365);
    assert_eq!(fixture.reap(far, far, 100).await, 0);
    assert_eq!(fixture.store.unsettled().await.unwrap(), 2);
}

async fn young_transfers_stay(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    fixture.settle(&mut row, Stage::Failed).await;

    assert_eq!(fixture.reap(fixture.clock.now(), never(), 100).await, 0);
}

async fn reaping_is_bounded(fixture: Fixture) {
    for _ in 0..5 {
        let mut row = transfer(fixture.clock.now());
        fixture.record(&row).await;
        fixture.settle(&mut row, Stage::Failed).await;
    }
    let later = fixture.clock.now() + SignedDuration::from_secs(1);

    assert_eq!(fixture.reap(later, never(), 3).await, 3);
    assert_eq!(fixture.reap(later, never(), 3).await, 2);
}

async fn old_settled_keys_go_and_are_free_again(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.insert(&row, Some(&claim("k", 1))).await.unwrap();
    fixture.step(&mut row, Stage::Failed, KeyChange::Settle(answer())).await.unwrap();
    let later = fixture.clock.now() + SignedDuration::from_secs(1);

    assert_eq!(fixture.reap(never(), later, 100).await, 1);

    assert_eq!(fixture.store.key(&claim("k", 1).scope).await.unwrap(), None);
    let again = fixture.insert(&transfer(later), Some(&claim("k", 2))).await;
    assert_eq!(again.unwrap(), Inserted::Done);
}

async fn unsettled_keys_stay(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.insert(&row, Some(&claim("k", 1))).await.unwrap();
    fixture.settle(&mut row, Stage::Unknown).await;
    let later = fixture.clock.now() + SignedDuration::from_hours(1000);

    assert_eq!(fixture.reap(later, later, 100).await, 0);
    assert!(fixture.store.key(&claim("k", 1).scope).await.unwrap().is_some());
}

async fn transfer_stays_while_its_key_counts(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.insert(&row, Some(&claim("k", 1))).await.unwrap();
    fixture.step(&mut row, Stage::Failed, KeyChange::Settle(answer())).await.unwrap();
    let later = fixture.clock.now() + SignedDuration::from_secs(1);

    assert_eq!(fixture.reap(later, never(), 100).await, 0);
    assert!(fixture.store.key(&claim("k", 1).scope).await.unwrap().is_some());

    assert_eq!(fixture.reap(later, later, 100).await, 2);
}

async fn how_far_reapings_went_is_remembered_and_never_taken_back(fixture: Fixture) {
    let begin = fixture.store.reaped(fixture.clock.now()).await.unwrap();
    let far = begin + SignedDuration::from_hours(5);
    fixture.store.reap(far, never(), never(), 100).await.unwrap();
    fixture.store.reap(begin, never(), never(), 100).await.unwrap();

    let replica = fixture.replica().await;
    assert_eq!(replica.reaped(far + SignedDuration::from_hours(9)).await.unwrap(), far);
}

async fn a_store_that_was_never_reaped_begins_with_its_newest_record(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    fixture.clock.advance(SignedDuration::from_secs(9));
    row.updated_at = fixture.clock.now();
    fixture.settle(&mut row, Stage::Failed).await;
    fixture.record(&transfer(row.created_at)).await;
    let ahead = fixture.clock.now() + SignedDuration::from_hours(100);

    assert_eq!(micros(fixture.store.reaped(ahead).await.unwrap()), micros(row.updated_at));

    fixture.record(&transfer(ahead)).await;
    assert_eq!(micros(fixture.store.reaped(ahead).await.unwrap()), micros(row.updated_at));
}

async fn an_empty_store_begins_now(fixture: Fixture) {
    let now = fixture.clock.now();
    assert_eq!(micros(fixture.store.reaped(now).await.unwrap()), micros(now));
}

async fn a_heartbeat_tells_when_the_newest_record_was_written(fixture: Fixture) {
    let (owner, now) = (fixture.owner, fixture.clock.now());
    assert_eq!(fixture.store.heartbeat(owner, now).await.unwrap(), None);
    for (hours, stage) in [(2, None), (1, Some(Stage::Failed)), (3, Some(Stage::Failed))] {
        let mut row = transfer(now + SignedDuration::from_hours(hours));
        fixture.record(&row).await;
        if let Some(stage) = stage {
            fixture.settle(&mut row, stage).await;
        }
        let newest = fixture.store.heartbeat(owner, now).await.unwrap();
        let expected = now + SignedDuration::from_hours(hours.max(2));
        assert_eq!(newest.map(micros), Some(micros(expected)), "after {hours} hours");
    }
}

async fn check_says_yes(fixture: Fixture) {
    fixture.store.check().await.unwrap();
    fixture.store.check().await.unwrap();
}
