//! The shapes of what the domain serialises itself, for the document only. The tests compare every
//! answer they see with them, member by member.

#![expect(dead_code, reason = "described, never made")]

use std::borrow::Cow;

use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, Ref, RefOr, Schema, Type},
};
use uuid::Uuid;

use super::fields::also;
use crate::{
    http::schema::{one_of, text},
    problem::Code,
};

/// Why calls of a batch did not move.
pub(in crate::http) struct ReasonsShape;

impl PartialSchema for ReasonsShape {
    fn schema() -> RefOr<Schema> {
        let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(one_of(Code::ALL.iter().map(|code| code.as_str()))))
            .additional_properties(Some(count))
            .description(Some(
                "For every problem code, how many calls failed or were skipped because of it, most \
                 frequent first; they add up to `failed` and `skipped`.",
            ))
            .into()
    }
}

impl ToSchema for ReasonsShape {
    fn name() -> Cow<'static, str> {
        "BatchReasons".into()
    }
}

/// How many transfers carry which warning.
pub(in crate::http) struct WarningCountsShape;

impl PartialSchema for WarningCountsShape {
    fn schema() -> RefOr<Schema> {
        let count = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(count))
            .description(Some("For every code of a warning, how many transfers carry it."))
            .into()
    }
}

impl ToSchema for WarningCountsShape {
    fn name() -> Cow<'static, str> {
        "BatchWarningCounts".into()
    }
}

/// One event of a batch.
pub(in crate::http) struct BatchEventShape;

impl PartialSchema for BatchEventShape {
    fn schema() -> RefOr<Schema> {
        let forms = ["Batch", "Transfer"].map(Ref::from_schema_name);
        let data = text()
            .content_media_type("application/json")
            .description(Some("The `Batch`; of `transfer` the `Transfer`."))
            .extensions(Some(also("contentSchema", json!({"oneOf": forms}))));
        ObjectBuilder::new()
            .description(Some("A server-sent event. A comment for people comes before each."))
            .property("id", text().description(Some("A number; `end` of the last.")))
            .required("id")
            .property("event", Ref::from_schema_name("BatchEventKind"))
            .required("event")
            .property("data", data)
            .required("data")
            .into()
    }
}

impl ToSchema for BatchEventShape {
    fn name() -> Cow<'static, str> {
        "BatchEvent".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let kind = one_of(["progress", "transfer", "end"]).description(Some("What it tells."));
        schemas.push(("BatchEventKind".to_owned(), kind.into()));
    }
}

/// What Genesys answered, as far as callers and support need it.
#[derive(ToSchema)]
#[schema(as = UpstreamAnswer)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct UpstreamAnswerShape {
    /// HTTP status.
    #[schema(minimum = 100, maximum = 999)]
    status: u16,
    /// Genesys' own error code.
    #[schema(required)]
    code: Option<String>,
    /// Genesys' own message, shortened.
    #[schema(required)]
    message: Option<String>,
    /// For Genesys' support.
    #[schema(required)]
    correlation_id: Option<String>,
}

/// One bad field of a request.
#[derive(ToSchema)]
#[schema(as = FieldError)]
pub(in crate::http) struct FieldErrorShape {
    /// JSON pointer to the field (RFC 6901), or `?name` for a query parameter.
    pointer: String,
    /// What is wrong with it and what is expected.
    detail: String,
}

/// One of several things a request may have meant: a queue, or a participant.
#[derive(ToSchema)]
#[schema(as = Candidate)]
pub(in crate::http) struct CandidateShape {
    /// Goes into `queueId`, or into `participantId`.
    id: Uuid,
    /// The exact name of a queue.
    #[schema(required = false)]
    name: String,
    /// The name of a queue's division, when known.
    division: Option<String>,
    /// What a leg is for, in Genesys' words.
    #[schema(required = false)]
    purpose: String,
    /// The state of a leg.
    #[schema(required = false)]
    state: String,
}

/// Something to know although the transfer went ahead.
#[derive(ToSchema)]
#[schema(as = Warning)]
pub(in crate::http) struct WarningShape {
    /// A fixed word: `routing_attributes_not_applied` (priority, skills or language are not set),
    /// `access_token_refused` (Genesys answered 401 to one kind of request), or another.
    #[schema(examples("routing_attributes_not_applied"))]
    code: String,
    /// What happened, in a sentence.
    detail: String,
}

/// What a transfer cost upstream.
#[derive(ToSchema)]
#[schema(as = UpstreamUse)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct UpstreamUseShape {
    /// Calls to Genesys it needed.
    calls: u32,
    /// HTTP requests sent for them, repeats included.
    attempts: u32,
    /// Milliseconds spent waiting for the rate limit or between tries.
    waited_ms: u64,
    /// `ININ-Correlation-Id` of the last answer, for Genesys' support.
    #[schema(required)]
    correlation_id: Option<String>,
}
