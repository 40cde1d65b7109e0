//! Recording a new transfer with its key.

use uuid::Uuid;

use crate::{
    metrics::StoreOperation,
    transfer::{
        ids::{BatchId, ConversationId, QueueId, TransferId},
        model::{CallerName, Transfer},
        store::{Inserted, KeyClaim},
    },
};

use super::{
    super::{
        encoding::{code, encode, micros, storable},
        fault::{DbError, Unreadable},
        session::{DbSession, Param},
    },
    DbOperation,
    history::transfer,
    keys, unsettled,
};

/// The row of a transfer that is not recorded yet.
pub(super) struct NewRow {
    pub(super) id: TransferId,
    pub(super) conversation_id: ConversationId,
    stage: &'static str,
    status: &'static str,
    owner: Uuid,
    queue_id: QueueId,
    caller: CallerName,
    reference: Option<String>,
    batch_id: Option<BatchId>,
    undoes: Option<TransferId>,
    created_at: i64,
    updated_at: i64,
    data: String,
    code: Option<&'static str>,
}

/// Adds a row, unless its conversation has another one that is not settled.
macro_rules! add {
    () => {
        "INSERT INTO transfers (id, stage, status, owner, conversation_id, queue_id, caller, \
         reference, batch_id, created_at, updated_at, data, code) "
    };
    (undo) => {
        "INSERT INTO transfers (id, stage, status, owner, conversation_id, queue_id, caller, \
         reference, batch_id, created_at, updated_at, data, code, undoes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT DO NOTHING"
    };
    (values) => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13"
    };
    (unless) => {
        concat!(" ON CONFLICT (conversation_id) WHERE ", unsettled!(), " DO NOTHING")
    };
}

impl NewRow {
    /// Fails when the record cannot be encoded.
    pub(super) fn new(new: &Transfer, owner: Uuid) -> Result<Self, Unreadable> {
        Ok(Self {
            id: new.id,
            conversation_id: new.request.conversation_id,
            stage: new.stage.as_str(),
            status: new.stage.status().as_str(),
            owner,
            queue_id: new.queue.id,
            caller: new.requested_by.clone(),
            reference: new.request.reference.as_deref().map(|text| storable(text).into_owned()),
            batch_id: new.batch_id,
            undoes: new.undoes(),
            created_at: micros(new.created_at),
            updated_at: micros(new.updated_at),
            data: encode(new)?,
            code: code(new),
        })
    }

    /// The values of `$1` to `$13`, of which `caller` is the seventh.
    fn values<'a>(&'a self, caller: &'a str) -> [Param<'a>; 13] {
        [
            Param::Id(self.id.uuid()),
            Param::Text(self.stage),
            Param::Text(self.status),
            Param::Id(self.owner),
            Param::Id(self.conversation_id.uuid()),
            Param::Id(self.queue_id.uuid()),
            Param::Text(caller),
            Param::MaybeText(self.reference.as_deref()),
            Param::MaybeId(self.batch_id.map(BatchId::uuid)),
            Param::Number(self.created_at),
            Param::Number(self.updated_at),
            Param::Text(&self.data),
            Param::MaybeText(self.code),
        ]
    }

    /// `false` when it is not settled and its conversation has another one that is not, or what it
    /// undoes was undone before.
    pub(super) async fn add<S: DbSession>(&self, session: &mut S) -> Result<bool, DbError> {
        let text = concat!(add!(), "VALUES (", add!(values), ")", add!(unless));
        let caller = storable(self.caller.as_str());
        let values = self.values(&caller);
        if let Some(undoes) = self.undoes {
            let mut values = values.to_vec();
            values.push(Param::Id(undoes.uuid()));
            return Ok(session.execute(add!(undo), &values).await? > 0);
        }
        Ok(session.execute(text, &values).await? > 0)
    }
}

/// What was in the way of a row a moment ago.
pub(super) enum InTheWay {
    /// The transfer of the same conversation that is not settled.
    Unsettled(Box<Transfer>),
    /// The transfer that undid the same one before.
    Undo(Box<Transfer>),
}

/// The one of the two that was.
pub(super) async fn in_the_way<S: DbSession>(
    session: &mut S,
    row: &NewRow,
) -> Result<InTheWay, DbError> {
    if let Some(undoes) = row.undoes {
        let text = "SELECT data FROM transfers \
                    WHERE undoes = $1 AND stage <> 'failed' AND stage <> 'skipped'";
        let found = session.row(text, &[Param::Id(undoes.uuid())], transfer).await?;
        if let Some(undo) = found.filter(|undo| !undo.stage.is_unsettled()) {
            return Ok(InTheWay::Undo(Box::new(undo)));
        }
    }
    let unsettled = unsettled_of(session, row.conversation_id).await?;
    Ok(InTheWay::Unsettled(Box::new(unsettled)))
}

/// The transfer of a conversation that is not settled, where one was in the way a moment ago.
async fn unsettled_of<S: DbSession>(
    session: &mut S,
    id: ConversationId,
) -> Result<Transfer, DbError> {
    let text = concat!("SELECT data FROM transfers WHERE conversation_id = $1 AND ", unsettled!());
    let found = session.row(text, &[Param::Id(id.uuid())], transfer).await?;
    // If it is settled by now, there is room.
    found.ok_or(DbError::Race)
}

/// Records a new transfer and claims its key.
pub(in crate::store) struct Insert {
    row: NewRow,
    claim: Option<KeyClaim>,
}

impl Insert {
    /// Fails when the record cannot be encoded.
    pub(in crate::store) fn new(
        transfer: &Transfer,
        claim: Option<&KeyClaim>,
        owner: Uuid,
    ) -> Result<Self, Unreadable> {
        Ok(Self { row: NewRow::new(transfer, owner)?, claim: claim.cloned() })
    }

    /// What has the key, when it is taken. `Done` when it is this very transfer: an earlier try
    /// went through although its end was not seen.
    async fn key_holder<S: DbSession>(&self, session: &mut S) -> Result<Option<Inserted>, DbError> {
        let Some(claim) = &self.claim else { return Ok(None) };
        let record = keys::find(session, &claim.scope).await?;
        Ok(record.map(|record| {
            if record.transfer_id == self.row.id {
                Inserted::Done
            } else {
                Inserted::KeyTaken(record)
            }
        }))
    }

    async fn conversation_holder<S: DbSession>(
        &self,
        session: &mut S,
    ) -> Result<Inserted, DbError> {
        let (holder, undid) = match in_the_way(session, &self.row).await? {
            InTheWay::Unsettled(holder) => (holder, false),
            InTheWay::Undo(holder) => (holder, true),
        };
        let (transfer_id, caller) = (holder.id, holder.requested_by);
        Ok(match (transfer_id == self.row.id, undid) {
            (true, _) => Inserted::Done,
            (false, true) => Inserted::Undone { transfer_id, caller },
            (false, false) => Inserted::ConversationTaken { transfer_id, caller },
        })
    }

    /// `false` when the key is taken.
    async fn claim_key<S: DbSession>(&self, session: &mut S) -> Result<bool, DbError> {
        let Some(claim) = &self.claim else { return Ok(true) };
        let text = "INSERT INTO idempotency_keys \
                    (caller, route, key, fingerprint, transfer_id) VALUES ($1, $2, $3, $4, $5) \
                    ON CONFLICT (caller, route, key) DO NOTHING";
        let (caller, key) = keys::columns(&claim.scope);
        let values = [
            Param::Text(&caller),
            Param::Text(claim.scope.route),
            Param::Text(&key),
            Param::Bytes(&claim.fingerprint),
            Param::Id(self.row.id.uuid()),
        ];
        Ok(session.execute(text, &values).await? > 0)
    }
}

impl DbOperation for Insert {
    const NAME: StoreOperation = StoreOperation::Insert;

    const AT_ONCE: bool = true;

    type Output = Inserted;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Inserted, DbError> {
        if !self.row.add(session).await? {
            // A twin with the same key and conversation may have come in between: the key wins.
            return match self.key_holder(session).await? {
                Some(holder) => Ok(holder),
                None => self.conversation_holder(session).await,
            };
        }
        if self.claim_key(session).await? {
            return Ok(Inserted::Done);
        }
        let text = "DELETE FROM transfers WHERE id = $1";
        session.execute(text, &[Param::Id(self.row.id.uuid())]).await?;
        self.key_holder(session).await?.ok_or(DbError::Race)
    }

    /// The row is added only where the key is free; a key that is claimed at the same moment fails
    /// the whole statement.
    async fn at_once<S: DbSession>(&self, session: &mut S) -> Result<Option<Inserted>, DbError> {
        if self.row.undoes.is_some() {
            return Ok(None);
        }
        let caller = storable(self.row.caller.as_str());
        let row = self.row.values(&caller);
        let Some(claim) = &self.claim else {
            return Ok(self.row.add(session).await?.then_some(Inserted::Done));
        };
        let text = concat!(
            "WITH row AS (",
            add!(),
            "SELECT ",
            add!(values),
            " WHERE NOT EXISTS (SELECT 1 FROM idempotency_keys \
             WHERE caller = $14 AND route = $15 AND key = $16)",
            add!(unless),
            " RETURNING id) INSERT INTO idempotency_keys \
             (caller, route, key, fingerprint, transfer_id) SELECT $14, $15, $16, $17, id FROM row"
        );
        let (caller, key) = keys::columns(&claim.scope);
        let mut values = row.to_vec();
        values.extend([
            Param::Text(&caller),
            Param::Text(claim.scope.route),
            Param::Text(&key),
            Param::Bytes(&claim.fingerprint),
        ]);
        Ok((session.execute(text, &values).await? > 0).then_some(Inserted::Done))
    }
}
