//! The port to Genesys Cloud, in the domain's words. `crate::genesys` implements it.

use std::{
    any::Any,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

mod command;
mod departure;

pub use command::{MoveCommand, Repeat, RoutingChange, Sent, Tried};
pub use departure::{CalledOff, Departure};

use super::{
    clock_offset::ClockOffset,
    conversation::{Conversation, LegState},
    ids::{ConversationId, LanguageId, QueueId, SkillId},
    model::{CallerName, Priority, Queue, QueueRef, TransferRequest, UpstreamUse, Warning},
    rate::{RateShare, RateUse},
};
use crate::{
    metrics::{Label, Readings},
    problem::{FieldError, UpstreamAnswer},
    support::FlightError,
    trace::TraceParent,
};

/// Who goes first when requests to Genesys are scarce; the first is the neediest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Reads that settle a command already sent.
    Settling,
    /// Commands already prepared.
    Command,
    /// Single transfers and questions of callers.
    Single,
    /// Items of a batch.
    Batch,
    /// Loading the queue map ahead of need.
    Refresh,
}

impl Label for Lane {
    const ALL: &'static [Self] =
        &[Self::Settling, Self::Command, Self::Single, Self::Batch, Self::Refresh];

    fn label(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Command => "command",
            Self::Single => "single",
            Self::Batch => "batch",
            Self::Refresh => "refresh",
        }
    }
}

/// What one transfer (or question) has cost so far; shared by all its calls.
#[derive(Debug, Default)]
pub struct Usage {
    calls: AtomicU32,
    attempts: AtomicU32,
    waited_ms: AtomicU64,
    correlation_id: Mutex<Option<String>>,
    warnings: Mutex<Vec<Warning>>,
}

impl Usage {
    /// Counts one call.
    pub fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one HTTP request.
    pub fn count_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds time spent waiting.
    pub fn add_wait(&self, wait: Duration) {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.waited_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// Keeps the correlation id of the last answer.
    pub fn correlate(&self, id: &str) {
        *self.correlation_id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    }

    /// Keeps what callers should know; the first warning of each code.
    pub fn warn(&self, warning: Warning) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.iter().all(|kept| kept.code != warning.code) {
            warnings.push(warning);
        }
    }

    /// The warnings so far, each given out once.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The sums so far.
    #[must_use]
    pub fn sums(&self) -> UpstreamUse {
        UpstreamUse {
            calls: self.calls.load(Ordering::Relaxed),
            attempts: self.attempts.load(Ordering::Relaxed),
            waited_ms: self.waited_ms.load(Ordering::Relaxed),
            correlation_id: self
                .correlation_id
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

/// What travels with every call to the gateway.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// No call may take longer than this; none is begun that cannot end before it.
    pub deadline: Instant,
    /// Its place among others.
    pub lane: Lane,
    /// On whose behalf; `None` for what the service does for all. Callers with the same lane take
    /// turns.
    pub caller: Option<CallerName>,
    /// Where its cost is added up.
    pub usage: Arc<Usage>,
    /// Whether its command has left.
    pub departure: Arc<Departure>,
    /// W3C trace context to pass on, when the caller sent one and nothing is traced here.
    pub traceparent: Option<TraceParent>,
    /// Requests reserved beforehand by [`CallGateway::admit`], if any are left.
    pub admission: Option<Arc<dyn Reservation>>,
    /// A read that is made also while the host is given time to recover: it decides what became of
    /// a command that the host has just answered.
    pub insists: bool,
    /// What it belongs to has happened: the end of the service does not cut its pauses short.
    pub outlasts_stop: bool,
}

impl CallContext {
    /// A context without reservation.
    #[must_use]
    pub fn new(deadline: Instant, lane: Lane) -> Self {
        Self {
            deadline,
            lane,
            caller: None,
            usage: Arc::default(),
            departure: Arc::default(),
            traceparent: None,
            admission: None,
            insists: false,
            outlasts_stop: false,
        }
    }

    /// The same context on behalf of `caller`.
    #[must_use]
    pub fn on_behalf_of(self, caller: &CallerName) -> Self {
        Self { caller: Some(caller.clone()), ..self }
    }

    /// The same context in another lane.
    #[must_use]
    pub fn in_lane(&self, lane: Lane) -> Self {
        Self { lane, ..self.clone() }
    }

    /// The same context with another deadline.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The same context for reads that do not wait until the host has recovered.
    #[must_use]
    pub fn insisting(&self) -> Self {
        Self { insists: true, ..self.clone() }
    }

    /// The same context for what has to follow a command that was taken.
    #[must_use]
    pub fn outlasting_stop(&self) -> Self {
        Self { outlasts_stop: true, ..self.clone() }
    }
}

/// Requests reserved in the rate budget; only the gateway that made it can use it. What is not used
/// is given back on drop.
pub trait Reservation: Any + std::fmt::Debug + Send + Sync {}

/// Why a call brought no usable answer. Says nothing about commands; see [`Sent`]. Its text is one
/// line for logs and readiness, without secrets and addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The login host refused the credentials, or a fresh token was refused (401).
    #[error("Genesys rejected the credentials{}", status_of(.0.as_ref()))]
    CredentialsRejected(Option<UpstreamAnswer>),
    /// 403.
    #[error("a permission is missing ({permission}){}", status_of(Some(answer)))]
    PermissionMissing {
        /// What Genesys said.
        answer: UpstreamAnswer,
        /// The permission or scope the call needs, as the API documents it.
        permission: &'static str,
    },
    /// 404: not there, or not visible to this client.
    #[error("not found{}", status_of(Some(.0)))]
    NotFound(UpstreamAnswer),
    /// 400, 405, 410, 413, 415, 422.
    #[error("Genesys refused the request{}", status_of(Some(.0)))]
    Rejected(UpstreamAnswer),
    /// 409.
    #[error("Genesys reported a conflict{}", status_of(Some(.0)))]
    Conflict(UpstreamAnswer),
    /// 429 for longer than the deadline allows, or the rate budget is spent that long.
    #[error("the request limit is used up for {} s", retry_after.as_secs())]
    RateLimited {
        /// When it may be tried again.
        retry_after: Duration,
        /// The 429, when one was seen.
        answer: Option<UpstreamAnswer>,
    },
    /// No connection, or the circuit is open.
    #[error("Genesys cannot be reached: {detail}")]
    Unavailable {
        /// When it may be tried again.
        retry_after: Duration,
        /// What failed, without secrets.
        detail: String,
    },
    /// 5xx or another unusable status, after all tries.
    #[error("Genesys failed{}", status_of(Some(.0)))]
    Failed(UpstreamAnswer),
    /// An answer came, but not one that can be understood.
    #[error("{detail}")]
    Unreadable {
        /// What was wrong with it.
        detail: String,
        /// The answer's status line and correlation id.
        answer: Option<UpstreamAnswer>,
    },
    /// Only of a call that sets values: it left, and what came back does not say whether they are
    /// set. Every other error of such a call means that they are not.
    #[error("{detail}")]
    Unclear {
        /// What was seen.
        detail: String,
        /// The answer, when there was one.
        answer: Option<UpstreamAnswer>,
    },
    /// The deadline left no time.
    #[error("it took too long")]
    DeadlineExceeded,
    /// The service is stopping; the wait was cut short.
    #[error("the service is stopping")]
    ShuttingDown,
}

impl GatewayError {
    /// The same of a call that names no conversation: "not found" is then said of a host or a
    /// queue.
    #[must_use]
    pub fn of_no_conversation(self) -> Self {
        match self {
            Self::NotFound(answer) => Self::Failed(answer),
            other => other,
        }
    }
}

impl From<FlightError> for GatewayError {
    fn from(lost: FlightError) -> Self {
        match lost {
            FlightError::TooLate => Self::DeadlineExceeded,
            FlightError::Died => {
                Self::Unavailable { retry_after: Duration::from_secs(1), detail: lost.to_string() }
            }
        }
    }
}

fn status_of(answer: Option<&UpstreamAnswer>) -> String {
    match answer {
        Some(UpstreamAnswer { status, code: Some(code), .. }) => format!(": {status} {code}"),
        Some(UpstreamAnswer { status, .. }) => format!(": {status}"),
        None => String::new(),
    }
}

/// Why a queue could not be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueError {
    /// None has that name or id; with the closest names there are.
    NotFound {
        /// Closest names, best first; at most 3.
        closest: Vec<String>,
    },
    /// Several have that name.
    Ambiguous(Vec<Queue>),
    /// It could not be found out.
    Gateway(GatewayError),
}

/// A queue search's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueListing {
    /// The queues, sorted by name.
    pub items: Vec<Queue>,
    /// When the map was loaded from Genesys.
    pub loaded_at: Timestamp,
}

/// A call that waits in a queue, as analytics shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingCall {
    /// The call.
    pub conversation_id: ConversationId,
    /// Since when it waits, by Genesys' clock.
    pub since: Timestamp,
    /// Its priority, when shown.
    pub priority: Option<i64>,
    /// The skills it asks for, when shown.
    pub skill_ids: Option<Vec<SkillId>>,
    /// The language it asks for, when shown.
    pub language_id: Option<LanguageId>,
}

impl WaitingCall {
    /// Adds what this row tells to the waiting leg of `conversation`, where the conversation does
    /// not tell it: a bulk look has no priority.
    pub fn complete(&self, conversation: &mut Conversation) {
        let waiting = conversation.legs.iter_mut().filter(|leg| leg.state == LegState::Waiting);
        for routing in waiting.map(|leg| &mut leg.routing) {
            routing.priority = routing.priority.or(self.priority);
            if routing.skill_ids.is_none() {
                routing.skill_ids.clone_from(&self.skill_ids);
            }
            routing.language_id = routing.language_id.or(self.language_id);
        }
    }
}

/// What goes on in a queue, voice only; `None` for what Genesys did not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueActivity {
    /// Calls that wait.
    pub waiting: Option<u64>,
    /// How long the oldest of them has waited, in seconds; `None` also when none waits.
    pub longest_wait_seconds: Option<u64>,
    /// Calls that an agent has.
    pub interacting: Option<u64>,
    /// Agents on queue, whatever they do.
    pub on_queue: Option<u64>,
    /// Agents on queue that are free.
    pub idle: Option<u64>,
    /// When Genesys said so, by our clock.
    pub as_of: Timestamp,
}

/// Who waits in a queue. Rows can lag: a call that was moved may show again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingCalls {
    /// How many wait, exactly, shown or not.
    pub count: u64,
    /// Whether the middle is left out: the rows are the oldest and the newest.
    pub truncated: bool,
    /// The rows that can be read, longest wait first.
    pub rows: Vec<WaitingCall>,
    /// How Genesys' clock, by which the rows are, differs from ours.
    pub clock: ClockOffset,
}

/// How the requests of a batch follow each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchPace {
    /// Time between two of them, so that they are spread over the minute; zero when the minute has
    /// room for all.
    pub apart: Duration,
    /// How long the request limit keeps the next ones waiting.
    pub ready_in: Duration,
}

/// Genesys Cloud, as far as transfers need it.
///
/// Every method honours `ctx.deadline`, retries what may be retried, and counts its cost in
/// `ctx.usage`. None panics on anything Genesys may answer.
#[async_trait]
pub trait CallGateway: Send + Sync + 'static {
    /// Fields of `request` that the configured API cannot carry, as field errors; empty when all
    /// can be carried. Asked before anything else; does no I/O.
    fn unsupported(&self, request: &TransferRequest) -> Vec<FieldError>;

    /// Whether the command itself carries priority and skills (`conversation-patch`), so that no
    /// second call is needed.
    fn command_carries_routing(&self) -> bool;

    /// Whether `priority` can be set through the configured API.
    fn takes_priority(&self, priority: Priority) -> bool;

    /// Reserves `calls` requests of the rate budget.
    ///
    /// # Errors
    /// [`GatewayError::RateLimited`] at once when they cannot be had before the deadline.
    async fn admit(
        &self,
        ctx: &CallContext,
        calls: u32,
    ) -> Result<Arc<dyn Reservation>, GatewayError>;

    /// Finds a queue in the cached map, asking Genesys for a name or id that misses. By its id it
    /// is found without the map, too.
    ///
    /// # Errors
    /// See [`QueueError`].
    async fn queue(&self, ctx: &CallContext, queue: &QueueRef) -> Result<Queue, QueueError>;

    /// The queue with that id, if the cached map has it; does no I/O.
    fn known_queue(&self, id: QueueId) -> Option<Queue>;

    /// All queues whose name contains `fragment`, whatever the case.
    ///
    /// # Errors
    /// When no map is there and none can be loaded.
    async fn search_queues(
        &self,
        ctx: &CallContext,
        fragment: &str,
    ) -> Result<QueueListing, GatewayError>;

    /// Drops the cached map and loads it again.
    ///
    /// # Errors
    /// When it cannot be loaded; the old map is then kept.
    async fn refresh_queues(&self, ctx: &CallContext) -> Result<QueueListing, GatewayError>;

    /// Reads a conversation.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn conversation(
        &self,
        ctx: &CallContext,
        id: ConversationId,
    ) -> Result<Conversation, GatewayError>;

    /// Sends the command once. `attempt` counts the tries of one command, from 1; whether it is sent
    /// again is decided by the caller.
    async fn send(&self, ctx: &CallContext, command: &MoveCommand, attempt: u32) -> Tried;

    /// Pays for one repeat of a command out of the retry budget; `false` when that is used up.
    fn may_repeat(&self) -> bool {
        true
    }

    /// Whether the host failed, and a read has to show that it is back before a command is sent.
    fn needs_a_look(&self) -> bool {
        false
    }

    /// Sets priority, skills and language of a waiting conversation. Sets absolute values, so it
    /// is repeated on any failure that may pass.
    ///
    /// # Errors
    /// See [`GatewayError`]; 404 and 409 come back at once, because right after a move they mean
    /// "not yet".
    async fn set_routing(
        &self,
        ctx: &CallContext,
        id: ConversationId,
        change: &RoutingChange,
    ) -> Result<(), GatewayError>;

    /// Whether the organisation strips skills from blind transfers.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn strips_skills(&self, ctx: &CallContext) -> Result<bool, GatewayError>;

    /// What this process has used of the present minute's limit, to be shared with other replicas.
    /// Until [`CallGateway::keep_to`] nothing more is let go: what is told must stay true.
    fn rate_use(&self) -> RateUse;

    /// Keeps to `share` of the limit, until it is said again about a second later; `None` when
    /// there is no news, and what was left of the last share goes on counting.
    fn keep_to(&self, share: Option<RateShare>);

    /// The voice calls that wait in a queue: all of them while Genesys answers bulk looks, else the
    /// oldest and the newest, at most 100.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn waiting(
        &self,
        ctx: &CallContext,
        queue: QueueId,
    ) -> Result<WaitingCalls, GatewayError>;

    /// The legs of many calls in one request for each 100, of those that are plain: one leg waits,
    /// in `queue`, and no other is open but the customer's; and those that are over. All others are
    /// left out, and everything when Genesys does not answer: these are to be read with
    /// [`CallGateway::conversation`]. Such a conversation has the mark `bulk` and no priority.
    async fn bulk_look(
        &self,
        ctx: &CallContext,
        queue: QueueId,
        ids: &[ConversationId],
    ) -> HashMap<ConversationId, Conversation> {
        let _ = (ctx, queue, ids);
        HashMap::new()
    }

    /// What goes on in these queues, at most 5 s old and shared by all who ask. While the request
    /// budget is used up it is what was known last, if anything. A queue of which nothing is known
    /// is left out. It is asked for in [`Lane::Batch`], whatever the lane of `ctx`.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn queue_activity(
        &self,
        ctx: &CallContext,
        ids: &[QueueId],
    ) -> Result<HashMap<QueueId, QueueActivity>, GatewayError> {
        let _ = (ctx, ids);
        Ok(HashMap::new())
    }

    /// How many seconds a new call would wait in a queue, as Genesys estimates it; `None` when it
    /// has no estimate.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn estimated_wait(
        &self,
        ctx: &CallContext,
        queue: QueueId,
    ) -> Result<Option<u64>, GatewayError> {
        let _ = (ctx, queue);
        Ok(None)
    }

    /// How many people can answer in a queue now, when Genesys says so.
    ///
    /// # Errors
    /// See [`GatewayError`].
    async fn members(&self, ctx: &CallContext, queue: QueueId)
    -> Result<Option<u64>, GatewayError>;

    /// Requests a minute that batches may use, as far as is known now.
    fn batch_allowance(&self) -> u32;

    /// How requests of a batch that needs `needed` more should follow each other, and when it may
    /// make `next` of them.
    fn batch_pace(&self, needed: u32, next: u32) -> BatchPace {
        let _ = (needed, next);
        BatchPace::default()
    }

    /// Whether one request shows many calls, as far as is known now.
    fn looks_in_bulk(&self) -> bool {
        false
    }

    /// Why the gateway cannot work now (no token, no queue map, circuit open), for readiness;
    /// empty when it can.
    fn troubles(&self) -> Vec<String>;

    /// Notes what can be read about the gateway now, for metrics; without waiting for anything.
    fn read(&self, readings: &mut Readings) {
        let _ = readings;
    }
}
