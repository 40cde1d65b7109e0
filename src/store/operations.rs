//! What is done to the record, in statements both databases understand.
//!
//! An operation runs inside one transaction of a [`DbSession`]. When it answers `Ok`, what it wrote
//! is to be committed; a refusal (a key that is taken, a row that is not as expected) is `Ok` and
//! has written nothing. When it fails, the transaction must be rolled back.

use super::{fault::DbError, session::DbSession};
use crate::metrics::StoreOperation;

mod batches;
mod history;
mod insert;
mod keys;
mod lease;
mod update;
mod upkeep;

pub(super) use batches::{
    AddItems, AdoptBatches, CancelBatch, Changed, ClaimLook, CreateBatch, FindBatchKey, GetBatch,
    GetPlan, KeepPlan, KnownConversations, ListBatches, OpenItems, ReopenItem, ReopenUnsent,
    RunningDrains, ShareLook, TakeItem, TallyOf, UndoOf, UpdateBatch,
};
pub(super) use history::{Count, Get, List};
pub(super) use insert::Insert;
pub(super) use keys::FindKey;
pub(super) use lease::{Adopt, Heartbeat, Retire, ShareRate};
pub(super) use update::Update;
pub(super) use upkeep::{Reap, Reaped, Undo, WriteProbe};

/// One thing done to the record. It may be carried out more than once, each time from the start
/// and after the time before was rolled back.
pub(super) trait DbOperation: Send + Sync + 'static {
    /// Its name in metrics and traces.
    const NAME: StoreOperation;

    /// What comes of it.
    type Output: Send + 'static;

    /// Carries it out.
    fn apply<S: DbSession>(
        &self,
        session: &mut S,
    ) -> impl Future<Output = Result<Self::Output, DbError>> + Send;

    /// Carries it out in one statement, which is a transaction of its own, for a database to which
    /// each statement is a round trip. `None`: nothing was done, it is for [`DbOperation::apply`]. When
    /// the end of this statement was not seen, `apply` finds out whether it was carried out.
    fn at_once<S: DbSession>(
        &self,
        _session: &mut S,
    ) -> impl Future<Output = Result<Option<Self::Output>, DbError>> + Send {
        async { Ok(None) }
    }

    /// Whether [`DbOperation::at_once`] is worth a try.
    const AT_ONCE: bool = false;
}

/// The rows that are not settled, in the words of the partial indexes.
macro_rules! unsettled {
    () => {
        "(stage = 'received' OR stage = 'prepared' OR stage = 'dispatching' OR stage = 'unknown')"
    };
}
use unsettled;

/// The rows that are settled, in the words of the partial indexes.
macro_rules! settled {
    () => {
        "(stage = 'accepted' OR stage = 'confirmed' OR stage = 'skipped' OR stage = 'failed')"
    };
}
use settled;

#[cfg(test)]
mod tests;
