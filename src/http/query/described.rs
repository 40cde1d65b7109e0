//! The query parameters, for the document: the same limits as the readers beside them.

use serde_json::json;
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, Ref, SchemaFormat, Type,
    path::{Parameter, ParameterBuilder},
};

use super::{
    super::openapi::fields::{LINE, NAME, query, text, uuid, whole},
    DEFAULT_PAGE, MAX_PAGE, MAX_REFERENCE, MAX_TIME, QueueName,
};

/// A cursor: 17 bytes, the first of them the version, in base64url.
const CURSOR: &str = "^A[Q-Za-f][A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$";
/// The same of a list of batches, with another first byte.
const BATCH_CURSOR: &str = "^A[g-v][A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$";

/// The parameters of `GET /transfers`.
pub(in crate::http) fn transfers() -> Vec<Parameter> {
    let since = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_TIME))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    [
        query("conversationId", "Only transfers of this call.", uuid()),
        query("queueId", "Only transfers to this queue.", uuid()),
        query("status", "Only transfers with this status.", Ref::from_schema_name("Status")),
        query("reference", "Only transfers with this ticket number.", text(MAX_REFERENCE, LINE)),
        query("since", "Only transfers made at this time or later.", since)
            .example(Some(json!("2026-03-27T09:30:00Z"))),
        limit("Transfers on a page at most."),
        cursor(CURSOR),
    ]
    .into_iter()
    .map(ParameterBuilder::build)
    .collect()
}

fn limit(about: &str) -> ParameterBuilder {
    let about = format!("{about} {DEFAULT_PAGE} when absent.");
    query("limit", &about, whole(1, i64::from(MAX_PAGE)))
}

fn cursor(pattern: &str) -> ParameterBuilder {
    let cursor = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    query("cursor", "The `nextCursor` of the page before.", cursor)
}

/// The parameters of `GET /batches`.
pub(in crate::http) fn batches() -> [Parameter; 3] {
    let words = Ref::from_schema_name("BatchStatus");
    let status = query("status", "Only batches with this status.", words);
    [status, limit("Batches on a page at most."), cursor(BATCH_CURSOR)].map(ParameterBuilder::build)
}

/// The parameters of `GET /batches/{id}/transfers`.
pub(in crate::http) fn batch_transfers() -> [Parameter; 2] {
    [limit("Transfers on a page at most."), cursor(CURSOR)].map(ParameterBuilder::build)
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
