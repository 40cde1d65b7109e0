//! Where the items come from: the store, and for a drain the queue itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{ADMISSION, Open, Runner, Stop};
use crate::{
    batch::{
        Drain, Item,
        drain::Asked,
        sight::{self, News},
        trouble::Trouble,
    },
    transfer::{
        context,
        gateway::{GatewayError, Lane, WaitingCall, WaitingCalls},
    },
};

mod view;

pub(super) use view::View;

/// Fewer items to do than this, and more are fetched.
const FEW: usize = 16;

/// Items read from the store at once.
const PAGE: u32 = 100;

/// Moved calls may be shown for a while. For so long the newest ones wait, so that those between
/// come first.
const LAG: Duration = Duration::from_secs(15);

/// When nothing new came to light for so long, and hardly anybody is missing, the drain ends.
const NOTHING_NEW: Duration = Duration::from_mins(1);

/// When for so long no look could be had, or none that shows who is missing, it ends for certain.
const PATIENCE: Duration = Duration::from_mins(10);

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
        if self.lost {
            if self.put_back().await {
                self.lost = false;
                self.unread = Some(0);
            } else {
                self.rest_a_while().await;
            }
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
        let most = drain.limit.unwrap_or(u32::MAX).min(self.batches.settings.max_size);
        most.saturating_sub(self.known_count())
    }

    async fn read_items(&mut self, from: u32) -> bool {
        let store = &self.batches.store;
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
        let transfers = std::sync::Arc::clone(&self.transfers);
        let ctx = context(Instant::now() + ADMISSION, Lane::Batch);
        let ctx = ctx.on_behalf_of(&self.batch.requested_by);
        let looking = transfers.gateway.waiting(&ctx, drain.from.id);
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
        match sight::news(look, drain.waiting_by, &self.known, self.missing(), most) {
            News::New(calls) => self.found(drain, &calls, look.truncated).await,
            News::Nothing => {
                self.saw_nobody(idle);
                true
            }
            News::Blocked(newest) => {
                self.view.blocked();
                if !idle {
                    return true;
                }
                let blocked = self.view.blocked_for();
                if blocked >= LAG && !newest.is_empty() {
                    return self.found(drain, &newest, true).await;
                }
                let hidden = u32::try_from(sight::gap(look)).unwrap_or(u32::MAX);
                if blocked >= self.patience(look) {
                    self.give_up(hidden);
                } else if blocked >= LAG {
                    self.tell_the_hidden(hidden).await;
                }
                true
            }
        }
    }

    /// How many waited when the drain began and were not seen yet.
    fn missing(&self) -> u32 {
        self.batch.total.saturating_sub(self.known_count())
    }

    /// How long the drain stands still before looks like this one.
    fn patience(&self, look: &WaitingCalls) -> Duration {
        let missing = self.missing();
        // Rows that go away uncover others; one that cannot be read uncovers nobody.
        let for_little = !look.truncated && view::few(missing, self.batch.total);
        if missing == 0 || for_little { NOTHING_NEW } else { PATIENCE }
    }

    /// A look showed nobody new, and nobody can be hidden. The record of who is missing weighs more
    /// than one look.
    fn saw_nobody(&mut self, idle: bool) {
        let (missing, total) = (self.missing(), self.batch.total);
        if self.view.nobody(missing, total) && idle {
            self.give_up(0);
        }
    }

    /// The end: of those who are missing, `unseen` may still wait.
    fn give_up(&mut self, unseen: u32) {
        self.view.unseen = unseen;
        self.stop = Some(Stop::Finished);
    }

    fn blind(&mut self, error: GatewayError, idle: bool) {
        let blind = self.view.blind_for();
        let enough = if self.missing() == 0 { NOTHING_NEW } else { PATIENCE };
        match Trouble::of(error) {
            Ok(trouble) => {
                if idle && trouble.own && blind >= enough {
                    self.give_up(u32::MAX);
                }
                self.pause_for(&trouble);
            }
            // The query itself is refused: perhaps the queue was deleted.
            Err(problem) => {
                tracing::warn!(batch_id = %self.batch.id, code = problem.code.as_str(), "the queue cannot be looked at");
                self.view.look_later();
                if idle && blind >= NOTHING_NEW {
                    self.give_up(u32::MAX);
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
        let (id, owner) = (self.batch.id, self.transfers.records.owner());
        match self.batches.store.add_items(id, owner, &items, total).await {
            Ok(true) => {
                self.batch.total = total;
                self.add(items);
                self.view.progress(hidden);
                self.tell_the_hidden(0).await;
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
