//! The bodies callers send, validated into the domain's words.

use super::{
    answer::Failure,
    fields::{Errors, Fields},
    json::Value,
};
use crate::transfer::{
    model::{Priority, QueueName, QueueRef, TransferRequest, TransferType},
    service::Verdict,
};

mod batches;
#[cfg(test)]
mod tests;

pub(super) use batches::batch;

/// Most skills a transfer may ask for.
const MAX_SKILLS: usize = 50;
/// Longest `reason`, in characters.
const MAX_REASON: usize = 500;
/// Longest `reference`, in characters.
pub(super) const MAX_REFERENCE: usize = 128;

/// The fields of a transfer request; every other one is refused.
const TRANSFER: [&str; 11] = [
    "conversationId",
    "queueName",
    "queueId",
    "priority",
    "skillIds",
    "languageId",
    "keepPlace",
    "participantId",
    "transferType",
    "reason",
    "reference",
];

/// Reads the body of `POST /transfers`.
///
/// # Errors
/// `invalid_request` with every bad field.
pub(super) fn transfer(body: &Value) -> Result<TransferRequest, Failure> {
    let mut errors = Errors::default();
    let request = transfer_at(body, "", &mut errors);
    errors.finish(request)
}

/// Reads a transfer request that stands at `pointer` in a body. `None` only after a note in
/// `errors`; the value counts only if nothing was noted.
pub(super) fn transfer_at(
    value: &Value,
    pointer: &str,
    errors: &mut Errors,
) -> Option<TransferRequest> {
    let mut fields = Fields::open(value, pointer, &TRANSFER, errors)?;
    fields.require("conversationId");
    let conversation_id = fields.uuid("conversationId");
    let queue = queue(&mut fields, "queueName", "queueId");
    let priority = fields
        .whole("priority", i64::from(Priority::MIN), i64::from(Priority::MAX))
        .and_then(Priority::new);
    let skill_ids = fields.uuids("skillIds", MAX_SKILLS);
    let language_id = fields.uuid("languageId");
    let keep_place = fields.boolean("keepPlace").unwrap_or_default();
    let participant_id = fields.uuid("participantId");
    let choices = [("unattended", TransferType::Unattended), ("attended", TransferType::Attended)];
    let transfer_type = fields.choice("transferType", &choices).unwrap_or_default();
    let reason = fields.text("reason", MAX_REASON, true);
    let reference = fields.text("reference", MAX_REFERENCE, false);
    Some(TransferRequest {
        conversation_id: conversation_id?,
        queue: queue?,
        priority,
        skill_ids,
        language_id,
        keep_place,
        participant_id,
        transfer_type,
        reason,
        reference,
    })
}

/// A queue named by exactly one of two fields.
fn queue(fields: &mut Fields<'_, '_>, by_name: &str, by_id: &str) -> Option<QueueRef> {
    match (fields.has(by_name), fields.has(by_id)) {
        (true, true) => {
            fields.note(by_id, format!("give either {by_name} or {by_id}, not both"));
            None
        }
        (false, false) => {
            fields.note(by_name, format!("is required, or {by_id} in its place"));
            None
        }
        (true, false) => queue_name(fields, by_name).map(QueueRef::Name),
        (false, true) => fields.uuid(by_id).map(QueueRef::Id),
    }
}

fn queue_name(fields: &mut Fields<'_, '_>, field: &str) -> Option<QueueName> {
    let text = fields.string(field)?;
    match parse_queue_name(text) {
        Ok(name) => Some(name),
        Err(detail) => {
            fields.note(field, detail);
            None
        }
    }
}

/// Reads a queue name as bodies and query strings give it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_queue_name(text: &str) -> Result<QueueName, String> {
    let name = QueueName::parse(text).ok_or_else(|| {
        format!("must have 1 to {} characters besides blanks around it", QueueName::MAX_CHARS)
    })?;
    if name.as_str().chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    Ok(name)
}

/// Reads the body of `POST /transfers/{id}/settle`.
///
/// # Errors
/// `invalid_request` with every bad field.
pub(super) fn settle(body: &Value) -> Result<(Verdict, Option<String>), Failure> {
    let mut errors = Errors::default();
    let verdict = Fields::open(body, "", &["outcome", "reason"], &mut errors).and_then(|mut f| {
        f.require("outcome");
        let outcomes = [("moved", Verdict::Moved), ("not_moved", Verdict::NotMoved)];
        let outcome = f.choice("outcome", &outcomes);
        let reason = f.text("reason", MAX_REASON, true);
        Some((outcome?, reason))
    });
    errors.finish(verdict)
}
