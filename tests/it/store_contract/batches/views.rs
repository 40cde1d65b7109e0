//! What callers see of batches: lists, tallies, changes.

use genesys_transfer::{
    batch::{Batch, BatchStatus, store::BatchFilter},
    clock::Clock,
    problem::{Code, Problem},
    transfer::{
        ids::BatchId,
        model::{CallerName, Stage, Status, Transfer},
        store::TransferFilter,
    },
};
use jiff::{SignedDuration, Timestamp};

use super::on_both_stores;
use crate::support::{
    records::{batch, fresh_id, transfer_of},
    store::Fixture,
};

on_both_stores!(
    newest_come_first_and_the_limit_holds,
    every_filter_and_every_pair_of_filters,
    tally_counts_by_status_and_code,
    tally_follows_updates,
    tally_knows_the_last_minute,
    code_of_what_is_not_final_is_no_reason,
    changed_are_told_in_order_without_what_is_pending,
    transfers_of_a_batch_are_listed,
);

async fn list(fixture: &Fixture, filter: BatchFilter) -> Vec<Batch> {
    fixture.batches.batches(&filter, 100).await.unwrap()
}

async fn newest_come_first_and_the_limit_holds(fixture: Fixture) {
    let mut all = Vec::new();
    for _ in 0..5 {
        all.insert(0, fixture.begun(1).await.0);
    }
    let first = fixture.batches.batches(&BatchFilter::default(), 3).await.unwrap();
    assert_eq!(first, all[..3]);
    let rest = BatchFilter { before: Some(first[2].id), ..BatchFilter::default() };
    assert_eq!(list(&fixture, rest).await, all[3..]);
}

async fn every_filter_and_every_pair_of_filters(fixture: Fixture) {
    for caller in ["crm", "erp", "a/b"] {
        for status in BatchStatus::ALL {
            let mut row = batch(fixture.clock.now(), 1);
            (row.status, row.requested_by) = (status, CallerName::new(caller));
            fixture.begin(&row, &[]).await;
        }
    }
    let last = Some(BatchId::new(fresh_id(fixture.clock.now())));
    for before in [None, last] {
        for status in BatchStatus::ALL {
            let filter = BatchFilter { caller: None, status: Some(status), before };
            assert_eq!(list(&fixture, filter.clone()).await.len(), 3);
            let caller = Some(CallerName::new("a/b"));
            let found = list(&fixture, BatchFilter { caller, ..filter }).await;
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].status, found[0].requested_by.as_str()), (status, "a/b"));
        }
        let caller = Some(CallerName::new("erp"));
        assert_eq!(list(&fixture, BatchFilter { caller, status: None, before }).await.len(), 4);
        assert_eq!(
            list(&fixture, BatchFilter { before, ..BatchFilter::default() }).await.len(),
            12
        );
    }
}

/// A batch whose items have become transfers of these stages and codes.
async fn with_transfers(
    fixture: &Fixture,
    ends: &[(Stage, Option<Code>)],
) -> (Batch, Vec<Transfer>) {
    let (batch, items) = fixture.begun(u32::try_from(ends.len()).unwrap()).await;
    let mut rows = Vec::new();
    for (item, (stage, code)) in items.iter().zip(ends) {
        let mut row = transfer_of(&batch, item);
        (row.created_at, row.updated_at) = (fixture.clock.now(), fixture.clock.now());
        row.stage = *stage;
        row.error = code.map(|code| Problem::new(code, "It happened."));
        fixture.batches.take_item(&row, item.position, fixture.owner).await.unwrap();
        rows.push(row);
    }
    (batch, rows)
}

async fn settled(fixture: &Fixture, id: BatchId) -> Vec<(Status, Option<Code>, u32)> {
    let mut settled = fixture.batches.tally(id, Timestamp::MIN).await.unwrap().settled;
    settled.sort_by_key(|(status, code, _)| (status.as_str(), code.map(Code::as_str)));
    settled
}

async fn tally_counts_by_status_and_code(fixture: Fixture) {
    let (batch, _) = with_transfers(
        &fixture,
        &[
            (Stage::Received, None),
            (Stage::Dispatching, None),
            (Stage::Accepted, None),
            (Stage::Confirmed, None),
            (Stage::Confirmed, None),
            (Stage::Failed, Some(Code::ConversationEnded)),
            (Stage::Failed, Some(Code::ConversationEnded)),
            (Stage::Failed, Some(Code::Conflict)),
            (Stage::Failed, None),
            (Stage::Skipped, Some(Code::NoLongerWaiting)),
        ],
    )
    .await;
    with_transfers(&fixture, &[(Stage::Accepted, None)]).await;

    assert_eq!(
        settled(&fixture, batch.id).await,
        [
            (Status::Accepted, None, 1),
            (Status::Confirmed, None, 2),
            (Status::Failed, None, 1),
            (Status::Failed, Some(Code::Conflict), 1),
            (Status::Failed, Some(Code::ConversationEnded), 2),
            (Status::Pending, None, 2),
            (Status::Skipped, Some(Code::NoLongerWaiting), 1),
        ]
    );
}

async fn tally_follows_updates(fixture: Fixture) {
    let (batch, mut rows) = with_transfers(&fixture, &[(Stage::Received, None); 2]).await;
    fixture.settle(&mut rows[0], Stage::Accepted).await;
    rows[1].error = Some(Problem::new(Code::Conflict, "It happened."));
    fixture.settle(&mut rows[1], Stage::Failed).await;

    let expected = [(Status::Accepted, None, 1), (Status::Failed, Some(Code::Conflict), 1)];
    assert_eq!(settled(&fixture, batch.id).await, expected);
}

async fn tally_knows_the_last_minute(fixture: Fixture) {
    let (batch, _) = with_transfers(&fixture, &[(Stage::Received, None); 2]).await;
    let now = fixture.clock.now();
    let recent = |since| {
        let store = fixture.batches.clone();
        async move { store.tally(batch.id, since).await.unwrap().last_minute }
    };
    assert_eq!(recent(now).await, 2);
    assert_eq!(recent(now + SignedDuration::from_secs(1)).await, 0);
}

async fn code_of_what_is_not_final_is_no_reason(fixture: Fixture) {
    let ends = [(Stage::Unknown, Some(Code::OutcomeUnknown)), (Stage::Accepted, None)];
    let (batch, _) = with_transfers(&fixture, &ends).await;
    let expected = [(Status::Accepted, None, 1), (Status::Unknown, None, 1)];
    assert_eq!(settled(&fixture, batch.id).await, expected);
}

async fn changed_are_told_in_order_without_what_is_pending(fixture: Fixture) {
    let (batch, mut rows) = with_transfers(&fixture, &[(Stage::Received, None); 4]).await;
    for index in [2, 0, 1] {
        fixture.clock.advance(SignedDuration::from_secs(1));
        rows[index].updated_at = fixture.clock.now();
        fixture.settle(&mut rows[index], Stage::Accepted).await;
    }
    let changed = |since, limit| {
        let store = fixture.batches.clone();
        async move { store.changed(batch.id, since, limit).await.unwrap() }
    };

    let expected = [rows[2].clone(), rows[0].clone(), rows[1].clone()];
    assert_eq!(changed(Timestamp::MIN, 10).await, expected);
    assert_eq!(changed(Timestamp::MIN, 2).await, expected[..2]);
    assert_eq!(changed(rows[0].updated_at, 10).await, expected[1..]);
}

async fn transfers_of_a_batch_are_listed(fixture: Fixture) {
    let (batch, mut rows) = with_transfers(&fixture, &[(Stage::Accepted, None); 3]).await;
    rows.reverse();
    let filter = TransferFilter { batch_id: Some(batch.id), ..TransferFilter::default() };
    assert_eq!(fixture.store.list(&filter, 10).await.unwrap(), rows);
}
