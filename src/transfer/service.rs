//! The one entrance to the domain: what the HTTP handlers (and later the batches) call.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    arrival::ArrivalDelay,
    batch::{BatchState, desk::Desk, store::BatchStore},
    conversation::Leg,
    engine::{self, Engine},
    gateway::{CallGateway, Lane, QueueListing},
    ids::{ConversationId, TransferId},
    model::{Queue, QueueRef, Transfer, TransferRequest},
    problems,
    readiness::{Probe, Readiness},
    records::Records,
    recovery::{Horizon, Retention},
    store::{Answer, StoreError, TransferFilter, TransferStore},
    waiting::Waiting,
};
use crate::{
    clock::{Clock, IdSource},
    config::{Batches, Transfers as Settings},
    metrics::{Metrics, Readings},
    problem::{Code, Problem},
    trace::TraceParent,
};

pub use super::{
    caller::{Caller, Limits},
    progress::{Cut, Progress},
};

/// What the caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The outcome of the command.
    Outcome,
    /// Nothing: the answer comes as soon as the record is durable (`Prefer: respond-async`).
    Nothing,
    /// Until the conversation is seen in the target queue, at most this long (`Prefer: wait=N`).
    Confirmation(Duration),
}

/// A request to move one conversation, with everything that came with it.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub request: TransferRequest,
    /// `Idempotency-Key`, unquoted.
    pub key: Option<String>,
    /// What the caller waits for.
    pub wait: Wait,
    /// When the answer must be given.
    pub deadline: Instant,
    /// `X-Request-Id`.
    pub request_id: String,
    /// `traceparent` and `tracestate`.
    pub traceparent: Option<TraceParent>,
    /// Its place among what the service works on, if that is limited.
    pub place: Option<Place>,
    /// How far it has come.
    pub progress: Arc<Progress>,
}

/// Held until a submission's work is done, also when its caller was answered before or has gone.
#[derive(Clone)]
pub struct Place(Arc<dyn Send + Sync>);

impl Place {
    /// Gives `permit` back, by dropping it, when the last copy of this is dropped.
    pub fn new(permit: impl Send + Sync + 'static) -> Self {
        Self(Arc::new(permit))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place, held by {}", Arc::strong_count(&self.0))
    }
}

/// The answer to a [`Submission`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What to send.
    pub answer: Answer,
    /// Whether it was given before (`Idempotent-Replayed`).
    pub replayed: bool,
    /// The transfer it is about.
    pub transfer_id: Option<TransferId>,
    /// Upstream requests it took, for the log line.
    pub upstream_attempts: u32,
    /// Genesys' correlation id of the last of them, for the log line.
    pub correlation_id: Option<String>,
}

/// Turns the record of a transfer into the answer to the request that made it: 201 for accepted
/// and confirmed, 202 for pending, else the problem in `transfer.error` with the transfer's id.
/// A pure function of the record, so that the same record always gives the same bytes.
pub trait Answers: Send + Sync + 'static {
    /// The answer for `transfer` as it stands.
    fn answer(&self, transfer: &Transfer) -> Answer;

    /// The answer to the request that made a batch: 202 with the batch, `Location`.
    fn batch(&self, state: &BatchState) -> Answer;
}

/// How an operator closes an unknown transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// He saw that it happened.
    Moved,
    /// He saw that it did not.
    NotMoved,
}

/// A leg with the rules' opinion of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegView {
    /// The leg.
    pub leg: Leg,
    /// Whether a transfer would replace it.
    pub replaced: bool,
    /// Why it would, or why not.
    pub why: String,
}

/// What a transfer would do; nothing is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// `None` when it can move, else the code a transfer would be refused with.
    pub code: Option<Code>,
    /// In a sentence.
    pub detail: String,
    /// All legs.
    pub legs: Vec<LegView>,
    /// The target queue, when one was asked about.
    pub target: Option<Queue>,
    /// Whether the organisation strips skills from blind transfers; `None` when no target was
    /// asked about or it could not be found out.
    pub skills_will_be_stripped: Option<bool>,
    /// Whole minutes waited in the queue it would leave.
    pub waited_minutes: i64,
    /// The priority it has now, when known.
    pub priority: Option<i64>,
}

/// What a [`Service`] is made of.
pub struct Parts {
    /// Genesys.
    pub gateway: Arc<dyn CallGateway>,
    /// The durable record.
    pub store: Arc<dyn TransferStore>,
    /// The durable record of batches, in the same database.
    pub batches: Arc<dyn BatchStore>,
    /// How answers are rendered.
    pub answers: Arc<dyn Answers>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// `[transfers]` of the settings.
    pub settings: Settings,
    /// `[batches]` of the settings.
    pub batch_settings: Batches,
    /// Longest a request may take.
    pub deadline: Duration,
    /// How long settled records are kept.
    pub retention: Retention,
    /// A process that shares the store and was not heard of for this long is taken to be dead.
    pub lease: Duration,
    /// Work that must be waited for at the end.
    pub tracker: TaskTracker,
    /// Fires when the service is to stop.
    pub stop: CancellationToken,
    /// Fires when the time for the stop is nearly over: what is still waited for is answered now.
    pub over: CancellationToken,
    /// Where it is counted what became of transfers.
    pub metrics: Arc<Metrics>,
}

/// Moves calls and answers questions about them. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    pub(super) engine: Arc<Engine>,
    retention: Retention,
    probe: Arc<Probe>,
}

impl Service {
    /// Puts the parts together; nothing runs before [`Service::start`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let ids = IdSource::default();
        let owner = ids.next(parts.clock.now());
        let records = Records::new(
            parts.store,
            owner,
            Arc::clone(&parts.clock),
            parts.tracker.clone(),
            parts.stop.clone(),
        );
        let engine = Engine {
            gateway: parts.gateway,
            records: Arc::new(records),
            answers: parts.answers,
            clock: parts.clock,
            ids,
            settings: parts.settings,
            batches: Desk::new(parts.batches, parts.batch_settings),
            deadline: parts.deadline,
            lease: parts.lease,
            tracker: parts.tracker,
            stop: parts.stop,
            over: parts.over,
            metrics: parts.metrics,
            arrival: ArrivalDelay::default(),
            settling: AtomicUsize::default(),
            waiting: Waiting::default(),
            clock_behind: AtomicU64::default(),
        };
        Self { engine: Arc::new(engine), retention: parts.retention, probe: Arc::default() }
    }

    /// Takes over what an earlier process left unsettled and begins the work beside the requests.
    /// Returns as soon as the guards of those transfers are in place.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(&self) -> Result<usize, StoreError> {
        // Before a record of this process can be the newest.
        let reached = self.engine.records.store().reaped(self.engine.clock.now()).await?;
        let taken_over = self.engine.recover().await?;
        if self.engine.records.store().is_shared() {
            // Before the first request: until then it would take the whole limit for its own.
            self.engine.share_rate().await;
        }
        let house = Arc::clone(&self.engine).keep_house(self.retention, Horizon::from(reached));
        self.engine.tracker.spawn(house);
        let (probe, engine) = (Arc::clone(&self.probe), Arc::clone(&self.engine));
        self.engine.tracker.spawn(async move { probe.notice_genesys(&engine).await });
        self.probe.started.store(true, Ordering::Release);
        Ok(taken_over)
    }

    /// Says that this process no longer owns anything, so that another may take over at once. To
    /// be called when all work has ended.
    pub async fn retire(&self) {
        let records = &self.engine.records;
        if let Err(error) = records.store().retire(records.owner()).await {
            tracing::warn!(cause = %error.cause, "could not sign off from the store");
        }
    }

    /// Moves a conversation, or says why not. The work goes on when the returned future is
    /// dropped.
    ///
    /// # Errors
    /// A problem for everything that ended before a transfer was recorded; what ended after that
    /// is in the [`Reply`], problem or not.
    pub async fn submit(&self, submission: Submission) -> Result<Reply, Problem> {
        self.engine.submit(submission).await
    }

    /// One transfer.
    ///
    /// # Errors
    /// `not_found` when there is none or `caller` may not see it; `store_unavailable`.
    pub async fn get(&self, caller: &Caller, id: TransferId) -> Result<Transfer, Problem> {
        let mut transfer = self.find(caller, id).await?;
        caller.reveal(&mut transfer);
        Ok(transfer)
    }

    /// The record itself, to be written again.
    async fn find(&self, caller: &Caller, id: TransferId) -> Result<Transfer, Problem> {
        let found = self.engine.records.get(id).await.map_err(|e| problems::from_store(&e))?;
        let found = found.filter(|transfer| caller.sees(&transfer.requested_by));
        let transfer = found.ok_or_else(|| no_transfer(id))?;
        self.engine.records.before_naming(std::slice::from_ref(&transfer)).await;
        Ok(transfer)
    }

    /// Transfers that `caller` may see, newest first.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: TransferFilter,
        limit: u32,
    ) -> Result<Vec<Transfer>, Problem> {
        let own = (!caller.admin).then(|| caller.name.clone());
        let filter = TransferFilter { caller: own, ..filter };
        let found = self.engine.records.list(&filter, limit).await;
        let mut found = found.map_err(|e| problems::from_store(&e))?;
        self.engine.records.before_naming(&found).await;
        for transfer in &mut found {
            caller.reveal(transfer);
        }
        Ok(found)
    }

    /// Closes an unknown transfer by an operator's word.
    ///
    /// # Errors
    /// `not_found`, `not_permitted`, `conflict` when it is not unknown, `store_unavailable`.
    pub async fn settle(
        &self,
        caller: &Caller,
        id: TransferId,
        verdict: Verdict,
        reason: Option<String>,
    ) -> Result<Transfer, Problem> {
        let transfer = self.find(caller, id).await?;
        if !caller.admin {
            return Err(Problem::new(Code::NotPermitted, "Only an admin may settle a transfer."));
        }
        self.engine.settle_by_hand(&caller.name, transfer, verdict, reason).await
    }

    /// What a transfer of the conversation would do.
    ///
    /// # Errors
    /// `conversation_not_found`, `queue_not_permitted`, the queue look-up's problems, Genesys'
    /// problems.
    pub async fn preview(
        &self,
        caller: &Caller,
        id: ConversationId,
        queue: Option<QueueRef>,
        deadline: Instant,
    ) -> Result<Preview, Problem> {
        self.engine.preview(caller, id, queue, deadline).await
    }

    /// Queues that `caller` may know of and whose name contains `fragment`; empty for all.
    ///
    /// # Errors
    /// Genesys' problems when no map is there.
    pub async fn queues(
        &self,
        caller: &Caller,
        fragment: &str,
        by: Instant,
    ) -> Result<QueueListing, Problem> {
        let ctx = engine::context(by, Lane::Single);
        let listing = self.engine.gateway.search_queues(&ctx, fragment).await;
        Ok(seen_by(caller, listing.map_err(problems::from_gateway)?))
    }

    /// Loads the queue map again; returns what `caller` may know of it.
    ///
    /// # Errors
    /// Genesys' problems; the old map is then kept.
    pub async fn refresh_queues(
        &self,
        caller: &Caller,
        by: Instant,
    ) -> Result<QueueListing, Problem> {
        let ctx = engine::context(by, Lane::Single);
        let listing = self.engine.gateway.refresh_queues(&ctx).await;
        Ok(seen_by(caller, listing.map_err(problems::from_gateway)?))
    }

    /// Whether transfers can be carried out now, and what is wrong.
    pub async fn readiness(&self) -> Readiness {
        self.probe.readiness(&self.engine).await
    }

    /// The metrics of this service.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.engine.metrics
    }

    /// What can be read about the service and Genesys now, for metrics. Takes no longer than the
    /// store does, which is asked once a second at most.
    pub async fn readings(&self) -> Readings {
        self.probe.readings(&self.engine).await
    }
}

fn seen_by(caller: &Caller, mut listing: QueueListing) -> QueueListing {
    caller.limits.narrow(&mut listing.items);
    listing
}

fn no_transfer(id: TransferId) -> Problem {
    Problem::new(Code::NotFound, format!("There is no transfer {id}."))
}

#[cfg(test)]
mod tests;
