//! Reading transfers.

use sqlx::AssertSqlSafe;

use crate::{
    metrics::StoreOperation,
    transfer::{ids::TransferId, model::Transfer, store::TransferFilter},
};

mod page;

use page::Page;

use super::{
    super::{
        encoding::decode,
        fault::DbError,
        session::{DbRow, DbSession, Param},
    },
    DbOperation, unsettled,
};

/// The record in the first column.
pub(super) fn transfer(row: &dyn DbRow) -> Result<Transfer, DbError> {
    Ok(decode(row.text(0)?)?)
}

/// One transfer.
pub(in crate::store) struct Get(pub(in crate::store) TransferId);

impl DbOperation for Get {
    const NAME: StoreOperation = StoreOperation::Get;

    type Output = Option<Transfer>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Self::Output, DbError> {
        let text = "SELECT data FROM transfers WHERE id = $1";
        session.row(text, &[Param::Id(self.0.uuid())], transfer).await
    }
}

/// How many transfers are not settled.
pub(in crate::store) struct Count;

impl DbOperation for Count {
    const NAME: StoreOperation = StoreOperation::Count;

    type Output = u64;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<u64, DbError> {
        let text = concat!("SELECT COUNT(*) FROM transfers WHERE ", unsettled!());
        let count = session.row(text, &[], |row| row.number(0)).await?;
        Ok(u64::try_from(count.unwrap_or_default()).unwrap_or_default())
    }
}

/// One page of the history, newest first.
pub(in crate::store) struct List {
    pub(in crate::store) filter: TransferFilter,
    pub(in crate::store) limit: u32,
}

impl DbOperation for List {
    const NAME: StoreOperation = StoreOperation::List;

    type Output = Vec<Transfer>;

    async fn apply<S: DbSession>(&self, session: &mut S) -> Result<Vec<Transfer>, DbError> {
        let page = Page::new(&self.filter, self.limit, S::DIALECT);
        let (text, values) = page.statement();
        session.rows(AssertSqlSafe(text), &values, transfer).await
    }
}

#[cfg(test)]
pub(super) mod tests;
