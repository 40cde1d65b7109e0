//! Inserts whose end was not seen. The port promises that a failed insert recorded nothing; when
//! the connection broke at the very commit, that has to be made true afterwards.

use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use super::operations::Undo;

/// Most inserts remembered; beyond, the oldest is left to recovery at the next start.
const LIMIT: usize = 10_000;

/// Inserts to be taken back.
#[derive(Debug, Default)]
pub(super) struct Doubtful(Mutex<Vec<Undo>>);

impl Doubtful {
    /// Watches an insert: unless [`Watch::settle`] is called, it is to be taken back. So it is
    /// too when the future that inserts is dropped half way.
    pub(super) fn watch(&self, undo: Undo) -> Watch<'_> {
        Watch { doubtful: self, undo: Some(undo) }
    }

    /// All inserts to be taken back; they are forgotten here.
    pub(super) fn take(&self) -> Vec<Undo> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers an insert to be taken back.
    pub(super) fn add(&self, undo: Undo) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= LIMIT {
            list.swap_remove(0);
        }
        list.push(undo);
    }

    /// The transfer was inserted after all, by another try.
    pub(super) fn forget(&self, id: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|undo| undo.id != id);
    }
}

/// See [`Doubtful::watch`].
pub(super) struct Watch<'a> {
    doubtful: &'a Doubtful,
    undo: Option<Undo>,
}

impl Watch<'_> {
    /// What became of the insert is known.
    pub(super) fn settle(mut self) {
        self.undo = None;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(undo) = self.undo.take() {
            self.doubtful.add(undo);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(n: u128) -> Undo {
        let (id, owner) = (Uuid::from_u128(n), Uuid::nil());
        Undo { id, owner, stage: "received", updated_at: 0, given_up: String::new() }
    }

    #[test]
    fn a_settled_insert_is_left_alone() {
        let doubtful = Doubtful::default();
        doubtful.watch(undo(1)).settle();
        assert_eq!(doubtful.take(), []);
    }

    #[test]
    fn a_dropped_insert_is_taken_back_once() {
        let doubtful = Doubtful::default();
        drop(doubtful.watch(undo(1)));
        assert_eq!(doubtful.take(), [undo(1)]);
        assert_eq!(doubtful.take(), []);
    }

    #[test]
    fn an_insert_that_worked_the_second_time_is_left_alone() {
        let doubtful = Doubtful::default();
        doubtful.add(undo(1));
        doubtful.add(undo(2));
        doubtful.forget(Uuid::from_u128(1));
        assert_eq!(doubtful.take(), [undo(2)]);
    }

    #[test]
    fn the_list_is_bounded() {
        let doubtful = Doubtful::default();
        for n in 0..=LIMIT as u128 {
            doubtful.add(undo(n));
        }
        assert_eq!(doubtful.take().len(), LIMIT);
    }
}
