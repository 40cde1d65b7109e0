//! Items: each becomes one transfer, by the batch's runner, while the batch runs.

use genesys_transfer::{
    batch::{BatchStatus, Item, store::TakeResult},
    clock::Clock,
    problem::{Code, Problem},
    transfer::{
        model::{Stage, Transfer, Warning},
        store::KeyChange,
    },
};
use jiff::Timestamp;

use super::on_both_stores;
use crate::support::{
    records::{batch, fresh_id, items, transfer, transfer_of},
    store::Fixture,
};

on_both_stores!(
    taken_item_is_a_transfer_and_open_no_more,
    item_is_taken_once,
    only_the_runner_takes,
    nothing_is_taken_of_a_cancelled_batch_but_what_is_settled,
    who_asks_again_hears_that_his_transfer_is_there,
    one_conversation_has_one_unsettled_transfer,
    settled_transfer_takes_no_place,
    after_a_cancel_nothing_more_is_taken,
    of_many_who_take_an_item_one_does,
    reopened_item_is_open_and_its_transfer_failed_and_of_no_batch,
    reopening_twice_changes_nothing,
    what_is_settled_or_anothers_is_not_reopened,
    all_that_was_not_sent_is_reopened_for_the_runner,
    items_are_added_once,
    items_are_added_only_by_the_runner_of_a_running_batch,
    total_is_never_lower_than_the_items,
    item_of_a_standing_drain_is_open_again_when_its_call_comes_back,
    transfers_are_counted_by_their_warnings,
);

fn failed(mut transfer: Transfer, stage: Stage, code: Code) -> Transfer {
    transfer.stage = stage;
    transfer.error = Some(Problem::new(code, "It happened."));
    transfer
}

async fn taken_item_is_a_transfer_and_open_no_more(fixture: Fixture) {
    let (batch, items) = fixture.begun(3).await;
    let row = transfer_of(&batch, &items[1]);

    let taken = fixture.batches.take_item(&row, 1, fixture.owner).await.unwrap();

    assert_eq!(taken, TakeResult::Done);
    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));
    let open = fixture.batches.open_items(batch.id, 0, 10).await.unwrap();
    assert_eq!(open, [items[0].clone(), items[2].clone()]);
    assert_eq!(fixture.batches.known_conversations(batch.id).await.unwrap().len(), 3);
}

async fn item_of_a_standing_drain_is_open_again_when_its_call_comes_back(fixture: Fixture) {
    for standing in [false, true] {
        let mut batch = batch(fixture.clock.now(), 0);
        batch.drain.as_mut().unwrap().until = standing.then(|| fixture.clock.now());
        let items = items(&batch, 0, 2);
        fixture.begin(&batch, &items).await;
        let (row, owner) = (transfer_of(&batch, &items[0]), fixture.owner);
        fixture.batches.take_item(&row, 0, owner).await.unwrap();

        let back =
            [Item { position: 7, ..items[0].clone() }, Item { position: 8, ..items[1].clone() }];
        assert!(fixture.batches.add_items(batch.id, owner, &back, 3).await.unwrap());

        let open = fixture.batches.open_items(batch.id, 0, 10).await.unwrap();
        let expected =
            if standing { vec![items[1].clone(), back[0].clone()] } else { vec![items[1].clone()] };
        assert_eq!(open, expected);
        fixture.batches.cancel_batch(batch.id, fixture.clock.now()).await.unwrap();
    }
}

async fn transfers_are_counted_by_their_warnings(fixture: Fixture) {
    let (batch, items) = fixture.begun(3).await;
    for (number, codes) in [(0, vec![]), (1, vec!["a"]), (2, vec!["a", "b"])] {
        let mut row = transfer_of(&batch, &items[number]);
        let position = u32::try_from(number).unwrap();
        fixture.batches.take_item(&row, position, fixture.owner).await.unwrap();
        let warning = |code: &str| Warning { code: code.to_owned(), detail: String::new() };
        row.warnings = codes.into_iter().map(warning).collect();
        fixture.settle(&mut row, Stage::Accepted).await;
    }
    let tally = fixture.batches.tally(batch.id, Timestamp::MIN).await.unwrap();
    let expected = [("a".to_owned(), 2), ("b".to_owned(), 1)];
    assert_eq!(tally.warned.into_iter().collect::<Vec<_>>(), expected);
}

async fn item_is_taken_once(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    let (first, second) = (transfer_of(&batch, &items[0]), transfer_of(&batch, &items[0]));
    fixture.batches.take_item(&first, 0, fixture.owner).await.unwrap();

    let again = fixture.batches.take_item(&second, 0, fixture.owner).await.unwrap();

    assert_eq!(again, TakeResult::Already(first.id));
    assert_eq!(fixture.store.get(second.id).await.unwrap(), None);
}

async fn only_the_runner_takes(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    let row = transfer_of(&batch, &items[0]);
    let other = fresh_id(Timestamp::UNIX_EPOCH);

    assert_eq!(fixture.batches.take_item(&row, 0, other).await.unwrap(), TakeResult::Stopped);

    let skipped = failed(row, Stage::Skipped, Code::NoLongerWaiting);
    assert_eq!(fixture.batches.take_item(&skipped, 0, other).await.unwrap(), TakeResult::Stopped);
    assert_eq!(fixture.store.get(skipped.id).await.unwrap(), None);
}

async fn nothing_is_taken_of_a_cancelled_batch_but_what_is_settled(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    fixture.batches.cancel_batch(batch.id, fixture.clock.now()).await.unwrap();
    let row = transfer_of(&batch, &items[0]);

    assert_eq!(
        fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap(),
        TakeResult::Stopped
    );

    let skipped = failed(row, Stage::Skipped, Code::Cancelled);
    let taken = fixture.batches.take_item(&skipped, 0, fixture.owner).await.unwrap();
    assert_eq!(taken, TakeResult::Done);
}

async fn who_asks_again_hears_that_his_transfer_is_there(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    let row = transfer_of(&batch, &items[0]);
    fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap();
    fixture.batches.cancel_batch(batch.id, fixture.clock.now()).await.unwrap();

    let again = fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap();
    assert_eq!(again, TakeResult::Already(row.id));
}

async fn one_conversation_has_one_unsettled_transfer(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    let mut single = transfer(fixture.clock.now());
    single.request.conversation_id = items[0].request.conversation_id;
    fixture.record(&single).await;
    let row = transfer_of(&batch, &items[0]);

    let taken = fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap();
    assert_eq!(taken, TakeResult::ConversationTaken(single.id));

    fixture.settle(&mut single, Stage::Failed).await;
    assert_eq!(fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap(), TakeResult::Done);
}

async fn settled_transfer_takes_no_place(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    let mut single = transfer(fixture.clock.now());
    single.request.conversation_id = items[0].request.conversation_id;
    fixture.record(&single).await;

    let row = failed(transfer_of(&batch, &items[0]), Stage::Failed, Code::ConversationEnded);
    assert_eq!(fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap(), TakeResult::Done);
}

async fn after_a_cancel_nothing_more_is_taken(fixture: Fixture) {
    for _ in 0..10 {
        cancelled_while_taking(&fixture).await;
    }
}

async fn cancelled_while_taking(fixture: &Fixture) {
    let (batch, items) = fixture.begun(40).await;
    let replica = fixture.batches_replica().await;
    let takers = items.iter().map(|item| {
        let (store, row) = (fixture.batches.clone(), transfer_of(&batch, item));
        let (position, runner) = (item.position, fixture.owner);
        tokio::spawn(async move { store.take_item(&row, position, runner).await.unwrap() })
    });
    let mut takers: Vec<_> = takers.collect();
    let first = takers.remove(0).await.unwrap();
    replica.cancel_batch(batch.id, fixture.clock.now()).await.unwrap();
    let there = fixture.batches.tally(batch.id, Timestamp::MIN).await.unwrap().last_minute;

    let mut taken = u32::from(first == TakeResult::Done);
    for taker in takers {
        taken += u32::from(taker.await.unwrap() == TakeResult::Done);
    }
    assert_eq!(taken, there);
}

async fn of_many_who_take_an_item_one_does(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    let replica = fixture.batches_replica().await;
    let takers = (0..10).map(|n| {
        let store = if n % 2 == 0 { fixture.batches.clone() } else { replica.clone() };
        let (row, runner) = (transfer_of(&batch, &items[0]), fixture.owner);
        tokio::spawn(async move { store.take_item(&row, 0, runner).await.unwrap() })
    });
    let taken = futures_util::future::join_all(takers).await;
    let done = taken.iter().filter(|taken| *taken.as_ref().unwrap() == TakeResult::Done).count();
    assert_eq!(done, 1, "{taken:?}");
    assert_eq!(fixture.store.unsettled().await.unwrap(), 1);
}

async fn reopened_item_is_open_and_its_transfer_failed_and_of_no_batch(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    let row = transfer_of(&batch, &items[0]);
    fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap();
    let mut row = failed(row, Stage::Failed, Code::GenesysRateLimited);

    let reopened = fixture.batches.reopen_item(&row, 0, fixture.owner).await.unwrap();

    assert!(reopened);
    assert_eq!(fixture.batches.open_items(batch.id, 0, 10).await.unwrap(), items);
    row.batch_id = None;
    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));
    assert_eq!(fixture.store.unsettled().await.unwrap(), 0);
    let tally = fixture.batches.tally(batch.id, Timestamp::MIN).await.unwrap();
    assert_eq!(tally.settled, []);
}

async fn reopening_twice_changes_nothing(fixture: Fixture) {
    let (batch, items) = fixture.begun(1).await;
    let row = transfer_of(&batch, &items[0]);
    fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap();
    let row = failed(row, Stage::Failed, Code::GenesysRateLimited);
    fixture.batches.reopen_item(&row, 0, fixture.owner).await.unwrap();
    let next = transfer_of(&batch, &items[0]);
    fixture.batches.take_item(&next, 0, fixture.owner).await.unwrap();

    let reopened = fixture.batches.reopen_item(&row, 0, fixture.owner).await.unwrap();

    assert!(reopened);
    assert_eq!(fixture.store.get(next.id).await.unwrap(), Some(next));
    assert_eq!(fixture.batches.open_items(batch.id, 0, 10).await.unwrap(), []);
}

async fn what_is_settled_or_anothers_is_not_reopened(fixture: Fixture) {
    let (batch, items) = fixture.begun(2).await;
    let (mut sent, anothers) = (transfer_of(&batch, &items[0]), transfer_of(&batch, &items[1]));
    fixture.batches.take_item(&sent, 0, fixture.owner).await.unwrap();
    fixture.batches.take_item(&anothers, 1, fixture.owner).await.unwrap();
    fixture.settle(&mut sent, Stage::Accepted).await;
    for (row, position, owner) in
        [(&sent, 0, fixture.owner), (&anothers, 1, fresh_id(batch.created_at))]
    {
        let row = failed(row.clone(), Stage::Failed, Code::GenesysRateLimited);

        let reopened = fixture.batches.reopen_item(&row, position, owner).await.unwrap();

        assert!(!reopened);
    }
    assert_eq!(fixture.batches.open_items(batch.id, 0, 10).await.unwrap(), []);
    assert_eq!(fixture.store.get(sent.id).await.unwrap(), Some(sent));
    assert_eq!(fixture.store.get(anothers.id).await.unwrap(), Some(anothers));
}

async fn all_that_was_not_sent_is_reopened_for_the_runner(fixture: Fixture) {
    let (batch, items) = fixture.begun(4).await;
    let mut rows = Vec::new();
    for (position, item) in (0..).zip(&items[..3]) {
        let row = transfer_of(&batch, item);
        fixture.batches.take_item(&row, position, fixture.owner).await.unwrap();
        rows.push(row);
    }
    let single = transfer(batch.created_at);
    fixture.record(&single).await;
    for stage in [Stage::Prepared, Stage::Dispatching] {
        assert!(fixture.step(&mut rows[1], stage, KeyChange::Keep).await.unwrap());
    }
    assert!(fixture.step(&mut rows[2], Stage::Prepared, KeyChange::Keep).await.unwrap());
    let why = Problem::new(Code::ShuttingDown, "It stopped.");
    let (store, now) = (&fixture.batches, fixture.clock.now());
    let another = fresh_id(now);
    assert_eq!(store.reopen_unsent(batch.id, another, &why, now).await.unwrap(), []);

    let reopened = store.reopen_unsent(batch.id, fixture.owner, &why, now).await.unwrap();

    assert_eq!(reopened.len(), 2);
    let open = store.open_items(batch.id, 0, 10).await.unwrap();
    assert_eq!(open, [items[0].clone(), items[2].clone(), items[3].clone()]);
    for row in [&rows[0], &rows[2]] {
        let row = fixture.store.get(row.id).await.unwrap().unwrap();
        let code = row.error.as_ref().map(|problem| problem.code);
        let found = (row.stage, row.batch_id, code, row.updated_at);
        assert_eq!(found, (Stage::Failed, None, Some(Code::ShuttingDown), now));
    }
    assert_eq!(fixture.store.get(rows[1].id).await.unwrap(), Some(rows.remove(1)));
    assert_eq!(fixture.store.get(single.id).await.unwrap(), Some(single));
}

async fn items_are_added_once(fixture: Fixture) {
    let (batch, first) = fixture.begun(2).await;
    let mut more = items(&batch, 2, 3);
    more[1].request.conversation_id = first[0].request.conversation_id;
    for _ in 0..2 {
        let added = fixture.batches.add_items(batch.id, fixture.owner, &more, 4).await.unwrap();
        assert!(added);
    }
    let open = fixture.batches.open_items(batch.id, 0, 10).await.unwrap();
    assert_eq!(open, [first, vec![more[0].clone(), more[2].clone()]].concat());
    assert_eq!(fixture.batches.batch(batch.id).await.unwrap().unwrap().total, 4);
}

async fn items_are_added_only_by_the_runner_of_a_running_batch(fixture: Fixture) {
    let (begun, _) = fixture.begun(1).await;
    let more = items(&begun, 1, 1);
    let other = fresh_id(Timestamp::UNIX_EPOCH);
    assert!(!fixture.batches.add_items(begun.id, other, &more, 2).await.unwrap());
    fixture.batches.cancel_batch(begun.id, fixture.clock.now()).await.unwrap();
    assert!(!fixture.batches.add_items(begun.id, fixture.owner, &more, 2).await.unwrap());
    assert_eq!(fixture.batches.open_items(begun.id, 0, 10).await.unwrap().len(), 1);
    let nobody = batch(fixture.clock.now(), 1);
    assert!(!fixture.batches.add_items(nobody.id, fixture.owner, &more, 2).await.unwrap());
}

async fn total_is_never_lower_than_the_items(fixture: Fixture) {
    let (mut batch, _) = fixture.begun(3).await;
    let more = items(&batch, 3, 2);
    fixture.batches.add_items(batch.id, fixture.owner, &more, 1).await.unwrap();
    let total = || async { fixture.batches.batch(batch.id).await.unwrap().unwrap().total };
    assert_eq!(total().await, 5);

    batch.status = BatchStatus::Completed;
    assert!(fixture.batches.update_batch(&batch, fixture.owner).await.unwrap());
    assert_eq!(total().await, 5, "an older copy of the record does not take it back");
}
