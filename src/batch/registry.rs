//! The batches that have their runner in this process.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::Batch;
use crate::transfer::ids::BatchId;

/// The batches with a runner here, and how to wake it.
#[derive(Default)]
pub(super) struct Registry(Mutex<HashMap<BatchId, Registration>>);

struct Registration {
    news: Arc<Notify>,
    /// It was given to us again, while the runner that lost it was still ending.
    again: Option<Batch>,
}

impl Registry {
    /// Notes that a batch has its runner here, which is woken by what is returned; `None` when it
    /// has one already, which then learns of it at its end.
    pub(super) fn enter(&self, batch: &Batch) -> Option<Arc<Notify>> {
        match self.lock().entry(batch.id) {
            Entry::Occupied(mut running) => {
                running.get_mut().again = Some(batch.clone());
                None
            }
            Entry::Vacant(vacant) => {
                let news = Arc::new(Notify::new());
                vacant.insert(Registration { news: Arc::clone(&news), again: None });
                Some(news)
            }
        }
    }

    /// Its runner has ended; the batch, if it was given to us again meanwhile.
    pub(super) fn leave(&self, id: BatchId) -> Option<Batch> {
        self.lock().remove(&id)?.again
    }

    /// Tells the runner, if it is here, that the batch's record has changed.
    pub(super) fn wake(&self, id: BatchId) {
        if let Some(running) = self.lock().get(&id) {
            running.news.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BatchId, Registration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
