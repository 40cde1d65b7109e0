//! Changing a transfer and its key's fate, if the row is still as expected.

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    metrics::StoreOperation,
    transfer::{
        model::{Stage, Transfer},
        store::{Expected, KeyChange, StoredResponse},
    },
};

use super::{
    super::{
        encoding::{Unreadable, code, encode, micros},
        session::{Fields, Session, Value},
    },
    Fault, Operation, sql,
};

/// Changes a transfer by compare-and-set on stage and owner.
pub(in crate::store) struct Update {
    id: Uuid,
    stage: Stage,
    updated_at: i64,
    code: Option<&'static str>,
    awaited: bool,
    data: String,
    expected: Expected,
    key: KeyChange,
    now: i64,
}

impl Update {
    /// Fails for a step the domain does not allow, and when the record cannot be put into words.
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
            awaited: transfer.awaited,
            expected: expected.clone(),
            key,
            now: micros(now),
        })
    }

    async fn change_row<S: Session>(&self, session: &mut S) -> Result<bool, Fault> {
        let stage = self.stage;
        let mut values = vec![
            Value::Id(self.id),
            Value::Text(self.expected.stage.as_str()),
            Value::Text(stage.as_str()),
            Value::Number(self.updated_at),
            Value::Text(&self.data),
            Value::MaybeText(self.code),
        ];
        values.extend(self.expected.owner.map(Value::Id));
        // A column that is named is written anew in all its indexes, changed or not.
        let same_status = stage.status() == self.expected.stage.status();
        let text = match (same_status, self.expected.owner) {
            (true, Some(_)) => change!("", " AND owner = $7"),
            (true, None) => change!("", ""),
            (false, Some(_)) => change!(", status = $8", " AND owner = $7"),
            (false, None) => change!(", status = $7", ""),
        };
        if !same_status {
            values.push(Value::Text(stage.status().as_str()));
        }
        Ok(session.execute(sql(text), &values).await? > 0)
    }

    /// Whether the row already is what this update makes it: an earlier try went through although
    /// its end was not seen. Never said of `dispatching`: two who both think they made that step
    /// would both send the command.
    async fn already_made<S: Session>(&self, session: &mut S) -> Result<bool, Fault> {
        if self.stage == Stage::Dispatching {
            return Ok(false);
        }
        let id = [Value::Id(self.id)];
        let rows =
            session.rows(sql("SELECT owner, data FROM transfers WHERE id = $1"), &id).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        let owner = row.id(0)?;
        let same_owner = self.expected.owner.is_none_or(|expected| expected == owner);
        Ok(same_owner && row.text(1)? == self.data)
    }

    async fn change_key<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let id = self.id;
        match &self.key {
            KeyChange::Keep => {}
            KeyChange::Free => {
                let text = "DELETE FROM idempotency_keys WHERE transfer_id = $1";
                session.execute(sql(text), &[Value::Id(id)]).await?;
            }
            KeyChange::Settle(answer) => {
                session.execute(sql(SETTLE), &settled_values(id, self.now, answer)).await?;
            }
        }
        Ok(())
    }
}

/// Changes a row that is still as expected.
macro_rules! change {
    ($more:literal, $condition:literal) => {
        concat!(
            "UPDATE transfers SET stage = $3, updated_at = $4, data = $5, code = $6",
            $more,
            " WHERE id = $1 AND stage = $2",
            $condition
        )
    };
}
use change;

/// The first answer stays: a key that is settled is not settled again.
const SETTLE: &str = "UPDATE idempotency_keys SET settled_at = $2, answer_status = $3, \
    answer_content_type = $4, answer_location = $5, answer_retry_after = $6, answer_body = $7 \
    WHERE transfer_id = $1 AND settled_at IS NULL";

fn settled_values(id: Uuid, now: i64, answer: &StoredResponse) -> [Value<'_>; 7] {
    [
        Value::Id(id),
        Value::Number(now),
        Value::Number(i64::from(answer.status)),
        Value::Text(&answer.content_type),
        Value::MaybeText(answer.location.as_deref()),
        Value::MaybeNumber(answer.retry_after.map(u64::cast_signed)),
        Value::Bytes(&answer.body),
    ]
}

impl Update {
    /// Notes whether the call is still to be seen in its queue.
    async fn note_awaited<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        let text = if self.awaited {
            "INSERT INTO awaited (transfer_id) VALUES ($1) ON CONFLICT (transfer_id) DO NOTHING"
        } else if self.expected.stage == Stage::Accepted {
            "DELETE FROM awaited WHERE transfer_id = $1"
        } else {
            return Ok(());
        };
        session.execute(sql(text), &[Value::Id(self.id)]).await?;
        Ok(())
    }
}

impl Operation for Update {
    const NAME: StoreOperation = StoreOperation::Update;

    type Output = bool;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<bool, Fault> {
        if !self.change_row(session).await? {
            return self.already_made(session).await;
        }
        self.change_key(session).await?;
        self.note_awaited(session).await?;
        Ok(true)
    }
}
