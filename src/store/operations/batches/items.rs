//! The items of a batch.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqlSafeStr};
use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::{Unreadable, decode, encode},
            session::{Fields, Session, Value},
        },
        Fault, Operation, sql,
    },
    count, hold, write,
};
use crate::{
    batch::{Batch, Item},
    metrics::StoreOperation,
    transfer::ids::{BatchId, ConversationId},
};

/// Items one statement adds: far below what either database takes in values, and few statements
/// for the largest list.
const AT_ONCE: usize = 200;

/// Items to be added, already in the database's words.
pub(super) struct NewItems {
    batch_id: BatchId,
    rows: Vec<(i64, Uuid, String)>,
}

impl NewItems {
    /// Fails when an item cannot be put into words.
    pub(super) fn new(batch_id: BatchId, items: &[Item]) -> Result<Self, Unreadable> {
        let row = |item: &Item| {
            let conversation_id = item.request.conversation_id.uuid();
            Ok((i64::from(item.position), conversation_id, encode(item)?))
        };
        Ok(Self { batch_id, rows: items.iter().map(row).collect::<Result<_, _>>()? })
    }

    /// Adds them, but for conversations that are items of the batch already.
    pub(super) async fn add<S: Session>(&self, session: &mut S) -> Result<(), Fault> {
        for rows in self.rows.chunks(AT_ONCE) {
            let mut text = String::from(
                "INSERT INTO batch_items (batch_id, position, conversation_id, data) VALUES",
            );
            let mut values = vec![Value::Id(self.batch_id.uuid())];
            for (position, conversation_id, data) in rows {
                let comma = if values.len() > 1 { "," } else { "" };
                let next = values.len() + 1;
                let _ = write!(text, "{comma} ($1, ${next}, ${}, ${})", next + 1, next + 2);
                values.extend([
                    Value::Number(*position),
                    Value::Id(*conversation_id),
                    Value::Text(data),
                ]);
            }
            text.push_str(" ON CONFLICT (batch_id, conversation_id) DO NOTHING");
            // Made of constants and numbers alone.
            session.execute(AssertSqlSafe(text).into_sql_str(), &values).await?;
        }
        Ok(())
    }
}

/// Adds items to a batch that runs.
pub(in crate::store) struct AddItems {
    id: BatchId,
    runner: Uuid,
    items: NewItems,
    total: u32,
}

impl AddItems {
    /// Fails when an item cannot be put into words.
    pub(in crate::store) fn new(
        id: BatchId,
        runner: Uuid,
        items: &[Item],
        total: u32,
    ) -> Result<Self, Unreadable> {
        Ok(Self { id, runner, items: NewItems::new(id, items)?, total })
    }
}

impl Operation for AddItems {
    const NAME: StoreOperation = StoreOperation::BatchAddItems;

    type Output = bool;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<bool, Fault> {
        let held = hold(session, self.id).await?;
        let Some(held) = held.filter(|held| held.runs_at(self.runner)) else { return Ok(false) };
        self.items.add(session).await?;
        let text = "SELECT COUNT(*) FROM batch_items WHERE batch_id = $1";
        let rows = session.rows(sql(text), &[Value::Id(self.id.uuid())]).await?;
        let there = rows.first().map(|row| row.number(0)).transpose()?.unwrap_or_default();
        let total = self.total.max(count(there)?);
        write(session, &Batch { total, ..held.batch }).await?;
        Ok(true)
    }
}

/// Items that are not transfers yet.
pub(in crate::store) struct OpenItems {
    pub(in crate::store) id: BatchId,
    pub(in crate::store) position: u32,
    pub(in crate::store) limit: u32,
}

impl Operation for OpenItems {
    const NAME: StoreOperation = StoreOperation::BatchOpenItems;

    type Output = Vec<Item>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Vec<Item>, Fault> {
        let text = "SELECT data FROM batch_items WHERE batch_id = $1 AND transfer_id IS NULL \
                    AND position >= $2 ORDER BY position LIMIT $3";
        let values = [
            Value::Id(self.id.uuid()),
            Value::Number(i64::from(self.position)),
            Value::Number(i64::from(self.limit)),
        ];
        let rows = session.rows(sql(text), &values).await?;
        rows.iter().map(|row| Ok(decode(&row.text(0)?)?)).collect()
    }
}

/// All conversations that are items.
pub(in crate::store) struct KnownConversations(pub(in crate::store) BatchId);

impl Operation for KnownConversations {
    const NAME: StoreOperation = StoreOperation::BatchConversations;

    type Output = Vec<ConversationId>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Self::Output, Fault> {
        let text = "SELECT conversation_id FROM batch_items WHERE batch_id = $1";
        let rows = session.rows(sql(text), &[Value::Id(self.0.uuid())]).await?;
        rows.iter().map(|row| Ok(ConversationId::new(row.id(0)?))).collect()
    }
}
