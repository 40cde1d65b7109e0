//! What the ports report, in the caller's words. The one place where an upstream failure gets its
//! problem code.

use std::time::Duration;

use super::{
    gateway::{GatewayError, QueueError},
    ids::{ConversationId, TransferId},
    model::{Queue, QueueRef, Transfer},
    store::StoreError,
};
use crate::problem::{Candidate, Code, Problem, UpstreamAnswer};

/// How long a caller should wait when the store fails; it is tried again all the time.
const STORE_RETRY: Duration = Duration::from_secs(2);

/// How long a caller should wait for the outcome of a transfer that an operator has to settle.
const SETTLED_BY_HAND_RETRY: Duration = Duration::from_mins(1);

/// How long a caller should wait while another transfer or key is in hand.
const IN_PROGRESS_RETRY: Duration = Duration::from_secs(1);

const KEY_USED_UP: &str = "This Idempotency-Key is used up: to move the call after all, send the \
                           request with a new one.";

/// The problem for a call to Genesys that brought nothing usable. What it says about commands
/// ("not moved") is the caller's to add.
#[must_use]
pub fn from_gateway(error: GatewayError) -> Problem {
    match error {
        GatewayError::CredentialsRejected(answer) => Problem::new(
            Code::GenesysCredentialsRejected,
            "Genesys rejected the credentials of this service.",
        )
        .hint("Check genesys.client_id, its secret or key, and genesys.region.")
        .upstream(answer),
        GatewayError::PermissionMissing { answer, permission } => Problem::new(
            Code::GenesysPermissionMissing,
            "The OAuth client of this service lacks a permission in Genesys.",
        )
        .hint(format!("Add the permission {permission} to a role of the OAuth client."))
        .upstream(Some(answer)),
        GatewayError::NotFound(answer) => Problem::new(
            Code::ConversationNotFound,
            "Genesys knows no such conversation, or it is not visible to this client.",
        )
        .upstream(Some(answer)),
        GatewayError::Rejected(answer) => {
            Problem::new(Code::RejectedByGenesys, rejected(&answer)).upstream(Some(answer))
        }
        GatewayError::Conflict(answer) => {
            Problem::new(Code::Conflict, "Genesys reported a conflict.").upstream(Some(answer))
        }
        GatewayError::RateLimited { retry_after, answer } => Problem::new(
            Code::GenesysRateLimited,
            "Genesys' request limit leaves no room before the deadline.",
        )
        .retry_after(retry_after)
        .upstream(answer),
        GatewayError::Unavailable { retry_after, detail } => {
            Problem::new(Code::GenesysUnavailable, format!("Genesys cannot be reached: {detail}."))
                .retry_after(retry_after)
        }
        GatewayError::Failed(answer) => {
            Problem::new(Code::GenesysError, format!("Genesys answered {}.", answer.status))
                .upstream(Some(answer))
        }
        GatewayError::Unreadable { detail, answer } => Problem::new(
            Code::GenesysError,
            format!("Genesys' answer cannot be understood: {detail}."),
        )
        .upstream(answer),
        GatewayError::Unclear { detail, answer } => Problem::new(
            Code::OutcomeUnknown,
            format!("Genesys did not say whether it set the values: {detail}."),
        )
        .upstream(answer),
        GatewayError::DeadlineExceeded => Problem::new(
            Code::DeadlineExceeded,
            "The deadline left no time for the next step; nothing was sent.",
        ),
        GatewayError::ShuttingDown => shutting_down(),
    }
}

fn rejected(answer: &UpstreamAnswer) -> String {
    match &answer.message {
        Some(message) => format!("Genesys refused the request: {message}"),
        None => format!("Genesys refused the request with {}.", answer.status),
    }
}

/// The problem for a queue that could not be named.
#[must_use]
pub fn from_queue(error: QueueError, asked: &QueueRef) -> Problem {
    match error {
        QueueError::NotFound { closest } => queue_not_found(&closest, asked),
        QueueError::Ambiguous(queues) => queue_ambiguous(queues, asked),
        QueueError::Gateway(error) => from_gateway(error),
    }
}

fn queue_not_found(closest: &[String], asked: &QueueRef) -> Problem {
    let problem = match asked {
        QueueRef::Name(name) => {
            Problem::new(Code::QueueNotFound, format!("No queue is called \"{}\".", name.as_str()))
        }
        QueueRef::Id(id) => Problem::new(Code::QueueNotFound, format!("No queue has the id {id}.")),
    };
    if closest.is_empty() {
        return problem.hint("GET /queues lists the queues this service can see.");
    }
    let names: Vec<String> = closest.iter().map(|name| format!("\"{name}\"")).collect();
    problem.hint(format!("Closest names: {}.", names.join(", ")))
}

fn queue_ambiguous(queues: Vec<Queue>, asked: &QueueRef) -> Problem {
    let name = match asked {
        QueueRef::Name(name) => name.as_str(),
        QueueRef::Id(_) => "",
    };
    let detail = format!("{} queues are called \"{name}\".", queues.len());
    let mut problem = Problem::new(Code::QueueAmbiguous, detail)
        .hint("Name one of the candidates by its id in queueId.");
    problem.candidates = queues
        .into_iter()
        .map(|queue| Candidate::Queue {
            id: queue.id.to_string(),
            name: queue.name,
            division: queue.division,
        })
        .collect();
    problem
}

/// The store failed before anything was sent.
#[must_use]
pub fn from_store(error: &StoreError) -> Problem {
    tracing::error!(operation = error.operation, cause = %error.cause, "the store failed");
    Problem::new(
        Code::StoreUnavailable,
        "The transfer record cannot be written or read; nothing was sent.",
    )
    .retry_after(STORE_RETRY)
}

/// The database crashed and forgot the transfer before the command could be sent.
#[must_use]
pub fn forgotten() -> Problem {
    Problem::new(
        Code::StoreUnavailable,
        "The database lost the transfer's record in a crash; nothing was sent.",
    )
    .retry_after(STORE_RETRY)
}

/// The service is stopping.
#[must_use]
pub fn shutting_down() -> Problem {
    Problem::new(Code::ShuttingDown, "The service is stopping; nothing was sent.")
        .retry_after(STORE_RETRY)
}

/// Another transfer of the conversation is not settled; `visible` is its id when the caller may
/// see it.
#[must_use]
pub fn transfer_in_progress(conversation: ConversationId, visible: Option<TransferId>) -> Problem {
    let problem = Problem::new(
        Code::TransferInProgress,
        format!("Another transfer of conversation {conversation} is not settled yet."),
    )
    .retry_after(IN_PROGRESS_RETRY);
    if let Some(id) = visible {
        return problem.transfer(id.uuid()).hint(format!("GET /transfers/{id} shows it."));
    }
    problem
        .hint("It is another caller's: wait until it is settled, or ask this service's operator.")
}

/// The first request with the key is still running.
#[must_use]
pub fn key_in_use(transfer: TransferId) -> Problem {
    Problem::new(Code::IdempotencyKeyInUse, "The first request with this key is still running.")
        .retry_after(IN_PROGRESS_RETRY)
        .transfer(transfer.uuid())
}

/// The key stands for another request.
#[must_use]
pub fn key_reused() -> Problem {
    Problem::new(Code::IdempotencyKeyReused, "This key was already used for a different request.")
        .hint("Use a new key for a new request; send a repeated one unchanged.")
}

/// The command left and its fate is not known; or the change of values did, for a call that waits
/// in the target queue already.
#[must_use]
pub fn outcome_unknown(transfer: &Transfer, seen: &str, answer: Option<UpstreamAnswer>) -> Problem {
    let detail = if transfer.is_routing_only() {
        format!(
            "The change of priority, skills or language was sent, but {seen}; the service is \
             checking whether it was made. The call stays in its queue."
        )
    } else {
        format!(
            "The command was sent, but {seen}; the service is checking whether the call moved. The \
             command is not sent again."
        )
    };
    unknown(detail, transfer.id, transfer.has_key).upstream(answer)
}

/// The same, while the work that finds out has not ended.
#[must_use]
pub fn still_unknown(id: TransferId, has_key: bool) -> Problem {
    let detail = "The command was sent, but its outcome is not recorded yet.";
    unknown(detail.to_owned(), id, has_key).transfer(id.uuid())
}

fn unknown(detail: String, id: TransferId, has_key: bool) -> Problem {
    let meanwhile = if has_key {
        "repeat the request only with the same Idempotency-Key"
    } else {
        "do not send the request again"
    };
    let hint = format!("Poll GET /transfers/{id} until it is settled; until then {meanwhile}.");
    // Without a key, a repeat after it has settled would be another move.
    let retryable = (!has_key).then_some(false);
    let problem = Problem { retryable, ..Problem::new(Code::OutcomeUnknown, detail) };
    problem.hint(hint).retry_after(IN_PROGRESS_RETRY)
}

/// Lets what is said of a command sent in vain fit its request: a key is used up, and a batch is
/// not sent again for one of its calls.
#[must_use]
pub fn in_vain(transfer: &Transfer, mut problem: Problem) -> Problem {
    if transfer.has_key || transfer.batch_id.is_some() {
        problem.retryable = Some(false);
    }
    if transfer.has_key && problem.code.retryable() {
        let hint = format!("{} {KEY_USED_UP}", problem.hint.unwrap_or_default());
        problem.hint = Some(hint.trim_start().to_owned());
    }
    problem
}

/// Genesys refused the command. The same again would be refused again, until something is changed
/// in Genesys.
#[must_use]
pub fn refused(error: GatewayError) -> Problem {
    Problem { retryable: Some(false), ..from_gateway(error) }
}

/// The looks of the settling window, `window` long, did not show what became of the command. The
/// service looks on, but rarely: an operator can say what they see.
#[must_use]
pub fn stays_unknown(transfer: &Transfer, window: Duration) -> Problem {
    let (sent, question) = if transfer.is_routing_only() {
        ("change of priority, skills or language", "whether it was made")
    } else {
        ("command", "whether the call moved")
    };
    let detail = format!(
        "The {sent} was sent and no certain answer came. {} s of checks did not show {question}. \
         It is not sent again.",
        window.as_secs()
    );
    let upstream = transfer.error.as_ref().and_then(|problem| problem.upstream.clone());
    Problem::new(Code::OutcomeUnknown, detail)
        .hint(format!(
            "Look at the call in Genesys, then close the transfer: POST /transfers/{}/settle with \
             {{\"outcome\": \"moved\"}} or {{\"outcome\": \"not_moved\"}} (permission admin). Until \
             then no other transfer of this call can start.",
            transfer.id
        ))
        .retry_after(SETTLED_BY_HAND_RETRY)
        .upstream(upstream)
}
