//! The transfer domain: what may move, when a command may leave, what is known afterwards.
//!
//! Knows neither HTTP nor SQL, and nothing of batches beyond the id that a row carries. Genesys is
//! behind [`gateway::CallGateway`], the durable record behind [`store::TransferStore`]; both ports
//! speak the words of this module.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod arrival;
mod arrivals;
pub(crate) mod audit;
mod boards;
mod caller;
pub mod class;
pub mod clock_offset;
mod completion;
pub mod conversation;
pub(crate) mod engine;
pub mod evidence;
pub(crate) mod fingerprint;
pub mod gateway;
pub mod ids;
pub mod legs;
pub mod model;
pub(crate) mod permission;
pub mod plan;
pub(crate) mod problems;
mod questions;
pub mod rate;
mod readiness;
pub(crate) mod records;
mod recovery;
mod settle;
mod stage;
pub mod store;
mod submission;
mod submit;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod undo;
mod watch;

use arrival::ArrivalDelay;
use arrivals::{Arrivals, PendingAnswers};
use gateway::{CallContext, CallGateway, Lane, QueueListing};
use ids::{ConversationId, QueueId, TransferId};
use model::{QueueRef, Transfer, TransferRequest};
use plan::{Carrier, MovePlan};
use readiness::ReadinessProbe;
use records::Records;
use recovery::Horizon;
use store::{StoreError, StoredResponse, TransferFilter, TransferStore};

pub use boards::WatchedQueue;
pub use caller::{Caller, Limits};
pub use completion::{Completion, Cut, InFlightPermit, Progress};
pub use problems::from_gateway as describe;
pub use questions::{LegView, Preview, Verdict};
pub use readiness::Readiness;
pub use recovery::Retention;
pub use submission::{Reply, Submission, Wait};

use crate::{
    clock::{Clock, IdSource},
    config::TransferSettings,
    metrics::{Metrics, RateReading, Readings},
    problem::{Code, FieldError, Problem},
    trace,
};

/// Kept back from the request's deadline for the last write and the answer.
const ANSWER_MARGIN: Duration = Duration::from_millis(250);

/// Renders the record of a transfer as the response to the request that made it. A pure function, so
/// that the same record always gives the same bytes; what it returns is kept for the key unread.
pub type RenderTransfer = fn(&Transfer) -> StoredResponse;

/// What [`Transfers`] is made of.
pub struct Parts {
    /// Genesys.
    pub gateway: Arc<dyn CallGateway>,
    /// The durable record.
    pub store: Arc<dyn TransferStore>,
    /// How responses are rendered.
    pub render: RenderTransfer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// `[transfers]` of the settings.
    pub settings: TransferSettings,
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

/// Carries transfers from submit to finish, and answers questions about them.
pub struct Transfers {
    pub(crate) gateway: Arc<dyn CallGateway>,
    pub(crate) records: Arc<Records>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdSource,
    pub(crate) settings: TransferSettings,
    /// A process that was not heard of for this long is taken to be dead (`store.lease`).
    pub(crate) lease: Duration,
    pub(crate) completion: Completion,
    render: RenderTransfer,
    /// Longest a request may take (`server.deadline`).
    deadline: Duration,
    retention: Retention,
    metrics: Arc<Metrics>,
    probe: ReadinessProbe,
    arrival: ArrivalDelay,
    arrivals: Arrivals,
    /// Unknown transfers being settled in the background.
    settling: AtomicUsize,
    /// Transfers whose answer waits for confirmation.
    waiting: PendingAnswers,
    /// Whole seconds that the clock is behind the newest record in the store.
    clock_behind: AtomicU64,
}

impl Transfers {
    /// Puts the parts together; nothing runs before [`Transfers::start`].
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let ids = IdSource::default();
        let owner = ids.next(parts.clock.now());
        let completion = Completion::new(parts.tracker, parts.stop, parts.over);
        let records = Records::new(parts.store, owner, Arc::clone(&parts.clock), &completion);
        Arc::new(Self {
            gateway: parts.gateway,
            records: Arc::new(records),
            clock: parts.clock,
            ids,
            settings: parts.settings,
            lease: parts.lease,
            completion,
            render: parts.render,
            deadline: parts.deadline,
            retention: parts.retention,
            metrics: parts.metrics,
            probe: ReadinessProbe::default(),
            arrival: ArrivalDelay::default(),
            arrivals: Arrivals::default(),
            settling: AtomicUsize::default(),
            waiting: PendingAnswers::default(),
            clock_behind: AtomicU64::default(),
        })
    }

    /// Takes over what an earlier process left unsettled and begins the work beside the requests.
    /// Returns as soon as the guards of those transfers are in place.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(self: &Arc<Self>) -> Result<usize, StoreError> {
        // Before a record of this process can be the newest.
        let reached = self.records.store().reaped(self.clock.now()).await?;
        let taken_over = recovery::recover(self).await?;
        if self.records.store().is_shared() {
            // Before the first request: until then it would take the whole limit for its own.
            recovery::share_rate(self).await;
        }
        let housekeeping = recovery::keep_house(Arc::clone(self), Horizon::from(reached));
        self.completion.spawn(housekeeping);
        let transfers = Arc::clone(self);
        self.completion.spawn(async move { transfers.probe.notice_genesys(&transfers).await });
        self.probe.started.store(true, Ordering::Release);
        Ok(taken_over)
    }

    /// Says that this process no longer owns anything, so that another may take over at once. To
    /// be called when all work has ended.
    pub async fn retire(&self) {
        if let Err(error) = self.records.store().retire(self.records.owner()).await {
            tracing::warn!(cause = %error.cause, "could not deregister this process from the store");
        }
    }

    /// Moves a conversation, or says why not. The work goes on when the returned future is
    /// dropped.
    ///
    /// # Errors
    /// A problem for everything that ended before a transfer was recorded; what ended after that
    /// is in the [`Reply`], problem or not.
    pub async fn submit(self: &Arc<Self>, mut submission: Submission) -> Result<Reply, Problem> {
        let (deadline, place) = (submission.deadline, submission.place.take());
        let progress = Arc::clone(&submission.progress);
        let span = trace::transfer(&submission.request_id, &submission.request.conversation_id);
        let transfers = Arc::clone(self);
        let work = |answer| submit::work(transfers, submission, answer);
        self.completion.run(span, place, Some((deadline, &progress)), work).await
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
        let found = self.records.get(id).await?;
        let found = found.filter(|transfer| caller.sees(&transfer.requested_by));
        let missing = || Problem::new(Code::NotFound, format!("There is no transfer {id}."));
        let transfer = found.ok_or_else(missing)?;
        self.records.before_naming(std::slice::from_ref(&transfer)).await;
        Ok(transfer)
    }

    /// Transfers that `caller` may see, newest first, at most `limit`.
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
        self.list_all(caller, &TransferFilter { caller: own, ..filter }, limit).await
    }

    /// The same of transfers that `caller` may see although another caller asked for them.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub(crate) async fn list_all(
        &self,
        caller: &Caller,
        filter: &TransferFilter,
        limit: u32,
    ) -> Result<Vec<Transfer>, Problem> {
        let mut found = self.records.list(filter, limit).await?;
        self.records.before_naming(&found).await;
        for transfer in &mut found {
            caller.reveal(transfer);
        }
        Ok(found)
    }

    /// The request that puts the call of a transfer back where it was, to be submitted like any
    /// other.
    ///
    /// # Errors
    /// `not_found` as [`Transfers::get`], `undo_impossible`, `store_unavailable`.
    pub async fn undo_request(
        &self,
        caller: &Caller,
        id: TransferId,
    ) -> Result<TransferRequest, Problem> {
        undo::request(&self.find(caller, id).await?).map_err(|problem| *problem)
    }

    /// Closes an unknown transfer by an operator's word. The work goes on when the returned future
    /// is dropped.
    ///
    /// # Errors
    /// `not_found`, `not_permitted`, `conflict` when it is not unknown, `store_unavailable`.
    pub async fn settle(
        self: &Arc<Self>,
        caller: &Caller,
        id: TransferId,
        verdict: Verdict,
        reason: Option<String>,
        place: Option<InFlightPermit>,
    ) -> Result<Transfer, Problem> {
        let transfer = self.find(caller, id).await?;
        if !caller.admin {
            return Err(Problem::new(Code::NotPermitted, "Only an admin may settle a transfer."));
        }
        let (transfers, operator) = (Arc::clone(self), caller.name.clone());
        let work = questions::settle_by_hand(transfers, operator, transfer, verdict, reason);
        self.completion.run_whole(tracing::Span::current(), place, None, work).await
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
        questions::preview(self, caller, id, queue, deadline).await
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
        let listing = self.gateway.search_queues(&context(by, Lane::Single), fragment).await;
        Ok(caller.seen(listing.map_err(problems::from_gateway)?))
    }

    /// The same queues with what goes on in them, most waiting first.
    ///
    /// # Errors
    /// Genesys' problems.
    pub async fn board(
        &self,
        caller: &Caller,
        fragment: &str,
        by: Instant,
    ) -> Result<(Vec<WatchedQueue>, Timestamp), Problem> {
        let QueueListing { items, loaded_at } = self.queues(caller, fragment, by).await?;
        Ok((boards::board(self, items, by).await?, loaded_at))
    }

    /// One queue with what goes on in it.
    ///
    /// # Errors
    /// `not_found` when there is none or `caller` may not know of it; Genesys' problems.
    pub async fn watch_queue(
        &self,
        caller: &Caller,
        id: QueueId,
        by: Instant,
    ) -> Result<WatchedQueue, Problem> {
        boards::one(self, caller, id, by).await
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
        let listing = self.gateway.refresh_queues(&context(by, Lane::Single)).await;
        Ok(caller.seen(listing.map_err(problems::from_gateway)?))
    }

    /// The limit of requests to Genesys and what is left of it, when the gateway has one.
    #[must_use]
    pub fn rate_budget(&self) -> Option<RateReading> {
        let mut readings = Readings::default();
        self.gateway.read(&mut readings);
        readings.rate
    }

    /// Whether transfers can be carried out now, and what is wrong.
    pub async fn readiness(&self) -> Readiness {
        self.probe.readiness(self).await
    }

    /// The metrics of this service.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What can be read about the service and Genesys now, for metrics. Takes no longer than the
    /// store does, which is asked once a second at most.
    pub async fn readings(&self) -> Readings {
        self.probe.readings(self).await
    }

    /// Counts what a transfer came to, and notes it on the span.
    pub(crate) fn count(&self, transfer: &Transfer) {
        let status = transfer.stage.status();
        let code = transfer.error.as_ref().map(|problem| problem.code);
        self.metrics.transfer(status, code);
        let correlation = transfer.upstream.correlation_id.as_deref();
        trace::transfer_came_to(status.as_str(), code.map(Code::as_str), correlation);
    }

    /// Waits until `at`; `false` at once when `at` is past `limit`, or when the service stops.
    pub(crate) async fn pause_until(&self, at: Instant, limit: Instant) -> bool {
        at < limit && self.completion.pause_until(at).await
    }

    /// What the configured API can carry.
    pub(crate) fn carrier(&self) -> Carrier {
        Carrier { command_carries_routing: self.gateway.command_carries_routing() }
    }

    /// Whether the configured API can carry the plan's priority.
    ///
    /// # Errors
    /// `invalid_request`; `undo_impossible` of an undo.
    pub(crate) fn check_priority(
        &self,
        request: &TransferRequest,
        plan: &MovePlan,
    ) -> Result<(), Box<Problem>> {
        match plan.priority {
            Some(priority) if self.gateway.takes_priority(priority) => Ok(()),
            Some(priority) if request.undo.is_some() => Err(undo::no_such_priority(priority)),
            Some(priority) => Err(Box::new(Problem::invalid(vec![FieldError {
                pointer: "/priority".to_owned(),
                detail: format!(
                    "The priority would be {}, which the configured Genesys API cannot carry.",
                    priority.get()
                ),
            }]))),
            None => Ok(()),
        }
    }

    /// What belongs to a process that was not heard of since then is taken over.
    pub(crate) fn stale_before(&self) -> Timestamp {
        if self.records.store().is_shared() {
            self.clock.now().saturating_sub(self.lease).unwrap_or(Timestamp::MIN)
        } else {
            Timestamp::MAX
        }
    }

    /// Whether it is so long since the write that began at `written` that others may have given this
    /// process up, and told an operator so: it must not send any more.
    fn is_held_up(&self, written: Instant) -> bool {
        written.elapsed() > self.lease / 2
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        problems::from_store(&error)
    }
}

/// The context of a request that is answered by `deadline`.
pub(crate) fn context(deadline: Instant, lane: Lane) -> CallContext {
    CallContext::new(deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline), lane)
}
