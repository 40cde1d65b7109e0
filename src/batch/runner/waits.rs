//! Waiting: for something that takes its time, until trouble is over; and what is seen meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use super::{PAUSED, Runner, Stop};
use crate::{
    batch::{BatchStatus, trouble::Trouble},
    transfer::model::Warning,
};

/// While it waits, a batch looks so often whether another process cancelled it.
pub(super) const GLANCE: Duration = Duration::from_secs(2);

/// A pause longer than this is told to callers.
const WORTH_TELLING: Duration = Duration::from_secs(5);

impl Runner {
    /// Waits for `work`, unless the batch is stopped meanwhile.
    pub(super) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        let stop = self.transfers.completion.stop.clone();
        while self.stop.is_none() {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = stop.cancelled() => return None,
                () = self.news.notified() => {}
                () = tokio::time::sleep(GLANCE) => {}
            }
            self.check_the_record().await;
        }
        None
    }

    pub(super) async fn rest_a_while(&mut self) {
        let until = Instant::now() + self.pauses.next();
        self.rest_until(until).await;
    }

    /// Waits until then, or until something is to be seen to.
    pub(super) async fn rest_until(&mut self, until: Instant) {
        let glance = until.min(Instant::now() + GLANCE);
        tokio::select! {
            () = tokio::time::sleep_until(glance) => {}
            () = self.news.notified() => {}
            () = self.transfers.completion.stop.cancelled() => {
                self.stop = Some(Stop::Gone);
                return;
            }
        }
        self.check_the_record().await;
    }

    /// An item could not be taken: a caller stopped the batch, or another process has it.
    pub(super) async fn settle_the_doubt(&mut self) {
        if self.check_the_record().await {
            self.stop.get_or_insert(Stop::Gone);
        } else {
            self.rest_a_while().await;
        }
    }

    /// Whether a caller stopped the batch. `false` when the store is away.
    pub(super) async fn check_the_record(&mut self) -> bool {
        match self.batches.store.batch(self.batch.id).await {
            Ok(Some(batch)) => match batch.status {
                BatchStatus::Running => {}
                BatchStatus::Cancelled if batch.finished_at.is_none() => {
                    self.stop = Some(Stop::Cancelled);
                }
                _ => self.stop = Some(Stop::Gone),
            },
            Ok(None) => self.stop = Some(Stop::Gone),
            Err(error) => {
                tracing::debug!(cause = %error.cause, "cannot read the batch");
                return false;
            }
        }
        true
    }

    pub(super) fn pause_for(&mut self, trouble: &Trouble) {
        let now = Instant::now();
        // Several in hand meet the same trouble: it counts once.
        if self.paused_until.is_none_or(|until| until <= now) || trouble.pause.is_some() {
            let pause = trouble.pause.unwrap_or_else(|| self.pauses.next());
            let pause = pause.max(Duration::from_secs(1));
            let until = now + pause;
            self.paused_until = Some(self.paused_until.map_or(until, |before| before.max(until)));
            self.long_pause |= pause >= WORTH_TELLING;
        }
        self.reason = Some(trouble.problem.clone());
    }

    /// Shows or takes back the warning of a pause.
    pub(super) async fn tell_the_pause(&mut self) {
        let shown = self.batch.warnings.iter().any(|warning| warning.code == PAUSED);
        if self.long_pause == shown {
            return;
        }
        self.batch.warnings.retain(|warning| warning.code != PAUSED);
        if let (true, Some(problem)) = (self.long_pause, &self.reason) {
            tracing::warn!(batch_id = %self.batch.id, code = problem.code.as_str(), "the batch pauses");
            let hint = problem.hint.as_deref().unwrap_or_default();
            let detail = format!("{} {hint}", problem.detail).trim().to_owned();
            self.batch.warnings.push(Warning { code: PAUSED.to_owned(), detail });
        }
        // Should it not be written: the next one will be.
        self.save().await;
    }
}
