//! What is asked of [`Transfers::submit`](super::Transfers::submit), and what it answers.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    caller::Caller,
    completion::{InFlightPermit, Progress},
    ids::TransferId,
    model::TransferRequest,
    store::{KeyScope, StoredResponse},
};
use crate::trace::TraceParent;

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
    /// The caller.
    pub caller: Caller,
    /// What for.
    pub request: TransferRequest,
    /// Its idempotency key, and where that counts.
    pub key: Option<KeyScope>,
    /// What the caller waits for.
    pub wait: Wait,
    /// When the answer must be given.
    pub deadline: Instant,
    /// `X-Request-Id`.
    pub request_id: String,
    /// `traceparent` and `tracestate`.
    pub traceparent: Option<TraceParent>,
    /// Its place among what the service works on, if that is limited.
    pub place: Option<InFlightPermit>,
    /// How far it has come.
    pub progress: Arc<Progress>,
}

/// The answer to a [`Submission`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What to send.
    pub response: StoredResponse,
    /// Whether it was given before (`Idempotent-Replayed`).
    pub replayed: bool,
    /// The transfer it is about.
    pub transfer_id: Option<TransferId>,
    /// Upstream requests it took, for the log line.
    pub upstream_attempts: u32,
    /// Genesys' correlation id of the last of them, for the log line.
    pub correlation_id: Option<String>,
}
