//! Many at once: constraints decide, exactly one wins.

use std::{collections::HashSet, sync::Arc};

use futures_util::future::join_all;
use genesys_transfer::{
    clock::Clock,
    transfer::{
        model::{Stage, Transfer},
        store::{
            Durability, Expected, Inserted, KeyChange, KeyClaim, TransferFilter, TransferStore,
        },
    },
};
use jiff::SignedDuration;
use uuid::Uuid;

use super::on_both_stores;
use crate::support::{
    records::{answer, claim, transfer},
    store::Fixture,
};

on_both_stores!(
    fifty_with_one_key_insert_once,
    fifty_with_one_conversation_insert_once,
    same_key_and_conversation_always_loses_to_the_key,
    one_of_many_updates_wins,
    reaped_key_is_taken_over_once,
    many_writers_lose_nothing,
);

/// Inserts all at once, half of them through another replica.
async fn insert_all(fixture: &Fixture, rows: Vec<(Transfer, Option<KeyClaim>)>) -> Vec<Inserted> {
    let stores = [Arc::clone(&fixture.store), fixture.replica().await];
    let owner = fixture.owner;
    let inserts = rows.into_iter().zip(stores.iter().cycle()).map(|((transfer, claim), store)| {
        let store = Arc::clone(store);
        tokio::spawn(async move { insert(&*store, &transfer, claim.as_ref(), owner).await })
    });
    join_all(inserts.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect()
}

async fn insert(
    store: &dyn TransferStore,
    transfer: &Transfer,
    claim: Option<&KeyClaim>,
    owner: Uuid,
) -> Inserted {
    store.insert(transfer, claim, owner, Durability::Power).await.unwrap()
}

fn done(inserted: &[Inserted]) -> usize {
    inserted.iter().filter(|&one| *one == Inserted::Done).count()
}

async fn fifty_with_one_key_insert_once(fixture: Fixture) {
    let row = || (transfer(fixture.clock.now()), Some(claim("k", 1)));
    let inserted = insert_all(&fixture, (0..50).map(|_| row()).collect()).await;

    assert_eq!(done(&inserted), 1);
    let key = fixture.store.key(&claim("k", 1).scope).await.unwrap().unwrap();
    for other in inserted.iter().filter(|&one| *one != Inserted::Done) {
        assert_eq!(*other, Inserted::KeyTaken(key.clone()));
    }
    assert_eq!(fixture.store.unsettled().await.unwrap(), 1);
}

async fn fifty_with_one_conversation_insert_once(fixture: Fixture) {
    let first = transfer(fixture.clock.now());
    let row = |n: u8| {
        let mut row = transfer(fixture.clock.now());
        row.request.conversation_id = first.request.conversation_id;
        (row, Some(claim(&n.to_string(), n)))
    };
    let inserted = insert_all(&fixture, (0..50).map(row).collect()).await;

    assert_eq!(done(&inserted), 1);
    let taken = |one: &&Inserted| matches!(one, Inserted::ConversationTaken { .. });
    assert_eq!(inserted.iter().filter(taken).count(), 49);
    assert_eq!(fixture.store.unsettled().await.unwrap(), 1);
}

async fn same_key_and_conversation_always_loses_to_the_key(fixture: Fixture) {
    let first = transfer(fixture.clock.now());
    let row = || {
        let mut row = transfer(fixture.clock.now());
        row.request.conversation_id = first.request.conversation_id;
        (row, Some(claim("k", 1)))
    };
    let inserted = insert_all(&fixture, (0..50).map(|_| row()).collect()).await;

    assert_eq!(done(&inserted), 1);
    let by_key = |one: &&Inserted| matches!(one, Inserted::KeyTaken(_));
    assert_eq!(inserted.iter().filter(by_key).count(), 49);
}

async fn one_of_many_updates_wins(fixture: Fixture) {
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    let stores = [Arc::clone(&fixture.store), fixture.replica().await];
    let expected = Expected { stage: Stage::Received, owner: Some(fixture.owner) };

    let updates = (0..20).zip(stores.iter().cycle()).map(|(n, store)| {
        let (store, expected, mut row) = (Arc::clone(store), expected.clone(), row.clone());
        row.stage = Stage::Prepared;
        row.waited_minutes = Some(n);
        tokio::spawn(async move {
            store.update(&row, &expected, KeyChange::Keep, Durability::Power).await.unwrap()
        })
    });
    let won = join_all(updates.collect::<Vec<_>>()).await;

    assert_eq!(won.into_iter().filter(|won| *won.as_ref().unwrap()).count(), 1);
}

async fn reaped_key_is_taken_over_once(fixture: Fixture) {
    let mut old = transfer(fixture.clock.now());
    fixture.insert(&old, Some(&claim("k", 1))).await.unwrap();
    fixture.step(&mut old, Stage::Failed, KeyChange::Settle(answer())).await.unwrap();
    fixture.clock.advance(SignedDuration::from_secs(1));
    fixture.reap(old.created_at, fixture.clock.now(), 100).await;

    let row = || (transfer(fixture.clock.now()), Some(claim("k", 2)));
    let inserted = insert_all(&fixture, (0..50).map(|_| row()).collect()).await;

    assert_eq!(done(&inserted), 1);
    assert_eq!(fixture.store.unsettled().await.unwrap(), 1);
}

async fn many_writers_lose_nothing(fixture: Fixture) {
    let rows: Vec<_> = (0..300).map(|_| (transfer(fixture.clock.now()), None)).collect();
    let ids: HashSet<_> = rows.iter().map(|(row, _)| row.id).collect();

    assert_eq!(done(&insert_all(&fixture, rows).await), 300);

    let listed = fixture.store.list(&TransferFilter::default(), 1000).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.id).collect::<HashSet<_>>(), ids);
}
