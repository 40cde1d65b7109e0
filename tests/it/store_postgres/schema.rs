//! Migrations, on databases with rows in them and by several replicas at once.

use std::{path::Path, sync::Arc};

use futures_util::future::join_all;
use genesys_transfer::{
    clock::Clock,
    problem::{Code, Problem},
    store::OpenError,
    transfer::{
        model::{Stage, Status},
        store::TransferFilter,
    },
};
use jiff::Timestamp;
use sqlx::{Connection, PgConnection, migrate::Migrator};

use crate::support::{
    postgres,
    records::{batch, items, transfer, transfer_of},
    store::{Fixture, open_with},
};

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_first_version_live_through_all_migrations() {
    let url = postgres::database().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations/postgres");
    let migrator = Migrator::new(Path::new(folder)).await.unwrap();
    let mut old = PgConnection::connect(&url).await.unwrap();
    migrator.run_to(1, &mut old).await.unwrap();
    let row = transfer("2026-01-01T00:00:00Z".parse().unwrap());
    sqlx::query(
        "INSERT INTO transfers VALUES ($1, 'received', 'pending', $1, $2, $3, 'crm', NULL, NULL, \
         1, 1, $4)",
    )
    .bind(row.uuid())
    .bind(row.request.conversation_id.uuid())
    .bind(row.queue.id.uuid())
    .bind(serde_json::to_string(&row).unwrap())
    .execute(&mut old)
    .await
    .unwrap();

    let new = Fixture::at(url).await;

    assert_eq!(new.store.get(row.id).await.unwrap().as_ref(), Some(&row));
    assert_eq!(new.store.list(&TransferFilter::default(), 10).await.unwrap(), [row]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_migrate_once() {
    let url = postgres::database().await;
    let clock = Arc::clone(&Fixture::at("sqlite::memory:".to_owned()).await.clock);
    let opened = join_all((0..8).map(|_| open_with(&url, Arc::clone(&clock)))).await;
    for store in opened {
        store.unwrap().check().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_version_before_settles_is_told_with_its_reason() {
    let fixture = Fixture::postgres().await;
    let (batch, mut row) = {
        let batch = batch(fixture.clock.now(), 1);
        let items = items(&batch, 0, 1);
        fixture.begin(&batch, &items).await;
        let row = transfer_of(&batch, &items[0]);
        fixture.batches.take_item(&row, 0, fixture.owner).await.unwrap();
        (batch, row)
    };
    let mut old = PgConnection::connect(&fixture.url).await.unwrap();
    row.stage = Stage::Failed;
    row.error = Some(Problem::new(Code::Conflict, "It happened."));
    sqlx::query(
        "UPDATE transfers SET stage = 'failed', status = 'failed', data = $2 WHERE id = $1",
    )
    .bind(row.uuid())
    .bind(serde_json::to_string(&row).unwrap())
    .execute(&mut old)
    .await
    .unwrap();

    let tally = fixture.batches.tally(batch.id, Timestamp::MIN).await.unwrap();

    assert_eq!(tally.settled, [(Status::Failed, Some(Code::Conflict), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn running_replica_works_on_while_a_newer_one_migrates() {
    let fixture = Fixture::postgres().await;
    fixture.record(&transfer(fixture.clock.now())).await;
    let mut newer = PgConnection::connect(&fixture.url).await.unwrap();
    let addition = "ALTER TABLE transfers ADD COLUMN later TEXT; \
        INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        VALUES (9999, 'future', true, '', 0)";
    sqlx::raw_sql(addition).execute(&mut newer).await.unwrap();

    fixture.record(&transfer(fixture.clock.now())).await;
    assert_eq!(fixture.store.list(&TransferFilter::default(), 10).await.unwrap().len(), 2);

    let again = open_with(&fixture.url, Arc::clone(&fixture.clock)).await.err().expect("refused");
    assert!(matches!(again, OpenError::Newer { found: 9999, .. }), "{again}");
}
