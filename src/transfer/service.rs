//! The one entrance to the domain: what the HTTP handlers (and later the batches) call.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    conversation::Leg,
    gateway::QueueListing,
    ids::{ConversationId, TransferId},
    model::{CallerName, Queue, QueueRef, Transfer, TransferRequest},
    store::{Answer, TransferFilter},
};
use crate::problem::{Code, Problem};

/// Who is asking, and how far he sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// His stable name.
    pub name: CallerName,
    /// Whether he sees other callers' transfers and may settle them.
    pub admin: bool,
}

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
    /// `traceparent`.
    pub traceparent: Option<Arc<str>>,
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
}

/// Turns the record of a transfer into the answer to the request that made it: 201 for accepted
/// and confirmed, 202 for pending, else the problem in `transfer.error` with the transfer's id.
/// A pure function of the record, so that the same record always gives the same bytes.
pub trait Answers: Send + Sync + 'static {
    /// The answer for `transfer` as it stands.
    fn answer(&self, transfer: &Transfer) -> Answer;
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

/// Moves calls and answers questions about them.
#[derive(Clone)]
pub struct Service {
    _private: (),
}

fn absent() -> Problem {
    Problem::new(Code::InternalError, "not built yet")
}

impl Service {
    /// A service for tests of what surrounds it.
    #[cfg(test)]
    pub(crate) fn placeholder() -> Self {
        Self { _private: () }
    }

    /// Moves a conversation, or says why not. The work goes on when the returned future is
    /// dropped.
    ///
    /// # Errors
    /// A problem for everything that ended before a transfer was recorded; what ended after that
    /// is in the [`Reply`], problem or not.
    pub async fn submit(&self, _submission: Submission) -> Result<Reply, Problem> {
        Err(absent())
    }

    /// One transfer.
    ///
    /// # Errors
    /// `not_found` when there is none or `caller` may not see it; `store_unavailable`.
    pub async fn get(&self, _caller: &Caller, _id: TransferId) -> Result<Transfer, Problem> {
        Err(absent())
    }

    /// Transfers that `caller` may see, newest first.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn list(
        &self,
        _caller: &Caller,
        _filter: TransferFilter,
        _limit: u32,
    ) -> Result<Vec<Transfer>, Problem> {
        Err(absent())
    }

    /// Closes an unknown transfer by an operator's word.
    ///
    /// # Errors
    /// `not_found`, `not_permitted`, `conflict` when it is not unknown, `store_unavailable`.
    pub async fn settle(
        &self,
        _caller: &Caller,
        _id: TransferId,
        _verdict: Verdict,
        _reason: Option<String>,
    ) -> Result<Transfer, Problem> {
        Err(absent())
    }

    /// What a transfer of the conversation would do.
    ///
    /// # Errors
    /// `conversation_not_found`, the queue look-up's problems, Genesys' problems.
    pub async fn preview(
        &self,
        _id: ConversationId,
        _queue: Option<QueueRef>,
        _deadline: Instant,
    ) -> Result<Preview, Problem> {
        Err(absent())
    }

    /// Queues whose name contains `fragment`; empty for all.
    ///
    /// # Errors
    /// Genesys' problems when no map is there.
    pub async fn queues(&self, _fragment: &str, _by: Instant) -> Result<QueueListing, Problem> {
        Err(absent())
    }

    /// Loads the queue map again.
    ///
    /// # Errors
    /// Genesys' problems; the old map is then kept.
    pub async fn refresh_queues(&self, _by: Instant) -> Result<QueueListing, Problem> {
        Err(absent())
    }

    /// Why transfers cannot be carried out now; empty when they can.
    pub async fn troubles(&self) -> Vec<String> {
        Vec::new()
    }
}
