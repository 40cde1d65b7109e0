//! Whose transfer it is: heartbeat, adoption, retirement.

use genesys_transfer::{
    clock::Clock,
    transfer::{
        model::{Stage, Transfer},
        rate::{RateShare, RateUse},
        store::{Durability, Expected, KeyChange},
    },
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::on_both_stores;
use crate::support::{
    records::{fresh_id, transfer},
    store::Fixture,
};

on_both_stores!(
    living_owner_keeps_its_rows,
    rows_of_a_silent_owner_are_adopted_oldest_first,
    rows_of_an_unknown_owner_are_adopted,
    own_rows_are_not_adopted,
    settled_rows_are_not_adopted,
    awaited_rows_are_adopted_until_they_are_no_longer_awaited,
    awaited_rows_are_reaped_like_others,
    retired_owner_gives_up_its_rows_at_once,
    heartbeat_again_makes_alive_again,
    adopted_row_is_lost_to_the_old_owner,
    adoption_is_bounded_and_goes_on,
    two_adopters_share_and_never_overlap,
    replicas_are_never_given_more_than_the_limit_together,
    what_a_dead_replica_sent_counts_for_a_minute_and_no_longer,
    a_retired_replica_takes_no_part_but_what_it_sent_counts,
);

const SILENCE: SignedDuration = SignedDuration::from_secs(30);

fn stale_before(fixture: &Fixture) -> Timestamp {
    fixture.clock.now() - SILENCE
}

/// Records `count` transfers of the fixture's owner, who is alive at this moment.
async fn owned(fixture: &Fixture, count: usize) -> Vec<Transfer> {
    fixture.store.heartbeat(fixture.owner, fixture.clock.now()).await.unwrap();
    let rows: Vec<_> = (0..count).map(|_| transfer(fixture.clock.now())).collect();
    for row in &rows {
        fixture.record(row).await;
    }
    rows
}

async fn adopt(fixture: &Fixture, owner: Uuid, limit: u32) -> Vec<Transfer> {
    fixture.store.adopt(owner, stale_before(fixture), limit).await.unwrap()
}

fn other() -> Uuid {
    fresh_id(Timestamp::UNIX_EPOCH)
}

async fn living_owner_keeps_its_rows(fixture: Fixture) {
    owned(&fixture, 2).await;
    fixture.clock.advance(SILENCE);
    assert_eq!(adopt(&fixture, other(), 10).await, []);
}

async fn rows_of_a_silent_owner_are_adopted_oldest_first(fixture: Fixture) {
    let mut rows = owned(&fixture, 4).await;
    fixture.settle(&mut rows[0], Stage::Unknown).await;
    fixture.step(&mut rows[1], Stage::Prepared, KeyChange::Keep).await.unwrap();
    fixture.clock.advance(SILENCE + SignedDuration::from_secs(1));

    assert_eq!(adopt(&fixture, other(), 10).await, rows);
}

async fn rows_of_an_unknown_owner_are_adopted(fixture: Fixture) {
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    assert_eq!(adopt(&fixture, other(), 10).await, [row]);
}

async fn own_rows_are_not_adopted(fixture: Fixture) {
    owned(&fixture, 1).await;
    fixture.clock.advance(SILENCE * 2);
    assert_eq!(adopt(&fixture, fixture.owner, 10).await, []);
}

async fn settled_rows_are_not_adopted(fixture: Fixture) {
    for stage in [Stage::Accepted, Stage::Confirmed, Stage::Failed, Stage::Skipped] {
        let mut row = transfer(fixture.clock.now());
        fixture.record(&row).await;
        fixture.settle(&mut row, stage).await;
    }
    assert_eq!(adopt(&fixture, other(), 10).await, []);
}

/// Makes a row accepted and awaited.
async fn accept(fixture: &Fixture, row: &mut Transfer) {
    fixture.settle(row, Stage::Dispatching).await;
    row.awaited = true;
    assert!(fixture.step(row, Stage::Accepted, KeyChange::Keep).await.unwrap());
}

async fn awaited_rows_are_adopted_until_they_are_no_longer_awaited(fixture: Fixture) {
    let mut rows = owned(&fixture, 4).await;
    for row in &mut rows[1..] {
        accept(&fixture, row).await;
    }
    for (row, stage) in [(2, Stage::Confirmed), (3, Stage::Accepted)] {
        rows[row].awaited = false;
        let stepped = fixture.step(&mut rows[row], stage, KeyChange::Keep).await;
        assert!(stepped.unwrap());
    }
    assert_eq!(adopt(&fixture, other(), 10).await, []);
    fixture.store.retire(fixture.owner).await.unwrap();
    let adopter = other();

    assert_eq!(adopt(&fixture, adopter, 10).await, rows[..2]);

    assert_eq!(adopt(&fixture, adopter, 10).await, []);
    rows[1].awaited = false;
    rows[1].stage = Stage::Confirmed;
    let expected = Expected { stage: Stage::Accepted, owner: Some(adopter) };
    let update = fixture.store.update(&rows[1], &expected, KeyChange::Keep, Durability::Power);
    assert!(update.await.unwrap());
    assert_eq!(adopt(&fixture, other(), 10).await, rows[..1]);
}

async fn awaited_rows_are_reaped_like_others(fixture: Fixture) {
    let mut rows = owned(&fixture, 1).await;
    accept(&fixture, &mut rows[0]).await;
    let later = fixture.clock.now() + SignedDuration::from_secs(1);
    assert_eq!(fixture.reap(later, Timestamp::MIN, 10).await, 1);
    assert_eq!(adopt(&fixture, other(), 10).await, []);
}

async fn retired_owner_gives_up_its_rows_at_once(fixture: Fixture) {
    let rows = owned(&fixture, 1).await;
    fixture.store.retire(fixture.owner).await.unwrap();
    assert_eq!(adopt(&fixture, other(), 10).await, rows);
}

async fn heartbeat_again_makes_alive_again(fixture: Fixture) {
    owned(&fixture, 1).await;
    fixture.clock.advance(SILENCE * 2);
    fixture.store.heartbeat(fixture.owner, fixture.clock.now()).await.unwrap();
    assert_eq!(adopt(&fixture, other(), 10).await, []);
}

async fn adopted_row_is_lost_to_the_old_owner(fixture: Fixture) {
    let mut rows = owned(&fixture, 1).await;
    fixture.store.retire(fixture.owner).await.unwrap();
    let adopter = other();
    adopt(&fixture, adopter, 10).await;

    assert!(!fixture.step(&mut rows[0], Stage::Prepared, KeyChange::Keep).await.unwrap());

    let expected = Expected { stage: Stage::Received, owner: Some(adopter) };
    let update = fixture.store.update(&rows[0], &expected, KeyChange::Keep, Durability::Power);
    assert!(update.await.unwrap());
}

async fn adoption_is_bounded_and_goes_on(fixture: Fixture) {
    let rows = owned(&fixture, 5).await;
    fixture.store.retire(fixture.owner).await.unwrap();
    let adopter = other();

    assert_eq!(adopt(&fixture, adopter, 3).await, rows[..3]);
    assert_eq!(adopt(&fixture, adopter, 3).await, rows[3..]);
    assert_eq!(adopt(&fixture, adopter, 3).await, []);
}

async fn two_adopters_share_and_never_overlap(fixture: Fixture) {
    let rows = owned(&fixture, 40).await;
    fixture.store.retire(fixture.owner).await.unwrap();
    let replica = fixture.replica().await;
    let (one, two) = (other(), other());
    for owner in [one, two] {
        fixture.store.heartbeat(owner, fixture.clock.now()).await.unwrap();
    }

    let mut adopted = Vec::new();
    for _ in 0..10 {
        let (a, b) = tokio::join!(
            fixture.store.adopt(one, stale_before(&fixture), 4),
            replica.adopt(two, stale_before(&fixture), 4),
        );
        adopted.extend(a.unwrap());
        adopted.extend(b.unwrap());
    }

    adopted.sort_unstable_by_key(|row| row.id);
    assert_eq!(adopted, rows);
}

/// A round in which `owner` says that it has sent `spent` of 120 requests.
async fn round(fixture: &Fixture, owner: Uuid, spent: u64) -> RateShare {
    let now = fixture.clock.now();
    let mine = RateUse { limit: 120, spent };
    fixture.store.share_rate(owner, now, mine, stale_before(fixture)).await.unwrap()
}

async fn replicas_are_never_given_more_than_the_limit_together(fixture: Fixture) {
    let (one, two) = (other(), other());
    for owner in [one, two] {
        fixture.store.heartbeat(owner, fixture.clock.now()).await.unwrap();
    }
    let mut spent = [0, 0];
    for _ in 0..20 {
        for (index, owner) in [one, two].into_iter().enumerate() {
            spent[index] += round(&fixture, owner, spent[index]).await.left;
        }
    }
    let all = spent[0] + spent[1];
    assert!((110..=120).contains(&all), "{spent:?}");
}

async fn what_a_dead_replica_sent_counts_for_a_minute_and_no_longer(fixture: Fixture) {
    let (dead, alive) = (other(), other());
    fixture.store.heartbeat(dead, fixture.clock.now()).await.unwrap();
    round(&fixture, dead, 40).await;
    fixture.clock.advance(SILENCE + SignedDuration::from_secs(1));
    fixture.store.heartbeat(alive, fixture.clock.now()).await.unwrap();
    assert_eq!(round(&fixture, alive, 0).await, RateShare { others: 40, left: 40, parts: 2 });
    fixture.clock.advance(SILENCE);
    assert_eq!(round(&fixture, alive, 0).await.others, 0);
}

async fn a_retired_replica_takes_no_part_but_what_it_sent_counts(fixture: Fixture) {
    let (gone, alive) = (other(), other());
    fixture.store.heartbeat(gone, fixture.clock.now()).await.unwrap();
    round(&fixture, gone, 40).await;
    fixture.store.retire(gone).await.unwrap();
    fixture.store.heartbeat(alive, fixture.clock.now()).await.unwrap();
    assert_eq!(round(&fixture, alive, 0).await, RateShare { others: 40, left: 40, parts: 2 });
}
