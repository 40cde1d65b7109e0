//! The life of an idempotency key.

use genesys_transfer::{
    clock::Clock,
    transfer::{
        model::{CallerName, Stage},
        store::{Inserted, KeyChange},
    },
};
use jiff::SignedDuration;

use super::on_both_stores;
use crate::support::{
    records::{answer, claim, transfer},
    store::Fixture,
};

on_both_stores!(
    unused_key_is_free,
    claimed_key_is_found_with_its_transfer,
    taken_key_refuses_a_second_transfer,
    refused_transfer_is_not_recorded,
    settled_key_keeps_the_answer_byte_for_byte,
    first_answer_stays,
    freed_key_can_be_used_again,
    key_counts_for_its_caller_and_route_alone,
    settled_key_counts_until_it_is_reaped_whatever_the_clock_says,
    reaped_key_is_free,
    key_wins_when_the_conversation_is_taken_too,
    conversation_refused_leaves_the_key_free,
    odd_keys_stay_distinct,
);

async fn unused_key_is_free(fixture: Fixture) {
    assert_eq!(fixture.store.key(&claim("k", 1).scope).await.unwrap(), None);
}

async fn claimed_key_is_found_with_its_transfer(fixture: Fixture) {
    let transfer = transfer(fixture.clock.now());
    fixture.insert(&transfer, Some(&claim("k", 1))).await.unwrap();

    let record = fixture.store.key(&claim("k", 1).scope).await.unwrap().unwrap();

    assert_eq!(record.fingerprint, [1; 32]);
    assert_eq!(record.transfer_id, transfer.id);
    assert_eq!(record.stage, Stage::Received);
    assert_eq!(record.answer, None);
}

async fn taken_key_refuses_a_second_transfer(fixture: Fixture) {
    let first = transfer(fixture.clock.now());
    fixture.insert(&first, Some(&claim("k", 1))).await.unwrap();

    let second = transfer(fixture.clock.now());
    let inserted = fixture.insert(&second, Some(&claim("k", 2))).await.unwrap();

    let Inserted::KeyTaken(record) = inserted else { panic!("{inserted:?}") };
    assert_eq!((record.transfer_id, record.fingerprint), (first.id, [1; 32]));
}

async fn refused_transfer_is_not_recorded(fixture: Fixture) {
    fixture.insert(&transfer(fixture.clock.now()), Some(&claim("k", 1))).await.unwrap();

    let second = transfer(fixture.clock.now());
    fixture.insert(&second, Some(&claim("k", 1))).await.unwrap();

    assert_eq!(fixture.store.get(second.id).await.unwrap(), None);
    assert_eq!(fixture.store.unsettled().await.unwrap(), 1);
}

async fn settled_key_keeps_the_answer_byte_for_byte(fixture: Fixture) {
    let mut transfer = transfer(fixture.clock.now());
    fixture.insert(&transfer, Some(&claim("k", 1))).await.unwrap();

    fixture.step(&mut transfer, Stage::Failed, KeyChange::Settle(answer())).await.unwrap();

    let record = fixture.store.key(&claim("k", 1).scope).await.unwrap().unwrap();
    assert_eq!((record.stage, record.answer), (Stage::Failed, Some(answer())));
}

async fn first_answer_stays(fixture: Fixture) {
    let mut transfer = transfer(fixture.clock.now());
    fixture.insert(&transfer, Some(&claim("k", 1))).await.unwrap();
    fixture.step(&mut transfer, Stage::Prepared, KeyChange::Settle(answer())).await.unwrap();

    let mut other = answer();
    other.status = 500;
    fixture.step(&mut transfer, Stage::Failed, KeyChange::Settle(other)).await.unwrap();

    let record = fixture.store.key(&claim("k", 1).scope).await.unwrap().unwrap();
    assert_eq!(record.answer, Some(answer()));
}

async fn freed_key_can_be_used_again(fixture: Fixture) {
    let mut first = transfer(fixture.clock.now());
    fixture.insert(&first, Some(&claim("k", 1))).await.unwrap();
    fixture.step(&mut first, Stage::Failed, KeyChange::Free).await.unwrap();

    let second = transfer(fixture.clock.now());
    let inserted = fixture.insert(&second, Some(&claim("k", 2))).await.unwrap();

    assert_eq!(inserted, Inserted::Done);
    let record = fixture.store.key(&claim("k", 2).scope).await.unwrap().unwrap();
    assert_eq!((record.transfer_id, record.fingerprint), (second.id, [2; 32]));
}

async fn key_counts_for_its_caller_and_route_alone(fixture: Fixture) {
    let mine = claim("k", 1);
    fixture.insert(&transfer(fixture.clock.now()), Some(&mine)).await.unwrap();

    let mut other_caller = mine.clone();
    other_caller.scope.caller = CallerName::new("erp");
    let mut other_route = mine;
    other_route.scope.route = "POST /batches";

    for other in [other_caller, other_route] {
        let inserted = fixture.insert(&transfer(fixture.clock.now()), Some(&other)).await;
        assert_eq!(inserted.unwrap(), Inserted::Done);
    }
}

async fn settled_key_counts_until_it_is_reaped_whatever_the_clock_says(fixture: Fixture) {
    let mut first = transfer(fixture.clock.now());
    fixture.insert(&first, Some(&claim("k", 1))).await.unwrap();
    fixture.step(&mut first, Stage::Failed, KeyChange::Settle(answer())).await.unwrap();

    fixture.clock.advance(SignedDuration::from_hours(24 * 365));

    assert!(fixture.store.key(&claim("k", 1).scope).await.unwrap().is_some());
    let second = transfer(fixture.clock.now());
    let inserted = fixture.insert(&second, Some(&claim("k", 1))).await.unwrap();
    assert!(matches!(inserted, Inserted::KeyTaken(_)), "{inserted:?}");
}

async fn reaped_key_is_free(fixture: Fixture) {
    let mut first = transfer(fixture.clock.now());
    fixture.insert(&first, Some(&claim("k", 1))).await.unwrap();
    fixture.step(&mut first, Stage::Failed, KeyChange::Settle(answer())).await.unwrap();
    fixture.clock.advance(SignedDuration::from_secs(1));
    fixture.reap(first.created_at, fixture.clock.now(), 100).await;

    let second = transfer(fixture.clock.now());
    assert_eq!(fixture.insert(&second, Some(&claim("k", 2))).await.unwrap(), Inserted::Done);

    let record = fixture.store.key(&claim("k", 2).scope).await.unwrap().unwrap();
    assert_eq!((record.transfer_id, record.answer), (second.id, None));
    assert!(fixture.store.get(first.id).await.unwrap().is_some());
}

async fn key_wins_when_the_conversation_is_taken_too(fixture: Fixture) {
    let first = transfer(fixture.clock.now());
    fixture.insert(&first, Some(&claim("k", 1))).await.unwrap();

    let mut second = transfer(fixture.clock.now());
    second.request.conversation_id = first.request.conversation_id;
    let inserted = fixture.insert(&second, Some(&claim("k", 1))).await.unwrap();

    assert!(matches!(inserted, Inserted::KeyTaken(_)), "{inserted:?}");
}

async fn conversation_refused_leaves_the_key_free(fixture: Fixture) {
    let first = transfer(fixture.clock.now());
    fixture.record(&first).await;

    let mut second = transfer(fixture.clock.now());
    second.request.conversation_id = first.request.conversation_id;
    let inserted = fixture.insert(&second, Some(&claim("k", 1))).await.unwrap();

    let caller = first.requested_by.clone();
    assert_eq!(inserted, Inserted::ConversationTaken { transfer_id: first.id, caller });
    assert_eq!(fixture.store.key(&claim("k", 1).scope).await.unwrap(), None);
}

async fn odd_keys_stay_distinct(fixture: Fixture) {
    for key in
        ["a", "A", " a", "'; DROP TABLE transfers; --", "\\0", "\\\\0", "%", &"~".repeat(255)]
    {
        let inserted = fixture.insert(&transfer(fixture.clock.now()), Some(&claim(key, 1))).await;
        assert_eq!(inserted.unwrap(), Inserted::Done, "{key}");
        assert!(fixture.store.key(&claim(key, 1).scope).await.unwrap().is_some(), "{key}");
    }
}
