//! Operations on their way to the writer.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::oneshot;

use super::{
    super::{
        backend::Trouble,
        operations::{Fault, Operation},
    },
    connection::Writing,
};
use crate::transfer::store::Durability;

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// Settles between writer and waiter whether an operation is begun.
#[derive(Debug, Default)]
pub(super) struct Ticket(AtomicU8);

impl Ticket {
    fn move_on(&self, next: u8) -> bool {
        self.0.compare_exchange(WAITING, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Withdraws the operation, if it has not begun, when the guard is dropped.
    pub(super) fn withdraw_on_drop(self: Arc<Self>) -> Withdrawal {
        Withdrawal(self)
    }
}

/// See [`Ticket::withdraw_on_drop`].
pub(super) struct Withdrawal(Arc<Ticket>);

impl Withdrawal {
    /// Withdraws now; the trouble is certain when the operation had not begun.
    pub(super) fn trouble(&self, cause: &str) -> Trouble {
        if self.0.move_on(WITHDRAWN) { Trouble::certain(cause) } else { Trouble::uncertain(cause) }
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        self.0.move_on(WITHDRAWN);
    }
}

/// An operation whose type the writer need not know.
pub(super) trait Job: Send {
    /// Marks it as begun; `false` when nobody waits for it any more.
    fn begin(&self) -> bool;
    /// How safe it must be.
    fn durability(&self) -> Durability;
    /// Carries it out, inside the writer's transaction. May be asked again after a roll-back.
    fn apply<'a>(&'a mut self, connection: &'a mut Writing) -> BoxFuture<'a, Result<(), Fault>>;
    /// Tells the waiter: the last `apply` is committed, or nothing was done.
    fn finish(self: Box<Self>, outcome: Result<(), Trouble>);
}

/// An operation with the one who waits for it.
pub(super) struct Pending<O: Operation> {
    operation: O,
    durability: Durability,
    ticket: Arc<Ticket>,
    output: Option<O::Output>,
    reply: oneshot::Sender<Result<O::Output, Trouble>>,
}

impl<O: Operation> Pending<O> {
    pub(super) fn new(
        operation: O,
        durability: Durability,
        ticket: Arc<Ticket>,
        reply: oneshot::Sender<Result<O::Output, Trouble>>,
    ) -> Self {
        Self { operation, durability, ticket, output: None, reply }
    }
}

impl<O: Operation> Job for Pending<O> {
    fn begin(&self) -> bool {
        self.ticket.move_on(BEGUN)
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn apply<'a>(&'a mut self, connection: &'a mut Writing) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            self.output = None;
            self.output = Some(self.operation.apply(connection).await?);
            Ok(())
        }
        .boxed()
    }

    fn finish(self: Box<Self>, outcome: Result<(), Trouble>) {
        let result = match (outcome, self.output) {
            (Ok(()), Some(output)) => Ok(output),
            (Ok(()), None) => Err(Trouble::certain("the operation was not carried out")),
            (Err(trouble), _) => Err(trouble),
        };
        // The waiter may have given up; an insert is then taken back by `doubt`.
        drop(self.reply.send(result));
    }
}
