//! What is done to the record, in statements both databases understand.
//!
//! An operation runs inside one transaction of a [`Session`]. When it answers `Ok`, what it wrote
//! is to be committed; a refusal (a key that is taken, a row that is not as expected) is `Ok` and
//! has written nothing. When it fails, the transaction must be rolled back.

use sqlx::{SqlSafeStr, SqlStr};

use super::{encoding::Unreadable, session::Session};
use crate::metrics::StoreOperation;

mod batches;
mod history;
mod insert;
mod keys;
mod lease;
mod update;
mod upkeep;

pub(super) use batches::{
    AddItems, AdoptBatches, CancelBatch, Changed, CreateBatch, FindBatchKey, GetBatch, GetPlan,
    KeepPlan, KnownConversations, ListBatches, OpenItems, ReopenItem, ReopenUnsent, RunningDrains,
    TakeItem, TallyOf, UpdateBatch,
};
pub(super) use history::{Count, Get, List};
pub(super) use insert::Insert;
pub(super) use keys::FindKey;
pub(super) use lease::{Adopt, Heartbeat, Retire, ShareRate};
pub(super) use update::Update;
pub(super) use upkeep::{ClearInstances, Probe, Reap, Reaped, Undo};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Another connection was quicker between two statements: start again.
    #[error("another process changes the same record")]
    Race,
    /// The database refused a statement.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A record is there and cannot be understood.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Fault {
    /// Whether the fault lies in this one operation, so that others may still work.
    pub(super) fn is_own(&self) -> bool {
        match self {
            Self::Race | Self::Unreadable(_) => true,
            Self::Database(sqlx::Error::Database(error)) => {
                error.kind() != sqlx::error::ErrorKind::Other
            }
            Self::Database(_) => false,
        }
    }
}

/// One thing done to the record. It may be carried out more than once, each time from the start
/// and after the time before was rolled back.
pub(super) trait Operation: Send + Sync + 'static {
    /// Its name in metrics and traces.
    const NAME: StoreOperation;

    /// What comes of it.
    type Output: Send + 'static;

    /// Carries it out.
    fn apply<S: Session>(
        &self,
        session: &mut S,
    ) -> impl Future<Output = Result<Self::Output, Fault>> + Send;
}

/// The rows that are not settled, in the words of the partial indexes.
macro_rules! unsettled {
    () => {
        "stage IN ('received', 'prepared', 'dispatching', 'unknown')"
    };
}
use unsettled;

/// The rows that are settled, in the words of the partial indexes.
macro_rules! settled {
    () => {
        "stage IN ('accepted', 'confirmed', 'skipped', 'failed')"
    };
}
use settled;

fn sql(text: &'static str) -> SqlStr {
    text.into_sql_str()
}

#[cfg(test)]
mod tests;
