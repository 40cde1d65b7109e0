//! Idempotency keys: what is known of one.

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
        encoding::{Unreadable, storable},
        session::{Fields, Session, Value},
    },
    Fault, Operation, sql,
};

/// Finds a key. It counts until it is reaped, whatever the clock says: a clock that jumps ahead must
/// not let a call move again.
pub(in crate::store) struct FindKey(pub(in crate::store) KeyScope);

impl Operation for FindKey {
    const NAME: StoreOperation = StoreOperation::FindKey;

    type Output = Option<KeyRecord>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Self::Output, Fault> {
        find(session, &self.0).await
    }
}

/// See [`FindKey`].
pub(super) async fn find<S: Session>(
    session: &mut S,
    scope: &KeyScope,
) -> Result<Option<KeyRecord>, Fault> {
    let rows = session
        .rows(
            sql("SELECT k.fingerprint, k.transfer_id, t.stage, k.answer_status, \
                 k.answer_content_type, k.answer_location, k.answer_retry_after, k.answer_body \
                 FROM idempotency_keys k JOIN transfers t ON t.id = k.transfer_id \
                 WHERE k.caller = $1 AND k.route = $2 AND k.key = $3"),
            &[
                Value::Text(&storable(scope.caller.as_str())),
                Value::Text(scope.route),
                Value::Text(&storable(&scope.key)),
            ],
        )
        .await?;
    rows.first().map(record).transpose()
}

fn record(row: &impl Fields) -> Result<KeyRecord, Fault> {
    let fingerprint = <[u8; 32]>::try_from(row.bytes(0)?)
        .map_err(|_| Unreadable("a key's fingerprint has the wrong length".to_owned()))?;
    let stage = Stage::from_text(&row.text(2)?).ok_or_else(|| {
        Unreadable("a transfer has a stage this version does not know".to_owned())
    })?;
    Ok(KeyRecord {
        fingerprint,
        transfer_id: TransferId::new(row.id(1)?),
        stage,
        answer: answer(row)?,
    })
}

fn answer(row: &impl Fields) -> Result<Option<StoredResponse>, Fault> {
    let Some(status) = row.maybe_number(3)? else { return Ok(None) };
    let status = u16::try_from(status)
        .map_err(|_| Unreadable("a key's answer has no HTTP status".to_owned()))?;
    Ok(Some(StoredResponse {
        status,
        content_type: row.maybe_text(4)?.unwrap_or_default(),
        location: row.maybe_text(5)?,
        retry_after: row.maybe_number(6)?.map(i64::cast_unsigned),
        body: row.maybe_bytes(7)?.unwrap_or_default(),
    }))
}
