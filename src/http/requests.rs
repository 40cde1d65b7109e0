//! The bodies callers send: each is a struct that serde reads and that describes itself, and becomes
//! the domain's words.

use std::{ops::RangeInclusive, time::Duration};

use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    answer::Failure,
    checked::{Checked, ObjectFields, Rule, Wrong, body},
    rules::{BoundedText, Ids, string, wrong},
    schema::{described, text},
};
use crate::{
    config,
    transfer::{
        Verdict,
        ids::{ConversationId, LanguageId, ParticipantId, QueueId, SkillId},
        model::{Priority, QueueName, QueueRef, TransferRequest, TransferType},
    },
};

mod batches;
#[cfg(test)]
mod tests;

pub(super) use batches::{BatchBody, BatchUndoBody, batch, batch_undo};

/// At most 50 skills.
type Skills = Ids<SkillId, 50>;
/// Why, for the record.
type Reason = BoundedText<500, true>;
/// The caller's own ticket number.
pub(super) type Reference = BoundedText<128, false>;

/// A call, and the queue it moves to: exactly one of `queueName` and `queueId`.
#[derive(Deserialize, ToSchema)]
#[schema(as = TransferRequest)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TransferRequestBody {
    /// The call to move.
    #[schema(required, nullable = false, value_type = Uuid)]
    conversation_id: Option<Checked<ConversationId>>,
    /// The target queue by name. Spaces around it do not count; an exact match wins, else one in any
    /// case.
    #[schema(value_type = Option<QueueName>, inline)]
    queue_name: Option<Checked<QueueName>>,
    /// The target queue by id.
    #[schema(value_type = Option<Uuid>)]
    queue_id: Option<Checked<QueueId>>,
    /// Priority in the target queue: one point is worth one minute waited, higher is served sooner.
    #[schema(value_type = Option<Priority>, inline)]
    priority: Option<Checked<Priority>>,
    /// Skills asked for in the target queue; `[]` clears them.
    #[schema(value_type = Option<Skills>, inline)]
    skill_ids: Option<Checked<Skills>>,
    /// Language asked for in the target queue.
    #[schema(value_type = Option<Uuid>)]
    language_id: Option<Checked<LanguageId>>,
    /// The caller keeps the time already waited: its minutes are added to the priority. `false` when
    /// absent.
    #[schema(value_type = Option<bool>)]
    keep_place: Option<Checked<bool>>,
    /// The leg to replace, when the usual choice is not wanted.
    #[schema(value_type = Option<Uuid>)]
    participant_id: Option<Checked<ParticipantId>>,
    /// Whether the agent stays on until the transfer is taken; `unattended` when absent.
    #[schema(value_type = Option<TransferType>)]
    transfer_type: Option<Checked<TransferType>>,
    /// Why, for the record.
    #[schema(value_type = Option<Reason>, inline)]
    reason: Option<Checked<Reason>>,
    /// Your own ticket number; `GET /transfers?reference=` finds it.
    #[schema(value_type = Option<Reference>, inline)]
    reference: Option<Checked<Reference>>,
}

impl TransferRequestBody {
    /// The request. `None` only after a note; the value counts only if nothing was noted.
    fn checked(self, fields: &mut ObjectFields<'_>) -> Option<TransferRequest> {
        let conversation_id = fields.require("conversationId", self.conversation_id);
        let by_name = ("queueName", self.queue_name);
        let queue = queue(fields, by_name, ("queueId", self.queue_id));
        let priority = fields.take("priority", self.priority);
        let skill_ids = fields.take("skillIds", self.skill_ids).map(|Ids(ids)| ids);
        let language_id = fields.take("languageId", self.language_id);
        let keep_place = fields.take("keepPlace", self.keep_place).unwrap_or_default();
        let participant_id = fields.take("participantId", self.participant_id);
        let transfer_type = fields.take("transferType", self.transfer_type).unwrap_or_default();
        let reason = fields.take("reason", self.reason).map(|BoundedText(text)| text);
        let reference = fields.take("reference", self.reference).map(|BoundedText(text)| text);
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
            undo: None,
        })
    }
}

/// A queue named by exactly one of two fields.
fn queue(
    fields: &mut ObjectFields<'_>,
    (by_name, name): (&str, Option<Checked<QueueName>>),
    (by_id, id): (&str, Option<Checked<QueueId>>),
) -> Option<QueueRef> {
    match (name, id) {
        (Some(_), Some(_)) => {
            fields.note(by_id, format!("give either {by_name} or {by_id}, not both"));
            None
        }
        (None, None) => {
            fields.note(by_name, format!("is required, or {by_id} in its place"));
            None
        }
        (name @ Some(_), None) => fields.take(by_name, name).map(QueueRef::Name),
        (None, id) => fields.take(by_id, id).map(QueueRef::Id),
    }
}

/// Reads the body of `POST /transfers`.
///
/// # Errors
/// `malformed_json`; `invalid_request` with every bad field.
pub(super) fn transfer(bytes: &[u8]) -> Result<TransferRequest, Failure> {
    body(bytes, TransferRequestBody::checked)
}

/// What an operator saw in Genesys.
#[derive(Deserialize, ToSchema)]
#[schema(as = SettleRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct SettleBody {
    /// Whether the call moved.
    #[schema(required, nullable = false, value_type = Verdict)]
    outcome: Option<Checked<Verdict>>,
    /// Why, for the record.
    #[schema(value_type = Option<Reason>, inline)]
    reason: Option<Checked<Reason>>,
}

/// Reads the body of `POST /transfers/{id}/settle`.
///
/// # Errors
/// `malformed_json`; `invalid_request` with every bad field.
pub(super) fn settle(bytes: &[u8]) -> Result<(Verdict, Option<String>), Failure> {
    body(bytes, |read: SettleBody, fields| {
        let outcome = fields.require("outcome", read.outcome);
        let reason = fields.take("reason", read.reason).map(|BoundedText(text)| text);
        Some((outcome?, reason))
    })
}

/// Why a call goes back; `{}` is enough.
#[derive(Deserialize, ToSchema)]
#[schema(as = UndoRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct UndoBody {
    /// Why, for the record.
    #[schema(value_type = Option<Reason>, inline)]
    reason: Option<Checked<Reason>>,
    /// Your own ticket number; `GET /transfers?reference=` finds it.
    #[schema(value_type = Option<Reference>, inline)]
    reference: Option<Checked<Reference>>,
}

/// Reads the body of `POST /transfers/{id}/undo`: reason and reference.
///
/// # Errors
/// `malformed_json`; `invalid_request` with every bad field.
pub(super) fn undo(bytes: &[u8]) -> Result<(Option<String>, Option<String>), Failure> {
    body(bytes, |read: UndoBody, fields| {
        let reason = fields.take("reason", read.reason).map(|BoundedText(text)| text);
        let reference = fields.take("reference", read.reference).map(|BoundedText(text)| text);
        Some((reason, reference))
    })
}

/// What is to be logged.
#[derive(Deserialize, ToSchema)]
#[schema(as = LogLevelRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLevelBody {
    /// A level, or `target=level` pairs, with commas between them.
    #[schema(required, nullable = false, value_type = LogFilterText, inline)]
    filter: Option<Checked<LogFilterText>>,
    /// For how long, from `1s` to `24h`; until the restart when absent.
    #[schema(value_type = Option<LogChangeTime>, inline)]
    r#for: Option<Checked<LogChangeTime>>,
}

/// A filter of the log.
struct LogFilterText(String);

impl Rule for LogFilterText {
    fn read(json: &str) -> Result<Self, Wrong> {
        let BoundedText(filter) = BoundedText::<1000, false>::read(json)?;
        if config::is_log_filter(&filter) {
            return Ok(Self(filter));
        }
        let expected =
            "must be a level, or target=level pairs, such as info,genesys_transfer=debug";
        Err(wrong(expected))
    }
}

described!(LogFilterText, {
    // The filters that are promised; all that `EnvFilter` takes are read.
    const FILTER: &str = "^(?:[a-z_][a-z0-9_:]*=)?(?:off|error|warn|info|debug|trace)(?:,(?:[a-z_][a-z0-9_:]*=)?(?:off|error|warn|info|debug|trace))*$";
    text().max_length(Some(1000)).pattern(Some(FILTER))
});

/// How long a change of the log lasts.
struct LogChangeTime(Duration);

impl Rule for LogChangeTime {
    fn read(json: &str) -> Result<Self, Wrong> {
        const ALLOWED: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
        let time = config::parse_duration(&string(json, "a string")?);
        time.filter(|time| ALLOWED.contains(time))
            .map(Self)
            .ok_or_else(|| wrong("must be a duration with its unit, such as 15m, from 1s to 24h"))
    }
}

described!(LogChangeTime, {
    const DURATION: &str = "^(?:(?:[1-9]|1[0-9]|2[0-4])h|(?:[1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440)m|(?:[1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}|86400)s)$";
    text().pattern(Some(DURATION))
});

/// Reads the body of `POST /admin/log-level`: the filter, and how long it is to last.
///
/// # Errors
/// `malformed_json`; `invalid_request` with every bad field.
pub(super) fn log_level(bytes: &[u8]) -> Result<(String, Option<Duration>), Failure> {
    body(bytes, |read: LogLevelBody, fields| {
        let filter = fields.require("filter", read.filter).map(|LogFilterText(text)| text);
        let lasting = fields.take("for", read.r#for).map(|LogChangeTime(time)| time);
        Some((filter?, lasting))
    })
}
