//! Where the items come from: the store, and for a drain the queue itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{ADMISSION, Open, Runner, Stop};
use crate::transfer::{
    batch::{
        Drain, Item,
        drain::Asked,
        sight::{self, News},
        trouble::Trouble,
    },
    engine,
    gateway::{GatewayError, Lane, WaitingCall, WaitingCalls},
};

/// Fewer items to do than this, and more are fetched.
const FEW: usize = 16;

/// Items read from the store at once.
const PAGE: u32 = 100;

/// Pauses between looks that bring nothing new.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Moved calls may be shown for a while. For so long the newest ones wait, so that those between
/// come first.
const LAG: Duration = Duration::from_secs(15);

/// When nothing new came to light for so long, the rest is taken to be gone.
const NOTHING_NEW: Duration = Duration::from_mins(1);

/// When the queue could not be looked at for so long, neither.
const NO_LOOK: Duration = Duration::from_mins(10);

/// What a drain has seen of its queue.
#[derive(Debug)]
pub(super) struct View {
    /// Whether more may wait than was shown; `None` before the first look.
    hidden: Option<bool>,
    next_look: Option<Instant>,
    pause: Duration,
    /// Since when there was nothing to do but to wait for rows to go away.
    blocked_since: Option<Instant>,
    /// Since when looks fail.
    blind_since: Option<Instant>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            hidden: None,
            next_look: None,
            pause: FIRST_PAUSE,
            blocked_since: None,
            blind_since: None,
        }
    }
}

impl View {
    fn look_later(&mut self) {
        self.next_look = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn progress(&mut self, hidden: bool) {
        *self = Self { hidden: Some(hidden), ..Self::default() };
    }
}

impl Runner {
    /// Sees to it that there is something to do. `false` when something else is to be seen to
    /// first.
    pub(super) async fn fetch(&mut self) -> bool {
        if self.open.len() >= FEW {
            return true;
        }
        if let Some(from) = self.unread {
            return self.read_items(from).await;
        }
        let hidden = self.view.hidden.unwrap_or(self.batch.total > self.known_count());
        let rested = self.view.next_look.is_none_or(|at| at <= Instant::now());
        if hidden && rested && self.room() > 0 && (!self.open.is_empty() || !self.tasks.is_empty())
        {
            return self.look(false).await;
        }
        true
    }

    /// No item is left and none is in hand: looks for more, or ends.
    pub(super) async fn nothing_to_do(&mut self) {
        if std::mem::take(&mut self.lost) {
            self.unread = Some(0);
            return;
        }
        if self.room() == 0 {
            self.stop = Some(Stop::Finished);
            return;
        }
        match self.view.next_look {
            Some(at) if at > Instant::now() => self.rest_until(at).await,
            _ => {
                self.look(true).await;
            }
        }
    }

    fn known_count(&self) -> u32 {
        u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    /// How many calls may still be found.
    fn room(&self) -> u32 {
        let Some(drain) = &self.batch.drain else { return 0 };
        let most = drain.limit.unwrap_or(u32::MAX).min(self.engine.batches.settings.max_size);
        most.saturating_sub(self.known_count())
    }

    async fn read_items(&mut self, from: u32) -> bool {
        let store = &self.engine.batches.store;
        match store.open_items(self.batch.id, from, PAGE).await {
            Ok(items) => {
                let more = items.len() >= PAGE as usize;
                let last = items.last().map(|item| item.position.saturating_add(1));
                self.unread = last.filter(|_| more);
                self.add(items);
                true
            }
            Err(error) => {
                tracing::warn!(batch_id = %self.batch.id, cause = %error.cause, "cannot read items");
                self.rest_a_while().await;
                false
            }
        }
    }

    fn add(&mut self, items: Vec<Item>) {
        for item in items {
            self.known.insert(item.request.conversation_id);
            self.open.insert(item.position, Open::from(item));
        }
    }

    /// One look at the queue. `idle`: there is nothing else to do.
    async fn look(&mut self, idle: bool) -> bool {
        let Some(drain) = self.batch.drain.clone() else { return true };
        let engine = std::sync::Arc::clone(&self.engine);
        let ctx = engine::context(Instant::now() + ADMISSION, Lane::Batch);
        let looking = engine.gateway.waiting(&ctx, drain.from.id);
        let Some(looked) = self.unless_stopped(looking).await else { return false };
        match looked {
            Ok(look) => {
                self.view.blind_since = None;
                self.use_look(&drain, &look, idle).await
            }
            Err(error) => {
                self.blind(error, idle);
                false
            }
        }
    }

    async fn use_look(&mut self, drain: &Drain, look: &WaitingCalls, idle: bool) -> bool {
        let most = usize::try_from(self.room()).unwrap_or(usize::MAX);
        match sight::news(look, drain.waiting_by, &self.known, most) {
            News::New(calls) => self.found(drain, &calls, look.truncated).await,
            News::Nothing => {
                self.view.progress(false);
                if idle {
                    self.stop = Some(Stop::Finished);
                }
                true
            }
            News::Blocked(newest) => {
                self.view.hidden = Some(true);
                self.view.look_later();
                if !idle {
                    return true;
                }
                let blocked = *self.view.blocked_since.get_or_insert_with(Instant::now);
                if blocked.elapsed() >= LAG && !newest.is_empty() {
                    return self.found(drain, &newest, true).await;
                }
                if blocked.elapsed() >= NOTHING_NEW {
                    self.stop = Some(Stop::Finished);
                }
                true
            }
        }
    }

    fn blind(&mut self, error: GatewayError, idle: bool) {
        let since = *self.view.blind_since.get_or_insert_with(Instant::now);
        match Trouble::of(error) {
            Ok(trouble) => {
                if idle && trouble.own && since.elapsed() >= NO_LOOK {
                    self.stop = Some(Stop::Finished);
                }
                self.pause_for(&trouble);
            }
            // The query itself is refused: perhaps the queue was deleted.
            Err(problem) => {
                tracing::warn!(batch_id = %self.batch.id, code = problem.code.as_str(), "the queue cannot be looked at");
                self.view.look_later();
                if idle && since.elapsed() >= NOTHING_NEW {
                    self.stop = Some(Stop::Finished);
                }
            }
        }
    }

    /// Records calls that came to light.
    async fn found(&mut self, drain: &Drain, calls: &[WaitingCall], hidden: bool) -> bool {
        let asked = Asked { reason: &self.batch.reason, reference: &self.batch.reference };
        let first = self.known_count();
        let calls = calls.iter().map(|call| (call.conversation_id, call.since));
        let items = asked.items(drain, first, calls);
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let total = self.batch.total.max(first.saturating_add(count));
        let (id, owner) = (self.batch.id, self.engine.records.owner());
        match self.engine.batches.store.add_items(id, owner, &items, total).await {
            Ok(true) => {
                self.batch.total = total;
                self.add(items);
                self.view.progress(hidden);
                true
            }
            Ok(false) => {
                self.doubted = true;
                false
            }
            Err(error) => {
                tracing::warn!(batch_id = %id, cause = %error.cause, "cannot record calls that were found");
                // They may have been recorded all the same.
                self.rest_a_while().await;
                self.unread = Some(first);
                while self.stop.is_none() && !self.recall().await {
                    self.rest_a_while().await;
                }
                false
            }
        }
    }
}
