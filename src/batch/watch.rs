//! Watching a batch: its progress and its transfers as they settle, from the store alone, so that
//! any replica can tell. All watchers of a batch in this process share one poller of the store.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::{Batch, BatchState, Batches, state};
use crate::transfer::{
    ids::{BatchId, TransferId},
    model::{Status, Transfer},
    store::StoreError,
};

/// What has been seen of a batch, for all who watch it. Bounded by the size of a batch, and
/// forgotten when the last of them leaves.
#[derive(Default)]
struct WatchedState {
    /// How it stood last; `None` before the first look.
    state: Option<Arc<BatchState>>,
    /// What has settled since its beginning, in the order it was seen. Only ever grows, so a
    /// watcher needs no more than the number of those it was told.
    settled: Vec<Arc<Transfer>>,
}

/// Where the poller of a batch writes its progress and its watchers read it.
type ProgressSender = watch::Sender<WatchedState>;

/// The batches that are watched in this process.
#[derive(Default)]
pub(super) struct Watched(Mutex<HashMap<BatchId, Arc<ProgressSender>>>);

impl Watched {
    /// A reader of a batch's progress; with the sender when that is new and has to be written to and
    /// closed.
    fn join(&self, id: BatchId) -> (watch::Receiver<WatchedState>, Option<Arc<ProgressSender>>) {
        match self.lock().entry(id) {
            Entry::Occupied(progress) => (progress.get().subscribe(), None),
            Entry::Vacant(place) => {
                let (progress, reader) = watch::channel(WatchedState::default());
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
    seen: watch::Receiver<WatchedState>,
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

/// Time between two looks at the store: at most four `progress` events a second.
const BEAT: Duration = Duration::from_millis(250);

/// A change may become visible so much later than the time it bears: another replica's clock
/// differs, or its transaction took a while.
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(5);

/// Changes read in one step.
const AT_ONCE: u32 = 500;

/// Looks at the store until its batch is finished. Closes the progress when it is dropped.
struct Poller {
    batches: Arc<Batches>,
    progress: Arc<ProgressSender>,
    id: BatchId,
    since: Timestamp,
    known: HashSet<TransferId>,
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.batches.watched.close(self.id, &self.progress);
    }
}

impl Poller {
    fn new(batches: Arc<Batches>, progress: Arc<ProgressSender>, batch: &Batch) -> Self {
        let since = batch.created_at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        Self { batches, progress, id: batch.id, since, known: HashSet::new() }
    }

    /// Works until the batch is finished or gone, no watcher is left, or the service
    /// stops.
    async fn run(mut self) {
        let stop = self.batches.transfers.completion.stop.clone();
        stop.run_until_cancelled(async {
            while self.look().await {
                tokio::time::sleep(BEAT).await;
                if self.batches.watched.close_unread(self.id, &self.progress) {
                    return;
                }
            }
        })
        .await;
    }

    /// Whether there may be more to see.
    async fn look(&mut self) -> bool {
        match self.news().await {
            Ok(Some((state, settled))) => {
                let finished = state.batch.finished_at.is_some();
                self.write(state, settled);
                !finished
            }
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(operation = error.operation, cause = %error.cause, "cannot read the batch for its event stream");
                true
            }
        }
    }

    /// How the batch stands and what has settled since the last look; `None` if it is gone.
    async fn news(&mut self) -> Result<Option<(BatchState, Vec<Transfer>)>, StoreError> {
        let Some(batch) = self.batches.store.batch(self.id).await? else {
            return Ok(None);
        };
        // In this order: what a finished batch holds has settled before it was finished.
        let state = state::of(&self.batches, batch).await?;
        let (settled, since) = self.newly_settled().await?;
        self.known.extend(settled.iter().map(|transfer| transfer.id));
        self.since = since;
        Ok(Some((state, settled)))
    }

    /// Writes it in one step: a reader of a finished state finds all there is to tell.
    fn write(&self, state: BatchState, settled: Vec<Transfer>) {
        self.progress.send_if_modified(|seen: &mut WatchedState| {
            let changed = seen.state.as_deref() != Some(&state);
            if changed {
                seen.state = Some(Arc::new(state));
            }
            let more = !settled.is_empty();
            seen.settled.extend(settled.into_iter().map(Arc::new));
            changed || more
        });
    }

    /// Transfers that settled and were not seen yet, and where to begin the next time.
    async fn newly_settled(&self) -> Result<(Vec<Transfer>, Timestamp), StoreError> {
        let store = &self.batches.store;
        let (mut since, mut limit) = (self.since, AT_ONCE);
        let (mut found, mut new) = (Vec::new(), HashSet::new());
        loop {
            let page = store.changed(self.id, since, limit).await?;
            let full = page.len() >= limit as usize;
            let newest = page.last().map_or(since, |transfer| transfer.updated_at);
            let unseen = page.into_iter().filter(|transfer| {
                is_settled(transfer)
                    && !self.known.contains(&transfer.id)
                    && new.insert(transfer.id)
            });
            found.extend(unseen);
            if full && newest <= since {
                // More changed at one moment than fit into a page.
                limit = limit.saturating_mul(2);
            }
            since = newest;
            if !full {
                let next = since.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
                return Ok((found, next.max(self.since)));
            }
        }
    }
}

fn is_settled(transfer: &Transfer) -> bool {
    !matches!(transfer.stage.status(), Status::Pending | Status::Unknown)
}

#[cfg(test)]
mod tests;
