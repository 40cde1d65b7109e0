//! Changing a transfer and its key's fate, if the row is still as expected.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    metrics::StoreOperation,
    transfer::{
        model::{Stage, Transfer},
        store::{Expected, KeyChange},
    },
};

use super::{
    super::{
        encoding::{code, encode, micros, warned},
        fault::{DbError, Unreadable},
        session::{DbRow, DbSession, Param},
    },
    DbOperation, keys,
};

/// Changes a transfer by compare-and-set on stage and owner.
pub(in crate::store) struct Update {
    id: Uuid,
    stage: Stage,
    updated_at: i64,
    code: Option<&'static str>,
    warned: Option<String>,
    awaited: bool,
    data: String,
    expected: Expected,
    key: KeyChange,
    now: i64,
}

/// Changes a row that is still as expected. A column that is named is written anew in all its
/// indexes, changed or not: so the status is named only where it changes.
macro_rules! change {
    ($status:literal) => {
        concat!(
            "UPDATE transfers SET stage = $3, updated_at = $4, data = $5, code = $6",
            $status,
            " WHERE id = $1 AND stage = $2 AND ($7 IS NULL OR owner = $7)"
        )
    };
}

/// Frees a key.
macro_rules! free {
    () => {
        "DELETE FROM idempotency_keys WHERE transfer_id = $1"
    };
}

/// The first answer stays: a key that is settled is not settled again.
macro_rules! settle {
    () => {
        "UPDATE idempotency_keys SET settled_at = $9, answer_status = $10, \
         answer_content_type = $11, answer_location = $12, answer_retry_after = $13, \
         answer_body = $14 WHERE transfer_id = $1 AND settled_at IS NULL"
    };
}

/// Changes a row and, if that was done, its key.
macro_rules! both {
    ($status:literal, $key:ident) => {
        concat!(
            "WITH row AS (",
            change!($status),
            " RETURNING id), key AS (",
            $key!(),
            " AND EXISTS (SELECT 1 FROM row)) SELECT id FROM row"
        )
    };
}

const SAME_STATUS: &str = change!("");
const NEW_STATUS: &str = change!(", status = $8");

impl Update {
    /// Fails for a step the domain does not allow, and when the record cannot be encoded.
    pub(in crate::store) fn new(
        transfer: &Transfer,
        expected: &Expected,
        key: KeyChange,
        now: Timestamp,
    ) -> Result<Self, Unreadable> {
        let (from, to) = (expected.stage, transfer.stage);
        if from != to && !from.may_become(to) {
            let (from, to) = (from.as_str(), to.as_str());
            return Err(Unreadable(format!("a transfer that is {from} cannot become {to}")));
        }
        Ok(Self {
            data: encode(transfer)?,
            id: transfer.uuid(),
            stage: to,
            updated_at: micros(transfer.updated_at),
            code: code(transfer),
            warned: warned(transfer),
            awaited: transfer.awaited,
            expected: expected.clone(),
            key,
            now: micros(now),
        })
    }

    fn has_same_status(&self) -> bool {
        self.stage.status() == self.expected.stage.status()
    }

    /// What any of the statements needs; each takes of it what it names.
    fn values(&self) -> Vec<Param<'_>> {
        let mut values = vec![
            Param::Id(self.id),
            Param::Text(self.expected.stage.as_str()),
            Param::Text(self.stage.as_str()),
            Param::Number(self.updated_at),
            Param::Text(&self.data),
            Param::MaybeText(self.code),
            Param::MaybeId(self.expected.owner),
            Param::Text(self.stage.status().as_str()),
        ];
        if let KeyChange::Settle(answer) = &self.key {
            values.push(Param::Number(self.now));
            values.extend(keys::answer_values(answer));
        }
        values
    }

    /// Whether the row already is what this update makes it: an earlier try went through although
    /// its end was not seen. Never said of `dispatching`: two who both think they made that step
    /// would both send the command.
    async fn already_made<S: DbSession>(&self, session: &mut S) -> Result<bool, DbError> {
        if self.stage == Stage::Dispatching {
            return Ok(false);
        }
        let text = "SELECT owner, data FROM transfers WHERE id = $1";
        let same = |row: &dyn DbRow| {
            let owner = row.id(0)?;
            let same_owner = self.expected.owner.is_none_or(|expected| expected == owner);
            Ok(same_owner && row.text(1)? == self.data)
        };
        Ok(session.row(text, &[Param::Id(self.id)], same).await?.unwrap_or_default())
    }

    /// Whether the record of what is still to be seen in its queue may change.
    fn touches_awaited(&self) -> bool {
        self.awaited || self.expected.stage == Stage::Accepted
    }

    async fn note_awaited<S: DbSession>(&self, session: &mut S) -> Result<(), DbError> {
        let text = if self.awaited {
            "INSERT INTO awaited (transfer_id) VALUES ($1) ON CONFLICT (transfer_id) DO NOTHING"
        } else {
            "DELETE FROM awaited WHERE transfer_id = $1"
        };
        session.execute(text, &[Param::Id(self.id)]).await?;
        Ok(())
    }
}

impl DbOperation for Update {
    const NAME: StoreOperation = StoreOperation::Update;

    const AT_ONCE: bool = true;

    type Output = bool;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<bool, DbError> {
        let values = self.values();
        let change = if self.has_same_status() { SAME_STATUS } else { NEW_STATUS };
        if session.execute(change, &values).await? == 0 {
            return self.already_made(session).await;
        }
        match &self.key {
            KeyChange::Keep => {}
            KeyChange::Free => drop(session.execute(free!(), &values).await?),
            KeyChange::Settle(_) => drop(session.execute(settle!(), &values).await?),
        }
        if self.touches_awaited() {
            self.note_awaited(session).await?;
        }
        if self.warned.is_some() {
            // A statement of its own: few have warnings, and each column costs all others.
            let text = "UPDATE transfers SET warned = $2 WHERE id = $1";
            let values = [Param::Id(self.id), Param::MaybeText(self.warned.as_deref())];
            session.execute(text, &values).await?;
        }
        Ok(true)
    }

    async fn at_once<S: DbSession>(&self, session: &mut S) -> Result<Option<bool>, DbError> {
        // Should the end of a step to `dispatching` not be seen, it cannot be asked for again.
        let more = self.touches_awaited() || self.warned.is_some();
        if more || self.stage == Stage::Dispatching {
            return Ok(None);
        }
        let text = match (&self.key, self.has_same_status()) {
            (KeyChange::Keep, true) => SAME_STATUS,
            (KeyChange::Keep, false) => NEW_STATUS,
            (KeyChange::Free, true) => both!("", free),
            (KeyChange::Free, false) => both!(", status = $8", free),
            (KeyChange::Settle(_), true) => both!("", settle),
            (KeyChange::Settle(_), false) => both!(", status = $8", settle),
        };
        let changed = session.execute(text, &self.values()).await? > 0;
        Ok(changed.then_some(true))
    }
}
