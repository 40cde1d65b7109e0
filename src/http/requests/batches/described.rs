//! The bodies of `POST /batches`, for the document: the same limits as the readers beside them.

use std::borrow::Cow;

use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, Type,
        schema::AdditionalProperties,
    },
};

use super::{MAX_DRAIN, MAX_LIST, MAX_REFERENCE};
use crate::http::{
    openapi::fields::{LINE, also, or_null, text, uuid, whole},
    requests::described::{TransferBody, language, named_by, priority, queue_name, reason, skills},
};

/// The body of `POST /batches`: one of three forms.
pub(in crate::http) struct BatchBody;

impl ToSchema for BatchBody {
    fn name() -> Cow<'static, str> {
        "BatchRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TransferBody::name().into_owned(), TransferBody::schema()));
        schemas.extend(forms().map(|(name, form)| (name.to_owned(), form)));
    }
}

impl PartialSchema for BatchBody {
    fn schema() -> RefOr<Schema> {
        let about = "A list of transfers, or a drain, or what a dry run showed. A `null` counts as \
                     absent, also in a field of another form.";
        forms()
            .into_iter()
            .fold(OneOfBuilder::new(), |all, (name, _)| all.item(Ref::from_schema_name(name)))
            .description(Some(about))
            .into()
    }
}

fn forms() -> [(&'static str, RefOr<Schema>); 3] {
    [("ListRequest", list()), ("DrainRequest", drain()), ("PlanRequest", plan())]
}

fn list() -> RefOr<Schema> {
    let transfers = ArrayBuilder::new()
        .items(Ref::from_schema_name(TransferBody::name()))
        .min_items(Some(1))
        .max_items(Some(MAX_LIST))
        .description(Some(
            "No call twice, not more than `batches.max_size`. All queues must be there, or there \
             is no batch.",
        ));
    ObjectBuilder::new()
        .description(Some("A list of transfers."))
        .property("transfers", transfers)
        .required("transfers")
        .property("reason", or_null(reason()))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .into()
}

fn drain() -> RefOr<Schema> {
    let either = |name, id| json!({"oneOf": [named_by(name), named_by(id)]});
    let queues =
        json!([either("fromQueueName", "fromQueueId"), either("toQueueName", "toQueueId")]);
    let named = |about: &str| or_null(queue_name().description(Some(about)));
    let known = |about: &str| or_null(uuid().description(Some(about)));
    ObjectBuilder::new()
        .description(Some(
            "A drain: every voice call that waits in the one queue moves to the other. One of \
             `fromQueueName` and `fromQueueId`, one of `toQueueName` and `toQueueId`.",
        ))
        .property("fromQueueName", named("The queue to empty, by name."))
        .property("fromQueueId", known("The queue to empty, by id."))
        .property("toQueueName", named("Where its calls go, by name."))
        .property("toQueueId", known("Where its calls go, by id."))
        .property("priority", or_null(priority().description(Some(
            "Priority in the target queue; of a call that keeps its place, what its minutes are \
             added to.",
        ))))
        .property("skillIds", skills())
        .property("languageId", or_null(language()))
        .property("keepPlace", yes_or_no(true, "The calls keep the time already waited."))
        .property("limit", or_null(whole(1, MAX_DRAIN).description(Some(
            "Calls at most, the longest waiting; never more than `batches.max_size`.",
        ))))
        .property("dryRun", yes_or_no(false, "Only show what would move."))
        .property("reason", or_null(reason()))
        .property("reference", or_null(text(MAX_REFERENCE, LINE).description(Some(
            "Your own ticket number; `GET /transfers?reference=` finds the calls by it.",
        ))))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .extensions(Some(also("allOf", queues)))
        .into()
}

fn yes_or_no(default: bool, about: &str) -> utoipa::openapi::Object {
    let field = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(json!(default)));
    or_null(field.description(Some(about)))
}

fn plan() -> RefOr<Schema> {
    let id = uuid().description(Some("The `planId` of a dry run of the same caller."));
    ObjectBuilder::new()
        .description(Some("What a dry run showed: exactly those calls move."))
        .property("planId", id)
        .required("planId")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .into()
}
