//! What can go wrong, in the caller's words: the catalogue of problem codes and the [`Problem`]
//! that carries one. A leaf: it knows neither HTTP types nor Genesys.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use catalogue::CodeEntry;

mod catalogue;

macro_rules! codes {
    ($($variant:ident = $text:literal),+ $(,)?) => {
        /// Every problem code of the public contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(
                #[doc = concat!("`", $text, "`")]
                #[serde(rename = $text)]
                $variant,
            )+
        }

        impl Code {
            /// All codes, in the order of the contract's table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as callers see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

codes! {
    MalformedJson = "malformed_json",
    IdempotencyKeyInvalid = "idempotency_key_invalid",
    InvalidHeader = "invalid_header",
    Unauthenticated = "unauthenticated",
    NotPermitted = "not_permitted",
    QueueNotPermitted = "queue_not_permitted",
    NotFound = "not_found",
    ConversationNotFound = "conversation_not_found",
    MethodNotAllowed = "method_not_allowed",
    NotAcceptable = "not_acceptable",
    InvalidHost = "invalid_host",
    RequestTimeout = "request_timeout",
    BodyTooLarge = "body_too_large",
    UnsupportedMediaType = "unsupported_media_type",
    HeadersTooLarge = "headers_too_large",
    ConversationEnded = "conversation_ended",
    ConversationRinging = "conversation_ringing",
    ConversationNotTransferable = "conversation_not_transferable",
    ConversationMoved = "conversation_moved",
    ParticipantAmbiguous = "participant_ambiguous",
    ParticipantNotFound = "participant_not_found",
    AlreadyInQueue = "already_in_queue",
    TransferInProgress = "transfer_in_progress",
    IdempotencyKeyInUse = "idempotency_key_in_use",
    DrainLoop = "drain_loop",
    PlanExpired = "plan_expired",
    UndoImpossible = "undo_impossible",
    ConversationAnswered = "conversation_answered",
    MovedTooOften = "moved_too_often",
    Conflict = "conflict",
    InvalidRequest = "invalid_request",
    QueueNotFound = "queue_not_found",
    QueueAmbiguous = "queue_ambiguous",
    IdempotencyKeyReused = "idempotency_key_reused",
    RejectedByGenesys = "rejected_by_genesys",
    TooManyRequests = "too_many_requests",
    GenesysCredentialsRejected = "genesys_credentials_rejected",
    GenesysPermissionMissing = "genesys_permission_missing",
    GenesysError = "genesys_error",
    GenesysRateLimited = "genesys_rate_limited",
    GenesysUnavailable = "genesys_unavailable",
    Overloaded = "overloaded",
    ShuttingDown = "shutting_down",
    StoreUnavailable = "store_unavailable",
    OutcomeUnknown = "outcome_unknown",
    DeadlineExceeded = "deadline_exceeded",
    InternalError = "internal_error",
    // Only in answers of `GET /health/ready`.
    NotReady = "not_ready",
    // Reasons of items in a batch that were never sent; they are no answers of their own.
    Cancelled = "cancelled",
    NoLongerWaiting = "no_longer_waiting",
}

impl Code {
    fn entry(self) -> CodeEntry {
        catalogue::entry(self)
    }

    /// The code with this text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }

    /// HTTP status of an answer with this code (RFC 9110, section 15).
    #[must_use]
    pub fn status(self) -> u16 {
        self.entry().status
    }

    /// One short line, the same for every occurrence (RFC 9457, section 3.1.3).
    #[must_use]
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// What the code means, for `GET /problems/{code}`.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        catalogue::meaning(self)
    }

    /// What to do about it, for `GET /problems/{code}`.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        catalogue::remedy(self)
    }

    /// Whether the same request with the same key may be sent again and may then succeed.
    #[must_use]
    pub fn retryable(self) -> bool {
        self.entry().retryable
    }

    /// The path that explains the code, used as `type`.
    #[must_use]
    pub fn path(self) -> String {
        format!("/problems/{}", self.as_str())
    }
}

/// What Genesys answered, as far as callers and support need it. Present only when it answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamAnswer {
    /// HTTP status.
    pub status: u16,
    /// Genesys' own error code, kept as text: new ones appear.
    pub code: Option<String>,
    /// Genesys' own message, shortened to 500 characters.
    pub message: Option<String>,
    /// `ININ-Correlation-Id` of the answer; Genesys' support asks for it.
    pub correlation_id: Option<String>,
}

/// One bad field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON pointer to the field (RFC 6901), or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong with it and what is expected.
    pub detail: String,
}

/// One of several things a request may have meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Candidate {
    /// A queue with the name asked for.
    Queue {
        /// Queue id.
        id: String,
        /// Its exact name.
        name: String,
        /// The name of its division, when Genesys said it.
        division: Option<String>,
    },
    /// A leg that could be replaced.
    Participant {
        /// Participant id.
        id: String,
        /// Its purpose in Genesys' words.
        purpose: String,
        /// Its state in the contract's words.
        state: String,
    },
}

/// One occurrence of a problem: a code, and what is particular to this time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Which problem.
    pub code: Code,
    /// What happened this time, in a sentence.
    pub detail: String,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
    /// Overrides [`Code::retryable`] where this occurrence differs.
    #[serde(default)]
    pub retryable: Option<bool>,
    /// How long to wait before the next try.
    #[serde(default)]
    pub retry_after: Option<Duration>,
    /// The transfer this is about.
    #[serde(default)]
    pub transfer_id: Option<uuid::Uuid>,
    /// The other batch this is about.
    #[serde(default)]
    pub batch_id: Option<uuid::Uuid>,
    /// Genesys' answer, when it gave one.
    #[serde(default)]
    pub upstream: Option<UpstreamAnswer>,
    /// Bad fields of the request.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// What the request may have meant.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
}

impl Problem {
    /// A problem with a code and a sentence on what happened.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: None,
            retryable: None,
            retry_after: None,
            transfer_id: None,
            batch_id: None,
            upstream: None,
            errors: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// `invalid_request` with its bad fields.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{}: {}", one.pointer, one.detail),
            many => format!("{} fields are not valid.", many.len()),
        };
        Self { errors, ..Self::new(Code::InvalidRequest, detail) }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds how long to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds Genesys' answer.
    #[must_use]
    pub fn upstream(mut self, answer: Option<UpstreamAnswer>) -> Self {
        self.upstream = answer;
        self
    }

    /// Adds the transfer it is about.
    #[must_use]
    pub fn transfer(mut self, id: uuid::Uuid) -> Self {
        self.transfer_id = Some(id);
        self
    }

    /// Whether the same request with the same key may be sent again and may then succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable.unwrap_or_else(|| self.code.retryable())
    }
}
