//! What this process holds of batches: their record, the settings, who is to be woken, and who
//! watches.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, Semaphore};

use super::{Batch, confirm::Awaited, store::BatchStore, watch::Boards};
use crate::{config::Batches, transfer::ids::BatchId};

/// Batches of one process that run side by side; the rest wait for a place. Together they can go
/// no faster than one.
const SIDE_BY_SIDE: usize = 8;

/// See the module's text.
pub struct Desk {
    pub(in crate::transfer) store: Arc<dyn BatchStore>,
    pub(super) settings: Batches,
    pub(super) places: Arc<Semaphore>,
    pub(super) boards: Boards,
    awaited: Mutex<Awaited>,
    running: Mutex<HashMap<BatchId, Seat>>,
}

/// A batch that has its runner here.
struct Seat {
    news: Arc<Notify>,
    /// It was given to us again, while the runner who lost it was still leaving.
    again: Option<Batch>,
}

impl Desk {
    /// Nothing runs yet.
    pub(in crate::transfer) fn new(store: Arc<dyn BatchStore>, settings: Batches) -> Self {
        Self {
            store,
            settings,
            places: Arc::new(Semaphore::new(SIDE_BY_SIDE)),
            boards: Boards::default(),
            awaited: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// Notes that a batch has its runner here, who listens to what is returned; `None` when it has
    /// one already, who then learns of it when he leaves.
    pub(super) fn enter(&self, batch: &Batch) -> Option<Arc<Notify>> {
        match self.lock().entry(batch.id) {
            Entry::Occupied(mut seat) => {
                seat.get_mut().again = Some(batch.clone());
                None
            }
            Entry::Vacant(place) => {
                let news = Arc::new(Notify::new());
                place.insert(Seat { news: Arc::clone(&news), again: None });
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
        if let Some(seat) = self.lock().get(&id) {
            seat.news.notify_one();
        }
    }

    /// The moved calls that are looked for.
    pub(super) fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BatchId, Seat>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
