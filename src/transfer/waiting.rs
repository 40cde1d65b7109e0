//! Accepted transfers whose first answer is still to come, because it waits for confirmation.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::ids::TransferId;

/// The transfers this process waits for. Only in memory: when the process dies, so do the
/// answers it owed, and the record is all there is to tell.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashSet<TransferId>>);

impl Waiting {
    /// Notes that the answer for `id` is still to come, until the guard is dropped.
    pub(super) fn enter(&self, id: TransferId) -> Waits<'_> {
        self.lock().insert(id);
        Waits { all: self, id }
    }

    /// Whether the answer for `id` is still to come.
    pub(super) fn contains(&self, id: TransferId) -> bool {
        self.lock().contains(&id)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<TransferId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One transfer that is waited for.
#[derive(Debug)]
pub(super) struct Waits<'a> {
    all: &'a Waiting,
    id: TransferId,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}
