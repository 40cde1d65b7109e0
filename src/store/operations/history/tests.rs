use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use super::*;
use crate::{
    store::{migrations, session::Dialect},
    transfer::{
        ids::{BatchId, ConversationId, QueueId},
        model::{CallerName, Status},
    },
};

/// Every set of filters; bit `n` of the number sets the `n`th.
fn filter(set: u32, status: Status) -> TransferFilter {
    let chosen = |bit: u32| set & (1 << bit) != 0;
    TransferFilter {
        caller: chosen(0).then(|| CallerName::new("crm")),
        conversation_id: chosen(1).then(|| ConversationId::new(Uuid::nil())),
        queue_id: chosen(2).then(|| QueueId::new(Uuid::nil())),
        status: chosen(3).then_some(status),
        reference: chosen(4).then(|| "CASE".to_owned()),
        batch_id: chosen(5).then(|| BatchId::new(Uuid::nil())),
        before: chosen(6).then(|| TransferId::new(Uuid::max())),
        since: chosen(7).then_some(jiff::Timestamp::UNIX_EPOCH),
    }
}

async fn plan(connection: &mut SqliteConnection, filter: &TransferFilter) -> String {
    let page = Page::new(filter, 50, Dialect::Sqlite);
    let (text, values) = page.statement();
    let text = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}")).into_sql_str();
    let rows = connection.rows(text, &values).await.unwrap();
    rows.iter().map(|row| row.text(3).unwrap()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn no_filter_makes_sqlite_sort_or_read_past_the_page() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    migrations::run(Dialect::Sqlite, &mut connection).await.unwrap();
    let statuses = [Status::Pending, Status::Unknown, Status::Accepted, Status::Failed];
    for (set, status) in (0..256).flat_map(|set| statuses.map(|status| (set, status))) {
        let filter = filter(set, status);
        let plan = plan(&mut connection, &filter).await;
        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        // The ids in order, from the newest, are read only as far as the page goes; the transfers
        // that are not settled are few.
        let may_scan = set == 0 || plan.starts_with("SCAN transfers USING INDEX transfers_open");
        assert!(may_scan || plan.starts_with("SEARCH transfers USING INDEX"), "{filter:?}: {plan}");
        if let Some(index) = Page::new(&filter, 50, Dialect::Sqlite).lead.index() {
            assert!(plan.contains(index), "{filter:?}: {plan}");
        }
    }
}

#[test]
fn no_word_of_a_caller_is_in_the_statement() {
    for set in 0..256 {
        let filter = filter(set, Status::Failed);
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let page = Page::new(&filter, 50, dialect);
            let (text, values) = page.statement();
            assert!(!text.contains("crm") && !text.contains("CASE"), "{text}");
            assert!(!text.contains('?') && text.contains(&format!("${}", values.len())), "{text}");
        }
    }
}
