//! Measurements with many rows, by the clock; they judge nothing that a busy machine could break.
//! `cargo test --all-features --test it volume -- --ignored --nocapture --test-threads 1`

use std::time::Duration;

use futures_util::future::join_all;
use genesys_transfer::{
    clock::Clock,
    transfer::{
        ids::{BatchId, ConversationId, QueueId, TransferId},
        model::{CallerName, Stage, Status},
        store::TransferFilter,
    },
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use crate::support::{
    postgres,
    process::{Site, until},
    records::transfer,
    sqlite::client,
    store::Fixture,
};

const PAGE: u32 = 50;

/// Looks at one page; the middle one of them counts.
const LOOKS: usize = 31;

/// Rows as `store_postgres/plans.rs` has them, to mislead a planner: each of 5 queues had all calls
/// for a while and is idle since; a rare caller and a rare status come from the first queue's time
/// only. One row a second; row `n` has the id `ms-7000-8000-n`.
const ROWS_SQL: &str = "INSERT INTO transfers (id, stage, status, owner, conversation_id, queue_id, \
    caller, reference, batch_id, created_at, updated_at, data) SELECT \
    ID(HEX12(START + n * 1000) || '70008000' || HEX12(n)), \
    CASE WHEN n <= ROWS / 5 AND n % 200 = 0 THEN 'failed' ELSE 'accepted' END, \
    CASE WHEN n <= ROWS / 5 AND n % 200 = 0 THEN 'failed' ELSE 'accepted' END, \
    ID(HEX12(0) || HEX20(1)), ID(HEX12(1) || HEX20(n)), ID(HEX12(2) || HEX20((n - 1) * 5 / ROWS)), \
    CASE WHEN n <= ROWS / 5 AND n % 100 = 0 THEN 'rare' ELSE 'crm' END, 'CASE-' || n, \
    ID(HEX12(3) || HEX20(n / 100)), (START + n * 1000) * 1000, (START + n * 1000) * 1000, 'DATA' \
    FROM NUMBERS";

/// The id that `ROWS_SQL` makes of a kind and a number.
fn id(kind: u128, number: i64) -> Uuid {
    Uuid::from_u128(kind << 80 | u128::try_from(number).unwrap())
}

/// `name(argument)` written as `pattern`, where `?` stands for the argument.
fn macro_call(mut text: String, name: &str, pattern: &str) -> String {
    while let Some(start) = text.find(&format!("{name}(")) {
        let open = start + name.len();
        let mut depth = 0;
        let length = text[open..].find(|letter| {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            depth == 0
        });
        let close = open + length.unwrap();
        let call = pattern.replace('?', &text[open + 1..close]);
        text.replace_range(start..=close, &call);
    }
    text
}

/// Fills the empty store with `rows` settled transfers.
async fn fill(url: &str, start: Timestamp, rows: i64) {
    let data = serde_json::to_string(&transfer(start)).unwrap().replace('\'', "''");
    let (hex, id, numbers) = if url.starts_with("sqlite") {
        let numbers = "(WITH RECURSIVE counted(n) AS \
            (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ROWS) SELECT n FROM counted)";
        ("printf('%0#x', ?)", "unhex(?)", numbers)
    } else {
        ("lpad(to_hex(?), #, '0')", "(?)::uuid", "generate_series(1, ROWS) n")
    };
    let mut text = ROWS_SQL.replace("NUMBERS", numbers);
    for width in ["12", "20"] {
        text = macro_call(text, &format!("HEX{width}"), &hex.replace('#', width));
    }
    let text = macro_call(text, "ID", id)
        .replace("START", &format!("{}", start.as_millisecond()))
        .replace("ROWS", &rows.to_string())
        .replace("DATA", &data);
    if url.starts_with("sqlite") {
        client(url).execute_batch(&text).unwrap();
    } else {
        let mut client = PgConnection::connect(url).await.unwrap();
        client.execute(AssertSqlSafe(text)).await.unwrap();
        client.execute("VACUUM ANALYZE").await.unwrap();
    }
}

fn filters(start: Timestamp, rows: i64) -> Vec<(&'static str, TransferFilter)> {
    let none = TransferFilter::default;
    let queue_id = Some(QueueId::new(id(2, 0)));
    let conversation_id = Some(ConversationId::new(id(1, rows / 2)));
    let batch_id = Some(BatchId::new(id(3, rows / 200)));
    let caller = Some(CallerName::new("rare"));
    let status = Some(Status::Failed);
    let common = Some(Status::Accepted);
    let reference = Some(format!("CASE-{}", rows / 2));
    let since = Some(start + SignedDuration::from_secs(rows / 10));
    vec![
        ("none", none()),
        ("since", TransferFilter { since, ..none() }),
        ("status (common)", TransferFilter { status: common, ..none() }),
        ("status (rare, old)", TransferFilter { status, ..none() }),
        ("queue (idle)", TransferFilter { queue_id, ..none() }),
        ("conversation", TransferFilter { conversation_id, ..none() }),
        ("reference", TransferFilter { reference, ..none() }),
        ("batch", TransferFilter { batch_id, ..none() }),
        ("caller", TransferFilter { caller: caller.clone(), ..none() }),
        ("queue, status", TransferFilter { queue_id, status, ..none() }),
        ("caller, queue", TransferFilter { caller: caller.clone(), queue_id, ..none() }),
        ("caller, status", TransferFilter { caller: caller.clone(), status, ..none() }),
        ("caller, queue, status", TransferFilter { caller, queue_id, status, ..none() }),
        ("status, since", TransferFilter { status, since, ..none() }),
    ]
}

/// The middle one of many times, and how many rows there were.
async fn look(fixture: &Fixture, filter: &TransferFilter) -> (Duration, usize) {
    let (mut times, mut rows) = (Vec::new(), 0);
    for _ in 0..LOOKS {
        let start = Instant::now();
        rows = fixture.store.list(filter, PAGE).await.unwrap().len();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    (times[LOOKS / 2], rows)
}

async fn print_page_times(fixture: Fixture, rows: i64) {
    let start = fixture.clock.now();
    let filled = Instant::now();
    fill(&fixture.url, start, rows).await;
    let store = fixture.url.split(':').next().unwrap();
    println!("{store}, {rows} rows, filled in {:.1?}", filled.elapsed());
    // A tenth of the way from the oldest: the rare ones lie there, too.
    let ms = u128::try_from(start.as_millisecond() + rows / 10 * 1000).unwrap();
    let before = Some(TransferId::new(Uuid::from_u128(ms << 80)));
    for (name, filter) in filters(start, rows) {
        let (first, count) = look(&fixture, &filter).await;
        let (deep, deep_count) = look(&fixture, &TransferFilter { before, ..filter }).await;
        println!("  {name:22} first {first:>9.1?} ({count:2}) deep {deep:>9.1?} ({deep_count:2})");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills a million rows: a measurement, run by hand"]
async fn page_times_from_a_thousand_to_a_million_rows() {
    for rows in [1_000, 1_000_000] {
        print_page_times(Fixture::sqlite().await, rows).await;
        print_page_times(Fixture::postgres().await, rows).await;
    }
}

/// 1 000 transfers that a dead process left, half of them in `dispatching`.
async fn leave_unsettled(fixture: &Fixture) {
    let left = (0..1_000).map(|n| async move {
        let mut row = transfer(fixture.clock.now());
        fixture.record(&row).await;
        fixture.settle(&mut row, Stage::Dispatching).await;
        if n % 2 == 0 {
            fixture
                .step(&mut row, Stage::Unknown, genesys_transfer::transfer::store::KeyChange::Keep)
                .await
                .unwrap();
        }
    });
    join_all(left).await;
}

async fn print_start_time(url: &str) {
    let fixture = Fixture::at(url.to_owned()).await;
    fill(url, fixture.clock.now() - SignedDuration::from_hours(48), 99_000).await;
    leave_unsettled(&fixture).await;
    drop(fixture);
    let site = Site::at(url).await;
    for round in 1..=3 {
        let start = Instant::now();
        let process = site.start().await;
        let listens = start.elapsed();
        until(|| async { (process.get("/health/ready").await.status == 200).then_some(()) }).await;
        println!(
            "{}, start {round} with 100000 rows, 1000 of them unsettled: listens after \
             {listens:.0?}, ready after {:.0?}",
            url.split(':').next().unwrap(),
            start.elapsed()
        );
        process.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills 100 000 rows: a measurement, run by hand"]
async fn time_from_start_to_ready_with_a_thousand_unsettled() {
    let dir = tempfile::tempdir().unwrap();
    print_start_time(&format!("sqlite://{}", dir.path().join("transfers.db").display())).await;
    print_start_time(&postgres::database().await).await;
}
