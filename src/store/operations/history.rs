//! Reading transfers.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::transfer::{
    ids::TransferId,
    model::{CallerName, Status, Transfer},
    store::TransferFilter,
};

use super::{
    super::{
        encoding::{decode, lowest_id, micros, storable},
        session::{Dialect, Fields, Session, Value},
    },
    Fault, Operation, sql, unsettled,
};

/// One transfer.
pub(in crate::store) struct Get(pub(in crate::store) TransferId);

impl Operation for Get {
    type Output = Option<Transfer>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Self::Output, Fault> {
        let text = "SELECT data FROM transfers WHERE id = $1";
        let rows = session.rows(sql(text), &[Value::Id(self.0.uuid())]).await?;
        rows.first().map(|row| Ok(decode(&row.text(0)?)?)).transpose()
    }
}

/// How many transfers are not settled.
pub(in crate::store) struct Count;

impl Operation for Count {
    type Output = u64;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<u64, Fault> {
        let text = concat!("SELECT COUNT(*) FROM transfers WHERE ", unsettled!());
        let rows = session.rows(sql(text), &[]).await?;
        let count = rows.first().map(|row| row.number(0)).transpose()?;
        Ok(u64::try_from(count.unwrap_or_default()).unwrap_or_default())
    }
}

/// One page of the history, newest first.
pub(in crate::store) struct List {
    pub(in crate::store) filter: TransferFilter,
    pub(in crate::store) limit: u32,
}

impl Operation for List {
    type Output = Vec<Transfer>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Vec<Transfer>, Fault> {
        let caller = self.filter.caller.as_ref().map(CallerName::as_str).map(storable);
        let reference = self.filter.reference.as_deref().map(storable);
        let (text, values) = self.statement(S::DIALECT, caller.as_deref(), reference.as_deref());
        let rows = session.rows(AssertSqlSafe(text).into_sql_str(), &values).await?;
        rows.iter().map(|row| Ok(decode(&row.text(0)?)?)).collect()
    }
}

impl List {
    /// The statement's text is made of constants alone; everything a caller says is a value.
    fn statement<'a>(
        &self,
        dialect: Dialect,
        caller: Option<&'a str>,
        reference: Option<&'a str>,
    ) -> (String, Vec<Value<'a>>) {
        let filter = &self.filter;
        let conditions = [
            ("caller =", caller.map(Value::Text)),
            ("conversation_id =", filter.conversation_id.map(|id| Value::Id(id.uuid()))),
            ("queue_id =", filter.queue_id.map(|id| Value::Id(id.uuid()))),
            ("status =", filter.status.map(Status::as_str).map(Value::Text)),
            ("reference =", reference.map(Value::Text)),
            ("batch_id =", filter.batch_id.map(|id| Value::Id(id.uuid()))),
            ("id <", filter.before.map(|id| Value::Id(id.uuid()))),
            // The bound on the id ends the search, the exact time decides.
            ("id >=", filter.since.map(|time| Value::Id(lowest_id(time)))),
            ("created_at >=", filter.since.map(|time| Value::Number(micros(time)))),
        ];
        let mut text = String::from("SELECT data FROM transfers");
        if dialect == Dialect::Sqlite
            && let Some(index) = index(filter)
        {
            // SQLite's planner counts columns rather than rows and would prefer three vague
            // columns to one that names a single conversation.
            let _ = write!(text, " INDEXED BY {index}");
        }
        let mut values = Vec::new();
        for (condition, value) in conditions {
            if let Some(value) = value {
                let word = if values.is_empty() { "WHERE" } else { "AND" };
                values.push(value);
                let _ = write!(text, " {word} {condition} ${}", values.len());
            }
        }
        values.push(Value::Number(i64::from(self.limit)));
        let _ = write!(text, " ORDER BY id DESC LIMIT ${}", values.len());
        (text, values)
    }
}

/// The index that leaves the fewest rows for `filter`; `None` for the order of the ids alone.
fn index(filter: &TransferFilter) -> Option<&'static str> {
    if filter.conversation_id.is_some() {
        return Some("transfers_by_conversation");
    }
    if filter.batch_id.is_some() {
        return Some("transfers_by_batch");
    }
    if filter.reference.is_some() {
        return Some("transfers_by_reference");
    }
    match (filter.caller.is_some(), filter.queue_id.is_some(), filter.status.is_some()) {
        (false, false, false) => None,
        (true, false, false) => Some("transfers_by_caller"),
        (false, true, false) => Some("transfers_by_queue"),
        (false, false, true) => Some("transfers_by_status"),
        (true, true, false) => Some("transfers_by_caller_queue"),
        (true, false, true) => Some("transfers_by_caller_status"),
        (false, true, true) => Some("transfers_by_queue_status"),
        (true, true, true) => Some("transfers_by_caller_queue_status"),
    }
}

#[cfg(test)]
mod tests;
