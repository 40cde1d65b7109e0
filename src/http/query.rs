//! Query strings: each is a struct that is read as strictly as a body and describes its parameters.
//! Unknown and repeated parameters are refused, with `?name` as the pointer.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, Type},
};
use uuid::Uuid;

use super::{
    answer::Failure,
    checked::{Checked, ObjectFields, Rule, Wrong, query},
    requests::Reference,
    rules::{BoundedText, Time, check_text, string, wrong},
    schema::{described, text},
};
use crate::{
    batch::{BatchStatus, store::BatchFilter},
    names::trim,
    transfer::{
        ids::{BatchId, ConversationId, QueueId, TransferId},
        model::{QueueName, QueueRef, Status},
        store::TransferFilter,
    },
};

#[cfg(test)]
mod tests;

/// Most transfers on one page.
const MAX_PAGE: u32 = 200;
/// Transfers on a page when the caller does not say.
const DEFAULT_PAGE: u32 = 50;

/// First byte of a cursor, so that its form may change one day without being misread.
const CURSOR_VERSION: u8 = 1;
/// The same of a list of batches.
const BATCH_CURSOR: u8 = 2;

/// No parameter.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoQuery {}

/// Refuses any query string: for routes that take none.
///
/// # Errors
/// `invalid_request` naming every parameter.
pub(super) fn none(raw: Option<&str>) -> Result<(), Failure> {
    if raw.is_none_or(str::is_empty) {
        return Ok(());
    }
    query(raw, |NoQuery {}, _| ())
}

/// The parameters of `GET /transfers`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TransferQuery {
    /// Only transfers of this call.
    #[schema(value_type = Uuid, required = false, nullable = false)]
    conversation_id: Option<Checked<ConversationId>>,
    /// Only transfers to this queue.
    #[schema(value_type = Uuid, required = false, nullable = false)]
    queue_id: Option<Checked<QueueId>>,
    /// Only transfers with this status.
    #[schema(value_type = Status, required = false, nullable = false)]
    status: Option<Checked<Status>>,
    /// Only transfers with this ticket number.
    #[schema(value_type = Reference, required = false, nullable = false, inline)]
    reference: Option<Checked<Reference>>,
    /// Only transfers made at this time or later.
    #[schema(value_type = Time, required = false, nullable = false, inline)]
    since: Option<Checked<Time>>,
    /// Transfers on a page at most. 50 when absent.
    #[schema(value_type = PageSize, required = false, nullable = false, inline)]
    limit: Option<Checked<PageSize>>,
    /// The `nextCursor` of the page before.
    #[schema(value_type = TransferCursor, required = false, nullable = false, inline)]
    cursor: Option<Checked<TransferCursor>>,
}

/// Reads the query of `GET /transfers`: the filter, and how many to a page.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn transfers(raw: Option<&str>) -> Result<(TransferFilter, u32), Failure> {
    query(raw, |read: TransferQuery, fields| {
        let filter = TransferFilter {
            conversation_id: fields.take("conversationId", read.conversation_id),
            queue_id: fields.take("queueId", read.queue_id),
            status: fields.take("status", read.status),
            reference: fields.take("reference", read.reference).map(|BoundedText(text)| text),
            since: fields.take("since", read.since).map(|Time(time)| time),
            before: fields.take("cursor", read.cursor).map(|Cursor(id)| TransferId::new(id)),
            ..TransferFilter::default()
        };
        (filter, page_size(fields, read.limit))
    })
}

fn page_size(fields: &mut ObjectFields<'_>, limit: Option<Checked<PageSize>>) -> u32 {
    fields.take("limit", limit).map_or(DEFAULT_PAGE, |PageSize(limit)| limit)
}

/// The parameters of `GET /batches`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchQuery {
    /// Only batches with this status.
    #[schema(value_type = BatchStatus, required = false, nullable = false)]
    status: Option<Checked<BatchStatus>>,
    /// Batches on a page at most. 50 when absent.
    #[schema(value_type = PageSize, required = false, nullable = false, inline)]
    limit: Option<Checked<PageSize>>,
    /// The `nextCursor` of the page before.
    #[schema(value_type = BatchCursor, required = false, nullable = false, inline)]
    cursor: Option<Checked<BatchCursor>>,
}

/// Reads the query of `GET /batches`: the filter, and how many to a page.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn batches(raw: Option<&str>) -> Result<(BatchFilter, u32), Failure> {
    query(raw, |read: BatchQuery, fields| {
        let filter = BatchFilter {
            status: fields.take("status", read.status),
            before: fields.take("cursor", read.cursor).map(|Cursor(id)| BatchId::new(id)),
            caller: None,
        };
        (filter, page_size(fields, read.limit))
    })
}

/// The parameters of `GET /batches/{id}/transfers`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchTransferQuery {
    /// Transfers on a page at most. 50 when absent.
    #[schema(value_type = PageSize, required = false, nullable = false, inline)]
    limit: Option<Checked<PageSize>>,
    /// The `nextCursor` of the page before.
    #[schema(value_type = TransferCursor, required = false, nullable = false, inline)]
    cursor: Option<Checked<TransferCursor>>,
}

/// Reads the query of `GET /batches/{id}/transfers`: where to go on, and how many to a page.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn batch_transfers(raw: Option<&str>) -> Result<(Option<TransferId>, u32), Failure> {
    query(raw, |read: BatchTransferQuery, fields| {
        let before = fields.take("cursor", read.cursor).map(|Cursor(id)| TransferId::new(id));
        (before, page_size(fields, read.limit))
    })
}

/// The parameters of `GET /conversations/{id}`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TargetQuery {
    /// The target queue by name; at most one of `queueName` and `queueId`.
    #[schema(value_type = QueueName, required = false, nullable = false, inline)]
    queue_name: Option<Checked<QueueName>>,
    /// The target queue by id.
    #[schema(value_type = Uuid, required = false, nullable = false)]
    queue_id: Option<Checked<QueueId>>,
}

/// Reads the query of `GET /conversations/{id}`: at most one of `queueName` and `queueId`.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn target(raw: Option<&str>) -> Result<Option<QueueRef>, Failure> {
    query(raw, |read: TargetQuery, fields| {
        if read.queue_name.is_some() && read.queue_id.is_some() {
            fields.note("queueId", "give either queueName or queueId, not both");
        }
        let by_name = fields.take("queueName", read.queue_name).map(QueueRef::Name);
        by_name.or(fields.take("queueId", read.queue_id).map(QueueRef::Id))
    })
}

/// The parameters of `GET /queues`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueQuery {
    /// A part of the name, in any case; all queues when it is not given.
    #[schema(value_type = Fragment, required = false, nullable = false, inline)]
    name: Option<Checked<Fragment>>,
    /// Whether each queue comes with what goes on in it, most waiting first. Genesys is asked about
    /// the first 500 by name.
    #[schema(value_type = YesOrNo, required = false, nullable = false, inline)]
    activity: Option<Checked<YesOrNo>>,
}

/// Reads the query of `GET /queues`: a part of a queue's name, trimmed, empty for all; and whether
/// what goes on in them is asked for.
///
/// # Errors
/// `invalid_request` with every bad parameter.
pub(super) fn queues(raw: Option<&str>) -> Result<(String, bool), Failure> {
    query(raw, |read: QueueQuery, fields| {
        let activity = fields.take("activity", read.activity);
        let name = fields.take("name", read.name).map(|Fragment(text)| text).unwrap_or_default();
        (name, activity.is_some_and(|YesOrNo(yes)| yes))
    })
}

/// `true` or `false`.
struct YesOrNo(bool);

impl Rule for YesOrNo {
    fn read(json: &str) -> Result<Self, Wrong> {
        let text = string(json, "a string")?;
        text.parse().map(Self).map_err(|_| wrong("must be true or false"))
    }
}

described!(YesOrNo, ObjectBuilder::new().schema_type(Type::Boolean));

/// A part of a queue's name.
struct Fragment(String);

impl Rule for Fragment {
    fn read(json: &str) -> Result<Self, Wrong> {
        let text = string(json, "a string")?;
        let text = trim(&text);
        check_text(text, QueueName::MAX_CHARS, false).map_err(wrong)?;
        Ok(Self(text.to_owned()))
    }
}

described!(Fragment, BoundedText::<256, false>::schema());

/// How many to a page, in digits.
struct PageSize(u32);

impl Rule for PageSize {
    fn read(json: &str) -> Result<Self, Wrong> {
        let text = string(json, "a string")?;
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_PAGE).contains(limit));
        limit.map(Self).ok_or_else(|| wrong(format!("must be a whole number from 1 to {MAX_PAGE}")))
    }
}

described!(
    PageSize,
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(MAX_PAGE))
);

/// A place in a list: 17 bytes in base64url, the first of them `VERSION`, then an id.
struct Cursor<const VERSION: u8>(Uuid);

type TransferCursor = Cursor<CURSOR_VERSION>;
type BatchCursor = Cursor<BATCH_CURSOR>;

impl<const VERSION: u8> Rule for Cursor<VERSION> {
    fn read(json: &str) -> Result<Self, Wrong> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&*string(json, "a string")?).unwrap_or_default();
        let id = bytes.split_first().filter(|(version, _)| **version == VERSION);
        id.and_then(|(_, id)| Uuid::from_slice(id).ok())
            .map(Self)
            .ok_or_else(|| wrong("must be a nextCursor as it was given"))
    }
}

described!([const VERSION: u8] Cursor<VERSION>, {
    // What the first byte becomes in base64url.
    let second = if VERSION == CURSOR_VERSION { "Q-Za-f" } else { "g-v" };
    text().pattern(Some(format!("^A[{second}][A-Za-z0-9_-]{{20}}[AEIMQUYcgkosw048]$")))
});

/// The cursor that leads past the transfer `last`.
pub(super) fn cursor_after(last: TransferId) -> String {
    cursor_to(CURSOR_VERSION, last.uuid())
}

/// The cursor that leads past the batch `last`.
pub(super) fn cursor_after_batch(last: BatchId) -> String {
    cursor_to(BATCH_CURSOR, last.uuid())
}

fn cursor_to(version: u8, id: Uuid) -> String {
    let mut bytes = vec![version];
    bytes.extend_from_slice(id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
