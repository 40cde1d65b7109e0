//! Migrations, on files with rows in them.

use std::{path::Path, sync::Arc};

use genesys_transfer::{clock::Clock, store::OpenError, transfer::store::TransferFilter};
use sqlx::{Connection, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions};
use tempfile::tempdir;

use crate::support::{
    records::{claim, transfer},
    store::{Fixture, open_with},
};

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

#[tokio::test]
async fn rows_of_the_first_version_live_through_all_migrations() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("transfers.db");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations/sqlite");
    let migrator = Migrator::new(Path::new(folder)).await.unwrap();
    let mut old = raw(&path).await;
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
    old.close().await.unwrap();

    let new = Fixture::at(format!("sqlite://{}", path.display())).await;

    assert_eq!(new.store.get(row.id).await.unwrap().as_ref(), Some(&row));
    assert_eq!(new.store.list(&TransferFilter::default(), 10).await.unwrap(), [row]);
}

#[tokio::test]
async fn starting_again_changes_nothing() {
    let dir = tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("transfers.db").display());
    let first = Fixture::at(url.clone()).await;
    let row = transfer(first.clock.now());
    first.insert(&row, Some(&claim("k", 1))).await.unwrap();
    drop(first);

    let again = Fixture::at(url).await;
    assert!(again.store.key(&claim("k", 1).scope).await.unwrap().is_some());
}

/// What opening says after `change` was done to a database made by this version.
async fn refusal_after(change: &'static str) -> OpenError {
    let dir = tempdir().unwrap();
    let path = dir.path().join("transfers.db");
    let url = format!("sqlite://{}", path.display());
    let fixture = Fixture::at(url.clone()).await;
    let clock = Arc::clone(&fixture.clock);
    drop(fixture);
    let mut connection = raw(&path).await;
    sqlx::raw_sql(change).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    open_with(&url, clock).await.err().expect("refused")
}

#[tokio::test]
async fn database_of_a_newer_version_is_refused() {
    let error = refusal_after(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'future', true, x'00', 0)",
    )
    .await;
    assert!(matches!(error, OpenError::Newer { found: 9999, .. }), "{error}");
}

#[tokio::test]
async fn database_with_an_altered_migration_is_refused() {
    let error =
        refusal_after("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    assert!(matches!(error, OpenError::Schema(_)), "{error}");
}
