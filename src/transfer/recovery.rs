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
    Transfers, arrivals,
    caller::Limits,
    context,
    engine::{self, Job},
    gateway::Lane,
    model::{Stage, Takeover, Transfer},
    settle,
    store::{KeyChange, StoreError},
    submission::Wait,
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

/// Takes over what other processes left unsettled, or had not seen arrive, and goes on with it in
/// the background. Returns when the rows are ours, which is what readiness waits for.
///
/// # Errors
/// When the store fails.
pub(super) async fn recover(transfers: &Arc<Transfers>) -> Result<usize, StoreError> {
    let now = transfers.clock.now();
    beat_once(transfers, now).await?;
    let stale_before = transfers.stale_before();
    let owner = transfers.records.owner();
    let mut all = Vec::new();
    loop {
        let rows = transfers.records.store().adopt(owner, stale_before, ROWS_AT_ONCE).await?;
        let last = rows.len() < ROWS_AT_ONCE as usize;
        all.extend(rows);
        if last {
            break;
        }
    }
    let count = all.len();
    if count > 0 {
        crate::failpoint!(AfterAdopting);
        tracing::warn!(count, "taking over transfers of a dead process");
        resume_all(transfers, all);
    }
    Ok(count)
}

fn resume_all(transfers: &Arc<Transfers>, rows: Vec<Transfer>) {
    let completion = &transfers.completion;
    let transfers = Arc::clone(transfers);
    completion.spawn(async move {
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        for transfer in rows {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            if transfers.completion.stop.is_cancelled() {
                return;
            }
            let resuming = Arc::clone(&transfers);
            let conversation = transfer.request.conversation_id;
            let span = trace::transfer(&transfer.request_id, &conversation);
            let work = async move {
                resume(&resuming, transfer).await;
                drop(place);
            };
            transfers.completion.spawn(work.instrument(span));
        }
    });
}

async fn resume(transfers: &Arc<Transfers>, transfer: Transfer) {
    trace::transfer_is(&transfer.id);
    let age = transfers.clock.now().duration_since(transfer.created_at);
    // One from the future is not fresh: the clock was set back.
    match transfer.stage.left_behind(age.abs() < STILL_WANTED) {
        // Its batch does it again, in its turn.
        Takeover::CarryOn | Takeover::GiveUp if transfer.batch_id.is_some() => {}
        Takeover::CarryOn => carry_on(transfers, transfer).await,
        Takeover::GiveUp => give_up(transfers, transfer).await,
        Takeover::OnlyLook => settle::recover_dispatched(transfers, transfer).await,
        Takeover::Settle => settle::settle_in_background(transfers, transfer),
        // It may be awaited in its queue.
        Takeover::Nothing => arrivals::see_it_arrive(transfers, &transfer),
    }
}

/// Nothing was sent: the transfer runs as if it had just come.
async fn carry_on(transfers: &Arc<Transfers>, transfer: Transfer) {
    let deadline = Instant::now() + transfers.deadline;
    let job = Job {
        ctx: context(deadline, Lane::Single).on_behalf_of(&transfer.requested_by),
        transfer,
        // They are not recorded: a caller who may not know of every queue is shown none.
        limits: Limits { queues: Some(Arc::default()), ..Limits::default() },
        wait: Wait::Outcome,
        given: None,
        keyed: true,
        on_sent: None,
    };
    engine::carry_out(transfers, job).await;
}

/// Nothing was sent, and it is too late to do so: the caller has long gone.
async fn give_up(transfers: &Arc<Transfers>, mut transfer: Transfer) {
    let from = transfer.stage;
    transfer.stage = Stage::Failed;
    transfer.error = Some(Problem::new(
        Code::DeadlineExceeded,
        "The service stopped before it sent the command; nothing was sent.",
    ));
    if transfers.records.conclude(&mut transfer, from, KeyChange::Free).await {
        transfers.count(&transfer);
    }
}

/// Says regularly that this process is alive, takes over what dead ones left, and deletes what
/// is old, until the service stops.
pub(super) async fn keep_house(transfers: Arc<Transfers>, horizon: Horizon) {
    // Side by side: a long deletion must not make this process look dead.
    let transfers = &transfers;
    tokio::join!(keep_alive(transfers), keep_small(transfers, horizon), keep_sharing(transfers));
}

async fn keep_alive(transfers: &Arc<Transfers>) {
    let mut beats = tokio::time::interval(transfers.lease / BEATS_IN_A_LEASE);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = transfers.completion.stop.cancelled() => return,
            _ = beats.tick() => beat(transfers).await,
        }
    }
}

/// Divides the rate limit among the replicas, over and over.
async fn keep_sharing(transfers: &Transfers) {
    if !transfers.records.store().is_shared() {
        return;
    }
    let mut round = tokio::time::interval(RATE_ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = transfers.completion.stop.cancelled() => return,
            _ = round.tick() => share_rate(transfers).await,
        }
    }
}

/// One round. When the store fails, nothing more is let go beyond the share of the last one.
pub(super) async fn share_rate(transfers: &Transfers) {
    let now = transfers.clock.now();
    let alive_since = now.saturating_sub(transfers.lease).unwrap_or(Timestamp::MIN);
    let (owner, mine) = (transfers.records.owner(), transfers.gateway.rate_use());
    match transfers.records.store().share_rate(owner, now, mine, alive_since).await {
        Ok(share) => transfers.gateway.keep_to(Some(share)),
        Err(error) => {
            transfers.gateway.keep_to(None);
            tracing::debug!(cause = %error.cause, "could not share the use of the rate limit");
        }
    }
}

async fn keep_small(transfers: &Transfers, mut horizon: Horizon) {
    let mut due = tokio::time::interval_at(Instant::now() + FIRST_REAPING, REAP_EVERY);
    loop {
        tokio::select! {
            () = transfers.completion.stop.cancelled() => return,
            _ = due.tick() => reap(transfers, &mut horizon).await,
        }
    }
}

async fn beat(transfers: &Arc<Transfers>) {
    let outcome = if transfers.records.store().is_shared() {
        recover(transfers).await.map(drop)
    } else {
        beat_once(transfers, transfers.clock.now()).await
    };
    if let Err(error) = outcome {
        tracing::warn!(operation = error.operation, cause = %error.cause, "heartbeat failed");
    }
}

/// Says that this process is alive, and hears whether its clock can be right.
async fn beat_once(transfers: &Transfers, now: Timestamp) -> Result<(), StoreError> {
    let newest = transfers.records.store().heartbeat(transfers.records.owner(), now).await?;
    let behind = newest.map_or(Duration::ZERO, |newest| {
        Duration::try_from(newest.duration_since(now)).unwrap_or_default()
    });
    // Another replica's clock may differ by so much.
    let behind = if behind > transfers.lease / 2 { behind.as_secs() } else { 0 };
    let before = transfers.clock_behind.swap(behind, Ordering::Relaxed);
    match (before, behind) {
        (0, 1..) => tracing::warn!(
            seconds = behind,
            "the clock is behind the newest record in the store; correct it"
        ),
        (1.., 0) => tracing::info!("the clock is no longer behind the newest record"),
        _ => {}
    }
    Ok(())
}

async fn reap(transfers: &Transfers, horizon: &mut Horizon) {
    let (now, retention) = (transfers.clock.now(), transfers.retention);
    let reach = horizon.reach(now);
    if reach < now {
        tracing::info!(
            %reach,
            "old records are kept longer: the clock is far ahead of the last deletion"
        );
    }
    let before = |kept: Duration| reach.saturating_sub(kept).unwrap_or(Timestamp::MIN);
    loop {
        let reaped = transfers
            .records
            .store()
            .reap(reach, before(retention.transfers), before(retention.keys), REAP_AT_ONCE)
            .await;
        match reaped {
            Ok(count)
                if count >= u64::from(REAP_AT_ONCE)
                    && !transfers.completion.stop.is_cancelled() => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(cause = %error.cause, "could not delete old records");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
