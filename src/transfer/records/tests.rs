use std::{sync::atomic::Ordering, time::Duration};

use super::*;
use crate::{
    clock::{IdSource, SystemClock},
    problem::{Code, Problem},
    transfer::{
        ids::{ConversationId, QueueId},
        model::{CallerName, Queue, Status, UpstreamUse},
        testing::{MemoryStore, request},
    },
};

/// Records over memory, with one transfer in `stage`.
struct Bench {
    store: Arc<MemoryStore>,
    records: Arc<Records>,
    transfer: Transfer,
}

impl Bench {
    async fn with(stage: Stage) -> Self {
        let store = Arc::new(MemoryStore::default());
        let (ids, clock) = (IdSource::default(), Arc::new(SystemClock));
        let now = clock.now();
        let owner = ids.next(now);
        let records = Records::new(store.clone(), owner, clock, &Completion::default());
        let transfer = Transfer {
            id: TransferId::new(ids.next(now)),
            stage,
            queue: Queue {
                id: QueueId::new(ids.next(now)),
                name: "Support".to_owned(),
                division: None,
            },
            requested_by: CallerName::new("crm"),
            request: request(),
            request_id: String::new(),
            has_key: true,
            batch_id: None,
            max_priority: None,
            hides_previous_queue: false,
            participant_id: None,
            previous: None,
            picture: None,
            priority: None,
            waited_minutes: None,
            warnings: Vec::new(),
            error: None,
            upstream: UpstreamUse::default(),
            awaited: false,
            created_at: now,
            updated_at: now,
        };
        records.begin(&transfer, None, Durability::Power).await.unwrap();
        Self { store, records: Arc::new(records), transfer }
    }

    async fn conclude(&self, from: Stage, to: Stage) {
        let mut transfer = Transfer { stage: to, ..self.transfer.clone() };
        self.records.conclude(&mut transfer, from, KeyChange::Keep).await;
    }

    /// Another transfer, of another call, in this stage, recorded so many seconds later.
    async fn another(&self, seconds: u64, stage: Stage) -> Transfer {
        let ids = IdSource::default();
        let now = self.transfer.created_at + Duration::from_secs(seconds);
        let mut other = Transfer {
            id: TransferId::new(ids.next(now)),
            stage,
            created_at: now,
            ..self.transfer.clone()
        };
        other.request.conversation_id = ConversationId::new(ids.next(now));
        self.records.begin(&other, None, Durability::Power).await.unwrap();
        other
    }

    /// The ids of a page, with the stages they are told with.
    async fn listed(&self, filter: TransferFilter, limit: u32) -> Vec<(TransferId, Stage)> {
        let listed = self.records.list(&filter, limit).await.unwrap();
        listed.into_iter().map(|transfer| (transfer.id, transfer.stage)).collect()
    }

    async fn stored(&self) -> Stage {
        self.store.get(self.transfer.id).await.unwrap().unwrap().stage
    }
}

#[tokio::test]
async fn a_dispatching_write_whose_end_was_not_seen_does_not_leave_the_row_there() {
    let bench = Bench::with(Stage::Received).await;
    bench.store.unheard.store(1, Ordering::SeqCst);
    let mut transfer = Transfer { stage: Stage::Dispatching, ..bench.transfer.clone() };
    let lost = bench.records.step(&mut transfer, Stage::Received, KeyChange::Keep).await;
    assert!(matches!(lost, Err(NotRecorded::Store(_))));
    bench.conclude(Stage::Received, Stage::Failed).await;
    assert_eq!(bench.stored().await, Stage::Failed);
}

#[tokio::test(start_paused = true)]
async fn outcomes_kept_in_memory_end_in_the_last_one_in_whatever_order_they_are_written() {
    let bench = Bench::with(Stage::Dispatching).await;
    bench.store.broken.store(true, Ordering::SeqCst);
    bench.conclude(Stage::Dispatching, Stage::Unknown).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    bench.conclude(Stage::Unknown, Stage::Accepted).await;
    bench.store.broken.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((bench.stored().await, bench.records.unsaved()), (Stage::Accepted, 0));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_waits_behind_the_one_before_it_also_when_the_store_is_back() {
    let bench = Bench::with(Stage::Dispatching).await;
    bench.store.broken.store(true, Ordering::SeqCst);
    bench.conclude(Stage::Dispatching, Stage::Unknown).await;
    bench.store.broken.store(false, Ordering::SeqCst);
    bench.conclude(Stage::Unknown, Stage::Accepted).await;
    let newest = bench.records.get(bench.transfer.id).await.unwrap().unwrap();
    assert_eq!((newest.stage, bench.stored().await), (Stage::Accepted, Stage::Dispatching));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((bench.stored().await, bench.records.unsaved()), (Stage::Accepted, 0));
}

#[tokio::test]
async fn the_sender_knows_better_than_who_took_the_row_over() {
    for outcome in [Stage::Accepted, Stage::Failed] {
        let bench = Bench::with(Stage::Dispatching).await;
        bench.store.hand_over(bench.transfer.id, Stage::Unknown);
        bench.conclude(Stage::Dispatching, outcome).await;
        assert_eq!(bench.stored().await, outcome);
    }
}

#[tokio::test]
async fn a_row_taken_over_before_the_command_left_is_left_to_its_new_owner() {
    for theirs in [Stage::Received, Stage::Dispatching, Stage::Unknown, Stage::Accepted] {
        let bench = Bench::with(Stage::Received).await;
        bench.store.hand_over(bench.transfer.id, theirs);
        bench.conclude(Stage::Received, Stage::Failed).await;
        assert_eq!(bench.stored().await, theirs);
    }
}

#[tokio::test]
async fn a_failure_whose_row_the_database_lost_is_recorded_anew() {
    let bench = Bench::with(Stage::Received).await;
    bench.store.forget(bench.transfer.id);
    bench.conclude(Stage::Received, Stage::Failed).await;
    assert_eq!(bench.stored().await, Stage::Failed);
}

#[tokio::test(start_paused = true)]
async fn lists_tell_what_waits_in_memory_for_the_store() {
    let bench = Bench::with(Stage::Dispatching).await;
    let (first, second) = (bench.transfer.id, bench.another(1, Stage::Dispatching).await.id);
    let third = bench.another(2, Stage::Dispatching).await.id;
    bench.store.broken.store(true, Ordering::SeqCst);
    bench.conclude(Stage::Dispatching, Stage::Accepted).await;

    let pending = (third, Stage::Dispatching);
    let all = [pending, (second, Stage::Dispatching), (first, Stage::Accepted)];
    assert_eq!(bench.listed(TransferFilter::default(), 10).await, all);
    assert_eq!(bench.listed(TransferFilter::default(), 2).await, all[..2]);
    let before = TransferFilter { before: Some(second), ..TransferFilter::default() };
    assert_eq!(bench.listed(before, 10).await, all[2..]);
    let with = |status| TransferFilter { status: Some(status), ..TransferFilter::default() };
    assert_eq!(bench.listed(with(Status::Accepted), 10).await, all[2..]);
    assert_eq!(bench.listed(with(Status::Pending), 10).await, all[..2]);
    assert_eq!(bench.listed(with(Status::Unknown), 10).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_full_although_what_waits_in_memory_is_none_of_it_any_more() {
    let bench = Bench::with(Stage::Dispatching).await;
    let oldest = bench.transfer.id;
    let newer = bench.another(1, Stage::Dispatching).await;
    bench.store.broken.store(true, Ordering::SeqCst);
    let mut accepted = Transfer { stage: Stage::Accepted, ..newer };
    bench.records.conclude(&mut accepted, Stage::Dispatching, KeyChange::Keep).await;

    let pending = TransferFilter { status: Some(Status::Pending), ..TransferFilter::default() };
    assert_eq!(bench.listed(pending, 1).await, [(oldest, Stage::Dispatching)]);
}

#[tokio::test(start_paused = true)]
async fn the_transfers_of_a_batch_that_wait_in_memory_for_the_store_are_told() {
    let bench = Bench::with(Stage::Dispatching).await;
    let id = BatchId::new(uuid::Uuid::from_u128(7));
    bench.store.broken.store(true, Ordering::SeqCst);
    let problem = Problem::new(Code::ConversationEnded, "It ended.");
    let mut failed = Transfer {
        stage: Stage::Failed,
        batch_id: Some(id),
        error: Some(problem),
        ..bench.transfer.clone()
    };
    bench.records.conclude(&mut failed, Stage::Dispatching, KeyChange::Keep).await;

    let [(stored, newest)] = &bench.records.unsaved_of(id)[..] else { panic!() };
    assert_eq!((*stored, newest.stage), (Stage::Dispatching, Stage::Failed));
    let other = BatchId::new(uuid::Uuid::from_u128(8));
    assert!(bench.records.unsaved_of(other).is_empty());
}
