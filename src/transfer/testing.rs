//! A Genesys and a store of plain memory, so that the engine's rules can be tested against a
//! paused clock, without a socket.

mod audit;
mod gateway;
mod store;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use audit::AuditLog;
pub(crate) use gateway::{Effect, ScriptedGateway};
pub(crate) use store::MemoryStore;

use super::{
    Caller, Limits, Parts, Reply, Retention, Submission, Transfers, Wait,
    conversation::samples,
    gateway::{CallContext, CallGateway},
    ids::TransferId,
    model::{CallerName, Queue, QueueName, QueueRef, Stage, Status, Transfer, TransferRequest},
    store::{KeyScope, StoredResponse},
};
use crate::{
    clock::{Clock, SystemClock},
    config::{Confirm, QueuePattern, TransferSettings},
    problem::{Code, Problem},
};

/// A response with the status word as its body.
pub(crate) fn plain_response(transfer: &Transfer) -> StoredResponse {
    let status = match (transfer.stage.status(), &transfer.error) {
        (Status::Accepted | Status::Confirmed, _) => 201,
        (Status::Pending, _) => 202,
        (_, Some(problem)) => problem.code.status(),
        (_, None) => 500,
    };
    let code = transfer.error.as_ref().map_or("", |problem| problem.code.as_str());
    let words = format!("{} {code} {}", transfer.stage.status().as_str(), transfer.id);
    response(status, words)
}

/// A response with this body.
pub(crate) fn response(status: u16, body: String) -> StoredResponse {
    StoredResponse {
        status,
        content_type: String::new(),
        location: None,
        retry_after: None,
        body: body.into_bytes(),
    }
}

/// Transfers over memory.
pub(crate) struct Bench {
    pub gateway: Arc<ScriptedGateway>,
    pub store: Arc<MemoryStore>,
    pub transfers: Arc<Transfers>,
    pub stop: CancellationToken,
    pub over: CancellationToken,
    pub tracker: TaskTracker,
}

/// On whose behalf a gateway was asked.
#[derive(Default)]
pub(crate) struct Callers(Mutex<BTreeSet<Option<String>>>);

impl Callers {
    pub(crate) fn note(&self, ctx: &CallContext) {
        let name = ctx.caller.as_ref().map(ToString::to_string);
        self.0.lock().unwrap().insert(name);
    }

    pub(crate) fn names(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().iter().cloned().collect()
    }
}

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Arc::default(), Arc::default(), true).await
    }

    pub(crate) async fn with(
        gateway: Arc<ScriptedGateway>,
        store: Arc<MemoryStore>,
        resend_after_5xx: bool,
    ) -> Self {
        let parts = parts(gateway.clone(), store.clone(), resend_after_5xx);
        Self::of(gateway, store, parts).await
    }

    /// At the time of `clock`, with keys kept for three days.
    pub(crate) async fn at(clock: Arc<dyn Clock>, store: Arc<MemoryStore>) -> Self {
        let gateway = Arc::<ScriptedGateway>::default();
        let mut parts = parts(gateway.clone(), store.clone(), true);
        parts.clock = clock;
        parts.retention.keys = Duration::from_hours(72);
        Self::of(gateway, store, parts).await
    }

    async fn of(gateway: Arc<ScriptedGateway>, store: Arc<MemoryStore>, parts: Parts) -> Self {
        let (stop, over) = (parts.stop.clone(), parts.over.clone());
        let tracker = parts.tracker.clone();
        let transfers = Transfers::new(parts);
        transfers.start().await.unwrap();
        Self { gateway, store, transfers, stop, over, tracker }
    }

    pub(crate) async fn submit(&self, key: Option<&str>, wait: Wait) -> Result<Reply, Problem> {
        self.transfers.submit(submission(key, wait)).await
    }

    /// Submits and gives status and body.
    pub(crate) async fn outcome(&self) -> (u16, String) {
        let reply = self.submit(None, Wait::Outcome).await.unwrap();
        let words = String::from_utf8(reply.response.body).unwrap();
        (reply.response.status, words.rsplit_once(' ').unwrap().0.trim().to_owned())
    }

    pub(crate) async fn only_transfer(&self) -> Transfer {
        let all = self.transfers.list(&caller(), super::store::TransferFilter::default(), 10).await;
        all.unwrap().pop().unwrap()
    }
}

pub(crate) fn parts(
    gateway: Arc<dyn CallGateway>,
    store: Arc<MemoryStore>,
    resend_after_5xx: bool,
) -> Parts {
    Parts {
        gateway,
        store,
        render: plain_response,
        clock: Arc::new(SystemClock),
        settings: TransferSettings {
            verify: true,
            confirm: Confirm::OnRequest,
            resend_after_5xx,
            settle_window: Duration::from_mins(2),
            max_per_conversation_per_hour: 10,
        },
        deadline: DEADLINE,
        lease: Duration::from_secs(20),
        retention: Retention { transfers: Duration::MAX, keys: Duration::MAX },
        tracker: TaskTracker::new(),
        stop: CancellationToken::new(),
        over: CancellationToken::new(),
        metrics: Arc::default(),
    }
}

pub(crate) fn caller() -> Caller {
    Caller::unlimited(CallerName::new("crm"))
}

/// Limited to the queues that match `patterns`.
pub(crate) fn limits_to(patterns: &[&str]) -> Limits {
    let patterns = patterns.iter().map(|text| QueuePattern::new(text).unwrap()).collect();
    Limits { queues: Some(patterns), ..Limits::default() }
}

pub(crate) fn submission(key: Option<&str>, wait: Wait) -> Submission {
    Submission {
        caller: caller(),
        request: request(),
        key: key.map(scope),
        wait,
        deadline: Instant::now() + DEADLINE,
        request_id: "r-1".to_owned(),
        traceparent: None,
        place: None,
        progress: Arc::default(),
    }
}

/// Where the key of [`caller`] counts.
pub(crate) fn scope(key: &str) -> KeyScope {
    KeyScope { caller: caller().name, route: "POST /transfers", key: key.to_owned() }
}

pub(crate) fn request() -> TransferRequest {
    let queue = QueueRef::Name(QueueName::parse("Support").unwrap());
    TransferRequest::plain(samples::conversation(vec![]).id, queue)
}

/// A transfer that failed with `code`.
pub(crate) fn failed(code: Code) -> Transfer {
    let queue = Queue { id: samples::queue(9), name: "Support".to_owned(), division: None };
    let (id, now) = (TransferId::new(uuid::Uuid::nil()), jiff::Timestamp::UNIX_EPOCH);
    Transfer {
        stage: Stage::Failed,
        error: Some(Problem::new(code, "It failed.")),
        ..Transfer::received(id, now, request(), queue, caller().name, "r-1".to_owned())
    }
}
