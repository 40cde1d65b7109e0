//! Looks at the store for all watchers of a batch.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{ProgressSender, Seen};
use crate::{
    batch::{Batch, BatchState, Batches, state},
    transfer::{
        ids::{BatchId, TransferId},
        model::{Status, Transfer},
        store::StoreError,
    },
};

/// Time between two looks at the store: at most four `progress` events a second.
pub(super) const BEAT: Duration = Duration::from_millis(250);

/// A change may become visible so much later than the time it bears: another replica's clock
/// differs, or its transaction took a while.
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(5);

/// Changes read in one step.
const AT_ONCE: u32 = 500;

/// Looks at the store until its batch is finished. Closes the progress when it is dropped.
pub(super) struct Poller {
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
    pub(super) fn new(batches: Arc<Batches>, progress: Arc<ProgressSender>, batch: &Batch) -> Self {
        let since = batch.created_at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        Self { batches, progress, id: batch.id, since, known: HashSet::new() }
    }

    /// Works until the batch is finished or gone, no watcher is left, or the service
    /// stops.
    pub(super) async fn run(mut self) {
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
                tracing::debug!(operation = error.operation, cause = %error.cause, "cannot watch");
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
        self.progress.send_if_modified(|seen: &mut Seen| {
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
