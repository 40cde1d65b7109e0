//! A page of the history costs the same however long the history is. Judged by what the server
//! says it read for the store's own statements, not by a clock.

use genesys_transfer::{
    batch::{
        BatchStatus,
        store::{BatchFilter, NewBatch},
    },
    clock::Clock,
    problem::{Code, Problem},
    transfer::{
        ids::{BatchId, ConversationId, QueueId, TransferId},
        model::{CallerName, Stage, Status, Transfer},
        store::{KeyChange, TransferFilter},
    },
};
use jiff::SignedDuration;
use sqlx::{Connection, PgConnection};

use crate::support::{
    postgres::Server,
    records::{answer, batch, claim, items, transfer, transfer_of},
    store::Fixture,
};

const ROWS: i64 = 100_000;
const PAGE: u32 = 50;

/// Rows that mislead a planner: each of 5 queues had all calls for a while and is idle since, a
/// rare caller and a rare status come from that first queue's time only. Conversation and
/// reference are a row's own, a batch has 100; one row a second. Row `n` has the id `ms-7000-8000-n`.
const SEED: &str = "INSERT INTO transfers SELECT \
    (lpad(to_hex($1 + n * 1000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, \
    CASE WHEN n <= $3 / 5 AND n % 200 = 0 THEN 'failed' ELSE 'accepted' END, \
    CASE WHEN n <= $3 / 5 AND n % 200 = 0 THEN 'failed' ELSE 'accepted' END, \
    md5('owner')::uuid, md5('c' || n)::uuid, md5('q' || (n - 1) * 5 / $3)::uuid, \
    CASE WHEN n <= $3 / 5 AND n % 100 = 0 THEN 'rare' ELSE 'crm' END, 'CASE-' || n, \
    md5('b' || n / 100)::uuid, ($1 + n * 1000) * 1000, ($1 + n * 1000) * 1000, $2 \
    FROM generate_series(1, $3) n";

fn md5(sql: &str) -> String {
    format!("SELECT md5('{sql}')::uuid")
}

async fn seed(fixture: &Fixture) -> PgConnection {
    let mut admin = PgConnection::connect(&fixture.url).await.unwrap();
    let start = fixture.clock.now();
    let template = serde_json::to_string(&transfer(start)).unwrap();
    sqlx::query(SEED)
        .bind(start.as_millisecond())
        .bind(template)
        .bind(ROWS)
        .execute(&mut admin)
        .await
        .unwrap();
    admin
}

async fn uuid(admin: &mut PgConnection, text: &str) -> uuid::Uuid {
    sqlx::query_scalar(sqlx::AssertSqlSafe(md5(text))).fetch_one(admin).await.unwrap()
}

async fn filters(admin: &mut PgConnection, start: jiff::Timestamp) -> Vec<TransferFilter> {
    let none = TransferFilter::default;
    let queue_id = Some(QueueId::new(uuid(admin, "q0").await));
    let conversation_id = Some(ConversationId::new(uuid(admin, "c1000").await));
    let batch_id = Some(BatchId::new(uuid(admin, "b77").await));
    let caller = Some(CallerName::new("rare"));
    let status = Some(Status::Failed);
    let reference = Some("CASE-1000".to_owned());
    let since = Some(start + SignedDuration::from_secs(ROWS / 5 - 2000));
    let early = u128::try_from(start.as_millisecond() + ROWS / 6 * 1000).unwrap();
    let before = Some(TransferId::new(uuid::Uuid::from_u128(early << 80)));
    vec![
        none(),
        TransferFilter { before, ..none() },
        TransferFilter { since, ..none() },
        TransferFilter { caller: caller.clone(), ..none() },
        TransferFilter { queue_id, ..none() },
        TransferFilter { status, ..none() },
        TransferFilter { conversation_id, ..none() },
        TransferFilter { reference: reference.clone(), ..none() },
        TransferFilter { batch_id, ..none() },
        TransferFilter { queue_id, before, ..none() },
        TransferFilter { queue_id, status, ..none() },
        TransferFilter { caller: caller.clone(), status, ..none() },
        TransferFilter { caller: caller.clone(), queue_id, before, ..none() },
        TransferFilter { caller: caller.clone(), queue_id, status, ..none() },
        TransferFilter { caller, conversation_id, status, ..none() },
        TransferFilter { reference, status, queue_id, ..none() },
        TransferFilter { status, since, ..none() },
    ]
}

/// The most rows any step of the last statement's plan took or threw away, by the server's log.
fn most_rows(log: &str) -> u64 {
    let number = |text: &str| -> u64 {
        text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let took = log.split("actual rows=").skip(1).map(number);
    let thrown = log.split("Rows Removed by Filter: ").skip(1).map(number);
    took.chain(thrown).max().expect("a plan in the log")
}

/// From now on, new connections have the plans of their statements logged.
async fn explain(admin: &mut PgConnection) {
    let settings = "DO $$ DECLARE name text; BEGIN \
        FOREACH name IN ARRAY ARRAY['log_min_duration = 0', 'log_analyze = on', 'log_timing = off'] \
        LOOP EXECUTE format('ALTER DATABASE %I SET auto_explain.' || name, current_database()); \
        END LOOP; END $$";
    sqlx::raw_sql(settings).execute(admin).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_filter_makes_postgres_read_past_the_page() {
    let server = Server::start();
    let fixture = Fixture::at(server.database().await).await;
    let mut admin = seed(&fixture).await;
    let filters = filters(&mut admin, fixture.clock.now()).await;
    explain(&mut admin).await;
    let store = fixture.replica().await;

    for n in 0..2 * filters.len() {
        if n == filters.len() {
            // Until now the server may have known nothing of the rows.
            sqlx::raw_sql("ANALYZE transfers").execute(&mut admin).await.unwrap();
        }
        let filter = &filters[n % filters.len()];
        // More than five times, so that a plan made once for any value is judged, too.
        for _ in 0..7 {
            let start = server.log().len();
            let page: Vec<Transfer> = store.list(filter, PAGE).await.unwrap();
            let log = &server.log()[start..];
            assert!(!page.is_empty() && page.len() <= PAGE as usize, "{filter:?}");
            assert!(most_rows(log) <= 2 * u64::from(PAGE), "{filter:?}\n{log}");
        }
    }
}

/// 20 000 batches, all finished; the first hundred of a rare caller and cancelled.
const BATCHES: &str = "INSERT INTO batches (id, status, caller, runner, finished_at, data) SELECT \
    (lpad(to_hex($1 + n * 1000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid, \
    CASE WHEN n <= 100 THEN 'cancelled' ELSE 'completed' END, \
    CASE WHEN n <= 100 THEN 'rare' ELSE 'crm' END, md5('owner')::uuid, ($1 + n * 1000) * 1000, $2 \
    FROM generate_series(1, 20000) n";

async fn every_operation_on_batches(fixture: &Fixture) {
    let (store, now, owner) = (&fixture.batches, fixture.clock.now(), fixture.owner);
    let mut row = batch(now, 2);
    let items = items(&row, 0, 2);
    let key = Some((claim("k", 1), answer()));
    let new = NewBatch { batch: row.clone(), items: items.clone(), key, plan: None };
    store.create_batch(&new, owner).await.unwrap();
    store.add_items(row.id, owner, &items, 2).await.unwrap();
    let mut taken = transfer_of(&row, &items[0]);
    store.take_item(&taken, 0, owner).await.unwrap();
    store.tally(row.id, now).await.unwrap();
    store.changed(row.id, now, PAGE).await.unwrap();
    taken.stage = Stage::Failed;
    assert!(store.reopen_item(&taken, 0, owner).await.unwrap());
    let unsent = transfer_of(&row, &items[1]);
    store.take_item(&unsent, 1, owner).await.unwrap();
    let why = Problem::new(Code::ShuttingDown, "It stopped.");
    assert_eq!(store.reopen_unsent(row.id, owner, &why, now).await.unwrap().len(), 1);
    store.open_items(row.id, 0, PAGE).await.unwrap();
    store.known_conversations(row.id).await.unwrap();
    store.running_drains().await.unwrap();
    for caller in [None, Some(CallerName::new("rare")), Some(CallerName::new("crm"))] {
        for status in [None, Some(BatchStatus::Cancelled), Some(BatchStatus::Failed)] {
            let filter = BatchFilter { caller: caller.clone(), status, before: Some(row.id) };
            store.batches(&filter, PAGE).await.unwrap();
        }
    }
    store.adopt_batches(owner, now, PAGE).await.unwrap();
    store.cancel_batch(row.id, now).await.unwrap();
    row.finished_at = Some(now);
    store.update_batch(&row, owner).await.unwrap();
    fixture.reap(now, now, 20).await;
}

/// Carries out every operation but those that list transfers.
async fn every_operation(fixture: &Fixture) {
    let (store, now) = (&fixture.store, fixture.clock.now());
    store.heartbeat(fixture.owner, now).await.unwrap();
    let mut row = transfer(now);
    fixture.insert(&row, Some(&claim("k", 1))).await.unwrap();
    fixture.insert(&transfer(now), Some(&claim("k", 1))).await.unwrap();
    fixture.step(&mut row, Stage::Failed, KeyChange::Settle(answer())).await.unwrap();
    store.get(row.id).await.unwrap();
    store.adopt(fixture.owner, now, 100).await.unwrap();
    store.unsettled().await.unwrap();
    store.reap(now, now + SignedDuration::from_hours(1), now, 20).await.unwrap();
    every_operation_on_batches(fixture).await;
    store.check().await.unwrap();
    store.retire(fixture.owner).await.unwrap();
}

/// A store with many rows whose statements are explained in the server's log from now on.
async fn explained(server: &Server) -> (Fixture, PgConnection) {
    let mut fixture = Fixture::at(server.database().await).await;
    let mut admin = seed(&fixture).await;
    let start = fixture.clock.now();
    let template = serde_json::to_string(&batch(start, 1)).unwrap();
    let seeding = sqlx::query(BATCHES).bind(start.as_millisecond()).bind(template);
    seeding.execute(&mut admin).await.unwrap();
    explain(&mut admin).await;
    fixture.store = fixture.replica().await;
    fixture.batches = fixture.batches_replica().await;
    (fixture, admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_makes_postgres_read_a_whole_table() {
    let server = Server::start();
    let (fixture, _admin) = explained(&server).await;
    let start = server.log().len();

    every_operation(&fixture).await;

    let log = &server.log()[start..];
    // The processes are few: walking all of them is what is wanted.
    let log = &log.replace("Seq Scan on instances", "");
    assert!(log.contains("transfers_settled") && !log.contains("Seq Scan"), "{log}");
    assert!(most_rows(log) <= 100, "{log}");
}

/// Each costs every write time and space. A unique one may be a rule and no more.
#[tokio::test(flavor = "multi_thread")]
async fn every_index_serves_a_statement() {
    let server = Server::start();
    let (fixture, mut admin) = explained(&server).await;

    every_operation(&fixture).await;
    for filter in filters(&mut admin, fixture.clock.now()).await {
        fixture.store.list(&filter, PAGE).await.unwrap();
    }

    let indexes: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'public' AND NOT i.indisunique",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let log = server.log();
    let words: std::collections::HashSet<&str> = log.split_whitespace().collect();
    let unused: Vec<_> = indexes.iter().filter(|index| !words.contains(index.as_str())).collect();
    assert!(indexes.len() > 10 && unused.is_empty(), "{unused:?}");
}
