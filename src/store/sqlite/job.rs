//! Operations on their way to a thread with a connection.

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::{
    super::{
        fault::{DbError, OperationError},
        operations::DbOperation,
    },
    connection::SqliteSession,
};
use crate::{metrics::StoreOperation, transfer::store::Durability};

/// An operation whose type the thread need not know.
pub(super) trait DbJob: Send {
    /// Whether nothing waits for it any more: then it need not be begun.
    fn is_abandoned(&self) -> bool;
    /// How safe it must be.
    fn durability(&self) -> Durability;
    /// Whether it is there to find out that writing works.
    fn is_probe(&self) -> bool;
    /// Carries it out, inside a transaction if it writes. May be asked again after a roll-back.
    fn apply(&mut self, session: &mut SqliteSession) -> Result<(), DbError>;
    /// Tells the waiter: the last `apply` counts, or nothing was done.
    fn finish(self: Box<Self>, outcome: Result<(), OperationError>);
}

/// An operation with what waits for it.
pub(super) struct Pending<O: DbOperation> {
    operation: O,
    durability: Durability,
    output: Option<O::Output>,
    reply: oneshot::Sender<Result<O::Output, OperationError>>,
}

impl<O: DbOperation> Pending<O> {
    pub(super) fn new(
        operation: O,
        durability: Durability,
        reply: oneshot::Sender<Result<O::Output, OperationError>>,
    ) -> Self {
        Self { operation, durability, output: None, reply }
    }
}

impl<O: DbOperation> DbJob for Pending<O> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn is_probe(&self) -> bool {
        O::NAME == StoreOperation::Probe
    }

    fn apply(&mut self, session: &mut SqliteSession) -> Result<(), DbError> {
        self.output = None;
        let applied = self.operation.apply(session).now_or_never();
        // The statements of SQLite do not wait, so it is ready.
        self.output = Some(applied.unwrap_or(Err(DbError::Race))?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), OperationError>) {
        let result = match (outcome, self.output) {
            (Ok(()), Some(output)) => Ok(output),
            (Ok(()), None) => Err(OperationError::certain("the operation was not carried out")),
            (Err(trouble), _) => Err(trouble),
        };
        // The waiter may have given up; an insert is then taken back by `doubt`.
        drop(self.reply.send(result));
    }
}
