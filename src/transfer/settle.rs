//! Finding out, in the background, what became of transfers whose outcome is unknown. Only reads;
//! the command is never sent from here.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::{
    engine::{self, Engine, dispatch::settled, routing::ROUTING_NOT_APPLIED},
    evidence::{Finding, Seen},
    gateway::{CallContext, Lane, RoutingChange},
    model::{Stage, Transfer, Warning},
    problems,
    store::KeyChange,
    watch::Schedule,
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

impl Engine {
    /// Settles a transfer in a task of its own. Its row is in `unknown` and ours.
    pub(super) fn settle_in_background(self: &Arc<Self>, transfer: Transfer, window: Duration) {
        let engine = Arc::clone(self);
        let origin = Origin::here();
        self.tracker.spawn(async move {
            engine.settling.fetch_add(1, Ordering::Relaxed);
            engine.settle(transfer, window, &origin).await;
            engine.settling.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Looks until the outcome shows; first often, after the window rarely, until the service
    /// stops or somebody else settles it.
    async fn settle(self: &Arc<Self>, mut transfer: Transfer, window: Duration, origin: &Origin) {
        let span = settle_span(&transfer, origin);
        let end = Instant::now() + window;
        if self.settle_within(&mut transfer, window).instrument(span).await {
            return;
        }
        // The looks thin out, so that the last of them comes some time before the window's end.
        let mut pause = end.saturating_duration_since(Instant::now());
        let far = Instant::now() + Duration::from_hours(365 * 24);
        while self.pause_until(Instant::now() + pause, far).await {
            if !self.is_still_unknown(&transfer).await {
                return;
            }
            self.tell_how_to_close(&mut transfer).await;
            let span = settle_span(&transfer, origin);
            if self.look_again(&mut transfer, pause).instrument(span).await {
                return;
            }
            pause = (pause * 2).clamp(SLOW_LOOK, SLOWEST_LOOK);
        }
    }

    /// Looks often, for `window`; whether that settled it.
    async fn settle_within(self: &Arc<Self>, transfer: &mut Transfer, window: Duration) -> bool {
        let deadline = Instant::now() + window;
        let ctx = self.settling_context(transfer, deadline);
        let finding = if self.is_routing_repeatable(transfer) {
            self.repeat_routing(transfer, &ctx).await
        } else {
            self.watch(transfer, &ctx, deadline, Duration::MAX).await
        };
        self.settle_if(transfer, finding, &ctx).await
    }

    /// Looks for as long as the `pause` before was; whether that settled it.
    async fn look_again(self: &Arc<Self>, transfer: &mut Transfer, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let ctx = self.settling_context(transfer, until);
        let finding = self.watch(transfer, &ctx, until, Duration::MAX).await;
        self.settle_if(transfer, finding, &ctx).await
    }

    async fn settle_if(
        self: &Arc<Self>,
        transfer: &mut Transfer,
        finding: Finding,
        ctx: &CallContext,
    ) -> bool {
        let Some(outcome) = settled(finding) else { return false };
        self.settle_as(transfer, outcome, ctx).await;
        true
    }

    /// Records what was found out; applies priority and skills that the crash left undone.
    async fn settle_as(
        self: &Arc<Self>,
        transfer: &mut Transfer,
        outcome: Result<(), Problem>,
        ctx: &CallContext,
    ) {
        match outcome {
            Ok(()) => {
                transfer.stage = Stage::Accepted;
                transfer.awaited = self.awaits_all();
                transfer.error = None;
                if !self.finish_routing(transfer, ctx).await {
                    return;
                }
            }
            Err(problem) => {
                transfer.stage = Stage::Failed;
                transfer.error = Some(problems::in_vain(transfer, problem));
            }
        }
        transfer.warnings.append(&mut ctx.usage.take_warnings());
        transfer.updated_at = self.clock.now();
        let key = KeyChange::Settle(self.answers.answer(transfer));
        crate::failpoint!(BeforeSettling);
        let ours = self.records.conclude(transfer, Stage::Unknown, key).await;
        crate::failpoint!(AfterSettling);
        if ours {
            self.count(transfer);
            self.see_it_arrive(transfer);
        }
    }

    /// `false` when the end of the service cut it short: the next start goes on.
    async fn finish_routing(&self, transfer: &mut Transfer, ctx: &CallContext) -> bool {
        let change = routing_change(transfer);
        let carried = self.gateway.command_carries_routing() || transfer.is_routing_only();
        if change.is_empty() || carried {
            return true;
        }
        if let Err(detail) = self.set_routing_on_arrival(transfer, ctx, &change).await {
            if self.over.is_cancelled() {
                return false;
            }
            transfer.warnings.push(Warning { code: ROUTING_NOT_APPLIED.to_owned(), detail });
        }
        true
    }

    fn settling_context(&self, transfer: &Transfer, deadline: Instant) -> CallContext {
        let many = self.settling.load(Ordering::Relaxed) > URGENT_AT_MOST;
        engine::context(deadline, if many { Lane::Batch } else { Lane::Settling })
            .on_behalf_of(&transfer.requested_by)
    }

    fn is_routing_repeatable(&self, transfer: &Transfer) -> bool {
        transfer.is_routing_only() && !self.gateway.command_carries_routing()
    }

    /// A routing change sets absolute values: it is settled by setting them again, as often as it
    /// takes. Each time after a look, so that they are not set where somebody else has moved the
    /// call meanwhile.
    async fn repeat_routing(&self, transfer: &Transfer, ctx: &CallContext) -> Finding {
        let (id, change) = (transfer.request.conversation_id, routing_change(transfer));
        let start = Instant::now();
        for at in Schedule::new(LONGEST_ROUTING_PAUSE) {
            if !self.pause_until(start + at, ctx.deadline).await {
                return Finding::Unclear;
            }
            match self.look(transfer, ctx).await {
                Some(Seen::Moved) => return Finding::Moved,
                Some(Seen::Ended) => return Finding::Ended,
                Some(Seen::Unmoved) => match self.gateway.set_routing(ctx, id, &change).await {
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
    /// that whoever asks learns that an operator has to say it.
    async fn tell_how_to_close(self: &Arc<Self>, transfer: &mut Transfer) {
        let told = Some(problems::stays_unknown(transfer, self.settings.settle_window));
        if transfer.error == told {
            return;
        }
        tracing::warn!(
            transfer_id = %transfer.id,
            "still unknown; look at the call in Genesys and settle the transfer"
        );
        transfer.error = told;
        self.records.conclude(transfer, Stage::Unknown, KeyChange::Keep).await;
    }

    async fn is_still_unknown(&self, transfer: &Transfer) -> bool {
        match self.records.get(transfer.id).await {
            Ok(Some(now)) => now.stage == Stage::Unknown,
            Ok(None) => false,
            // The store is away; whether to go on shows when it is back.
            Err(_) => true,
        }
    }

    /// Judges a row left in `dispatching` by a process that died: one look, and if that settles
    /// nothing the row becomes `unknown` and is settled like any other.
    pub(super) async fn recover_dispatched(self: &Arc<Self>, mut transfer: Transfer) {
        let deadline = Instant::now() + self.settings.settle_window;
        let ctx = self.settling_context(&transfer, deadline);
        let seen = "the service stopped before Genesys' answer was recorded";
        transfer.error = Some(problems::outcome_unknown(&transfer, seen, None));
        transfer.stage = Stage::Unknown;
        self.records.conclude(&mut transfer, Stage::Dispatching, KeyChange::Keep).await;
        self.count(&transfer);
        crate::failpoint!(AfterUnknown);
        if let Some(Seen::Moved) = self.look(&transfer, &ctx).await {
            return self.settle_as(&mut transfer, Ok(()), &ctx).await;
        }
        self.settle_in_background(transfer, self.settings.settle_window);
    }
}

fn settle_span(transfer: &Transfer, origin: &Origin) -> Span {
    trace::background(origin, trace::Stage::Settle, &transfer.request_id, &transfer.id)
}

/// The values a transfer asked to be set beside the queue.
fn routing_change(transfer: &Transfer) -> RoutingChange {
    RoutingChange {
        priority: transfer.priority,
        skill_ids: transfer.request.skill_ids.clone(),
        language_id: transfer.request.language_id,
    }
}
