//! The bodies callers send, for the document: the same limits as the readers beside them.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type,
        schema::{AdditionalProperties, SchemaType},
    },
};

use super::{
    super::openapi::fields::{
        LINE, LINES, NAME, named_or_null, one_of, or_null, text, uuid, whole,
    },
    super::openapi::shapes::TransferTypeWord,
    MAX_FILTER, MAX_REASON, MAX_REFERENCE, MAX_SKILLS, OUTCOMES,
};
use crate::transfer::model::{Priority, QueueName};

/// The body of `POST /transfers`.
pub(in crate::http) struct TransferBody;

impl ToSchema for TransferBody {
    fn name() -> Cow<'static, str> {
        "TransferRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((TransferTypeWord::name().into_owned(), TransferTypeWord::schema()));
    }
}

impl PartialSchema for TransferBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some(
                "A call, and the queue it moves to: exactly one of `queueName` and `queueId`.",
            ))
            .property("conversationId", uuid().description(Some("The call to move.")))
            .required("conversationId")
            .property("queueName", or_null(queue_name().description(Some(
                "The target queue by name. Blanks around it do not count; an exact match wins, \
                 else one in any case.",
            ))))
            .property("queueId", or_null(uuid().description(Some("The target queue by id."))))
            .property("priority", or_null(priority().description(Some(
                "Priority in the target queue: one point is worth one minute waited, higher is \
                 served sooner.",
            ))))
            .property("skillIds", skills())
            .property("languageId", or_null(language()))
            .property("keepPlace", or_null(ObjectBuilder::new().schema_type(Type::Boolean)
                .description(Some(
                    "The caller keeps the time already waited: its minutes are added to the \
                     priority. `false` when absent.",
                ))))
            .property("participantId", or_null(uuid().description(Some(
                "The leg to replace, when the usual choice is not wanted.",
            ))))
            .property("transferType", named_or_null(
                "TransferType",
                "Whether the agent stays on until the transfer is taken; `unattended` when absent.",
            ))
            .property("reason", or_null(reason()))
            .property("reference", or_null(text(MAX_REFERENCE, LINE).description(Some(
                "Your own ticket number; `GET /transfers?reference=` finds it.",
            ))))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

pub(super) fn queue_name() -> ObjectBuilder {
    text(QueueName::MAX_CHARS, NAME).min_length(Some(1))
}

pub(super) fn priority() -> ObjectBuilder {
    whole(i64::from(Priority::MIN), i64::from(Priority::MAX))
}

pub(super) fn skills() -> ArrayBuilder {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(uuid())
        .max_items(Some(MAX_SKILLS))
        .unique_items(true)
        .description(Some("Skills asked for in the target queue; `[]` clears them."))
}

pub(super) fn language() -> ObjectBuilder {
    uuid().description(Some("Language asked for in the target queue."))
}

pub(super) fn reason() -> ObjectBuilder {
    text(MAX_REASON, LINES).description(Some("Why, for the record."))
}

/// The body of `POST /transfers/{id}/settle`.
pub(in crate::http) struct SettleBody;

impl ToSchema for SettleBody {
    fn name() -> Cow<'static, str> {
        "SettleRequest".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let outcome =
            one_of(OUTCOMES.map(|(word, _)| word)).description(Some("Whether the call moved."));
        schemas.push(("SettleOutcome".to_owned(), outcome.into()));
    }
}

impl PartialSchema for SettleBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("What an operator saw in Genesys."))
            .property("outcome", Ref::from_schema_name("SettleOutcome"))
            .required("outcome")
            .property("reason", or_null(reason()))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}

/// The body of `POST /admin/log-level`.
pub(in crate::http) struct LogLevelBody;

impl ToSchema for LogLevelBody {
    fn name() -> Cow<'static, str> {
        "LogLevelRequest".into()
    }
}

/// The filters that are promised; the reader takes all that `EnvFilter` does.
const FILTER: &str = "^(?:[a-z_][a-z0-9_:]*=)?(?:off|error|warn|info|debug|trace)(?:,(?:[a-z_][a-z0-9_:]*=)?(?:off|error|warn|info|debug|trace))*$";
/// From one second to 24 hours.
const DURATION: &str = "^(?:(?:[1-9]|1[0-9]|2[0-4])h|(?:[1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440)m|(?:[1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}|86400)s)$";

impl PartialSchema for LogLevelBody {
    fn schema() -> RefOr<Schema> {
        let filter = text(MAX_FILTER, FILTER)
            .description(Some("A level, or `target=level` pairs, with commas between them."));
        let lasting = ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(DURATION))
            .description(Some("For how long, from `1s` to `24h`; until the restart when absent."));
        ObjectBuilder::new()
            .description(Some("What is to be logged."))
            .property("filter", filter)
            .required("filter")
            .property("for", or_null(lasting))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .into()
    }
}
