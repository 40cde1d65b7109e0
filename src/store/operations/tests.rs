use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use uuid::Uuid;

use super::*;
use crate::{
    batch::{
        BatchStatus, Item, Kind, samples,
        store::{BatchFilter, NewBatch},
    },
    problem::{Code, Problem},
    store::{
        samples::transfer,
        session::{DbRow, Dialect, Param},
        sqlite::TestSession,
    },
    transfer::{
        ids::{PlanId, TransferId},
        model::{CallerName, Stage, Status, Transfer},
        store::{Expected, KeyChange, KeyClaim, KeyScope, StoredResponse},
    },
};

#[test]
fn the_index_words_name_the_stages_of_the_domain() {
    for stage in Stage::ALL {
        let quoted = format!("'{}'", stage.as_str());
        assert_eq!(unsettled!().contains(&quoted), stage.is_unsettled(), "{quoted}");
        assert_eq!(settled!().contains(&quoted), !stage.is_unsettled(), "{quoted}");
    }
}

/// A session that keeps SQLite's plan of every statement.
struct Planned {
    session: TestSession,
    plans: Vec<String>,
}

impl Planned {
    async fn note(&mut self, sql: &SqlStr, values: &[Param<'_>]) {
        let text = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.as_str()));
        let plan = |row: &dyn DbRow| Ok(row.text(3)?.to_owned());
        self.plans.extend(self.session.rows(text, values, plan).await.unwrap());
    }
}

impl DbSession for Planned {
    const DIALECT: Dialect = Dialect::Sqlite;

    async fn execute(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
    ) -> Result<u64, DbError> {
        let sql = sql.into_sql_str();
        self.note(&sql, values).await;
        self.session.execute(sql, values).await
    }

    async fn rows<T: Send>(
        &mut self,
        sql: impl SqlSafeStr + Send,
        values: &[Param<'_>],
        read: impl FnMut(&dyn DbRow) -> Result<T, DbError> + Send,
    ) -> Result<Vec<T>, DbError> {
        let sql = sql.into_sql_str();
        self.note(&sql, values).await;
        self.session.rows(sql, values, read).await
    }
}

async fn every_operation_on_batches(session: &mut Planned) {
    let before = session.plans.len();
    let batch = samples::batch(Kind::Drain, 1);
    let (id, runner) = (batch.id, Uuid::nil());
    let now = batch.created_at;
    let caller = CallerName::new("crm");
    let scope = KeyScope { caller, route: "POST /batches", key: "k".to_owned() };
    let claim = KeyClaim { scope: scope.clone(), fingerprint: [0; 32] };
    let answer = StoredResponse {
        status: 202,
        content_type: String::new(),
        location: None,
        retry_after: None,
        body: Vec::new(),
    };
    let new = NewBatch {
        batch: batch.clone(),
        items: Vec::new(),
        key: Some((claim, answer)),
        plan: None,
    };

    FindBatchKey(scope).apply(session).await.unwrap();
    CreateBatch::new(&new, runner).unwrap().apply(session).await.unwrap();
    GetBatch(id).apply(session).await.unwrap();
    OpenItems { id, position: 0, limit: 10 }.apply(session).await.unwrap();
    KnownConversations(id).apply(session).await.unwrap();
    let mut taken = Transfer { batch_id: Some(id), ..transfer() };
    let (request, queue) = (taken.request.clone(), taken.queue.clone());
    let item = Item {
        position: 0,
        request,
        queue,
        waiting_since: None,
        waiting_priority: None,
        waiting_skills: None,
        waiting_language: None,
    };
    AddItems::new(id, runner, &[item], 1).unwrap().apply(session).await.unwrap();
    for caller in [None, Some(CallerName::new("crm"))] {
        for status in [None, Some(BatchStatus::Running)] {
            let filter = BatchFilter { caller: caller.clone(), status, before: None };
            ListBatches { filter, limit: 10 }.apply(session).await.unwrap();
        }
    }
    TallyOf { id, since: 0 }.apply(session).await.unwrap();
    Changed { id, since: 0, limit: 10 }.apply(session).await.unwrap();
    RunningDrains.apply(session).await.unwrap();
    TakeItem::new(&taken, 0, runner).unwrap().apply(session).await.unwrap();
    let why = Problem::new(Code::ShuttingDown, "It stopped.");
    let unsent = ReopenUnsent { id, runner, why, now }.apply(session).await.unwrap();
    assert_eq!(unsent.len(), 1);
    taken.id = TransferId::new(Uuid::from_u128(2));
    TakeItem::new(&taken, 0, runner).unwrap().apply(session).await.unwrap();
    taken.stage = Stage::Failed;
    assert!(ReopenItem::new(&taken, 0, runner).unwrap().apply(session).await.unwrap());
    UpdateBatch { batch, runner }.apply(session).await.unwrap();
    CancelBatch { id, now }.apply(session).await.unwrap();
    AdoptBatches { runner, stale_before: 0, limit: 10 }.apply(session).await.unwrap();
    GetPlan(PlanId::new(Uuid::nil())).apply(session).await.unwrap();
    let sorts = |plan: &&String| plan.contains("TEMP B-TREE");
    assert_eq!(session.plans.iter().skip(before).find(sorts), None);
}

/// A session on which every statement of ours was carried out.
async fn every_operation() -> Planned {
    let mut session = Planned { session: TestSession::in_memory().unwrap(), plans: Vec::new() };
    let owner = Uuid::nil();
    let caller = CallerName::new("crm");
    let scope = KeyScope { caller, route: "POST /transfers", key: "k".to_owned() };
    let claim = KeyClaim { scope: scope.clone(), fingerprint: [0; 32] };

    let mut row = transfer();
    Insert::new(&row, Some(&claim), owner).unwrap().apply(&mut session).await.unwrap();
    let expected = Expected { stage: row.stage, owner: Some(owner) };
    row.stage = Stage::Failed;
    let update = Update::new(&row, &expected, KeyChange::Free, row.created_at);
    assert!(update.unwrap().apply(&mut session).await.unwrap());
    Heartbeat { owner, now: 0 }.apply(&mut session).await.unwrap();
    FindKey(scope).apply(&mut session).await.unwrap();
    Adopt { owner, stale_before: 0, limit: 10 }.apply(&mut session).await.unwrap();
    Retire { owner, now: 0 }.apply(&mut session).await.unwrap();
    Count.apply(&mut session).await.unwrap();
    Reaped { now: 0 }.apply(&mut session).await.unwrap();
    let reap = Reap { reach: 0, transfers_before: 1, keys_before: 0, limit: 10 };
    reap.apply(&mut session).await.unwrap();
    let undo = Undo { id: owner, owner, stage: "received", updated_at: 0, given_up: String::new() };
    undo.apply(&mut session).await.unwrap();

    every_operation_on_batches(&mut session).await;
    session
}

#[tokio::test]
async fn no_operation_reads_a_whole_table() {
    let session = every_operation().await;
    assert!(session.plans.len() >= 30);
    for plan in &session.plans {
        // The unsettled and awaited ones and the processes are few: walking all of them is what is
        // wanted.
        let few = ["transfers_unsettled", "SCAN awaited", "batches_open", "SCAN instances"];
        let few = few.iter().any(|few| plan.contains(few));
        let scan = plan.starts_with("SCAN") && !few && plan != "SCAN CONSTANT ROW";
        assert!(!scan, "{plan}\n{:#?}", session.plans);
    }
}

/// Each costs every write a page.
#[tokio::test]
async fn every_index_serves_a_statement() {
    let mut session = every_operation().await;
    for set in 0..256 {
        let list = List { filter: history::tests::filter(set, Status::Failed), limit: 10 };
        list.apply(&mut session).await.unwrap();
    }
    // What is not unique is there for statements alone. A unique one may be a rule and no more.
    let text = "SELECT i.name FROM sqlite_master t, pragma_index_list(t.name) i \
                WHERE t.type = 'table' AND i.\"unique\" = 0";
    let name = |row: &dyn DbRow| Ok(row.text(0)?.to_owned());
    let indexes = session.session.rows(text, &[], name).await.unwrap();
    assert!(indexes.len() > 10, "{indexes:?}");
    for index in indexes {
        let used = |plan: &String| plan.split(' ').any(|word| word == index);
        assert!(session.plans.iter().any(used), "{index}");
    }
}
