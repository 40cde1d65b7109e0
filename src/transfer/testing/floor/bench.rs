//! A service over a call floor.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Floor, from, to};
use crate::{
    config::Confirm,
    problem::Problem,
    transfer::{
        batch::{
            BatchOrder, BatchState, DrainOrder, Plan,
            service::{BatchReply, BatchSubmission},
        },
        ids::BatchId,
        model::{QueueRef, Transfer},
        service::{Caller, Parts, Service},
        testing::{DEADLINE, MemoryStore, caller, parts},
    },
};

pub(in crate::transfer) struct BatchBench {
    pub floor: Arc<Floor>,
    pub store: Arc<MemoryStore>,
    pub service: Service,
    pub stop: CancellationToken,
    pub tracker: TaskTracker,
}

impl BatchBench {
    pub(in crate::transfer) async fn new(floor: Arc<Floor>) -> Self {
        Self::over(floor, Arc::default(), Confirm::OnRequest).await
    }

    /// One of several processes that share a store.
    pub(in crate::transfer) async fn sharing(floor: Arc<Floor>, store: Arc<MemoryStore>) -> Self {
        store.shared.store(true, Ordering::SeqCst);
        Self::over(floor, store, Confirm::OnRequest).await
    }

    pub(in crate::transfer) async fn over(
        floor: Arc<Floor>,
        store: Arc<MemoryStore>,
        confirm: Confirm,
    ) -> Self {
        let mut parts = parts(floor.clone(), store.clone(), true);
        parts.clock = floor.clock.clone();
        parts.settings.confirm = confirm;
        let (stop, tracker) = (parts.stop.clone(), parts.tracker.clone());
        let service = Service::new(Parts { ..parts });
        service.start().await.unwrap();
        Self { floor, store, service, stop, tracker }
    }

    pub(in crate::transfer) async fn submit(
        &self,
        order: BatchOrder,
        key: Option<&str>,
    ) -> Result<BatchReply, Problem> {
        self.submit_as(caller(), order, key).await
    }

    pub(in crate::transfer) async fn submit_as(
        &self,
        caller: Caller,
        order: BatchOrder,
        key: Option<&str>,
    ) -> Result<BatchReply, Problem> {
        let submission = BatchSubmission {
            caller,
            order,
            key: key.map(str::to_owned),
            deadline: Instant::now() + DEADLINE,
            request_id: "r-1".to_owned(),
            traceparent: None,
            progress: Arc::default(),
        };
        self.service.submit_batch(submission).await
    }

    pub(in crate::transfer) async fn start(&self, order: BatchOrder) -> BatchId {
        match self.submit(order, None).await.unwrap() {
            BatchReply::Started { batch_id, .. } => batch_id,
            BatchReply::Planned(plan) => panic!("{plan:?}"),
        }
    }

    pub(in crate::transfer) async fn plan(&self, order: DrainOrder) -> Plan {
        let order = DrainOrder { dry_run: true, ..order };
        match self.submit(BatchOrder::Drain(order), None).await.unwrap() {
            BatchReply::Planned(plan) => *plan,
            started @ BatchReply::Started { .. } => panic!("{started:?}"),
        }
    }

    pub(in crate::transfer) async fn state(&self, id: BatchId) -> BatchState {
        self.service.batch(&caller(), id).await.unwrap()
    }

    /// How the batch stands when it is finished.
    pub(in crate::transfer) async fn finished(&self, id: BatchId) -> BatchState {
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
    pub(in crate::transfer) async fn drain(&self) -> BatchState {
        let id = self.start(BatchOrder::Drain(order())).await;
        self.finished(id).await
    }

    pub(in crate::transfer) async fn transfers(&self, id: BatchId) -> Vec<Transfer> {
        self.service.batch_transfers(&caller(), id, None, 10_000).await.unwrap()
    }

    /// Dies, as far as others can see: nothing more is done, nobody is told.
    pub(in crate::transfer) async fn die(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// All calls of [`from`] to [`to`].
pub(in crate::transfer) fn order() -> DrainOrder {
    DrainOrder {
        from: QueueRef::Id(from()),
        to: QueueRef::Id(to()),
        priority: None,
        skill_ids: None,
        language_id: None,
        keep_place: true,
        limit: None,
        dry_run: false,
        reason: None,
        reference: Some("CASE-1".to_owned()),
    }
}
