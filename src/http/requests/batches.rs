//! The bodies of `POST /batches`.

use std::borrow::Cow;

use super::{
    super::{
        answer::Failure,
        fields::{Errors, Fields},
        json::Value,
    },
    MAX_REASON, MAX_REFERENCE, MAX_SKILLS, queue, transfer_at,
};
use crate::{
    batch::{BatchOrder, DrainOrder},
    transfer::model::Priority,
};

pub(in crate::http) mod described;
#[cfg(test)]
mod tests;

/// Most transfers in a list.
const MAX_LIST: usize = 1000;
/// Most calls a drain may be limited to.
const MAX_DRAIN: i64 = 10_000;

/// The fields of a list; every other one is refused.
const LIST: [&str; 2] = ["transfers", "reason"];
/// The fields of a drain.
const DRAIN: [&str; 12] = [
    "fromQueueName",
    "fromQueueId",
    "toQueueName",
    "toQueueId",
    "priority",
    "skillIds",
    "languageId",
    "keepPlace",
    "limit",
    "dryRun",
    "reason",
    "reference",
];
/// The one field by which a dry run's list is carried out.
const PLAN: [&str; 1] = ["planId"];

/// Reads the body of `POST /batches`: a list, a drain, or a plan's id.
///
/// # Errors
/// `invalid_request` with every bad field.
pub(in crate::http) fn batch(body: &Value) -> Result<BatchOrder, Failure> {
    let mut errors = Errors::default();
    let order = match form(body) {
        Some(Form::Plan) => plan(&without_others(body, &PLAN), &mut errors),
        Some(Form::List) => list(&without_others(body, &LIST), &mut errors),
        Some(Form::Drain) => drain(&without_others(body, &DRAIN), &mut errors),
        None => {
            errors.note(
                "",
                "must have transfers (a list), or fromQueueName and toQueueName (a drain), or \
                 planId (what a dry run showed)",
            );
            None
        }
    };
    errors.finish(order)
}

/// What a body asks for.
enum Form {
    List,
    Drain,
    Plan,
}

/// The form that a body's fields are of. One that is `null` says so only if no other one does.
fn form(body: &Value) -> Option<Form> {
    let Value::Object(members) = body else { return Some(Form::Drain) };
    let by = |counts: fn(&Value) -> bool| {
        let has = |field: &str| members.iter().any(|(name, it)| name == field && counts(it));
        if has("planId") {
            Some(Form::Plan)
        } else if has("transfers") {
            Some(Form::List)
        } else {
            DRAIN.iter().any(|field| has(field)).then_some(Form::Drain)
        }
    };
    by(|value| *value != Value::Null).or_else(|| by(|_| true))
}

/// Leaves out the fields of the other forms that are `null`, which counts as absent: a program that
/// has one record for all forms sends them along.
fn without_others<'b>(body: &'b Value, fields: &[&str]) -> Cow<'b, Value> {
    let Value::Object(members) = body else { return Cow::Borrowed(body) };
    let others = |name: &str| {
        let mut all = PLAN.iter().chain(&LIST).chain(&DRAIN);
        all.any(|field| *field == name) && !fields.contains(&name)
    };
    let absent = |(name, value): &(String, Value)| *value == Value::Null && others(name);
    if !members.iter().any(absent) {
        return Cow::Borrowed(body);
    }
    Cow::Owned(Value::Object(members.iter().filter(|member| !absent(member)).cloned().collect()))
}

fn plan(body: &Value, errors: &mut Errors) -> Option<BatchOrder> {
    let mut fields = Fields::open(body, "", &PLAN, errors)?;
    fields.require("planId");
    fields.uuid("planId").map(BatchOrder::Plan)
}

fn list(body: &Value, errors: &mut Errors) -> Option<BatchOrder> {
    let mut fields = Fields::open(body, "", &LIST, errors)?;
    fields.require("transfers");
    let reason = fields.text("reason", MAX_REASON, true);
    let items = fields.list("transfers", 1, MAX_LIST)?;
    let mut transfers = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        transfers.extend(transfer_at(item, &format!("/transfers/{index}"), errors));
    }
    Some(BatchOrder::List { transfers, reason })
}

fn drain(body: &Value, errors: &mut Errors) -> Option<BatchOrder> {
    let mut fields = Fields::open(body, "", &DRAIN, errors)?;
    let from = queue(&mut fields, "fromQueueName", "fromQueueId");
    let to = queue(&mut fields, "toQueueName", "toQueueId");
    let priority = fields
        .whole("priority", i64::from(Priority::MIN), i64::from(Priority::MAX))
        .and_then(Priority::new);
    let skill_ids = fields.uuids("skillIds", MAX_SKILLS);
    let language_id = fields.uuid("languageId");
    let keep_place = fields.boolean("keepPlace").unwrap_or(true);
    let limit = fields.whole("limit", 1, MAX_DRAIN).and_then(|limit| u32::try_from(limit).ok());
    let dry_run = fields.boolean("dryRun").unwrap_or_default();
    let reason = fields.text("reason", MAX_REASON, true);
    let reference = fields.text("reference", MAX_REFERENCE, false);
    Some(BatchOrder::Drain(DrainOrder {
        from: from?,
        to: to?,
        priority,
        skill_ids,
        language_id,
        keep_place,
        limit,
        dry_run,
        reason,
        reference,
    }))
}
