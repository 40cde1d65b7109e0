use uuid::Uuid;

use super::{page::Lead, *};
use crate::{
    store::{session::Dialect, sqlite::TestSession},
    transfer::{
        ids::{BatchId, ConversationId, QueueId},
        model::{CallerName, Status},
    },
};

/// Every set of filters; bit `n` of the number sets the `n`th.
pub(in crate::store::operations) fn filter(set: u32, status: Status) -> TransferFilter {
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

async fn plan(session: &mut TestSession, filter: &TransferFilter) -> String {
    let page = Page::new(filter, 50, Dialect::Sqlite);
    let (text, values) = page.statement();
    let text = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
    let step = |row: &dyn DbRow| Ok(row.text(3)?.to_owned());
    session.rows(text, &values, step).await.unwrap().join("; ")
}

/// Rows are found by the index of what is filtered, the newest first, so that no more are read than
/// the page takes of each status; sorted are those pages alone. The rows that are not settled are
/// few: they are all looked at.
#[tokio::test]
async fn no_filter_makes_sqlite_read_past_the_page() {
    let mut session = TestSession::in_memory().unwrap();
    let statuses = [Status::Pending, Status::Unknown, Status::Accepted, Status::Failed];
    for (set, status) in (0..256).flat_map(|set| statuses.map(|status| (set, status))) {
        let filter = filter(set, status);
        let lead = Page::new(&filter, 50, Dialect::Sqlite).lead;
        let plan = plan(&mut session, &filter).await;
        let merged = lead.is_merged();
        for step in plan.split("; ") {
            let found = step.starts_with("SEARCH transfers USING");
            let few = step.starts_with("SCAN transfers USING INDEX transfers_unsettled");
            let all = step.starts_with("SCAN transfers");
            assert!(set == 0 || few || !all, "{filter:?}: {plan}");
            let sorts = step.contains("TEMP B-TREE");
            assert!(!sorts || merged || lead == Lead::Open, "{filter:?}: {plan}");
            let by_id = step.contains("autoindex_transfers_1 (id=?)");
            let by_lead = lead.index().is_none_or(|index| step.contains(index));
            assert!(!found || by_lead || merged && by_id, "{filter:?}: {plan}");
        }
        let settled = plan.matches("settled_by").count();
        assert_eq!(settled, if merged { 4 } else { settled.min(1) }, "{filter:?}: {plan}");
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
