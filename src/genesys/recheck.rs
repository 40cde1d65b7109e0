//! The look before a command is repeated: a leg that was right a while ago may be gone.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    answer::{Answer, Failure},
    breaker::Breaker,
    call::{Call, Kind, start_by},
    layer::Next,
    upstream::Upstream,
};
use crate::transfer::{
    conversation::Conversation,
    gateway::{CallContext, GatewayError, MoveCommand, StillFits},
    ids::ConversationId,
};

/// How long a look at the conversation is trusted.
const FRESH: Duration = Duration::from_secs(1);

/// Reads the conversation anew.
type Look = Box<dyn Fn() -> BoxFuture<'static, Result<Conversation, GatewayError>> + Send + Sync>;

/// What a command needs to be looked at again.
pub(super) struct Recheck {
    looked_at: Mutex<Instant>,
    look: Look,
    still_fits: StillFits,
}

impl Recheck {
    /// For `command`, whose conversation `look` reads. The caller has just looked: the domain
    /// chooses the leg right before it sends. A look ends early enough for the command to follow.
    pub(super) fn of<F>(
        upstream: &Upstream,
        ctx: &CallContext,
        command: &MoveCommand,
        look: impl Fn(Upstream, CallContext, ConversationId) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Result<Conversation, GatewayError>> + Send + 'static,
    {
        let (upstream, id) = (upstream.clone(), command.conversation_id);
        let ctx = ctx.until(start_by(ctx, Kind::Command));
        Arc::new(Self {
            looked_at: Mutex::new(Instant::now()),
            look: Box::new(move || look(upstream.clone(), ctx.clone(), id).boxed()),
            still_fits: Arc::clone(&command.still_fits),
        })
    }

    fn is_stale(&self) -> bool {
        self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > FRESH
    }

    async fn look_again(&self) -> Result<(), Failure> {
        let conversation = (self.look)().await.map_err(Failure::HeldBack)?;
        (self.still_fits)(&conversation).map_err(Failure::Abandoned)?;
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    }
}

/// Looks again before a repeat when time has passed or a 429 made it wait, and before any command
/// while the breaker waits for a probe, which must be a read. Stops a repeat whose pause the end
/// of the service cut short.
pub(super) async fn recheck(
    breaker: Breaker,
    shutdown: CancellationToken,
    call: Call,
    next: Next,
) -> Result<Answer, Failure> {
    if call.paused && shutdown.is_cancelled() && !call.ctx.outlasts_stop {
        return Err(Failure::HeldBack(GatewayError::ShuttingDown));
    }
    if let Some(recheck) = &call.recheck {
        let repeat = call.attempt > 1 && (call.throttled || recheck.is_stale());
        if repeat || breaker.wants_probe() {
            recheck.look_again().await?;
        }
    }
    next.oneshot(call).await
}

#[cfg(test)]
mod tests;
