//! Watching a batch: its progress and its transfers as they settle, from the store alone, so that
//! any replica can tell. All watchers of a batch in this process share one poller of the store.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use self::poller::Poller;
use super::{Batch, BatchState, Batches};
use crate::transfer::{ids::BatchId, model::Transfer};

mod poller;

/// What has been seen of a batch, for all who watch it. Bounded by the size of a batch, and
/// forgotten when the last of them leaves.
#[derive(Default)]
struct Seen {
    /// How it stood last; `None` before the first look.
    state: Option<Arc<BatchState>>,
    /// What has settled since its beginning, in the order it was seen. Only ever grows, so a
    /// watcher needs no more than the number of those it was told.
    settled: Vec<Arc<Transfer>>,
}

/// Where the poller of a batch writes its progress and its watchers read it.
type ProgressSender = watch::Sender<Seen>;

/// The batches that are watched in this process.
#[derive(Default)]
pub(super) struct Watched(Mutex<HashMap<BatchId, Arc<ProgressSender>>>);

impl Watched {
    /// A reader of a batch's progress; with the sender when that is new and has to be written to and
    /// closed.
    fn join(&self, id: BatchId) -> (watch::Receiver<Seen>, Option<Arc<ProgressSender>>) {
        match self.lock().entry(id) {
            Entry::Occupied(progress) => (progress.get().subscribe(), None),
            Entry::Vacant(place) => {
                let (progress, reader) = watch::channel(Seen::default());
                let progress = place.insert(Arc::new(progress));
                (reader, Some(Arc::clone(progress)))
            }
        }
    }

    /// Closes `progress` if it has no reader. A watcher that comes at this moment either finds it and
    /// keeps it, or gets a new one.
    fn close_unread(&self, id: BatchId, progress: &Arc<ProgressSender>) -> bool {
        let mut all = self.lock();
        let unread = progress.receiver_count() == 0;
        if unread {
            remove(&mut all, id, progress);
        }
        unread
    }

    /// Closes `progress`. Its readers keep what is in it, and learn that no more comes.
    fn close(&self, id: BatchId, progress: &Arc<ProgressSender>) {
        remove(&mut self.lock(), id, progress);
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BatchId, Arc<ProgressSender>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes this progress, not a later one of the same batch.
fn remove(
    all: &mut HashMap<BatchId, Arc<ProgressSender>>,
    id: BatchId,
    progress: &Arc<ProgressSender>,
) {
    if all.get(&id).is_some_and(|found| Arc::ptr_eq(found, progress)) {
        all.remove(&id);
    }
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchEvent {
    /// How the batch stands.
    Progress(Arc<BatchState>),
    /// A transfer of it has settled. Each is told once.
    Transfer(Arc<Transfer>),
    /// Nothing of it is left to do; the last event.
    End(Arc<BatchState>),
}

/// A watched batch.
pub struct BatchWatch {
    seen: watch::Receiver<Seen>,
    /// How it stood when this watcher was told last.
    last: Option<Arc<BatchState>>,
    /// So many of the settled transfers it was told.
    told: usize,
    ended: bool,
}

impl BatchWatch {
    /// Joins those who watch the batch, or is the first of them.
    pub(super) fn new(batches: &Arc<Batches>, batch: &Batch) -> Self {
        let (seen, new) = batches.watched.join(batch.id);
        if let Some(progress) = new {
            let poller = Poller::new(Arc::clone(batches), progress, batch);
            batches.transfers.completion.spawn(poller.run());
        }
        Self { seen, last: None, told: 0, ended: false }
    }

    /// The next event: first how the batch stands, then every transfer that has settled since its
    /// beginning and whatever changes, at last [`BatchEvent::End`]. `None` after that, and when
    /// the service stops. A slow watcher is told only the latest progress. May be dropped and
    /// called again; nothing is lost.
    pub async fn next(&mut self) -> Option<BatchEvent> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(event) = self.untold() {
                return Some(event);
            }
            // When the poller is gone, what it wrote last may not have been read.
            if self.seen.changed().await.is_err() {
                let event = self.untold();
                self.ended |= event.is_none();
                return event;
            }
        }
    }

    /// What is known and was not told yet.
    fn untold(&mut self) -> Option<BatchEvent> {
        let seen = self.seen.borrow_and_update();
        let state = seen.state.as_ref()?;
        if self.last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, state)) {
            self.last = Some(Arc::clone(state));
            return Some(BatchEvent::Progress(Arc::clone(state)));
        }
        if let Some(transfer) = seen.settled.get(self.told) {
            self.told += 1;
            return Some(BatchEvent::Transfer(Arc::clone(transfer)));
        }
        state.batch.finished_at?;
        self.ended = true;
        Some(BatchEvent::End(Arc::clone(state)))
    }
}

#[cfg(test)]
mod tests;
