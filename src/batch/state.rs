//! How a batch stands: counts that always add up, reasons, pace. Pure, from the store alone.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::{Batch, BatchState, BatchStatus, Batches, Counts, Drain, Pace, Tally};
use crate::{
    problem::Code,
    transfer::{
        model::{Status, Transfer},
        store::StoreError,
    },
};

/// Over this time the pace is measured.
pub(super) const PACE_WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// Calls that one look serves before it is too old.
const CALLS_A_LOOK: u32 = 20;

/// Commands of one drain that leave in a second.
const CALLS_A_SECOND: u64 = 4;

/// Younger than this, a batch has shown no pace of its own.
const FIRST_SECONDS: i64 = 15;

/// How `batch` stands now.
///
/// # Errors
/// When the store cannot be read.
pub(super) async fn of(batches: &Batches, batch: Batch) -> Result<BatchState, StoreError> {
    let now = batches.transfers.clock.now();
    let since = now.saturating_sub(PACE_WINDOW).unwrap_or(Timestamp::MIN);
    let mut tally = batches.store.tally(batch.id, since).await?;
    for (stored, newest) in batches.transfers.records.unsaved_of(batch.id) {
        tally.change(stored.status(), &newest);
    }
    let most = most_a_minute(batches, &batch);
    Ok(state(batch, &tally, now, most))
}

/// Calls a minute that the request limit allows.
pub(super) fn most_a_minute(batches: &Batches, batch: &Batch) -> u32 {
    let requests = requests_a_call(batches, batch.drain.as_ref());
    batches.transfers.gateway.batch_allowance() / requests
}

/// Requests that a call takes, of a drain or else, beside its share of the looks.
fn requests_a_call(batches: &Batches, drain: Option<&Drain>) -> u32 {
    let gateway = &batches.transfers.gateway;
    let look = u32::from(drain.is_none() || !gateway.looks_in_bulk());
    let routing = drain.is_none_or(Drain::changes_routing);
    look + 1 + u32::from(routing && !gateway.command_carries_routing())
}

/// Requests and seconds that it takes `drain`, or an undo, to move `total` calls, as far as can be
/// told.
pub(super) fn estimate(batches: &Batches, drain: Option<&Drain>, total: u32) -> (u32, Option<u64>) {
    if total == 0 {
        return (0, Some(0));
    }
    let looks = drain.map_or(0, |_| total.div_ceil(CALLS_A_LOOK) + 1);
    let requests = total.saturating_mul(requests_a_call(batches, drain)).saturating_add(looks);
    let allowed = u64::from(batches.transfers.gateway.batch_allowance());
    // What the minute allows goes at once, the rest as it comes.
    let later = u64::from(requests).saturating_sub(allowed);
    let at_once = u64::from(total).div_ceil(CALLS_A_SECOND);
    let seconds = (later * 60).checked_div(allowed).map(|later| later.max(at_once));
    (requests, seconds)
}

impl Tally {
    /// A transfer that the store counts as `from` stands as `newest`.
    fn change(&mut self, from: Status, newest: &Transfer) {
        let Some((_, _, count)) =
            self.settled.iter_mut().find(|(status, _, count)| *status == from && *count > 0)
        else {
            // Written a moment ago.
            return;
        };
        *count -= 1;
        let status = newest.stage.status();
        let code = newest.error.as_ref().map(|problem| problem.code);
        self.settled.push((status, code, 1));
    }
}

/// How `batch` stands at `now`, when at most `most` calls a minute can be moved.
pub(super) fn state(batch: Batch, tally: &Tally, now: Timestamp, most: u32) -> BatchState {
    let mut counts = Counts::default();
    let mut reasons: HashMap<Code, u32> = HashMap::new();
    for (status, code, count) in &tally.settled {
        *place(&mut counts, *status) += count;
        if let (Status::Failed | Status::Skipped, Some(code)) = (status, code) {
            *reasons.entry(*code).or_default() += count;
        }
    }
    counts.skipped += batch.vanished;
    if batch.vanished > 0 {
        let why = match batch.status {
            // They were never looked for to the end.
            BatchStatus::Cancelled => Code::Cancelled,
            _ => Code::NoLongerWaiting,
        };
        *reasons.entry(why).or_default() += batch.vanished;
    }
    counts.failed += batch.unseen;
    if batch.unseen > 0 {
        *reasons.entry(Code::GenesysError).or_default() += batch.unseen;
    }
    let rest = batch.total.saturating_sub(sum(&counts));
    counts.pending += rest;
    let mut reasons: Vec<(Code, u32)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), code.as_str()));
    let pace = pace(&batch, &counts, tally.last_minute, now, most);
    BatchState { warning_counts: tally.warned.clone(), batch, counts, reasons, pace }
}

fn place(counts: &mut Counts, status: Status) -> &mut u32 {
    match status {
        Status::Pending => &mut counts.pending,
        Status::Accepted => &mut counts.accepted,
        Status::Confirmed => &mut counts.confirmed,
        Status::Failed => &mut counts.failed,
        Status::Unknown => &mut counts.unknown,
        Status::Skipped => &mut counts.skipped,
    }
}

fn sum(counts: &Counts) -> u32 {
    let Counts { pending, accepted, confirmed, failed, unknown, skipped } = *counts;
    [pending, accepted, confirmed, failed, unknown, skipped]
        .into_iter()
        .fold(0, u32::saturating_add)
}

fn pace(batch: &Batch, counts: &Counts, last_minute: u32, now: Timestamp, most: u32) -> Pace {
    if let Some(finished) = batch.finished_at {
        let moved = counts.accepted.saturating_add(counts.confirmed);
        let seconds = finished.duration_since(batch.created_at).as_secs().max(1);
        let per_minute = per_minute(moved, seconds);
        return Pace { per_minute, eta_seconds: Some(0), waiting_until: None };
    }
    let age = now.duration_since(batch.created_at).as_secs();
    // A handful of calls in the first seconds says little: for the rest of these seconds what the
    // limit allows is assumed.
    let missing = u32::try_from((FIRST_SECONDS - age).max(0)).unwrap_or(0);
    let assumed = most.saturating_mul(missing);
    let seconds = age.clamp(FIRST_SECONDS, PACE_WINDOW.as_secs());
    let done = last_minute.saturating_mul(60).saturating_add(assumed);
    let per_minute = (per_minute(done, seconds) / 60).min(most);
    let eta = |pace: u32| u64::from(counts.pending) * 60 / u64::from(pace);
    let eta_seconds = match (counts.pending, per_minute) {
        (0, _) => Some(0),
        (_, 0) => None,
        (_, pace) => Some(eta(pace)),
    };
    let waiting_until = batch.waiting_until.filter(|until| *until > now);
    Pace { per_minute, eta_seconds, waiting_until }
}

fn per_minute(count: u32, seconds: i64) -> u32 {
    let scaled = i64::from(count).saturating_mul(60) / seconds.max(1);
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
