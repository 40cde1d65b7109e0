//! The shapes callers see, member for member as the public contract lists them.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::answer::{ProblemBody, json_bytes, problem_answer};
use crate::{
    problem::{Code, Problem},
    transfer::{
        batch::BatchState,
        ids::{BatchId, ConversationId, LanguageId, ParticipantId, QueueId, SkillId, TransferId},
        model::{
            CallerName, Previous, Priority, Queue, Status, Transfer, TransferType, UpstreamUse,
            Warning,
        },
        service::{Answers, LegView, Preview},
        store::Answer,
    },
};

mod batches;
#[cfg(test)]
mod tests;

pub(super) use batches::{BatchPage, BatchView, PlanView};

/// RFC 3339 in UTC with milliseconds, always the same width, so that texts sort like times.
fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

#[derive(Serialize)]
struct QueueName<'a> {
    id: QueueId,
    name: &'a str,
}

impl<'a> From<&'a Queue> for QueueName<'a> {
    fn from(queue: &'a Queue) -> Self {
        Self { id: queue.id, name: &queue.name }
    }
}

/// A transfer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransferView<'a> {
    id: TransferId,
    status: Status,
    conversation_id: ConversationId,
    queue: QueueName<'a>,
    participant_id: Option<ParticipantId>,
    previous: Option<&'a Previous>,
    priority: Option<Priority>,
    waited_minutes: Option<i64>,
    skill_ids: Option<&'a [SkillId]>,
    language_id: Option<LanguageId>,
    transfer_type: TransferType,
    reason: Option<&'a str>,
    reference: Option<&'a str>,
    requested_by: &'a CallerName,
    batch_id: Option<BatchId>,
    warnings: &'a [Warning],
    error: Option<ProblemBody<'a>>,
    upstream: &'a UpstreamUse,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    updated_at: Timestamp,
}

impl<'a> From<&'a Transfer> for TransferView<'a> {
    fn from(transfer: &'a Transfer) -> Self {
        let request = &transfer.request;
        Self {
            id: transfer.id,
            status: transfer.stage.status(),
            conversation_id: request.conversation_id,
            queue: (&transfer.queue).into(),
            participant_id: transfer.participant_id,
            previous: transfer.previous.as_ref(),
            priority: transfer.priority,
            waited_minutes: transfer.waited_minutes,
            skill_ids: request.skill_ids.as_deref(),
            language_id: request.language_id,
            transfer_type: request.transfer_type,
            reason: request.reason.as_deref(),
            reference: request.reference.as_deref(),
            requested_by: &transfer.requested_by,
            batch_id: transfer.batch_id,
            warnings: &transfer.warnings,
            error: transfer.error.as_ref().map(|problem| ProblemBody::new(problem, None)),
            upstream: &transfer.upstream,
            created_at: transfer.created_at,
            updated_at: transfer.updated_at,
        }
    }
}

/// A page of transfers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransferPage<'a> {
    pub items: Vec<TransferView<'a>>,
    pub next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LegItem<'a> {
    participant_id: Option<ParticipantId>,
    purpose: &'a str,
    state: &'a str,
    held: bool,
    queue_id: Option<QueueId>,
    replaced: bool,
    why: &'a str,
}

impl<'a> From<&'a LegView> for LegItem<'a> {
    fn from(view: &'a LegView) -> Self {
        let state = view.leg.state.as_str();
        Self {
            participant_id: view.leg.participant_id,
            purpose: view.leg.purpose.as_str(),
            state,
            held: state == "held",
            queue_id: view.leg.queue_id,
            replaced: view.replaced,
            why: &view.why,
        }
    }
}

/// What a transfer would do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreviewView<'a> {
    conversation_id: ConversationId,
    transferable: bool,
    code: Option<Code>,
    detail: &'a str,
    legs: Vec<LegItem<'a>>,
    target: Option<QueueName<'a>>,
    skills_will_be_stripped: Option<bool>,
    waited_minutes: i64,
    priority: Option<i64>,
}

impl<'a> From<&'a Preview> for PreviewView<'a> {
    fn from(preview: &'a Preview) -> Self {
        Self {
            conversation_id: preview.conversation_id,
            transferable: preview.code.is_none(),
            code: preview.code,
            detail: &preview.detail,
            legs: preview.legs.iter().map(Into::into).collect(),
            target: preview.target.as_ref().map(Into::into),
            skills_will_be_stripped: preview.skills_will_be_stripped,
            waited_minutes: preview.waited_minutes,
            priority: preview.priority,
        }
    }
}

/// Queues of the cached map.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueuesView<'a> {
    items: &'a [Queue],
    #[serde(serialize_with = "time")]
    loaded_at: Timestamp,
}

impl<'a> QueuesView<'a> {
    pub(super) const fn new(items: &'a [Queue], loaded_at: Timestamp) -> Self {
        Self { items, loaded_at }
    }
}

/// A problem code in words.
#[derive(Serialize)]
pub(super) struct ProblemPage {
    r#type: String,
    code: Code,
    title: &'static str,
    status: u16,
    retryable: bool,
    meaning: &'static str,
    remedy: &'static str,
}

impl From<Code> for ProblemPage {
    fn from(code: Code) -> Self {
        Self {
            r#type: code.path(),
            code,
            title: code.title(),
            status: code.status(),
            retryable: code.retryable(),
            meaning: code.meaning(),
            remedy: code.remedy(),
        }
    }
}

/// Answers in JSON, for the domain to keep and to give again.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonAnswers;

impl Answers for JsonAnswers {
    fn batch(&self, state: &BatchState) -> Answer {
        Answer {
            status: 202,
            content_type: "application/json".to_owned(),
            location: Some(format!("/batches/{}", state.batch.id)),
            retry_after: None,
            body: json_bytes(&BatchView::from(state)),
        }
    }

    fn answer(&self, transfer: &Transfer) -> Answer {
        match transfer.stage.status() {
            Status::Accepted | Status::Confirmed => made(201, transfer),
            Status::Pending => made(202, transfer),
            Status::Unknown => {
                let answer = problem_answer(&unknown(transfer), &transfer.request_id);
                Answer { location: Some(location(transfer)), ..answer }
            }
            Status::Failed | Status::Skipped => {
                problem_answer(&failure(transfer), &transfer.request_id)
            }
        }
    }
}

fn made(status: u16, transfer: &Transfer) -> Answer {
    Answer {
        status,
        content_type: "application/json".to_owned(),
        location: Some(location(transfer)),
        retry_after: None,
        body: json_bytes(&TransferView::from(transfer)),
    }
}

fn location(transfer: &Transfer) -> String {
    format!("/transfers/{}", transfer.id)
}

fn failure(transfer: &Transfer) -> Problem {
    let problem = transfer.error.clone().unwrap_or_else(|| {
        Problem::new(Code::InternalError, "The transfer failed and no reason was recorded.")
    });
    problem.transfer(transfer.uuid())
}

/// Whatever was seen last, an unknown outcome is answered as one: 504, and nothing else may make
/// a caller believe that it is settled.
fn unknown(transfer: &Transfer) -> Problem {
    let outcome = |detail: &str| Problem::new(Code::OutcomeUnknown, detail);
    let problem = match &transfer.error {
        Some(problem) if problem.code == Code::OutcomeUnknown => problem.clone(),
        Some(problem) => outcome(&problem.detail).upstream(problem.upstream.clone()),
        None => outcome("The command was sent and no certain answer came in time."),
    };
    let problem = problem.transfer(transfer.uuid());
    if problem.hint.is_some() {
        return problem;
    }
    let address = location(transfer);
    problem.hint(format!(
        "Look at GET {address} until its status is no longer unknown; do not send the command by \
         another way meanwhile."
    ))
}
