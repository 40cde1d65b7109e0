//! A Genesys and a store of plain memory, so that the engine's rules can be tested against a
//! paused clock, without a socket.

mod audit;
mod floor;
mod gateway;
mod store;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use audit::AuditLog;
pub(super) use floor::{BatchBench, Floor, Stand, call, from, order, to};
pub(super) use gateway::{Effect, ScriptedGateway};
pub(super) use store::MemoryStore;

use super::{
    batch::BatchState,
    conversation::samples,
    gateway::{CallContext, CallGateway},
    model::{CallerName, QueueName, QueueRef, Status, Transfer, TransferRequest, TransferType},
    recovery::Retention,
    service::{Answers, Caller, Limits, Parts, Reply, Service, Submission, Wait},
    store::Answer,
};
use crate::{
    clock::{Clock, SystemClock},
    config::{Batches, Confirm, QueuePattern, Transfers},
    problem::Problem,
};

/// Answers with the status word as the body.
pub(super) struct PlainAnswers;

impl Answers for PlainAnswers {
    fn answer(&self, transfer: &Transfer) -> Answer {
        let status = match (transfer.stage.status(), &transfer.error) {
            (Status::Accepted | Status::Confirmed, _) => 201,
            (Status::Pending, _) => 202,
            (_, Some(problem)) => problem.code.status(),
            (_, None) => 500,
        };
        let code = transfer.error.as_ref().map_or("", |problem| problem.code.as_str());
        Answer {
            status,
            content_type: String::new(),
            location: None,
            retry_after: None,
            body: format!("{} {code} {}", transfer.stage.status().as_str(), transfer.id)
                .into_bytes(),
        }
    }

    fn batch(&self, state: &BatchState) -> Answer {
        Answer {
            status: 202,
            content_type: String::new(),
            location: None,
            retry_after: None,
            body: format!("{} {}", state.batch.id, state.batch.total).into_bytes(),
        }
    }
}

/// A service over memory.
pub(super) struct Bench {
    pub gateway: Arc<ScriptedGateway>,
    pub store: Arc<MemoryStore>,
    pub service: Service,
    pub stop: CancellationToken,
    pub over: CancellationToken,
    pub tracker: TaskTracker,
}

/// On whose behalf a gateway was asked.
#[derive(Default)]
pub(super) struct Callers(Mutex<BTreeSet<Option<String>>>);

impl Callers {
    fn note(&self, ctx: &CallContext) {
        let name = ctx.caller.as_ref().map(ToString::to_string);
        self.0.lock().unwrap().insert(name);
    }

    pub(super) fn names(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

pub(super) const DEADLINE: Duration = Duration::from_secs(30);

impl Bench {
    pub(super) async fn new() -> Self {
        Self::with(Arc::default(), Arc::default(), true).await
    }

    pub(super) async fn with(
        gateway: Arc<ScriptedGateway>,
        store: Arc<MemoryStore>,
        resend_after_5xx: bool,
    ) -> Self {
        let parts = parts(gateway.clone(), store.clone(), resend_after_5xx);
        Self::of(gateway, store, parts).await
    }

    /// At the time of `clock`, with keys kept for three days.
    pub(super) async fn at(clock: Arc<dyn Clock>, store: Arc<MemoryStore>) -> Self {
        let gateway = Arc::<ScriptedGateway>::default();
        let mut parts = parts(gateway.clone(), store.clone(), true);
        parts.clock = clock;
        parts.retention.keys = Duration::from_hours(72);
        Self::of(gateway, store, parts).await
    }

    async fn of(gateway: Arc<ScriptedGateway>, store: Arc<MemoryStore>, parts: Parts) -> Self {
        let (stop, over) = (parts.stop.clone(), parts.over.clone());
        let tracker = parts.tracker.clone();
        let service = Service::new(parts);
        service.start().await.unwrap();
        Self { gateway, store, service, stop, over, tracker }
    }

    pub(super) async fn submit(&self, key: Option<&str>, wait: Wait) -> Result<Reply, Problem> {
        self.service.submit(submission(key, wait)).await
    }

    /// Submits and gives status and body.
    pub(super) async fn outcome(&self) -> (u16, String) {
        let reply = self.submit(None, Wait::Outcome).await.unwrap();
        let words = String::from_utf8(reply.answer.body).unwrap();
        (reply.answer.status, words.rsplit_once(' ').unwrap().0.trim().to_owned())
    }

    pub(super) async fn only_transfer(&self) -> Transfer {
        let all = self.service.list(&caller(), super::store::TransferFilter::default(), 10).await;
        all.unwrap().pop().unwrap()
    }
}

fn parts(gateway: Arc<dyn CallGateway>, store: Arc<MemoryStore>, resend_after_5xx: bool) -> Parts {
    Parts {
        gateway,
        batches: store.clone(),
        store,
        answers: Arc::new(PlainAnswers),
        clock: Arc::new(SystemClock),
        settings: Transfers {
            verify: true,
            confirm: Confirm::OnRequest,
            resend_after_5xx,
            settle_window: Duration::from_mins(2),
            max_per_conversation_per_hour: 10,
        },
        batch_settings: Batches { max_size: 10_000, reserve: 30 },
        deadline: DEADLINE,
        lease: Duration::from_secs(20),
        retention: Retention { transfers: Duration::MAX, keys: Duration::MAX },
        tracker: TaskTracker::new(),
        stop: CancellationToken::new(),
        over: CancellationToken::new(),
        metrics: Arc::default(),
    }
}

impl Service {
    /// A service for tests of what surrounds it.
    pub(crate) fn placeholder() -> Self {
        Self::new(parts(Arc::<ScriptedGateway>::default(), Arc::default(), true))
    }
}

pub(super) fn caller() -> Caller {
    Caller::unlimited(CallerName::new("crm"))
}

/// Limited to the queues that match `patterns`.
pub(super) fn limits_to(patterns: &[&str]) -> Limits {
    let patterns = patterns.iter().map(|text| QueuePattern::new(text).unwrap()).collect();
    Limits { queues: Some(patterns), ..Limits::default() }
}

pub(super) fn submission(key: Option<&str>, wait: Wait) -> Submission {
    Submission {
        caller: caller(),
        request: request(),
        key: key.map(str::to_owned),
        wait,
        deadline: Instant::now() + DEADLINE,
        request_id: "r-1".to_owned(),
        traceparent: None,
        place: None,
        progress: Arc::default(),
    }
}

pub(super) fn request() -> TransferRequest {
    TransferRequest {
        conversation_id: samples::conversation(vec![]).id,
        queue: QueueRef::Name(QueueName::parse("Support").unwrap()),
        priority: None,
        skill_ids: None,
        language_id: None,
        keep_place: false,
        participant_id: None,
        transfer_type: TransferType::Unattended,
        reason: None,
        reference: None,
    }
}
