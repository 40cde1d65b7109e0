//! Watching a batch: its progress and its transfers as they settle, from the store alone, so that
//! any replica can tell.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Batch, BatchState, service::BatchEvent};
use crate::transfer::{
    engine::Engine,
    ids::{BatchId, TransferId},
    model::{Status, Transfer},
    store::StoreError,
};

/// Time between two looks at the store: at most four `progress` events a second.
const BEAT: Duration = Duration::from_millis(250);

/// A change may become visible so much later than the time it bears: another replica's clock
/// differs, or its transaction took a while.
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(5);

/// Changes read in one step.
const AT_ONCE: u32 = 500;

/// A watched batch.
pub struct BatchWatch {
    engine: Arc<Engine>,
    id: BatchId,
    since: Timestamp,
    told: HashSet<TransferId>,
    last: Option<BatchState>,
    events: VecDeque<BatchEvent>,
    next_look: Option<Instant>,
    ended: bool,
}

impl BatchWatch {
    pub(super) fn new(engine: Arc<Engine>, batch: &Batch) -> Self {
        let since = batch.created_at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        Self {
            engine,
            id: batch.id,
            since,
            told: HashSet::new(),
            last: None,
            events: VecDeque::new(),
            next_look: None,
            ended: false,
        }
    }

    /// The next event: first how the batch stands, then every transfer that has settled since its
    /// beginning and whatever changes, at last [`BatchEvent::End`]. `None` after that, and when
    /// the service stops. May be dropped and called again; nothing is lost.
    pub async fn next(&mut self) -> Option<BatchEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if let Some(at) = self.next_look {
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.engine.stop.cancelled() => return None,
                }
            }
            let looked = self.look().await;
            self.next_look = Some(Instant::now() + BEAT);
            if let Err(error) = looked {
                tracing::debug!(operation = error.operation, cause = %error.cause, "cannot watch");
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let Some(batch) = self.engine.batches.store.batch(self.id).await? else {
            self.ended = true;
            return Ok(());
        };
        // In this order: what a finished batch holds has settled before it was finished.
        let state = self.engine.batch_state(batch).await?;
        let (settled, since) = self.newly_settled().await?;
        let finished = state.batch.finished_at.is_some();
        if self.last.as_ref() != Some(&state) {
            self.events.push_back(BatchEvent::Progress(Box::new(state.clone())));
        }
        self.told.extend(settled.iter().map(|transfer| transfer.id));
        self.since = since;
        let transfers =
            settled.into_iter().map(|transfer| BatchEvent::Transfer(Box::new(transfer)));
        self.events.extend(transfers);
        if finished {
            self.ended = true;
            self.events.push_back(BatchEvent::End(Box::new(state.clone())));
        }
        self.last = Some(state);
        Ok(())
    }

    /// Transfers that settled and were not told yet, and where to begin the next time.
    async fn newly_settled(&self) -> Result<(Vec<Transfer>, Timestamp), StoreError> {
        let store = &self.engine.batches.store;
        let (mut since, mut limit) = (self.since, AT_ONCE);
        let (mut found, mut new) = (Vec::new(), HashSet::new());
        loop {
            let page = store.changed(self.id, since, limit).await?;
            let full = page.len() >= limit as usize;
            let newest = page.last().map_or(since, |transfer| transfer.updated_at);
            let untold = page.into_iter().filter(|transfer| {
                is_settled(transfer) && !self.told.contains(&transfer.id) && new.insert(transfer.id)
            });
            found.extend(untold);
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
