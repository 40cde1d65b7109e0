//! Migrations, on files with rows in them.

use std::{path::Path, sync::Arc};

use genesys_transfer::{clock::Clock, store::OpenError, transfer::store::TransferFilter};
use rusqlite::Connection;
use sqlx::migrate::Migrator;
use tempfile::tempdir;

use crate::support::{
    records::{claim, transfer},
    store::{Fixture, open_with},
};

/// A database as the version before the last left it: with the bookkeeping of the driver that was
/// used then, and the first `versions` steps.
async fn released(path: &Path, versions: i64) -> Connection {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations/sqlite");
    let migrator = Migrator::new(Path::new(folder)).await.unwrap();
    let old = Connection::open(path).unwrap();
    old.execute_batch(
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
         checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)",
    )
    .unwrap();
    for step in migrator.iter().filter(|step| step.version <= versions) {
        old.execute_batch(step.sql.as_str()).unwrap();
        old.execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
             execution_time) VALUES (?1, ?2, TRUE, ?3, 1)",
            (step.version, &*step.description, &*step.checksum),
        )
        .unwrap();
    }
    old
}

#[tokio::test]
async fn rows_of_the_first_version_live_through_all_migrations() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("transfers.db");
    let old = released(&path, 1).await;
    let row = transfer("2026-01-01T00:00:00Z".parse().unwrap());
    old.execute(
        "INSERT INTO transfers VALUES (?1, 'received', 'pending', ?1, ?2, ?3, 'crm', NULL, NULL, \
         1, 1, ?4)",
        (
            row.uuid().as_bytes(),
            row.request.conversation_id.uuid().as_bytes(),
            row.queue.id.uuid().as_bytes(),
            serde_json::to_string(&row).unwrap(),
        ),
    )
    .unwrap();
    drop(old);

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
    Connection::open(&path).unwrap().execute_batch(change).unwrap();
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
