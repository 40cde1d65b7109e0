//! From what happened to what is sent: the one mapping of a [`Problem`] to an HTTP answer
//! (RFC 9457), and of the domain's ready-made answers.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::openapi::shapes;
use crate::{
    problem::{Candidate, Code, FieldError, Problem, UpstreamAnswer},
    transfer::store::StoredResponse,
};

#[cfg(test)]
mod tests;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: &str = "application/problem+json";

/// What an answer to a request without credentials says (RFC 6750, section 3).
pub(super) const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"genesys-transfer\"");

/// Why a request is not carried out. As a response it is only a mark with the right status:
/// [`render`] writes its body where the request id is known, so that errors of handlers, of axum
/// and of the layers all leave through the same door.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    problem: Box<Problem>,
    reasons: Vec<String>,
}

impl Failure {
    /// A failure with a code and a sentence on what happened.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// Adds what to do next.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = Some(hint.into());
        self
    }

    /// Adds a list of reasons, as `GET /health/ready` gives it.
    pub(super) fn reasons(mut self, reasons: Vec<String>) -> Self {
        self.reasons = reasons;
        self
    }

    #[cfg(test)]
    pub(super) fn into_problem(self) -> Box<Problem> {
        self.problem
    }

    /// Its code.
    pub(super) fn code(&self) -> Code {
        self.problem.code
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), reasons: Vec::new() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = status(self.problem.code.status());
        response.extensions_mut().insert(self);
        response
    }
}

/// What the log line should name; carried in a response's extensions.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// The transfer the request was about.
    pub(super) transfer_id: Option<Uuid>,
    /// Upstream requests it took.
    pub(super) upstream_calls: Option<u32>,
    /// Genesys' correlation id of the last of them.
    pub(super) correlation_id: Option<String>,
}

/// Writes the body of a [`Failure`] into the response that carries one; leaves others as they are.
/// Headers already there, such as `Allow`, stay.
pub(super) fn render(response: Response, request_id: &str) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(failure) = parts.extensions.remove::<Failure>() else {
        return Response::from_parts(parts, body);
    };
    let answer = answer_with(&failure.problem, request_id, &failure.reasons);
    parts.headers.remove(header::CONTENT_LENGTH);
    set_head(&mut parts.headers, &answer);
    if failure.code() == Code::Unauthenticated {
        parts.headers.entry(header::WWW_AUTHENTICATE).or_insert(CHALLENGE);
    }
    parts.extensions.insert(failure.code());
    let Problem { transfer_id, upstream, .. } = *failure.problem;
    let correlation_id = upstream.and_then(|answer| answer.correlation_id);
    parts.extensions.insert(Told { transfer_id, upstream_calls: None, correlation_id });
    Response::from_parts(parts, Body::from(answer.body))
}

/// The answer for `problem`.
#[must_use]
pub(super) fn problem_answer(problem: &Problem, request_id: &str) -> StoredResponse {
    answer_with(problem, request_id, &[])
}

fn answer_with(problem: &Problem, request_id: &str, reasons: &[String]) -> StoredResponse {
    let body = ProblemBody { reasons, ..ProblemBody::new(problem, Some(request_id)) };
    StoredResponse {
        status: problem.code.status(),
        content_type: PROBLEM_JSON.to_owned(),
        location: unknown_at(problem),
        retry_after: retry_after(problem),
        body: json_bytes(&body),
    }
}

/// Where the truth about a transfer of unknown outcome will be found.
fn unknown_at(problem: &Problem) -> Option<String> {
    let id = problem.transfer_id.filter(|_| problem.code == Code::OutcomeUnknown)?;
    Some(format!("/transfers/{id}"))
}

/// `Retry-After` in whole seconds: the problem's own, rounded up, else what its code always has.
fn retry_after(problem: &Problem) -> Option<u64> {
    let own = problem.retry_after.map(|wait: Duration| {
        let part = u64::from(wait.subsec_nanos() > 0);
        wait.as_secs().saturating_add(part).max(1)
    });
    own.or_else(|| usual_pause(problem.code))
}

/// The `Retry-After` that answers with this code always have, in seconds, unless the problem knows
/// better.
pub(super) const fn usual_pause(code: Code) -> Option<u64> {
    match code {
        Code::Overloaded | Code::IdempotencyKeyInUse | Code::TooManyRequests => Some(1),
        Code::TransferInProgress | Code::StoreUnavailable => Some(2),
        Code::ShuttingDown
        | Code::GenesysRateLimited
        | Code::GenesysUnavailable
        | Code::NotReady => Some(5),
        _ => None,
    }
}

/// What went wrong (RFC 9457); also inside a transfer, there without a `requestId`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemBody<'a> {
    /// Leads to an explanation: `GET` it.
    #[schema(examples("/problems/queue_not_found"))]
    r#type: String,
    /// The same for every occurrence of the code.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    code: Code,
    /// What happened this time.
    detail: &'a str,
    /// What to do next.
    hint: &'a str,
    /// Whether the same request with the same key may be sent again and may then succeed.
    retryable: bool,
    /// After how many seconds; the same number as in `Retry-After`, where an answer has that header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    retry_after_seconds: Option<u64>,
    /// The request it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<&'a str>,
    /// The transfer it is about, if one was recorded.
    #[schema(required, value_type = Option<Uuid>)]
    transfer_id: Option<Uuid>,
    /// The other batch it is about; only there when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = Uuid)]
    batch_id: Option<Uuid>,
    /// Only there when Genesys answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = shapes::UpstreamAnswerShape)]
    upstream: Option<&'a UpstreamAnswer>,
    /// The bad fields of a request; only there when some are.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false, value_type = Vec<shapes::FieldErrorShape>)]
    errors: &'a [FieldError],
    /// What the request may have meant; only there when it is ambiguous.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false, value_type = Vec<shapes::CandidateShape>)]
    candidates: &'a [Candidate],
    /// All that is wrong; only there when `GET /health/ready` answers so.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    reasons: &'a [String],
}

impl<'a> ProblemBody<'a> {
    /// `problem` in the contract's shape. Where this occurrence has no hint of its own, the
    /// code's remedy takes its place: every answer says what to do next.
    pub(super) fn new(problem: &'a Problem, request_id: Option<&'a str>) -> Self {
        Self {
            r#type: problem.code.path(),
            title: problem.code.title(),
            status: problem.code.status(),
            code: problem.code,
            detail: &problem.detail,
            hint: problem.hint.as_deref().unwrap_or_else(|| problem.code.remedy()),
            retryable: problem.is_retryable(),
            retry_after_seconds: retry_after(problem),
            request_id,
            transfer_id: problem.transfer_id,
            batch_id: problem.batch_id,
            upstream: problem.upstream.as_ref(),
            errors: &problem.errors,
            candidates: &problem.candidates,
            reasons: &[],
        }
    }
}

/// `value` as a line of JSON: compact, with a line end for people who read it in a terminal.
pub(super) fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    // Plain data with string keys cannot fail to serialise; were it to, an empty object is JSON.
    let mut bytes = serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec());
    bytes.push(b'\n');
    bytes
}

/// A 200 with `value` as its body.
pub(super) fn ok(value: &impl Serialize) -> Response {
    ([(header::CONTENT_TYPE, JSON)], json_bytes(value)).into_response()
}

/// The same with another status.
pub(super) fn ok_with(status: StatusCode, value: &impl Serialize) -> Response {
    (status, ok(value)).into_response()
}

/// An answer of the domain's, byte for byte.
pub(super) fn send(answer: StoredResponse) -> Response {
    let mut headers = HeaderMap::new();
    set_head(&mut headers, &answer);
    let code = problem_code(&answer);
    let mut response = (status(answer.status), headers, answer.body).into_response();
    if let Some(code) = code {
        response.extensions_mut().insert(code);
    }
    response
}

/// The code of an answer that is a problem, for the log line.
fn problem_code(answer: &StoredResponse) -> Option<Code> {
    #[derive(Deserialize)]
    struct Coded {
        code: Code,
    }
    let is_problem = answer.content_type == PROBLEM_JSON;
    let coded = is_problem.then(|| serde_json::from_slice::<Coded>(&answer.body).ok()).flatten();
    coded.map(|coded| coded.code)
}

fn set_head(headers: &mut HeaderMap, answer: &StoredResponse) {
    set(headers, header::CONTENT_TYPE, &answer.content_type);
    if let Some(location) = &answer.location {
        set(headers, header::LOCATION, location);
    }
    if let Some(seconds) = answer.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
}

/// Sets a header whose value we made ourselves; one that could not be sent is left out.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
