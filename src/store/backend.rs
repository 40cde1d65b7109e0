//! What a database must offer to the record: carry out an operation, safely and in time.

use crate::transfer::store::Durability;

use super::{fault::OperationError, operations::DbOperation};

/// A database. Both methods answer within [`super::OPERATION_LIMIT`] and a little.
pub(super) trait Backend: Send + Sync + 'static {
    /// Whether other processes may use the same database.
    const SHARED: bool;

    /// Carries out an operation that writes: all of it or nothing.
    fn write<O: DbOperation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> impl Future<Output = Result<O::Output, OperationError>> + Send;

    /// Carries out an operation that only reads.
    fn read<O: DbOperation>(
        &self,
        operation: O,
    ) -> impl Future<Output = Result<O::Output, OperationError>> + Send;
}
