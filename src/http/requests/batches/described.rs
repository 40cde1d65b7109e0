//! The body of `POST /batches`, for the document: the same limits as the readers beside it.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, Object, ObjectBuilder, Ref, RefOr, Schema, Type,
        schema::{AdditionalProperties, SchemaType},
    },
};

use super::{MAX_DRAIN, MAX_LIST, MAX_REFERENCE};
use crate::http::{
    openapi::fields::{LINE, or_null, text, uuid, whole},
    requests::described::{TransferBody, language, priority, queue_name, reason, skills},
};

/// The body of `POST /batches`: one object for its three forms, because few generators of clients
/// can tell forms apart that share their members.
pub(in crate::http) struct BatchBody;

impl ToSchema for BatchBody {
    fn name() -> Cow<'static, str> {
        "BatchRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TransferBody::name().into_owned(), TransferBody::schema()));
        TransferBody::schemas(schemas);
    }
}

impl PartialSchema for BatchBody {
    fn schema() -> RefOr<Schema> {
        let transfers = ArrayBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
            .items(Ref::from_schema_name(TransferBody::name()))
            .min_items(Some(1))
            .max_items(Some(MAX_LIST))
            .description(Some(
                "A list: no call twice, not more than `batches.max_size`. All queues must be \
                 there, or there is no batch.",
            ));
        let named = |about: &str| or_null(queue_name().description(Some(about)));
        let known = |about: &str| or_null(uuid().description(Some(about)));
        ObjectBuilder::new()
            .description(Some(
                "One of three forms. A list: `transfers`, with `reason`. A drain: one of \
                 `fromQueueName` and `fromQueueId`, one of `toQueueName` and `toQueueId`, with \
                 any of the others but `transfers` and `planId`. What a dry run showed: `planId` \
                 alone.",
            ))
            .property("planId", known("The `planId` of a dry run of the same caller: exactly those calls move."))
            .property("transfers", transfers)
            .property("fromQueueName", named("The queue to empty, by name."))
            .property("fromQueueId", known("The queue to empty, by id."))
            .property("toQueueName", named("Where its calls go, by name."))
            .property("toQueueId", known("Where its calls go, by id."))
            .property("priority", or_null(priority().description(Some(
                "Priority in the target queue; of a call that keeps its place, what its minutes \
                 are added to.",
            ))))
            .property("skillIds", skills())
            .property("languageId", or_null(language()))
            .property("keepPlace", yes_or_no("The calls keep the time already waited. `true` when absent."))
            .property("limit", or_null(whole(1, MAX_DRAIN).description(Some(
                "Calls at most, the longest waiting; never more than `batches.max_size`.",
            ))))
            .property("dryRun", yes_or_no("Only show what would move. `false` when absent."))
            .property("reason", or_null(reason()))
            .property("reference", or_null(text(MAX_REFERENCE, LINE).description(Some(
                "Your own ticket number; `GET /transfers?reference=` finds the calls by it.",
            ))))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

fn yes_or_no(about: &str) -> Object {
    or_null(ObjectBuilder::new().schema_type(Type::Boolean).description(Some(about)))
}
