//! Finding out, in the background, what became of transfers whose outcome is unknown. Only reads;
//! the command is never sent from here.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::{
    Transfers, arrivals, context,
    engine::{
        dispatch::settled,
        routing::{ROUTING_NOT_APPLIED, set_routing_on_arrival},
    },
    evidence::{Finding, Seen},
    gateway::{CallContext, Lane, RoutingChange},
    model::{Stage, Transfer, Warning},
    problems,
    store::KeyChange,
    watch::{Schedule, look, watch},
};
use crate::{
    problem::Problem,
    trace::{self, Origin},
};

/// After the settling window the conversation is still looked at now and then, to see it end.
const SLOW_LOOK: Duration = Duration::from_mins(1);

/// With more unknown transfers than this, their looks no longer go before callers' requests.
const URGENT_AT_MOST: usize = 16;

/// Longest pause between two tries to set priority or skills of unknown fate.
const LONGEST_ROUTING_PAUSE: Duration = Duration::from_secs(8);

/// Slow looks thin out to this.
const SLOWEST_LOOK: Duration = Duration::from_mins(10);

/// Settles a transfer in a task of its own. Its row is in `unknown` and ours.
pub(super) fn settle_in_background(transfers: &Arc<Transfers>, transfer: Transfer) {
    let completion = &transfers.completion;
    let transfers = Arc::clone(transfers);
    let origin = Origin::here();
    completion.spawn(async move {
        transfers.settling.fetch_add(1, Ordering::Relaxed);
        settle(&transfers, transfer, &origin).await;
        transfers.settling.fetch_sub(1, Ordering::Relaxed);
    });
}

/// Looks until the outcome shows; first often, after the window rarely, until the service
/// stops or it is settled otherwise.
async fn settle(transfers: &Arc<Transfers>, mut transfer: Transfer, origin: &Origin) {
    let span = settle_span(&transfer, origin);
    let window = transfers.settings.settle_window;
    let end = Instant::now() + window;
    if settle_within(transfers, &mut transfer, window).instrument(span).await {
        return;
    }
    // The looks thin out, so that the last of them comes some time before the window's end.
    let mut pause = end.saturating_duration_since(Instant::now());
    let far = Instant::now() + Duration::from_hours(365 * 24);
    while transfers.pause_until(Instant::now() + pause, far).await {
        if !is_still_unknown(transfers, &transfer).await {
            return;
        }
        tell_how_to_close(transfers, &mut transfer).await;
        let span = settle_span(&transfer, origin);
        if look_again(transfers, &mut transfer, pause).instrument(span).await {
            return;
        }
        pause = (pause * 2).clamp(SLOW_LOOK, SLOWEST_LOOK);
    }
}

/// Looks often, for `window`; whether that settled it.
async fn settle_within(
    transfers: &Arc<Transfers>,
    transfer: &mut Transfer,
    window: Duration,
) -> bool {
    let deadline = Instant::now() + window;
    let ctx = settling_context(transfers, transfer, deadline);
    let finding = if is_routing_repeatable(transfers, transfer) {
        repeat_routing(transfers, transfer, &ctx).await
    } else {
        watch(transfers, transfer, &ctx, deadline, Duration::MAX).await
    };
    settle_if(transfers, transfer, finding, &ctx).await
}

/// Looks for as long as the `pause` before was; whether that settled it.
async fn look_again(transfers: &Arc<Transfers>, transfer: &mut Transfer, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    let ctx = settling_context(transfers, transfer, until);
    let finding = watch(transfers, transfer, &ctx, until, Duration::MAX).await;
    settle_if(transfers, transfer, finding, &ctx).await
}

async fn settle_if(
    transfers: &Arc<Transfers>,
    transfer: &mut Transfer,
    finding: Finding,
    ctx: &CallContext,
) -> bool {
    let Some(outcome) = settled(finding) else { return false };
    settle_as(transfers, transfer, outcome, ctx).await;
    true
}

/// Records what was found out; applies priority and skills that the crash left undone.
async fn settle_as(
    transfers: &Arc<Transfers>,
    transfer: &mut Transfer,
    outcome: Result<(), Problem>,
    ctx: &CallContext,
) {
    match outcome {
        Ok(()) => {
            transfer.stage = Stage::Accepted;
            transfer.awaited = arrivals::awaits_all(transfers);
            transfer.error = None;
            if !finish_routing(transfers, transfer, ctx).await {
                return;
            }
        }
        Err(problem) => {
            transfer.stage = Stage::Failed;
            transfer.error = Some(problems::in_vain(transfer, problem));
        }
    }
    transfer.warnings.append(&mut ctx.usage.take_warnings());
    transfer.updated_at = transfers.clock.now();
    let key = KeyChange::Settle((transfers.render)(transfer));
    crate::failpoint!(BeforeSettling);
    let ours = transfers.records.conclude(transfer, Stage::Unknown, key).await;
    crate::failpoint!(AfterSettling);
    if ours {
        transfers.count(transfer);
        arrivals::see_it_arrive(transfers, transfer);
    }
}

/// `false` when the end of the service cut it short: the next start goes on.
async fn finish_routing(transfers: &Transfers, transfer: &mut Transfer, ctx: &CallContext) -> bool {
    let change = routing_change(transfer);
    let carried = transfers.gateway.command_carries_routing() || transfer.is_routing_only();
    if change.is_empty() || carried {
        return true;
    }
    if let Err(detail) = set_routing_on_arrival(transfers, transfer, ctx, &change).await {
        if transfers.completion.over.is_cancelled() {
            return false;
        }
        transfer.warnings.push(Warning { code: ROUTING_NOT_APPLIED.to_owned(), detail });
    }
    true
}

fn settling_context(transfers: &Transfers, transfer: &Transfer, deadline: Instant) -> CallContext {
    let many = transfers.settling.load(Ordering::Relaxed) > URGENT_AT_MOST;
    context(deadline, if many { Lane::Batch } else { Lane::Settling })
        .on_behalf_of(&transfer.requested_by)
}

fn is_routing_repeatable(transfers: &Transfers, transfer: &Transfer) -> bool {
    transfer.is_routing_only() && !transfers.gateway.command_carries_routing()
}

/// A routing change sets absolute values: it is settled by setting them again, as often as it
/// takes. Each time after a look, so that they are not set where the call has been moved
/// meanwhile.
async fn repeat_routing(transfers: &Transfers, transfer: &Transfer, ctx: &CallContext) -> Finding {
    let (id, change) = (transfer.request.conversation_id, routing_change(transfer));
    let start = Instant::now();
    for at in Schedule::new(LONGEST_ROUTING_PAUSE) {
        if !transfers.pause_until(start + at, ctx.deadline).await {
            return Finding::Unclear;
        }
        match look(transfers, transfer, ctx).await {
            Some(Seen::Moved) => return Finding::Moved,
            Some(Seen::Ended) => return Finding::Ended,
            Some(Seen::Unmoved) => match transfers.gateway.set_routing(ctx, id, &change).await {
                Ok(()) => return Finding::Moved,
                Err(error) => {
                    tracing::debug!(transfer_id = %transfer.id, ?error, "routing not settled");
                }
            },
            Some(Seen::MovedElsewhere | Seen::Changed) | None => {}
        }
    }
    Finding::Unclear
}

/// Records that the looks of the settling window did not show what became of the transfer, so
/// that callers learn that an operator has to say it.
async fn tell_how_to_close(transfers: &Arc<Transfers>, transfer: &mut Transfer) {
    let told = Some(problems::stays_unknown(transfer, transfers.settings.settle_window));
    if transfer.error == told {
        return;
    }
    tracing::warn!(
        transfer_id = %transfer.id,
        "still unknown; look at the call in Genesys and settle the transfer"
    );
    transfer.error = told;
    transfers.records.conclude(transfer, Stage::Unknown, KeyChange::Keep).await;
}

async fn is_still_unknown(transfers: &Transfers, transfer: &Transfer) -> bool {
    match transfers.records.get(transfer.id).await {
        Ok(Some(now)) => now.stage == Stage::Unknown,
        Ok(None) => false,
        // The store is away; whether to go on shows when it is back.
        Err(_) => true,
    }
}

/// Judges a row left in `dispatching` by a process that died: one look, and if that settles
/// nothing the row becomes `unknown` and is settled like any other.
pub(super) async fn recover_dispatched(transfers: &Arc<Transfers>, mut transfer: Transfer) {
    let deadline = Instant::now() + transfers.settings.settle_window;
    let ctx = settling_context(transfers, &transfer, deadline);
    let seen = "the service stopped before Genesys' answer was recorded";
    transfer.error = Some(problems::outcome_unknown(&transfer, seen, None));
    transfer.stage = Stage::Unknown;
    transfers.records.conclude(&mut transfer, Stage::Dispatching, KeyChange::Keep).await;
    transfers.count(&transfer);
    crate::failpoint!(AfterUnknown);
    if let Some(Seen::Moved) = look(transfers, &transfer, &ctx).await {
        return settle_as(transfers, &mut transfer, Ok(()), &ctx).await;
    }
    settle_in_background(transfers, transfer);
}

fn settle_span(transfer: &Transfer, origin: &Origin) -> Span {
    trace::background(origin, trace::TraceStage::Settle, &transfer.request_id, &transfer.id)
}

/// The values a transfer asked to be set beside the queue.
fn routing_change(transfer: &Transfer) -> RoutingChange {
    RoutingChange {
        priority: transfer.priority,
        skill_ids: transfer.request.skill_ids.clone(),
        language_id: transfer.request.language_id,
        // Of an undo all three are what they were before, if that is known.
        clears_language: transfer.undoes().is_some()
            && transfer.request.skill_ids.is_some()
            && transfer.request.language_id.is_none(),
    }
}
