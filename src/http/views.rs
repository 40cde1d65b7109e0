//! The shapes callers see, member for member as the public contract lists them.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{
    answer::{ProblemBody, json_bytes, problem_answer},
    openapi::shapes,
};
use crate::{
    batch::BatchState,
    problem::{Code, Problem},
    transfer::{
        LegView, Preview,
        conversation::{LegState, Purpose},
        ids::{BatchId, ConversationId, LanguageId, ParticipantId, QueueId, SkillId, TransferId},
        model::{
            CallerName, Previous, Priority, Queue, Status, Transfer, TransferType, UpstreamUse,
            Warning,
        },
        store::StoredResponse,
    },
};

mod batches;
mod queues;
#[cfg(test)]
mod tests;

pub(super) use batches::{BatchOrPlan, BatchPage, BatchView, PlanView};
pub(super) use queues::{ActivityView, QueueView, QueuesView, TargetView};

/// RFC 3339 in UTC with milliseconds, always the same width, so that texts sort like times.
fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// The same of a time that may be absent.
#[expect(clippy::ref_option, reason = "serde hands the field over so")]
pub(super) fn maybe_time<S: Serializer>(
    at: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// A queue.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueName)]
struct QueueName<'a> {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: QueueId,
    /// Its name as Genesys spells it.
    name: &'a str,
}

impl<'a> From<&'a Queue> for QueueName<'a> {
    fn from(queue: &'a Queue) -> Self {
        Self { id: queue.id, name: &queue.name }
    }
}

/// A transfer: what was asked for, where it stands, what became of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Transfer)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransferView<'a> {
    /// Its id (UUIDv7).
    #[schema(value_type = Uuid)]
    id: TransferId,
    status: Status,
    /// The call.
    #[schema(value_type = Uuid)]
    conversation_id: ConversationId,
    /// The target queue.
    queue: QueueName<'a>,
    /// The leg that is replaced, once it is chosen.
    #[schema(required, value_type = Option<Uuid>)]
    participant_id: Option<ParticipantId>,
    /// That leg before the move.
    #[schema(required)]
    previous: Option<PreviousView>,
    /// The transfer that this one undoes.
    #[schema(required, value_type = Option<Uuid>)]
    undoes: Option<TransferId>,
    /// The priority in the target queue, when one was asked for.
    #[schema(required, value_type = Option<i32>)]
    priority: Option<Priority>,
    /// The minutes waited that `keepPlace` added to the priority.
    #[schema(required)]
    waited_minutes: Option<i64>,
    /// The skills, when some were asked for.
    #[schema(required, value_type = Option<Vec<Uuid>>)]
    skill_ids: Option<&'a [SkillId]>,
    /// The language, when one was asked for.
    #[schema(required, value_type = Option<Uuid>)]
    language_id: Option<LanguageId>,
    transfer_type: TransferType,
    #[schema(required)]
    reason: Option<&'a str>,
    #[schema(required)]
    reference: Option<&'a str>,
    /// The caller who asked.
    #[schema(value_type = String)]
    requested_by: &'a CallerName,
    /// The batch it belongs to.
    #[schema(required, value_type = Option<Uuid>)]
    batch_id: Option<BatchId>,
    /// What to know although it went ahead.
    #[schema(value_type = Vec<shapes::WarningShape>)]
    warnings: &'a [Warning],
    /// Why it failed, was skipped, or is unknown.
    #[schema(required)]
    error: Option<ProblemBody<'a>>,
    #[schema(value_type = shapes::UpstreamUseShape)]
    upstream: &'a UpstreamUse,
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
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
            previous: transfer.shown_previous().map(Into::into),
            undoes: transfer.undoes(),
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

/// The leg that was replaced, and what the call had, as it was before.
#[derive(Serialize, ToSchema)]
#[schema(as = Previous)]
#[serde(rename_all = "camelCase")]
struct PreviousView {
    /// What it was for, in Genesys' words: `agent`, `acd`, `ivr`, …
    #[schema(value_type = String, examples("agent"))]
    purpose: Purpose,
    /// `connected`, `held`, `waiting`, `ringing`, `ended`, or Genesys' own word for others.
    #[schema(value_type = String, examples("connected"))]
    state: LegState,
    /// The queue it came from; null when it is not known, or the caller may not know of it.
    #[schema(required, value_type = Option<Uuid>)]
    queue_id: Option<QueueId>,
    /// The call's priority; null when it is not known.
    #[schema(required)]
    priority: Option<i64>,
    /// The skills it asked for; null when they are not known.
    #[schema(required, value_type = Option<Vec<Uuid>>)]
    skill_ids: Option<Vec<SkillId>>,
    /// The language it asked for.
    #[schema(required, value_type = Option<Uuid>)]
    language_id: Option<LanguageId>,
    /// Since when it waited; null when it did not wait.
    #[serde(serialize_with = "maybe_time")]
    #[schema(required, value_type = Option<String>, format = DateTime)]
    waiting_since: Option<Timestamp>,
}

impl From<Previous> for PreviousView {
    fn from(previous: Previous) -> Self {
        let Previous { purpose, state, queue_id, priority, skill_ids, language_id, waiting_since } =
            previous;
        Self { purpose, state, queue_id, priority, skill_ids, language_id, waiting_since }
    }
}

/// A page of transfers.
#[derive(Serialize, ToSchema)]
#[schema(as = TransferPage)]
#[serde(rename_all = "camelCase")]
pub(super) struct TransferPage<'a> {
    pub items: Vec<TransferView<'a>>,
    /// Goes into `cursor` for the next page; null on the last one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// A leg of the conversation.
#[derive(Serialize, ToSchema)]
#[schema(as = Leg)]
#[serde(rename_all = "camelCase")]
struct LegItem<'a> {
    /// Goes into `participantId`.
    #[schema(required, value_type = Option<Uuid>)]
    participant_id: Option<ParticipantId>,
    /// What it is for, in Genesys' words.
    purpose: &'a str,
    /// `connected`, `held`, `waiting`, `ringing`, `ended`, or Genesys' own word for others.
    state: &'a str,
    held: bool,
    /// Its queue; null when it has none, or one the caller may not know of.
    #[schema(required, value_type = Option<Uuid>)]
    queue_id: Option<QueueId>,
    /// Whether a transfer would replace this leg.
    replaced: bool,
    /// Why it would, or why not.
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
#[derive(Serialize, ToSchema)]
#[schema(as = Preview)]
#[serde(rename_all = "camelCase")]
pub(super) struct PreviewView<'a> {
    #[schema(value_type = Uuid)]
    conversation_id: ConversationId,
    transferable: bool,
    /// The code a transfer would be refused with.
    #[schema(required)]
    code: Option<Code>,
    /// In a sentence.
    detail: &'a str,
    legs: Vec<LegItem<'a>>,
    /// The target queue, when one was asked about.
    #[schema(required)]
    target: Option<TargetView<'a>>,
    /// Whether the organisation strips skills from such transfers; null when no target was asked
    /// about or it could not be found out.
    #[schema(required)]
    skills_will_be_stripped: Option<bool>,
    /// Whole minutes waited in the queue it would leave.
    waited_minutes: i64,
    /// The priority it has now, when known.
    #[schema(required)]
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
            target: preview
                .target
                .as_ref()
                .map(|queue| TargetView::new(queue, preview.activity.as_ref())),
            skills_will_be_stripped: preview.skills_will_be_stripped,
            waited_minutes: preview.waited_minutes,
            priority: preview.priority,
        }
    }
}

/// A problem code in words.
#[derive(Serialize, ToSchema)]
#[schema(as = ProblemMeaning)]
pub(super) struct ProblemPage {
    /// This page's path.
    r#type: String,
    code: Code,
    title: &'static str,
    /// The HTTP status it comes with.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Whether the same request with the same key may usually be sent again.
    retryable: bool,
    /// What it means.
    meaning: &'static str,
    /// What to do about it.
    remedy: &'static str,
}

/// All problem codes.
#[derive(Serialize, ToSchema)]
pub(super) struct ProblemPages {
    pub items: Vec<ProblemPage>,
}

/// What a probe is told when all is well.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `live` or `ready`.
    pub status: &'static str,
    /// What is not as it should be although requests are taken; only in `GET /health/ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reasons: Option<Vec<String>>,
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

/// The response to the request that made `transfer`, as it stands: 201 for accepted and confirmed, 202
/// for pending, else the problem in `transfer.error` with the transfer's id. A pure function of the
/// record, so that the same record always gives the same bytes.
#[must_use]
pub fn transfer_response(transfer: &Transfer) -> StoredResponse {
    match transfer.stage.status() {
        Status::Accepted | Status::Confirmed => made(201, transfer),
        Status::Pending => made(202, transfer),
        Status::Unknown => {
            let answer = problem_answer(&unknown(transfer), &transfer.request_id);
            StoredResponse { location: Some(location(transfer)), ..answer }
        }
        Status::Failed | Status::Skipped => {
            problem_answer(&failure(transfer), &transfer.request_id)
        }
    }
}

/// The response to the request that made a batch: 202 with the batch, `Location`. Pure, too.
#[must_use]
pub fn batch_response(state: &BatchState) -> StoredResponse {
    StoredResponse {
        status: 202,
        content_type: "application/json".to_owned(),
        location: Some(format!("/batches/{}", state.batch.id)),
        retry_after: None,
        body: json_bytes(&BatchView::from(state)),
    }
}

fn made(status: u16, transfer: &Transfer) -> StoredResponse {
    StoredResponse {
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
    let mut problem = problem.transfer(transfer.uuid());
    if !transfer.has_key {
        problem.retryable = Some(false);
    }
    if problem.hint.is_some() {
        return problem;
    }
    let address = location(transfer);
    problem.hint(format!(
        "Look at GET {address} until its status is no longer unknown; do not send the command by \
         another way meanwhile."
    ))
}
