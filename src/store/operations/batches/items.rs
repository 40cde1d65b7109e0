//! The items of a batch.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{
    super::{
        super::{
            encoding::{decode, encode},
            fault::{DbError, Unreadable},
            session::{DbRow, DbSession, Param},
        },
        DbOperation,
    },
    count, hold, write,
};
use crate::{
    batch::{Batch, Drain, Item},
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

    /// Adds them, but for conversations that are items of the batch already; those that were taken
    /// are open again when calls can come `back`.
    pub(super) async fn add<S: DbSession>(
        &self,
        session: &mut S,
        back: bool,
    ) -> Result<(), DbError> {
        for rows in self.rows.chunks(AT_ONCE) {
            let mut text = String::from(
                "INSERT INTO batch_items (batch_id, position, conversation_id, data) VALUES",
            );
            let mut values = vec![Param::Id(self.batch_id.uuid())];
            for (position, conversation_id, data) in rows {
                let comma = if values.len() > 1 { "," } else { "" };
                let next = values.len() + 1;
                let _ = write!(text, "{comma} ($1, ${next}, ${}, ${})", next + 1, next + 2);
                values.extend([
                    Param::Number(*position),
                    Param::Id(*conversation_id),
                    Param::Text(data),
                ]);
            }
            text.push_str(" ON CONFLICT (batch_id, conversation_id) DO ");
            text.push_str(if back {
                "UPDATE SET position = excluded.position, data = excluded.data, \
                 transfer_id = NULL WHERE batch_items.transfer_id IS NOT NULL"
            } else {
                "NOTHING"
            });
            // Made of constants and numbers alone.
            session.execute(AssertSqlSafe(text), &values).await?;
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

impl DbOperation for AddItems {
    const NAME: StoreOperation = StoreOperation::BatchAddItems;

    type Output = bool;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<bool, DbError> {
        let held = hold(session, self.id).await?;
        let Some(held) = held.filter(|held| held.runs_at(self.runner)) else { return Ok(false) };
        let back = held.batch.drain.as_ref().is_some_and(Drain::is_standing);
        self.items.add(session, back).await?;
        let text = "SELECT COUNT(*) FROM batch_items WHERE batch_id = $1";
        let there = session.row(text, &[Param::Id(self.id.uuid())], |row| row.number(0)).await?;
        let total = self.total.max(count(there.unwrap_or_default())?);
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

impl DbOperation for OpenItems {
    const NAME: StoreOperation = StoreOperation::BatchOpenItems;

    type Output = Vec<Item>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Vec<Item>, DbError> {
        let text = "SELECT data FROM batch_items WHERE batch_id = $1 AND transfer_id IS NULL \
                    AND position >= $2 ORDER BY position LIMIT $3";
        let values = [
            Param::Id(self.id.uuid()),
            Param::Number(i64::from(self.position)),
            Param::Number(i64::from(self.limit)),
        ];
        session.rows(text, &values, |row| Ok(decode(row.text(0)?)?)).await
    }
}

/// All conversations that are items.
pub(in crate::store) struct KnownConversations(pub(in crate::store) BatchId);

impl DbOperation for KnownConversations {
    const NAME: StoreOperation = StoreOperation::BatchConversations;

    type Output = Vec<ConversationId>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Self::Output, DbError> {
        let text = "SELECT conversation_id FROM batch_items WHERE batch_id = $1";
        let conversation = |row: &dyn DbRow| Ok(ConversationId::new(row.id(0)?));
        session.rows(text, &[Param::Id(self.0.uuid())], conversation).await
    }
}
