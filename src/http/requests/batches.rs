//! The body of `POST /batches`.

use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, Ref, RefOr, Schema},
};

use super::{Reason, Reference, Skills, TransferRequestBody, queue};
use crate::{
    batch::{BatchOrder, DrainOrder, UndoOrder, When},
    http::{
        answer::Failure,
        checked::{Checked, ObjectFields, Rule, Wrong, body, kind},
        rules::{BoundedText, Ids, KeepPlace, Time, Whole, wrong},
    },
    transfer::{
        ids::{BatchId, LanguageId, PlanId, QueueId},
        model::{Priority, QueueName},
    },
};

#[cfg(test)]
mod tests;

/// One of three forms. A list: `transfers`, with `reason`. A drain: one of `fromQueueName` and
/// `fromQueueId`, one of `toQueueName` and `toQueueId`, with any of the others but `transfers` and
/// `planId`. What a dry run showed: `planId` alone.
// One object for all forms: few generators of clients tell forms apart that share members.
#[derive(Deserialize, ToSchema)]
#[schema(as = BatchRequest)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct BatchBody {
    /// The `planId` of a dry run of the same caller: exactly those calls move.
    #[schema(value_type = Option<Uuid>)]
    plan_id: Option<Checked<PlanId>>,
    /// A list: no call twice, not more than `batches.max_size`. All queues must be there, or there is
    /// no batch.
    #[schema(value_type = Option<TransferList>, inline)]
    transfers: Option<Checked<TransferList>>,
    /// The queue to empty, by name.
    #[schema(value_type = Option<QueueName>, inline)]
    from_queue_name: Option<Checked<QueueName>>,
    /// The queue to empty, by id.
    #[schema(value_type = Option<Uuid>)]
    from_queue_id: Option<Checked<QueueId>>,
    /// Where its calls go, by name.
    #[schema(value_type = Option<QueueName>, inline)]
    to_queue_name: Option<Checked<QueueName>>,
    /// Where its calls go, by id.
    #[schema(value_type = Option<Uuid>)]
    to_queue_id: Option<Checked<QueueId>>,
    /// Priority in the target queue; of a call that keeps its place, what its minutes are added to.
    #[schema(value_type = Option<Priority>, inline)]
    priority: Option<Checked<Priority>>,
    /// Skills asked for in the target queue; `[]` clears them.
    #[schema(value_type = Option<Skills>, inline)]
    skill_ids: Option<Checked<Skills>>,
    /// Language asked for in the target queue.
    #[schema(value_type = Option<Uuid>)]
    language_id: Option<Checked<LanguageId>>,
    /// The calls keep the time already waited. `true` when absent. `"order"`, not with `priority`:
    /// they move longest wait first and no priority is set, which takes one request less a call;
    /// who calls the target queue meanwhile may be served before those that have not moved yet.
    #[schema(value_type = Option<KeepPlace>, inline)]
    keep_place: Option<Checked<KeepPlace>>,
    /// Calls at most, the longest waiting; never more than `batches.max_size`.
    #[schema(value_type = Option<DrainLimit>, inline)]
    limit: Option<Checked<DrainLimit>>,
    /// Only calls that have waited for so many minutes.
    #[schema(value_type = Option<WaitedMinutes>, inline)]
    min_waited_minutes: Option<Checked<WaitedMinutes>>,
    /// A standing drain: calls that arrive until then move too, within 15 s. At most 24 hours ahead.
    #[schema(value_type = Option<Time>, inline)]
    until: Option<Checked<Time>>,
    /// When a standing drain moves calls. `always` when absent; `nobody_on_queue` needs `until`.
    #[schema(value_type = Option<When>)]
    when: Option<Checked<When>>,
    /// Only show what would move. `false` when absent.
    #[schema(value_type = Option<bool>)]
    dry_run: Option<Checked<bool>>,
    /// Why, for the record.
    #[schema(value_type = Option<Reason>, inline)]
    reason: Option<Checked<Reason>>,
    /// Your own ticket number; `GET /transfers?reference=` finds the calls by it.
    #[schema(value_type = Option<Reference>, inline)]
    reference: Option<Checked<Reference>>,
}

/// Calls a drain may be limited to.
type DrainLimit = Whole<1, 10_000>;

/// Minutes a call must have waited.
type WaitedMinutes = Whole<0, 10_000>;

/// The requests of a list, each still to be read.
struct TransferList(Vec<Box<RawValue>>);

impl Rule for TransferList {
    fn read(json: &str) -> Result<Self, Wrong> {
        let items: Vec<Box<RawValue>> = serde_json::from_str(json)
            .map_err(|_| wrong(format!("must be a list, not {}", kind(json))))?;
        match items.len() {
            1..=1000 => Ok(Self(items)),
            count => Err(wrong(format!("must hold 1 to 1000 members, not {count}"))),
        }
    }
}

impl PartialSchema for TransferList {
    fn schema() -> RefOr<Schema> {
        let transfer = Ref::from_schema_name(TransferRequestBody::name());
        ArrayBuilder::new().items(transfer).min_items(Some(1)).max_items(Some(1000)).into()
    }
}

impl ToSchema for TransferList {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TransferRequestBody::name().into_owned(), TransferRequestBody::schema()));
        TransferRequestBody::schemas(schemas);
    }
}

/// Why the calls of a batch go back; `{}` is enough.
#[derive(Deserialize, ToSchema)]
#[schema(as = BatchUndoRequest)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct BatchUndoBody {
    /// Only show what would go back. `false` when absent.
    #[schema(value_type = Option<bool>)]
    dry_run: Option<Checked<bool>>,
    /// Why, for the record.
    #[schema(value_type = Option<Reason>, inline)]
    reason: Option<Checked<Reason>>,
}

/// Reads the body of `POST /batches/{id}/undo`.
///
/// # Errors
/// `malformed_json`; `invalid_request` with every bad field.
pub(in crate::http) fn batch_undo(bytes: &[u8], batch: BatchId) -> Result<BatchOrder, Failure> {
    body(bytes, |read: BatchUndoBody, fields| {
        let dry_run = fields.take("dryRun", read.dry_run).unwrap_or_default();
        let reason = fields.take("reason", read.reason).map(|BoundedText(text)| text);
        Some(BatchOrder::Undo(UndoOrder { batch, dry_run, reason }))
    })
}

/// Reads the body of `POST /batches`: a list, a drain, or a plan's id.
///
/// # Errors
/// `malformed_json`; `invalid_request` with every bad field.
pub(in crate::http) fn batch(bytes: &[u8]) -> Result<BatchOrder, Failure> {
    body(bytes, BatchBody::order)
}

impl BatchBody {
    fn order(self, fields: &mut ObjectFields<'_>) -> Option<BatchOrder> {
        let sent = self.sent();
        if self.plan_id.is_some() {
            refuse_others(sent, &["planId"], fields);
            fields.take("planId", self.plan_id).map(BatchOrder::Plan)
        } else if self.transfers.is_some() {
            refuse_others(sent, &["transfers", "reason"], fields);
            self.list(fields)
        } else if sent.is_empty() {
            // Also of a body in which no name is known.
            fields.note_whole(
                "must have transfers (a list), or fromQueueName and toQueueName (a drain), or \
                 planId (what a dry run showed)",
            );
            None
        } else {
            self.drain(fields)
        }
    }

    /// The fields that were sent, in the order in which they are declared.
    fn sent(&self) -> Vec<&'static str> {
        let all = [
            ("planId", self.plan_id.is_some()),
            ("transfers", self.transfers.is_some()),
            ("fromQueueName", self.from_queue_name.is_some()),
            ("fromQueueId", self.from_queue_id.is_some()),
            ("toQueueName", self.to_queue_name.is_some()),
            ("toQueueId", self.to_queue_id.is_some()),
            ("priority", self.priority.is_some()),
            ("skillIds", self.skill_ids.is_some()),
            ("languageId", self.language_id.is_some()),
            ("keepPlace", self.keep_place.is_some()),
            ("limit", self.limit.is_some()),
            ("minWaitedMinutes", self.min_waited_minutes.is_some()),
            ("until", self.until.is_some()),
            ("when", self.when.is_some()),
            ("dryRun", self.dry_run.is_some()),
            ("reason", self.reason.is_some()),
            ("reference", self.reference.is_some()),
        ];
        all.into_iter().filter(|(_, sent)| *sent).map(|(name, _)| name).collect()
    }

    fn list(self, fields: &mut ObjectFields<'_>) -> Option<BatchOrder> {
        let reason = fields.take("reason", self.reason).map(|BoundedText(text)| text);
        let TransferList(items) = fields.take("transfers", self.transfers)?;
        let mut transfers = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let name = format!("transfers/{index}");
            transfers.extend(fields.inner(&name, item, TransferRequestBody::checked));
        }
        Some(BatchOrder::List { transfers, reason })
    }

    fn drain(self, fields: &mut ObjectFields<'_>) -> Option<BatchOrder> {
        let from_id = ("fromQueueId", self.from_queue_id);
        let from = queue(fields, ("fromQueueName", self.from_queue_name), from_id);
        let to =
            queue(fields, ("toQueueName", self.to_queue_name), ("toQueueId", self.to_queue_id));
        let priority = fields.take("priority", self.priority);
        let skill_ids = fields.take("skillIds", self.skill_ids).map(|Ids(ids)| ids);
        let language_id = fields.take("languageId", self.language_id);
        let keep_place = fields.take("keepPlace", self.keep_place);
        if keep_place == Some(KeepPlace::Order) && priority.is_some() {
            fields.note("priority", "does not go with keepPlace \"order\", which sets none");
        }
        let number = |Whole(number)| u32::try_from(number).ok();
        let limit = fields.take("limit", self.limit).and_then(number);
        let number = |Whole(number)| u32::try_from(number).ok();
        let min_waited_minutes = fields.take("minWaitedMinutes", self.min_waited_minutes);
        let (has_until, until) = (self.until.is_some(), fields.take("until", self.until));
        let when = fields.take("when", self.when).unwrap_or_default();
        if when == When::NobodyOnQueue && !has_until {
            fields.note("when", "needs until: only a standing drain waits for that");
        }
        let dry_run = fields.take("dryRun", self.dry_run).unwrap_or_default();
        let reason = fields.take("reason", self.reason).map(|BoundedText(text)| text);
        let reference = fields.take("reference", self.reference).map(|BoundedText(text)| text);
        Some(BatchOrder::Drain(DrainOrder {
            from: from?,
            to: to?,
            priority,
            skill_ids,
            language_id,
            // The calls leave in their order anyway.
            keep_place: matches!(keep_place, None | Some(KeepPlace::Priority(true))),
            limit,
            min_waited_minutes: min_waited_minutes.and_then(number),
            until: until.map(|Time(until)| until),
            when,
            dry_run,
            reason,
            reference,
        }))
    }
}

fn refuse_others(sent: Vec<&'static str>, form: &[&str], fields: &mut ObjectFields<'_>) {
    for name in sent.into_iter().filter(|name| !form.contains(name)) {
        let first = form.first().copied().unwrap_or_default();
        fields.note(name, format!("does not go with {first}"));
    }
}
