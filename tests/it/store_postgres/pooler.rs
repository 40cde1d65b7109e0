//! Behind a pooler in transaction mode: each transaction may run on another connection to the
//! server, which other clients use in between.

use std::sync::Arc;

use futures_util::future::join_all;
use genesys_transfer::{
    clock::Clock,
    transfer::{
        model::Stage,
        store::{Durability, Expected, KeyChange, TransferFilter},
    },
};
use sqlx::{Connection, PgConnection, Row as _};

use crate::support::{
    pooler::Pooler,
    postgres::{self, Server},
    process::Site,
    records::{claim, transfer},
    service::plain,
    store::{Fixture, open_with},
};

const REPLICAS: usize = 6;
const ROWS: usize = 20;

/// Replicas that start at once on an empty database, and work at once. Some statements fail when
/// a server's connection was another client's before, or gets another's settings.
async fn many_replicas_work(url: &str) {
    let fixture = Fixture::at(url.to_owned()).await;
    let replicas =
        join_all((0..REPLICAS).map(|_| open_with(url, Arc::clone(&fixture.clock)))).await;
    let works = replicas.into_iter().enumerate().map(|(replica, store)| {
        let (store, clock, owner) = (store.unwrap(), Arc::clone(&fixture.clock), fixture.owner);
        tokio::spawn(async move {
            for row in 0..ROWS {
                let mut made = transfer(clock.now());
                let claim = claim(&format!("{replica}-{row}"), 1);
                store.insert(&made, Some(&claim), owner, Durability::Process).await.unwrap();
                let expected = Expected { stage: made.stage, owner: Some(owner) };
                made.stage = Stage::Dispatching;
                let keep = KeyChange::Keep;
                assert!(store.update(&made, &expected, keep, Durability::Power).await.unwrap());
                assert_eq!(store.get(made.id).await.unwrap().as_ref(), Some(&made));
                store.check().await.unwrap();
            }
        })
    });
    for work in works.collect::<Vec<_>>() {
        work.await.unwrap();
    }
    let listed = fixture.store.list(&TransferFilter::default(), 1_000).await.unwrap();
    assert_eq!(listed.len(), REPLICAS * ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_found_out_and_every_replica_works_behind_it() {
    let database = postgres::database().await;
    let pooler = Pooler::start(&database);
    many_replicas_work(&pooler.url(&database)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_is_named_is_not_looked_for() {
    let database = postgres::database().await;
    let pooler = Pooler::start(&database);
    many_replicas_work(&format!("{}&pgbouncer=true", pooler.url(&database))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_on_the_poolers_connections() {
    let database = postgres::database().await;
    let pooler = Pooler::start(&database);
    many_replicas_work(&pooler.url(&database)).await;

    // As many at once as the pooler has, so that each is looked at.
    let mut clients = join_all((0..3).map(|_| pooler.connect(&database))).await;
    for client in &mut clients {
        sqlx::raw_sql("BEGIN").execute(&mut *client).await.unwrap();
        let look = "SELECT string_agg(name || '=' || setting, ', ') FROM pg_settings \
            WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding', \
            'DateStyle', 'TimeZone') UNION ALL SELECT string_agg(name, ', ') FROM pg_prepared_statements";
        let rows = sqlx::raw_sql(look).fetch_all(client).await.unwrap();
        for row in rows {
            assert_eq!(row.get::<Option<String>, _>(0), None);
        }
    }
}

/// The log of a server on which a store works at `url` with this query, and what it did.
async fn log_of_work(query: &str) -> String {
    let server = Server::start();
    let url = server.database().await;
    let name = url::Url::parse(&url).unwrap().path().trim_start_matches('/').to_owned();
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let set = sqlx::AssertSqlSafe(format!("ALTER DATABASE {name} SET log_statement = 'all'"));
    sqlx::raw_sql(set).execute(&mut admin).await.unwrap();
    let fixture = Fixture::at(format!("{url}{query}")).await;
    fixture.record(&transfer(fixture.clock.now())).await;
    fixture.store.list(&TransferFilter::default(), 10).await.unwrap();
    server.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_pooler_no_statement_has_a_name_and_no_setting_outlives_its_transaction() {
    let log = log_of_work("&pgbouncer=true").await;

    assert!(log.contains("execute <unnamed>: "), "{log}");
    assert!(!log.contains("execute sqlx_s_"), "{log}");
    assert!(log.contains("SET LOCAL statement_timeout"), "{log}");
    assert!(!log.contains("SET statement_timeout"), "{log}");
    assert!(!log.contains("pg_advisory_lock("), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_not_taken_for_a_pooler() {
    for query in ["", "&pgbouncer=false"] {
        let log = log_of_work(query).await;
        assert!(log.contains("execute sqlx_s_"), "{query}: {log}");
        assert!(
            !log.contains("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement"),
            "{log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_move_calls_behind_a_pooler() {
    let database = postgres::database().await;
    let pooler = Pooler::start(&database);
    let site = Site::at(&pooler.url(&database)).await;
    let (one, other) = tokio::join!(site.start(), site.start());
    for (number, process) in [&one, &other, &one, &other].into_iter().enumerate() {
        let (body, key) = (plain(site.call(), "Support Tier 2"), format!("k{number}"));
        let first = process.submit(&body, &[("Idempotency-Key", &key)]).await.unwrap();
        let again = other.submit(&body, &[("Idempotency-Key", &key)]).await.unwrap();
        assert_eq!((first.status.as_u16(), &again.body), (201, &first.body));
    }
    assert_eq!(site.sandbox.commands().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_utf_8_is_refused() {
    let server = Server::start();
    let url = server.database().await;
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let clock = Arc::clone(&Fixture::at("sqlite::memory:".to_owned()).await.clock);
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let create = format!(
            "CREATE DATABASE of_{encoding} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        let mut url = url::Url::parse(&url).unwrap();
        url.set_path(&format!("of_{}", encoding.to_lowercase()));

        let refused = open_with(url.as_str(), Arc::clone(&clock)).await.err().expect("refused");

        let said = refused.to_string();
        assert!(said.contains(encoding) && said.contains("UTF8"), "{said}");
    }
}
