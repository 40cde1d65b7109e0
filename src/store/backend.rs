//! What a database must offer to the record: carry out an operation, safely and in time.

use crate::transfer::store::{Durability, StoreError};

use super::operations::Operation;

/// An operation was not carried out, or perhaps it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What the database said; no values of records.
    pub(super) cause: String,
    /// Whether it certainly was not carried out.
    pub(super) certain: bool,
}

impl Trouble {
    /// Certainly not carried out.
    pub(super) fn certain(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), certain: true }
    }

    /// Perhaps carried out.
    pub(super) fn uncertain(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), certain: false }
    }

    /// The port's error.
    pub(super) fn of(self, operation: &'static str) -> StoreError {
        let doubt = if self.certain { "" } else { " (it may have been carried out)" };
        StoreError { operation, cause: format!("{}{doubt}", self.cause) }
    }
}

/// A database. Both methods answer within [`super::OPERATION_LIMIT`] and a little.
pub(super) trait Backend: Send + Sync + 'static {
    /// Whether other processes may use the same database.
    const SHARED: bool;

    /// Carries out an operation that writes: all of it or nothing.
    fn write<O: Operation>(
        &self,
        operation: O,
        durability: Durability,
    ) -> impl Future<Output = Result<O::Output, Trouble>> + Send;

    /// Carries out an operation that only reads.
    fn read<O: Operation>(
        &self,
        operation: O,
    ) -> impl Future<Output = Result<O::Output, Trouble>> + Send;
}
