//! Inserts whose end was not seen. The port promises that a failed insert recorded nothing; when
//! the connection broke at the very commit, that has to be made true afterwards.

use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::transfer::{ids::TransferId, model::Transfer};

/// Most inserts remembered; beyond, the oldest is left to recovery at the next start.
const LIMIT: usize = 10_000;

/// An insert whose end was not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// What was to be inserted.
    pub(super) transfer: Transfer,
    /// The process that would own the row.
    pub(super) owner: Uuid,
}

/// Inserts to be taken back.
#[derive(Debug, Default)]
pub(super) struct Doubtful(Mutex<Vec<Doubt>>);

impl Doubtful {
    /// Watches an insert: unless [`Watch::settle`] is called, it is to be taken back. So it is
    /// too when the future that inserts is dropped half way.
    pub(super) fn watch<'a>(&'a self, transfer: &'a Transfer, owner: Uuid) -> Watch<'a> {
        Watch { doubtful: self, insert: Some((transfer, owner)) }
    }

    /// All inserts to be taken back; they are forgotten here.
    pub(super) fn take(&self) -> Vec<Doubt> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers an insert to be taken back.
    pub(super) fn add(&self, insert: Doubt) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= LIMIT {
            list.swap_remove(0);
        }
        list.push(insert);
    }

    /// The transfer was inserted after all, by another try.
    pub(super) fn forget(&self, id: TransferId) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|insert| insert.transfer.id != id);
    }
}

/// An insert that is under way.
pub(super) struct Watch<'a> {
    doubtful: &'a Doubtful,
    insert: Option<(&'a Transfer, Uuid)>,
}

impl Watch<'_> {
    /// What became of the insert is known.
    pub(super) fn settle(mut self) {
        self.insert = None;
    }

    /// The insert was carried out: an earlier try of the same one is no longer in doubt.
    pub(super) fn inserted(mut self) {
        if let Some((transfer, _)) = self.insert.take() {
            self.doubtful.forget(transfer.id);
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some((transfer, owner)) = self.insert.take() {
            self.doubtful.add(Doubt { transfer: transfer.clone(), owner });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(n: u128) -> Doubt {
        let id = TransferId::new(Uuid::from_u128(n));
        let transfer = Transfer { id, ..crate::store::samples::transfer() };
        Doubt { transfer, owner: Uuid::nil() }
    }

    #[test]
    fn a_settled_insert_is_left_alone() {
        let doubtful = Doubtful::default();
        doubtful.watch(&insert(1).transfer, Uuid::nil()).settle();
        assert_eq!(doubtful.take(), []);
    }

    #[test]
    fn a_dropped_insert_is_taken_back_once() {
        let doubtful = Doubtful::default();
        drop(doubtful.watch(&insert(1).transfer, Uuid::nil()));
        assert_eq!(doubtful.take(), [insert(1)]);
        assert_eq!(doubtful.take(), []);
    }

    #[test]
    fn an_insert_that_worked_the_second_time_is_left_alone() {
        let doubtful = Doubtful::default();
        doubtful.add(insert(1));
        doubtful.add(insert(2));
        doubtful.forget(TransferId::new(Uuid::from_u128(1)));
        assert_eq!(doubtful.take(), [insert(2)]);
    }

    #[test]
    fn the_list_is_bounded() {
        let doubtful = Doubtful::default();
        for n in 0..=LIMIT as u128 {
            doubtful.add(insert(n));
        }
        assert_eq!(doubtful.take().len(), LIMIT);
    }
}
