//! Reading transfers.

use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::{
    metrics::StoreOperation,
    transfer::{ids::TransferId, model::Transfer, store::TransferFilter},
};

mod page;

use page::Page;

use super::{
    super::{
        encoding::decode,
        session::{Fields, Session, Value},
    },
    Fault, Operation, sql, unsettled,
};

/// One transfer.
pub(in crate::store) struct Get(pub(in crate::store) TransferId);

impl Operation for Get {
    const NAME: StoreOperation = StoreOperation::Get;

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
    const NAME: StoreOperation = StoreOperation::Count;

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
    const NAME: StoreOperation = StoreOperation::List;

    type Output = Vec<Transfer>;

    async fn apply<S: Session>(&self, session: &mut S) -> Result<Vec<Transfer>, Fault> {
        let page = Page::new(&self.filter, self.limit, S::DIALECT);
        let (text, values) = page.statement();
        let rows = session.rows(AssertSqlSafe(text).into_sql_str(), &values).await?;
        rows.iter().map(|row| Ok(decode(&row.text(0)?)?)).collect()
    }
}

#[cfg(test)]
mod tests;
