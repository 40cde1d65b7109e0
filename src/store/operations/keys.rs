//! Idempotency keys: what is known of one.

use std::borrow::Cow;

use crate::{
    metrics::StoreOperation,
    transfer::{
        ids::TransferId,
        model::Stage,
        store::{KeyRecord, KeyScope, StoredResponse},
    },
};

use super::{
    super::{
        encoding::storable,
        fault::{DbError, Unreadable},
        session::{DbRow, DbSession, Param},
    },
    DbOperation,
};

/// Finds a key. It counts until it is reaped, whatever the clock says: a clock that jumps ahead must
/// not let a call move again.
pub(in crate::store) struct FindKey(pub(in crate::store) KeyScope);

impl DbOperation for FindKey {
    const NAME: StoreOperation = StoreOperation::FindKey;

    type Output = Option<KeyRecord>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Self::Output, DbError> {
        find(session, &self.0).await
    }
}

/// Caller and key as their columns have them.
pub(super) fn columns(scope: &KeyScope) -> (Cow<'_, str>, Cow<'_, str>) {
    (storable(scope.caller.as_str()), storable(&scope.key))
}

/// See [`FindKey`].
pub(super) async fn find<S: DbSession>(
    session: &mut S,
    scope: &KeyScope,
) -> Result<Option<KeyRecord>, DbError> {
    let text = "SELECT k.fingerprint, k.transfer_id, t.stage, k.answer_status, \
        k.answer_content_type, k.answer_location, k.answer_retry_after, k.answer_body \
        FROM idempotency_keys k JOIN transfers t ON t.id = k.transfer_id \
        WHERE k.caller = $1 AND k.route = $2 AND k.key = $3";
    let (caller, key) = columns(scope);
    let values = [Param::Text(&caller), Param::Text(scope.route), Param::Text(&key)];
    let record = |row: &dyn DbRow| {
        let stage = Stage::from_text(row.text(2)?).ok_or_else(|| {
            Unreadable("a transfer has a stage this version does not know".to_owned())
        })?;
        Ok(KeyRecord {
            fingerprint: fingerprint(row)?,
            transfer_id: TransferId::new(row.id(1)?),
            stage,
            answer: answer(row, 3)?,
        })
    };
    session.row(text, &values, record).await
}

/// The request's hash, in the first column.
pub(super) fn fingerprint(row: &dyn DbRow) -> Result<[u8; 32], DbError> {
    let bytes = <[u8; 32]>::try_from(row.bytes(0)?);
    Ok(bytes.map_err(|_| Unreadable("a key's fingerprint has the wrong length".to_owned()))?)
}

/// The answer, in the columns from `first` on; `None` when there is none yet.
pub(super) fn answer(row: &dyn DbRow, first: usize) -> Result<Option<StoredResponse>, DbError> {
    let Some(status) = row.maybe_number(first)? else { return Ok(None) };
    let status = u16::try_from(status)
        .map_err(|_| Unreadable("a key's answer has no HTTP status".to_owned()))?;
    Ok(Some(StoredResponse {
        status,
        content_type: row.maybe_text(first + 1)?.unwrap_or_default().to_owned(),
        location: row.maybe_text(first + 2)?.map(str::to_owned),
        retry_after: row.maybe_number(first + 3)?.map(i64::cast_unsigned),
        body: row.maybe_bytes(first + 4)?.unwrap_or_default().to_vec(),
    }))
}

/// The values that `answer` reads, in the same order.
pub(super) fn answer_values(answer: &StoredResponse) -> [Param<'_>; 5] {
    [
        Param::Number(i64::from(answer.status)),
        Param::Text(&answer.content_type),
        Param::MaybeText(answer.location.as_deref()),
        Param::MaybeNumber(answer.retry_after.map(u64::cast_signed)),
        Param::Bytes(&answer.body),
    ]
}
