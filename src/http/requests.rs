//! The bodies callers send, validated into the domain's words.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    answer::Failure,
    fields::{Errors, Fields},
    json::Value,
};
use crate::{
    config,
    transfer::{
        Verdict,
        model::{Priority, QueueName, QueueRef, TransferRequest, TransferType},
    },
};

pub(super) mod batches;
pub(super) mod described;
#[cfg(test)]
mod tests;

pub(super) use batches::batch;

/// Most skills a transfer may ask for.
const MAX_SKILLS: usize = 50;
/// Longest `filter` of a log, in characters.
const MAX_FILTER: usize = 1000;
/// A change of the log for an incident lasts from a second to a day.
const LOG_CHANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
/// Longest `reason`, in characters.
const MAX_REASON: usize = 500;
/// Longest `reference`, in characters.
pub(super) const MAX_REFERENCE: usize = 128;

/// The words for a [`TransferType`].
pub(super) const TRANSFER_TYPES: [(&str, TransferType); 2] =
    [("unattended", TransferType::Unattended), ("attended", TransferType::Attended)];
/// The words for a [`Verdict`].
const OUTCOMES: [(&str, Verdict); 2] =
    [("moved", Verdict::Moved), ("not_moved", Verdict::NotMoved)];

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
    let transfer_type = fields.choice("transferType", &TRANSFER_TYPES).unwrap_or_default();
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
        let outcome = f.choice("outcome", &OUTCOMES);
        let reason = f.text("reason", MAX_REASON, true);
        Some((outcome?, reason))
    });
    errors.finish(verdict)
}

/// Reads the body of `POST /admin/log-level`: the filter, and how long it is to last.
///
/// # Errors
/// `invalid_request` with every bad field.
pub(super) fn log_level(body: &Value) -> Result<(String, Option<Duration>), Failure> {
    let mut errors = Errors::default();
    let change = Fields::open(body, "", &["filter", "for"], &mut errors).and_then(|mut f| {
        f.require("filter");
        let filter = f.text("filter", MAX_FILTER, false);
        if filter.as_deref().is_some_and(|filter| !config::is_log_filter(filter)) {
            f.note(
                "filter",
                "must be a level, or target=level pairs, such as info,genesys_transfer=debug",
            );
        }
        let lasting = f.string("for").and_then(|text| {
            let time = config::parse_duration(text).filter(|time| LOG_CHANGE.contains(time));
            if time.is_none() {
                f.note("for", "must be a duration with its unit, such as 15m, from 1s to 24h");
            }
            time
        });
        Some((filter?, lasting))
    });
    errors.finish(change)
}
