//! The query parameters, for the document: the same limits as the readers beside them.

use serde_json::json;
use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type, path::Parameter};

use super::{
    super::openapi::fields::{LINE, NAME, one_of, query, text, uuid, whole},
    DEFAULT_PAGE, MAX_PAGE, MAX_REFERENCE, QueueName, Status,
};

/// A cursor: 17 bytes, the first of them the version, in base64url.
const CURSOR: &str = "^A[Q-Za-f][A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$";

/// The parameters of `GET /transfers`.
pub(in crate::http) fn transfers() -> Vec<Parameter> {
    let since = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let limit = whole(1, i64::from(MAX_PAGE)).default(Some(json!(DEFAULT_PAGE)));
    let cursor = ObjectBuilder::new().schema_type(Type::String).pattern(Some(CURSOR));
    [
        query("conversationId", "Only transfers of this call.", uuid()),
        query("queueId", "Only transfers to this queue.", uuid()),
        query("status", "Only transfers that stand so.", one_of(Status::ALL.map(Status::as_str))),
        query("reference", "Only transfers with this ticket number.", text(MAX_REFERENCE, LINE)),
        query("since", "Only transfers made at this time or later.", since)
            .example(Some(json!("2026-03-27T09:30:00Z"))),
        query("limit", "Transfers on a page.", limit),
        query("cursor", "The `nextCursor` of the page before.", cursor),
    ]
    .into_iter()
    .map(utoipa::openapi::path::ParameterBuilder::build)
    .collect()
}

/// The parameters of `GET /conversations/{id}`.
pub(in crate::http) fn target() -> [Parameter; 2] {
    let name = text(QueueName::MAX_CHARS, NAME).min_length(Some(1));
    let about_name = "The target queue by name; at most one of `queueName` and `queueId`.";
    [
        query("queueName", about_name, name).example(Some(json!("Support Tier 2"))).build(),
        query("queueId", "The target queue by id.", uuid()).build(),
    ]
}

/// The parameters of `GET /queues`.
pub(in crate::http) fn queues() -> [Parameter; 1] {
    let fragment = text(QueueName::MAX_CHARS, LINE);
    let about = "A part of the name, in any case; all queues when it is not given.";
    [query("name", about, fragment).example(Some(json!("support"))).build()]
}
