//! What this process holds of batches: their record, the settings, and who is to be woken.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, Semaphore};

use super::store::BatchStore;
use crate::{config::Batches, transfer::ids::BatchId};

/// Batches of one process that run side by side; the rest wait for a place. Together they can go
/// no faster than one.
const SIDE_BY_SIDE: usize = 8;

/// See the module's text.
pub struct Desk {
    pub(in crate::transfer) store: Arc<dyn BatchStore>,
    pub(super) settings: Batches,
    pub(super) places: Arc<Semaphore>,
    running: Mutex<HashMap<BatchId, Arc<Notify>>>,
}

impl Desk {
    /// Nothing runs yet.
    pub(in crate::transfer) fn new(store: Arc<dyn BatchStore>, settings: Batches) -> Self {
        Self {
            store,
            settings,
            places: Arc::new(Semaphore::new(SIDE_BY_SIDE)),
            running: Mutex::default(),
        }
    }

    /// Notes that a batch has its runner here, who listens to what is returned; `None` when it has
    /// one already.
    pub(super) fn enter(&self, id: BatchId) -> Option<Arc<Notify>> {
        let mut running = self.lock();
        if running.contains_key(&id) {
            return None;
        }
        let news = Arc::new(Notify::new());
        running.insert(id, Arc::clone(&news));
        Some(news)
    }

    /// Its runner has ended.
    pub(super) fn leave(&self, id: BatchId) {
        self.lock().remove(&id);
    }

    /// Tells the runner, if it is here, that the batch's record has changed.
    pub(super) fn wake(&self, id: BatchId) {
        if let Some(news) = self.lock().get(&id) {
            news.notify_one();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<BatchId, Arc<Notify>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
