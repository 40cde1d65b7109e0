//! What happens at start and all along beside the requests: taking over what a dead process left,
//! saying that this one is alive, forgetting what is old.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Semaphore, time::Instant};
use tracing::Instrument as _;

use super::{
    caller::Limits,
    engine::{self, Engine, Job},
    gateway::Lane,
    model::{Stage, Takeover, Transfer},
    service::Wait,
    store::{KeyChange, StoreError},
};
use crate::{
    problem::{Code, Problem},
    trace,
};

/// How often a process says during a lease that it is alive.
const BEATS_IN_A_LEASE: u32 = 4;

/// A transfer that had not begun when its process died goes on if it is younger than this.
const STILL_WANTED: SignedDuration = SignedDuration::from_secs(30);

/// Left-over transfers looked at side by side, so that a thousand of them leave room for callers.
const SIDE_BY_SIDE: usize = 4;

/// Left-over rows taken in one step.
const ROWS_AT_ONCE: u32 = 500;

/// How often replicas tell each other what they have spent of the rate limit.
const RATE_ROUND: Duration = Duration::from_secs(1);

/// How often old records are deleted, and how many in one step.
const REAP_EVERY: Duration = Duration::from_mins(10);
const REAP_AT_ONCE: u32 = 1_000;

/// Nothing is deleted in so long a time after the start: a clock that was set wrong at boot is put
/// right before.
const FIRST_REAPING: Duration = Duration::from_hours(1);

/// How much further than the time that has really passed the clock may have gone since the last
/// deletion. The rest is believed a day later.
const BELIEVED: Duration = Duration::from_hours(24);

/// How long settled records are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Transfers.
    pub transfers: Duration,
    /// Idempotency keys.
    pub keys: Duration,
}

/// How far the clock is believed when old records are deleted. A clock that jumps ahead would else
/// take keys that still count, and the same request would move its call again.
pub(super) struct Horizon {
    /// How far deletions went.
    reached: Timestamp,
    /// Since when time has passed that is counted on top of that.
    since: Instant,
}

impl Horizon {
    /// Deletions went as far as `reached` before now.
    pub(super) fn from(reached: Timestamp) -> Self {
        Self { reached, since: Instant::now() }
    }

    /// The time it is taken to be when the clock shows `now`.
    fn reach(&mut self, now: Timestamp) -> Timestamp {
        let passed = self.since.elapsed();
        let most = self.reached.saturating_add(passed + BELIEVED).unwrap_or(Timestamp::MAX);
        let reach = now.min(most);
        if passed >= BELIEVED {
            *self = Self::from(self.reached.max(reach));
        }
        reach
    }
}

impl Engine {
    /// Takes over what other processes left unsettled, or had not seen arrive, and goes on with it in
    /// the background. Returns when the rows are ours, which is what readiness waits for.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn recover(self: &Arc<Self>) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.beat_once(now).await?;
        let stale_before = if self.records.store().is_shared() {
            now.saturating_sub(self.lease).unwrap_or(Timestamp::MIN)
        } else {
            Timestamp::MAX
        };
        let owner = self.records.owner();
        let mut all = Vec::new();
        loop {
            let rows = self.records.store().adopt(owner, stale_before, ROWS_AT_ONCE).await?;
            let last = rows.len() < ROWS_AT_ONCE as usize;
            all.extend(rows);
            if last {
                break;
            }
        }
        let count = all.len();
        if count > 0 {
            crate::failpoint!(AfterAdopting);
            tracing::warn!(count, "taking over transfers of a process that is gone");
            self.resume_all(all);
        }
        self.adopt_batches(stale_before).await?;
        Ok(count)
    }

    fn resume_all(self: &Arc<Self>, transfers: Vec<Transfer>) {
        let engine = Arc::clone(self);
        self.tracker.spawn(async move {
            let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
            for transfer in transfers {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                if engine.stop.is_cancelled() {
                    return;
                }
                let one = Arc::clone(&engine);
                let conversation = transfer.request.conversation_id;
                let span = trace::transfer(&transfer.request_id, &conversation);
                let work = async move {
                    one.resume(transfer).await;
                    drop(place);
                };
                engine.tracker.spawn(work.instrument(span));
            }
        });
    }

    async fn resume(self: &Arc<Self>, transfer: Transfer) {
        trace::transfer_is(&transfer.id);
        let age = self.clock.now().duration_since(transfer.created_at);
        // One from the future is not fresh: the clock was set back.
        match transfer.stage.left_behind(age.abs() < STILL_WANTED) {
            // Its batch does it again, in its turn.
            Takeover::CarryOn | Takeover::GiveUp if transfer.batch_id.is_some() => {}
            Takeover::CarryOn => self.carry_on(transfer).await,
            Takeover::GiveUp => self.give_up(transfer).await,
            Takeover::OnlyLook => self.recover_dispatched(transfer).await,
            Takeover::Settle => self.settle_in_background(transfer, self.settings.settle_window),
            // It may be awaited in its queue.
            Takeover::Nothing => self.see_it_arrive(&transfer),
        }
    }

    /// Nothing was sent: the transfer runs as if it had just come.
    async fn carry_on(self: &Arc<Self>, transfer: Transfer) {
        let deadline = Instant::now() + self.deadline;
        let job = Job {
            ctx: engine::context(deadline, Lane::Single).on_behalf_of(&transfer.requested_by),
            transfer,
            // They are not recorded: a caller who may not know of every queue is shown none.
            limits: Limits { queues: Some(Arc::default()), ..Limits::default() },
            wait: Wait::Outcome,
            given: None,
            keyed: true,
            turn: None,
        };
        self.carry_out(job).await;
    }

    /// Nothing was sent, and it is too late to do so: the caller has long gone.
    async fn give_up(self: &Arc<Self>, mut transfer: Transfer) {
        let from = transfer.stage;
        transfer.stage = Stage::Failed;
        transfer.error = Some(Problem::new(
            Code::DeadlineExceeded,
            "The service stopped before it sent the command; nothing was sent.",
        ));
        if self.records.conclude(&mut transfer, from, KeyChange::Free).await {
            self.count(&transfer);
        }
    }

    /// Says regularly that this process is alive, takes over what dead ones left, and deletes what
    /// is old, until the service stops.
    pub(super) async fn keep_house(self: Arc<Self>, retention: Retention, horizon: Horizon) {
        // Side by side: a long deletion must not make this process look dead.
        tokio::join!(self.keep_alive(), self.keep_small(retention, horizon), self.keep_sharing());
    }

    async fn keep_alive(self: &Arc<Self>) {
        let mut beat = tokio::time::interval(self.lease / BEATS_IN_A_LEASE);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = beat.tick() => self.beat().await,
            }
        }
    }

    /// Divides the rate limit among the replicas, over and over.
    async fn keep_sharing(&self) {
        if !self.records.store().is_shared() {
            return;
        }
        let mut round = tokio::time::interval(RATE_ROUND);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = round.tick() => self.share_rate().await,
            }
        }
    }

    /// One round. When the store fails, nothing more is let go beyond the share of the last one.
    pub(super) async fn share_rate(&self) {
        let now = self.clock.now();
        let alive_since = now.saturating_sub(self.lease).unwrap_or(Timestamp::MIN);
        let (owner, mine) = (self.records.owner(), self.gateway.rate_use());
        match self.records.store().share_rate(owner, now, mine, alive_since).await {
            Ok(share) => self.gateway.keep_to(Some(share)),
            Err(error) => {
                self.gateway.keep_to(None);
                tracing::debug!(cause = %error.cause, "the rate limit could not be shared");
            }
        }
    }

    async fn keep_small(&self, retention: Retention, mut horizon: Horizon) {
        let mut reap = tokio::time::interval_at(Instant::now() + FIRST_REAPING, REAP_EVERY);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = reap.tick() => self.reap(retention, &mut horizon).await,
            }
        }
    }

    async fn beat(self: &Arc<Self>) {
        let outcome = if self.records.store().is_shared() {
            self.recover().await.map(drop)
        } else {
            self.beat_once(self.clock.now()).await
        };
        if let Err(error) = outcome {
            tracing::warn!(operation = error.operation, cause = %error.cause, "heartbeat failed");
        }
    }

    /// Says that this process is alive, and hears whether its clock can be right.
    async fn beat_once(&self, now: Timestamp) -> Result<(), StoreError> {
        let newest = self.records.store().heartbeat(self.records.owner(), now).await?;
        let behind = newest.map_or(Duration::ZERO, |newest| {
            Duration::try_from(newest.duration_since(now)).unwrap_or_default()
        });
        // Another replica's clock may differ by so much.
        let behind = if behind > self.lease / 2 { behind.as_secs() } else { 0 };
        let before = self.clock_behind.swap(behind, Ordering::Relaxed);
        match (before, behind) {
            (0, 1..) => tracing::warn!(
                seconds = behind,
                "the clock is behind the newest record in the store; set it right"
            ),
            (1.., 0) => tracing::info!("the clock is no longer behind the newest record"),
            _ => {}
        }
        Ok(())
    }

    async fn reap(&self, retention: Retention, horizon: &mut Horizon) {
        let now = self.clock.now();
        let reach = horizon.reach(now);
        if reach < now {
            tracing::info!(
                %reach,
                "old records are kept longer: the clock is far ahead of the last deletion"
            );
        }
        let before = |kept: Duration| reach.saturating_sub(kept).unwrap_or(Timestamp::MIN);
        loop {
            let reaped = self
                .records
                .store()
                .reap(reach, before(retention.transfers), before(retention.keys), REAP_AT_ONCE)
                .await;
            match reaped {
                Ok(count) if count >= u64::from(REAP_AT_ONCE) && !self.stop.is_cancelled() => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(cause = %error.cause, "old records could not be deleted");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
