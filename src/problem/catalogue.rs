//! What is fixed about each [`Code`]: status, title, whether to send again; and, in `words`, what
//! it means and what to do. Plain data.

use super::Code;

#[cfg(test)]
mod tests;
mod words;

pub(super) use words::{meaning, remedy};

/// What is fixed about a code.
#[derive(Debug, Clone, Copy)]
pub(super) struct CodeEntry {
    pub status: u16,
    pub title: &'static str,
    pub retryable: bool,
}

const fn e(status: u16, title: &'static str, retryable: bool) -> CodeEntry {
    CodeEntry { status, title, retryable }
}

pub(super) const fn entry(code: Code) -> CodeEntry {
    match code {
        Code::MalformedJson => e(400, "The body is not valid JSON", false),
        Code::IdempotencyKeyInvalid => e(400, "The Idempotency-Key header is not valid", false),
        Code::InvalidHeader => e(400, "A header is not valid", false),
        Code::Unauthenticated => e(401, "Valid credentials are needed", false),
        Code::NotPermitted => e(403, "This caller may not do that", false),
        Code::QueueNotPermitted => e(403, "This caller may not use that queue", false),
        Code::NotFound => e(404, "There is nothing at this address", false),
        Code::ConversationNotFound => {
            e(404, "No such conversation is visible to this service", false)
        }
        Code::MethodNotAllowed => e(405, "This path does not support that method", false),
        Code::NotAcceptable => e(406, "None of the accepted formats can be served", false),
        Code::InvalidHost => e(421, "The service does not answer to this host name", false),
        Code::RequestTimeout => e(408, "The request did not arrive in time", true),
        Code::BodyTooLarge => e(413, "The body is too large", false),
        Code::UnsupportedMediaType => e(415, "The body must be application/json", false),
        Code::HeadersTooLarge => e(431, "The request headers are too large", false),
        Code::ConversationEnded => e(409, "The conversation has ended", false),
        Code::ConversationRinging => e(409, "The conversation is ringing", true),
        Code::ConversationNotTransferable => {
            e(409, "A conversation in this state cannot be moved", true)
        }
        Code::ConversationMoved => e(409, "The conversation was moved by someone else", true),
        Code::ParticipantAmbiguous => e(409, "Several agents are connected", false),
        Code::ParticipantNotFound => e(409, "No such participant is in the conversation", false),
        Code::AlreadyInQueue => e(409, "The conversation already waits in that queue", false),
        Code::TransferInProgress => {
            e(409, "Another transfer of this conversation is not settled yet", true)
        }
        Code::IdempotencyKeyInUse => {
            e(409, "The first request with this key is still running", true)
        }
        Code::DrainLoop => e(409, "The drain would move calls in a circle", false),
        Code::UndoImpossible => e(409, "The move cannot be undone", false),
        Code::ConversationAnswered => e(409, "An agent has answered the conversation", false),
        Code::PlanExpired => e(409, "The plan has expired", false),
        Code::MovedTooOften => e(409, "Standing drains moved the call too often", false),
        Code::Conflict => e(409, "The conversation or the record does not allow it now", false),
        Code::InvalidRequest => e(422, "The request is not valid", false),
        Code::QueueNotFound => e(422, "No queue has that name", false),
        Code::QueueAmbiguous => e(422, "Several queues have that name", false),
        Code::IdempotencyKeyReused => e(422, "The key was used for a different request", false),
        Code::RejectedByGenesys => e(422, "Genesys did not accept the request", false),
        Code::TooManyRequests => e(429, "This caller sends too many requests", true),
        Code::GenesysCredentialsRejected => {
            e(502, "Genesys rejected the service's credentials", true)
        }
        Code::GenesysPermissionMissing => e(502, "The service lacks a permission in Genesys", true),
        Code::GenesysError => e(502, "Genesys answered with an error", true),
        Code::GenesysRateLimited => e(503, "The Genesys request limit is used up", true),
        Code::GenesysUnavailable => e(503, "Genesys cannot be reached", true),
        Code::Overloaded => e(503, "The service is at its limit", true),
        Code::ShuttingDown => e(503, "The service is stopping", true),
        Code::StoreUnavailable => e(503, "The transfer record cannot be written", true),
        Code::OutcomeUnknown => {
            e(504, "The command was sent and its outcome is not known yet", true)
        }
        Code::DeadlineExceeded => e(504, "The deadline passed before the command was sent", true),
        Code::InternalError => e(500, "An internal error occurred", true),
        Code::NotReady => e(503, "The service is not ready", true),
        Code::Cancelled => e(409, "The batch was cancelled before this transfer was sent", false),
        Code::NoLongerWaiting => e(409, "The conversation no longer waited in the queue", false),
    }
}
