//! Recording a new transfer with its key.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    metrics::StoreOperation,
    transfer::{
        ids::{BatchId, ConversationId},
        model::Transfer,
        store::{Inserted, KeyClaim},
    },
};

use super::{
    super::{
        encoding::{Unreadable, code, decode, encode, micros, storable},
        session::{Fields, Session, Value},
    },
    Fault, Operation, keys, sql, unsettled,
};

/// Records a new transfer and claims its key.
pub(in crate::store) struct Insert {
    transfer: Arc<Transfer>,
    data: String,
    claim: Option<KeyClaim>,
    owner: Uuid,
}

impl Insert {
    /// Fails when the record cannot be put into words.
    pub(in crate::store) fn new(
        transfer: Arc<Transfer>,
        claim: Option<&KeyClaim>,
        owner: Uuid,
    ) -> Result<Self, Unreadable> {
        Ok(Self { data: encode(&*transfer)?, transfer, claim: claim.cloned(), owner })
    }

    /// Who has the key, when it is taken. `Done` when it is this very transfer: an earlier try
    /// went through although its end was not seen.
    async fn key_holder<S: Session>(&self, session: &mut S) -> Result<Option<Inserted>, Fault> {
        let Some(claim) = &self.claim else { return Ok(None) };
        let record = keys::find(session, &claim.scope).await?;
        Ok(record.map(|record| {
            if record.transfer_id == self.transfer.id {
                Inserted::Done
            } else {
                Inserted::KeyTaken(record)
            }
        }))
    }

    async fn conversation_holder<S: Session>(&self, session: &mut S) -> Result<Inserted, Fault> {
        let holder = unsettled_of(session, self.transfer.request.conversation_id).await?;
        if holder.id == self.transfer.id {
            return Ok(Inserted::Done);
        }
        Ok(Inserted::ConversationTaken { transfer_id: holder.id, caller: holder.requested_by })
    }

    async fn claim_key<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let Some(claim) = &self.claim else { return Ok(()) };
        let claimed = session
            .execute(
                sql("INSERT INTO idempotency_keys \
                     (caller, route, key, fingerprint, transfer_id) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (caller, route, key) DO NOTHING"),
                &[
                    Value::Text(&storable(claim.scope.caller.as_str())),
                    Value::Text(claim.scope.route),
                    Value::Text(&storable(&claim.scope.key)),
                    Value::Bytes(&claim.fingerprint),
                    Value::Id(self.transfer.id.uuid()),
                ],
            )
            .await?;
        // It was free a moment ago: the row just added must go and the key be looked at again.
        if claimed == 0 { Err(Fault::Race) } else { Ok(()) }
    }
}

/// Adds the row of a transfer, whose record is `data`. `false` when it is not settled and its
/// conversation has another one that is not.
pub(super) async fn add_row<S: Session>(
    session: &mut S,
    new: &Transfer,
    data: &str,
    owner: Uuid,
) -> Result<bool, Fault> {
    let reference = new.request.reference.as_deref().map(storable);
    let added = session
        .execute(
            sql(concat!(
                "INSERT INTO transfers (id, stage, status, owner, conversation_id, queue_id, \
                 caller, reference, batch_id, created_at, updated_at, data, code) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                 ON CONFLICT (conversation_id) WHERE ",
                unsettled!(),
                " DO NOTHING"
            )),
            &[
                Value::Id(new.id.uuid()),
                Value::Text(new.stage.as_str()),
                Value::Text(new.stage.status().as_str()),
                Value::Id(owner),
                Value::Id(new.request.conversation_id.uuid()),
                Value::Id(new.queue.id.uuid()),
                Value::Text(&storable(new.requested_by.as_str())),
                Value::MaybeText(reference.as_deref()),
                Value::MaybeId(new.batch_id.map(BatchId::uuid)),
                Value::Number(micros(new.created_at)),
                Value::Number(micros(new.updated_at)),
                Value::Text(data),
                Value::MaybeText(code(new)),
            ],
        )
        .await?;
    Ok(added > 0)
}

/// The transfer of a conversation that is not settled, where one was in the way a moment ago.
pub(super) async fn unsettled_of<S: Session>(
    session: &mut S,
    id: ConversationId,
) -> Result<Transfer, Fault> {
    let text = concat!("SELECT data FROM transfers WHERE conversation_id = $1 AND ", unsettled!());
    let rows = session.rows(sql(text), &[Value::Id(id.uuid())]).await?;
    // If it is settled by now, there is room.
    let row = rows.first().ok_or(Fault::Race)?;
    Ok(decode(&row.text(0)?)?)
}

impl Operation for Insert {
    const NAME: StoreOperation = StoreOperation::Insert;

    type Output = Inserted;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Inserted, Fault> {
        if let Some(holder) = self.key_holder(session).await? {
            return Ok(holder);
        }
        if !add_row(session, &self.transfer, &self.data, self.owner).await? {
            // A twin with the same key and conversation may have come in between: the key wins.
            return match self.key_holder(session).await? {
                Some(holder) => Ok(holder),
                None => self.conversation_holder(session).await,
            };
        }
        self.claim_key(session).await?;
        Ok(Inserted::Done)
    }
}
