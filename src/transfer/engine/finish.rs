//! Recording what became of a transfer, and waiting to see it arrive when that was asked for.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument as _;

use super::{Job, Outcome};
use crate::{
    trace,
    transfer::{
        Transfers, arrivals,
        gateway::CallContext,
        model::{Stage, Transfer},
        problems, settle,
        store::KeyChange,
        submission::Wait,
    },
};

impl Job {
    /// What becomes of the key when the command never left.
    const fn free_key(&self) -> KeyChange {
        if self.keyed { KeyChange::Free } else { KeyChange::Keep }
    }
}

/// Records the outcome and returns the transfer as it then stands.
pub(crate) async fn finish(transfers: &Arc<Transfers>, mut job: Job, outcome: Outcome) -> Transfer {
    let from = job.transfer.stage;
    add_up(&mut job.transfer, &job.ctx);
    match outcome {
        Outcome::Accepted => finish_accepted(transfers, job, from).await,
        Outcome::Failed { problem, key_used } => {
            job.transfer.stage = Stage::Failed;
            let key = if key_used {
                job.transfer.error = Some(problems::in_vain(&job.transfer, *problem));
                settle_key(transfers, &mut job)
            } else {
                job.transfer.error = Some(*problem);
                job.free_key()
            };
            let ours = transfers.records.conclude(&mut job.transfer, from, key).await;
            settled(transfers, job.transfer, ours).await
        }
        Outcome::Unknown(problem) => {
            job.transfer.stage = Stage::Unknown;
            job.transfer.error = Some(*problem);
            if !transfers.records.conclude(&mut job.transfer, from, KeyChange::Keep).await {
                return as_others_have_it(transfers, job.transfer).await;
            }
            transfers.count(&job.transfer);
            settle::settle_in_background(transfers, job.transfer.clone());
            job.transfer
        }
        Outcome::TakenOver => as_others_have_it(transfers, job.transfer).await,
    }
}

async fn finish_accepted(transfers: &Arc<Transfers>, mut job: Job, from: Stage) -> Transfer {
    job.transfer.stage = Stage::Accepted;
    job.transfer.awaited = arrivals::awaits_all(transfers);
    let Wait::Confirmation(wait) = job.wait else {
        let key = settle_key(transfers, &mut job);
        let ours = transfers.records.conclude(&mut job.transfer, from, key).await;
        return settled(transfers, job.transfer, ours).await;
    };
    let _waits = transfers.waiting.enter(job.transfer.id);
    // On disk before the wait, so that the truth is there should we die waiting.
    if !transfers.records.conclude_for_now(&mut job.transfer, from).await {
        return as_others_have_it(transfers, job.transfer).await;
    }
    crate::failpoint!(BeforeConfirming);
    let until = job.ctx.deadline.min(Instant::now() + wait);
    let ctx = job.ctx.until(until);
    let span = trace::stage(trace::TraceStage::Confirm);
    if arrivals::arrives(transfers, &job.transfer, &ctx).instrument(span).await {
        crate::failpoint!(BeforeConfirmed);
        job.transfer.stage = Stage::Confirmed;
        job.transfer.awaited = false;
    }
    add_up(&mut job.transfer, &job.ctx);
    let key = settle_key(transfers, &mut job);
    let ours = transfers.records.conclude_at_last(&mut job.transfer, Stage::Accepted, key).await;
    settled(transfers, job.transfer, ours).await
}

/// A settled transfer as it now stands: as it was recorded here, or as another process has it
/// that took it over.
async fn settled(transfers: &Arc<Transfers>, transfer: Transfer, ours: bool) -> Transfer {
    if !ours {
        return as_others_have_it(transfers, transfer).await;
    }
    transfers.count(&transfer);
    arrivals::see_it_arrive(transfers, &transfer);
    transfer
}

/// The key is used up: the first answer is kept for it.
fn settle_key(transfers: &Transfers, job: &mut Job) -> KeyChange {
    if !job.keyed {
        return KeyChange::Keep;
    }
    job.transfer.updated_at = transfers.clock.now();
    KeyChange::Settle(job.given.clone().unwrap_or_else(|| (transfers.render)(&job.transfer)))
}

/// Another process settles the transfer now: what it wrote is the truth.
async fn as_others_have_it(transfers: &Transfers, transfer: Transfer) -> Transfer {
    match transfers.records.get(transfer.id).await {
        Ok(Some(theirs)) => theirs,
        Ok(None) | Err(_) => transfer,
    }
}

/// Notes what the transfer has cost so far, and what callers should know about its requests.
pub(crate) fn add_up(transfer: &mut Transfer, ctx: &CallContext) {
    transfer.upstream = ctx.usage.sums();
    transfer.warnings.append(&mut ctx.usage.take_warnings());
}
