//! The history: filters, order, pages.

use std::slice;

use genesys_transfer::{
    clock::Clock,
    transfer::{
        ids::{BatchId, ConversationId, QueueId},
        model::{CallerName, Stage, Status, Transfer},
        store::{KeyChange, TransferFilter},
    },
};
use jiff::SignedDuration;

use super::on_both_stores;
use crate::support::{
    records::{fresh_id, transfer},
    store::Fixture,
};

on_both_stores!(
    empty_history_is_an_empty_page,
    newest_come_first_and_the_limit_holds,
    pages_are_stable_while_rows_come_in,
    every_filter_alone,
    every_status_filter,
    every_pair_of_filters,
    since_counts_from_the_very_microsecond,
    status_follows_an_update,
    unsettled_are_counted,
);

async fn list(fixture: &Fixture, filter: TransferFilter) -> Vec<Transfer> {
    fixture.store.list(&filter, 200).await.unwrap()
}

async fn empty_history_is_an_empty_page(fixture: Fixture) {
    assert_eq!(list(&fixture, TransferFilter::default()).await, []);
}

async fn some(fixture: &Fixture, count: usize) -> Vec<Transfer> {
    let rows: Vec<_> = (0..count).map(|_| transfer(fixture.clock.now())).collect();
    for row in &rows {
        fixture.record(row).await;
    }
    rows
}

async fn newest_come_first_and_the_limit_holds(fixture: Fixture) {
    let mut rows = some(&fixture, 5).await;
    rows.reverse();
    assert_eq!(fixture.store.list(&TransferFilter::default(), 3).await.unwrap(), rows[..3]);
}

async fn pages_are_stable_while_rows_come_in(fixture: Fixture) {
    let mut expected = some(&fixture, 10).await;
    expected.reverse();

    let mut seen: Vec<Transfer> = Vec::new();
    loop {
        let before = seen.last().map(|last| last.id);
        let filter = TransferFilter { before, ..Default::default() };
        let page = fixture.store.list(&filter, 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
        some(&fixture, 2).await;
    }

    assert_eq!(seen, expected);
}

/// A row that every filter of [`filters`] finds.
fn wanted(now: jiff::Timestamp) -> Transfer {
    let mut row = transfer(now);
    row.requested_by = CallerName::new("erp");
    row.request.conversation_id = ConversationId::new(fresh_id(now));
    row.queue.id = QueueId::new(fresh_id(now));
    row.request.reference = Some("CASE-1".to_owned());
    row.batch_id = Some(BatchId::new(fresh_id(now)));
    row
}

/// Each filter alone, set so that it finds `row`.
fn filters(row: &Transfer) -> Vec<TransferFilter> {
    let none = TransferFilter::default;
    vec![
        TransferFilter { caller: Some(row.requested_by.clone()), ..none() },
        TransferFilter { conversation_id: Some(row.request.conversation_id), ..none() },
        TransferFilter { queue_id: Some(row.queue.id), ..none() },
        TransferFilter { status: Some(row.stage.status()), ..none() },
        TransferFilter { reference: row.request.reference.clone(), ..none() },
        TransferFilter { batch_id: row.batch_id, ..none() },
        TransferFilter { since: Some(row.created_at), ..none() },
    ]
}

/// Both filters at once.
fn both(a: &TransferFilter, b: &TransferFilter) -> TransferFilter {
    TransferFilter {
        caller: a.caller.clone().or_else(|| b.caller.clone()),
        conversation_id: a.conversation_id.or(b.conversation_id),
        queue_id: a.queue_id.or(b.queue_id),
        status: a.status.or(b.status),
        reference: a.reference.clone().or_else(|| b.reference.clone()),
        since: a.since.or(b.since),
        batch_id: a.batch_id.or(b.batch_id),
        before: None,
    }
}

/// Older rows that no filter finds, then one that each finds.
async fn one_among_others(fixture: &Fixture) -> Transfer {
    for _ in 0..3 {
        let mut other = transfer(fixture.clock.now());
        other.request.reference = Some("CASE-2".to_owned());
        other.batch_id = Some(BatchId::new(fresh_id(fixture.clock.now())));
        fixture.record(&other).await;
        fixture.settle(&mut other, Stage::Accepted).await;
    }
    fixture.clock.advance(SignedDuration::from_millis(1));
    let row = wanted(fixture.clock.now());
    fixture.record(&row).await;
    row
}

async fn every_filter_alone(fixture: Fixture) {
    let row = one_among_others(&fixture).await;
    for filter in filters(&row) {
        let found = list(&fixture, filter.clone()).await;
        assert_eq!(found, slice::from_ref(&row), "{filter:?}");
    }
}

async fn every_pair_of_filters(fixture: Fixture) {
    let row = one_among_others(&fixture).await;
    // Shares each single filter with one other row, so that only the pair singles it out.
    for filter in filters(&row) {
        let mut near = transfer(fixture.clock.now() - SignedDuration::from_secs(5));
        near.requested_by = filter.caller.unwrap_or(near.requested_by);
        near.queue.id = filter.queue_id.unwrap_or(near.queue.id);
        near.request.reference = filter.reference.or(near.request.reference);
        near.batch_id = filter.batch_id.or(near.batch_id);
        near.created_at = filter.since.unwrap_or(near.created_at);
        fixture.record(&near).await;
        fixture.settle(&mut near, Stage::Accepted).await;
    }
    let filters = filters(&row);
    for (n, a) in filters.iter().enumerate() {
        for b in &filters[n + 1..] {
            let pair = both(a, b);
            let found = list(&fixture, pair.clone()).await;
            assert_eq!(found, slice::from_ref(&row), "{pair:?}");
        }
    }
}

async fn every_status_filter(fixture: Fixture) {
    for stage in Stage::ALL {
        let mut row = transfer(fixture.clock.now());
        fixture.record(&row).await;
        match stage {
            Stage::Received => {}
            Stage::Prepared => {
                fixture.step(&mut row, stage, KeyChange::Keep).await.unwrap();
            }
            Stage::Dispatching => {
                fixture.step(&mut row, Stage::Prepared, KeyChange::Keep).await.unwrap();
                fixture.step(&mut row, stage, KeyChange::Keep).await.unwrap();
            }
            settled => fixture.settle(&mut row, settled).await,
        }
    }
    for status in Status::ALL {
        let filter = TransferFilter { status: Some(status), ..Default::default() };
        let mut found: Vec<_> = list(&fixture, filter).await.iter().map(|row| row.stage).collect();
        found.reverse();
        assert_eq!(found, status.stages().collect::<Vec<_>>(), "{status:?}");
    }
}

async fn since_counts_from_the_very_microsecond(fixture: Fixture) {
    let mut rows = Vec::new();
    for _ in 0..3 {
        rows.extend(some(&fixture, 1).await);
        fixture.clock.advance(SignedDuration::from_micros(1));
    }
    let filter = TransferFilter { since: Some(rows[1].created_at), ..Default::default() };
    assert_eq!(list(&fixture, filter).await, [rows[2].clone(), rows[1].clone()]);
}

async fn status_follows_an_update(fixture: Fixture) {
    let mut row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    fixture.settle(&mut row, Stage::Failed).await;

    let with = |status| TransferFilter { status: Some(status), ..Default::default() };
    assert_eq!(list(&fixture, with(Status::Failed)).await, [row]);
    assert_eq!(list(&fixture, with(Status::Pending)).await, []);
}

async fn unsettled_are_counted(fixture: Fixture) {
    let mut rows = some(&fixture, 3).await;
    fixture.settle(&mut rows[0], Stage::Unknown).await;
    fixture.settle(&mut rows[1], Stage::Accepted).await;
    assert_eq!(fixture.store.unsettled().await.unwrap(), 2);
}
