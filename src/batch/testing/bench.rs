//! A service over a call floor.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Floor, batches, from, to};
use crate::{
    batch::{BatchOrder, BatchReply, BatchState, BatchSubmission, Batches, DrainOrder, Plan, When},
    config::Confirm,
    problem::Problem,
    transfer::{
        Caller, Transfers,
        ids::BatchId,
        model::{QueueRef, Transfer},
        store::KeyScope,
        testing::{DEADLINE, MemoryStore, caller, parts},
    },
};

pub(crate) struct BatchBench {
    pub floor: Arc<Floor>,
    pub store: Arc<MemoryStore>,
    pub transfers: Arc<Transfers>,
    pub batches: Arc<Batches>,
    pub stop: CancellationToken,
    pub tracker: TaskTracker,
}

impl BatchBench {
    pub(crate) async fn new(floor: Arc<Floor>) -> Self {
        Self::over(floor, Arc::default(), Confirm::OnRequest).await
    }

    /// One of several processes that share a store.
    pub(crate) async fn sharing(floor: Arc<Floor>, store: Arc<MemoryStore>) -> Self {
        store.shared.store(true, Ordering::SeqCst);
        Self::over(floor, store, Confirm::OnRequest).await
    }

    pub(crate) async fn over(floor: Arc<Floor>, store: Arc<MemoryStore>, confirm: Confirm) -> Self {
        let mut parts = parts(floor.clone(), store.clone(), true);
        parts.clock = floor.clock.clone();
        parts.settings.confirm = confirm;
        let (stop, tracker) = (parts.stop.clone(), parts.tracker.clone());
        let transfers = Transfers::new(parts);
        let batches = batches(&transfers, Arc::clone(&store));
        transfers.start().await.unwrap();
        batches.start().await.unwrap();
        Self { floor, store, transfers, batches, stop, tracker }
    }

    pub(crate) async fn submit(
        &self,
        order: BatchOrder,
        key: Option<&str>,
    ) -> Result<BatchReply, Problem> {
        self.submit_as(caller(), order, key).await
    }

    pub(crate) async fn submit_as(
        &self,
        caller: Caller,
        order: BatchOrder,
        key: Option<&str>,
    ) -> Result<BatchReply, Problem> {
        let scope = |key: &str| KeyScope {
            caller: caller.name.clone(),
            route: "POST /batches",
            key: key.to_owned(),
        };
        let submission = BatchSubmission {
            key: key.map(scope),
            caller,
            order,
            deadline: Instant::now() + DEADLINE,
            request_id: "r-1".to_owned(),
            traceparent: None,
            place: None,
            progress: Arc::default(),
        };
        self.batches.submit(submission).await
    }

    pub(crate) async fn start(&self, order: BatchOrder) -> BatchId {
        match self.submit(order, None).await.unwrap() {
            BatchReply::Started { batch_id, .. } => batch_id,
            BatchReply::Planned(plan) => panic!("{plan:?}"),
        }
    }

    pub(crate) async fn plan(&self, order: DrainOrder) -> Plan {
        let order = DrainOrder { dry_run: true, ..order };
        match self.submit(BatchOrder::Drain(order), None).await.unwrap() {
            BatchReply::Planned(plan) => *plan,
            started @ BatchReply::Started { .. } => panic!("{started:?}"),
        }
    }

    pub(crate) async fn state(&self, id: BatchId) -> BatchState {
        self.batches.get(&caller(), id).await.unwrap()
    }

    /// How the batch stands when it is finished.
    pub(crate) async fn finished(&self, id: BatchId) -> BatchState {
        for _ in 0..7_200 {
            let state = self.state(id).await;
            if state.batch.finished_at.is_some() {
                return state;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("not finished after two hours: {:?}", self.state(id).await);
    }

    /// Drains [`from`] to [`to`], to the end.
    pub(crate) async fn drain(&self) -> BatchState {
        let id = self.start(BatchOrder::Drain(order())).await;
        self.finished(id).await
    }

    pub(crate) async fn transfers(&self, id: BatchId) -> Vec<Transfer> {
        self.batches.transfers(&caller(), id, None, 10_000).await.unwrap()
    }

    /// Dies, as far as others can see: nothing more is done or reported.
    pub(crate) async fn die(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// All calls of [`from`] to [`to`].
pub(crate) fn order() -> DrainOrder {
    DrainOrder {
        from: QueueRef::Id(from()),
        to: QueueRef::Id(to()),
        priority: None,
        skill_ids: None,
        language_id: None,
        keep_place: true,
        limit: None,
        min_waited_minutes: None,
        until: None,
        when: When::Always,
        dry_run: false,
        reason: None,
        reference: Some("CASE-1".to_owned()),
    }
}
