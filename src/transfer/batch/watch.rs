//! Watching a batch: its progress and its transfers as they settle, from the store alone, so that
//! any replica can tell. All who watch a batch in this process share one poller of the store.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use self::poller::Poller;
use super::{Batch, BatchState, service::BatchEvent};
use crate::transfer::{engine::Engine, ids::BatchId, model::Transfer};

mod poller;

/// What has been seen of a batch, for all who watch it. Bounded by the size of a batch, and
/// forgotten when the last of them leaves.
#[derive(Default)]
struct Seen {
    /// How it stood last; `None` before the first look.
    state: Option<Arc<BatchState>>,
    /// What has settled since its beginning, in the order it was seen. Only ever grows, so a
    /// watcher needs no more than the number of those he was told.
    settled: Vec<Arc<Transfer>>,
}

/// Where the poller of a batch writes and its watchers read.
type Board = watch::Sender<Seen>;

/// The batches that are watched in this process.
#[derive(Default)]
pub(super) struct Boards(Mutex<HashMap<BatchId, Arc<Board>>>);

impl Boards {
    /// A place before the board of a batch. The board comes with it when it is new: then somebody
    /// has to write on it, and to take it down.
    fn join(&self, id: BatchId) -> (watch::Receiver<Seen>, Option<Arc<Board>>) {
        match self.lock().entry(id) {
            Entry::Occupied(board) => (board.get().subscribe(), None),
            Entry::Vacant(place) => {
                let (board, reader) = watch::channel(Seen::default());
                let board = place.insert(Arc::new(board));
                (reader, Some(Arc::clone(board)))
            }
        }
    }

    /// Takes `board` down if nobody reads it. A watcher who comes at this moment either finds it
    /// and keeps it, or gets a new one.
    fn close_unread(&self, id: BatchId, board: &Arc<Board>) -> bool {
        let mut boards = self.lock();
        let unread = board.receiver_count() == 0;
        if unread {
            remove(&mut boards, id, board);
        }
        unread
    }

    /// Takes `board` down. Who reads it keeps what is on it, and learns that no more comes.
    fn close(&self, id: BatchId, board: &Arc<Board>) {
        remove(&mut self.lock(), id, board);
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BatchId, Arc<Board>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes this board, not a later one of the same batch.
fn remove(boards: &mut HashMap<BatchId, Arc<Board>>, id: BatchId, board: &Arc<Board>) {
    if boards.get(&id).is_some_and(|found| Arc::ptr_eq(found, board)) {
        boards.remove(&id);
    }
}

/// A watched batch.
pub struct BatchWatch {
    seen: watch::Receiver<Seen>,
    /// How it stood when this watcher was told last.
    last: Option<Arc<BatchState>>,
    /// So many of the settled transfers he was told.
    told: usize,
    ended: bool,
}

impl BatchWatch {
    /// Joins those who watch the batch, or is the first of them.
    pub(super) fn new(engine: &Arc<Engine>, batch: &Batch) -> Self {
        let (seen, new) = engine.batches.boards.join(batch.id);
        if let Some(board) = new {
            let poller = Poller::new(Arc::clone(engine), board, batch);
            engine.tracker.spawn(poller.run());
        }
        Self { seen, last: None, told: 0, ended: false }
    }

    /// The next event: first how the batch stands, then every transfer that has settled since its
    /// beginning and whatever changes, at last [`BatchEvent::End`]. `None` after that, and when
    /// the service stops. Who is slow to ask is told only the latest progress. May be dropped and
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

    /// What is on the board and was not told yet.
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
