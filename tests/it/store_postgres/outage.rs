//! A server that is gone, locked or will not write: an error in time, and work again after.

use std::sync::Arc;

use genesys_transfer::{
    clock::Clock,
    transfer::{
        model::Stage,
        store::{Durability, Inserted, KeyChange, StoreError},
    },
};
use sqlx::{Connection, PgConnection};

use crate::support::{
    postgres::Server,
    records::{claim, transfer},
    service::soon,
    store::{Fixture, open_with},
};

/// Runs `operation`, which must end although what it waits for does not.
async fn in_time<T>(operation: impl Future<Output = T>) -> T {
    soon("an end of the operation", operation).await
}

async fn insert(fixture: &Fixture) -> Result<(), StoreError> {
    in_time(fixture.insert(&transfer(fixture.clock.now()), None)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn crashed_server_is_used_again_when_it_is_back() {
    let mut server = Server::start();
    let fixture = Fixture::at(server.database().await).await;
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;

    server.crash();
    assert!(insert(&fixture).await.is_err());
    assert!(in_time(fixture.store.get(row.id)).await.is_err());
    assert!(in_time(fixture.store.check()).await.is_err());

    server.restart();
    assert_eq!(fixture.store.get(row.id).await.unwrap(), Some(row));
    fixture.record(&transfer(fixture.clock.now())).await;
    fixture.store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_under_load_loses_nothing_that_was_confirmed() {
    let mut server = Server::start();
    let fixture = Arc::new(Fixture::at(server.database().await).await);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (fixture, stopped) = (Arc::clone(&fixture), stopped.clone());
            tokio::spawn(async move {
                let mut recorded = Vec::new();
                while !*stopped.borrow() {
                    let row = transfer(fixture.clock.now());
                    if in_time(fixture.insert(&row, None)).await.is_ok() {
                        recorded.push(row.id);
                    }
                }
                recorded
            })
        })
        .collect();
    for _ in 0..2 {
        wait_for_rows(&fixture, 100).await;
        server.crash();
        server.restart();
    }
    wait_for_rows(&fixture, 100).await;
    stop.send(true).unwrap();

    let mut recorded = 0;
    for writer in writers {
        for id in writer.await.unwrap() {
            assert!(fixture.store.get(id).await.unwrap().is_some(), "{id} was lost");
            recorded += 1;
        }
    }
    // What was not confirmed is taken back.
    fixture.store.heartbeat(fixture.owner, fixture.clock.now()).await.unwrap();
    assert_eq!(fixture.store.unsettled().await.unwrap(), recorded);
}

/// Waits until `count` more rows are there.
async fn wait_for_rows(fixture: &Fixture, count: u64) {
    let rows = async || fixture.store.unsettled().await.unwrap_or_default();
    let start = rows().await;
    soon("more rows", async { while rows().await < start + count {} }).await;
}

/// A write in one statement has no BEGIN that could have found out.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_closed_cost_no_write() {
    let fixture = Fixture::postgres().await;
    let mut admin = PgConnection::connect(&fixture.url).await.unwrap();
    let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut row = transfer(fixture.clock.now());
    fixture.record(&row).await;

    for key in ["one", "another"] {
        sqlx::raw_sql(close).execute(&mut admin).await.unwrap();
        let keyed = transfer(fixture.clock.now());
        let inserted = fixture.insert(&keyed, Some(&claim(key, 1))).await;
        assert_eq!(inserted.unwrap(), Inserted::Done);
    }
    sqlx::raw_sql(close).execute(&mut admin).await.unwrap();
    assert!(fixture.step(&mut row, Stage::Failed, KeyChange::Keep).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_table_fails_writes_in_time() {
    let fixture = Fixture::postgres().await;
    let mut shell = PgConnection::connect(&fixture.url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE transfers").execute(&mut shell).await.unwrap();

    let error = insert(&fixture).await.unwrap_err();
    assert!(error.cause.contains("lock timeout"), "{error}");

    sqlx::raw_sql("ROLLBACK").execute(&mut shell).await.unwrap();
    insert(&fixture).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_transaction_of_a_stopped_replica_fails_the_same_key_in_time() {
    let fixture = Fixture::postgres().await;
    let row = transfer(fixture.clock.now());
    fixture.record(&row).await;
    let mut stopped = PgConnection::connect(&fixture.url).await.unwrap();
    let half = "BEGIN; INSERT INTO idempotency_keys (caller, route, key, fingerprint, transfer_id) \
                SELECT 'crm', 'POST /transfers', 'k', '', id FROM transfers";
    sqlx::raw_sql(half).execute(&mut stopped).await.unwrap();

    let late = transfer(fixture.clock.now());
    let error = in_time(fixture.insert(&late, Some(&claim("k", 1)))).await.unwrap_err();
    assert!(error.cause.contains("lock timeout"), "{error}");
    assert_eq!(fixture.store.get(late.id).await.unwrap(), None);

    sqlx::raw_sql("ROLLBACK").execute(&mut stopped).await.unwrap();
    fixture.insert(&late, Some(&claim("k", 1))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_only_reads_fails_the_check() {
    let fixture = Fixture::postgres().await;
    let mut admin = PgConnection::connect(&fixture.url).await.unwrap();
    let set = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
               current_database()); END $$";
    sqlx::raw_sql(set).execute(&mut admin).await.unwrap();

    // Connections made from now on only read.
    let replica = open_with(&fixture.url, Arc::clone(&fixture.clock)).await;
    let check = match replica {
        Ok(store) => store.check().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    assert!(check.unwrap_err().contains("read-only"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_write_against_loss_of_power_waits_for_the_disk() {
    let fixture = Fixture::postgres().await;
    let mut admin = PgConnection::connect(&fixture.url).await.unwrap();
    // Even where the server's own default is not safe.
    let watch = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', \
            current_database()); END $$;
        CREATE TABLE seen (level text);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
        CREATE TRIGGER see AFTER INSERT ON transfers EXECUTE FUNCTION see()";
    sqlx::raw_sql(watch).execute(&mut admin).await.unwrap();
    let store = open_with(&fixture.url, Arc::clone(&fixture.clock)).await.unwrap();

    for durability in [Durability::Power, Durability::Process, Durability::Power] {
        let row = transfer(fixture.clock.now());
        store.insert(&row, None, fixture.owner, durability).await.unwrap();
    }

    let levels: Vec<String> =
        sqlx::query_scalar("SELECT level FROM seen").fetch_all(&mut admin).await.unwrap();
    assert_eq!(levels, ["on", "off", "on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_server_is_named_without_the_password() {
    let clock = Arc::clone(&Fixture::at("sqlite::memory:".to_owned()).await.clock);
    let url = "postgres://app:secret@localhost/calls?host=/nowhere";
    let error = open_with(url, clock).await.err().expect("refused").to_string();
    assert!(error.contains("/calls") && !error.contains("secret"), "{error}");
}
