//! Where the items come from: the store, and for a drain the queue itself.

use std::time::Duration;

use tokio::time::Instant;

use super::{ADMISSION, Close, Open, Runner, Unread};
use crate::{
    batch::{
        Batch, Drain, Item,
        drain::ItemLabels,
        sight::{self, News},
        trouble::Trouble,
    },
    transfer::{
        context,
        gateway::{GatewayError, Lane, WaitingCall, WaitingCalls},
    },
};

/// Fewer items to do than this, and more are fetched.
const FEW: usize = 16;

/// Items read from the store at once.
const PAGE: u32 = 100;

/// Moved calls may be shown for a while. For so long the newest ones wait, so that those between
/// come first.
const LAG: Duration = Duration::from_secs(15);

/// When nothing new came to light for so long, and hardly any call is missing, the drain ends.
const NOTHING_NEW: Duration = Duration::from_mins(1);

/// When for so long no look could be had, or none that shows the missing calls, it ends for certain.
const PATIENCE: Duration = Duration::from_mins(10);

/// The warning of a drain that some calls are hidden from.
const NOT_ALL_SHOWN: &str = "not_all_shown";

impl Runner {
    /// Fetches items if there are few. `false` when something else has to be done first.
    pub(super) async fn fetch(&mut self) -> bool {
        if self.open.len() >= FEW {
            return true;
        }
        if let Unread::From(position) = self.unread {
            return self.read_items(position).await;
        }
        let hidden = self.view.hidden.unwrap_or(self.batch.total > self.known_count());
        let rested = self.view.next_look.is_none_or(|at| at <= Instant::now());
        if hidden
            && rested
            && self.room() > 0
            && (!self.open.is_empty() || !self.in_flight.is_empty())
        {
            return self.look(false).await;
        }
        true
    }

    /// No item is left and none is in flight: looks for more, or ends.
    pub(super) async fn nothing_to_do(&mut self) {
        if matches!(self.unread, Unread::Lost) {
            if self.put_back().await {
                self.unread = Unread::From(0);
            } else {
                self.rest_a_while().await;
            }
            return;
        }
        if self.room() == 0 {
            self.control.close(Close::Finished);
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
        let Some(drain) = &self.batch.drain else {
            return 0;
        };
        let most = drain.limit.unwrap_or(u32::MAX).min(self.batches.settings.max_size);
        most.saturating_sub(self.known_count())
    }

    async fn read_items(&mut self, from: u32) -> bool {
        let read = self.batches.store.open_items(self.batch.id, from, PAGE).await;
        let Some(items) = self.logged("cannot read items", read) else {
            self.rest_a_while().await;
            return false;
        };
        let more = items.len() >= PAGE as usize;
        let last = items.last().map(|item| item.position.saturating_add(1));
        self.unread = last.filter(|_| more).map_or(Unread::None, Unread::From);
        self.add(items);
        true
    }

    fn add(&mut self, items: Vec<Item>) {
        for item in items {
            self.known.insert(item.request.conversation_id);
            self.open.insert(item.position, Open::from(item));
        }
    }

    /// One look at the queue. `idle`: there is nothing else to do.
    async fn look(&mut self, idle: bool) -> bool {
        let Some(drain) = self.batch.drain.clone() else {
            return true;
        };
        let transfers = std::sync::Arc::clone(&self.transfers);
        let ctx = context(Instant::now() + ADMISSION, Lane::Batch);
        let ctx = ctx.on_behalf_of(&self.batch.requested_by);
        let looking = transfers.gateway.waiting(&ctx, drain.from.id);
        let Some(looked) = self.unless_stopped(looking).await else {
            return false;
        };
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
                self.saw_none(idle);
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
        // Rows that go away uncover others; one that cannot be read uncovers none.
        let for_little = !look.truncated && sight::few(missing, self.batch.total);
        if missing == 0 || for_little { NOTHING_NEW } else { PATIENCE }
    }

    /// A look showed no new call, and none can be hidden. The record of the missing ones weighs more
    /// than one look.
    fn saw_none(&mut self, idle: bool) {
        let (missing, total) = (self.missing(), self.batch.total);
        if self.view.saw_none(missing, total) && idle {
            self.give_up(0);
        }
    }

    /// The end: of the missing calls, `unseen` may still wait.
    fn give_up(&mut self, unseen: u32) {
        self.view.unseen = unseen;
        self.control.close(Close::Finished);
    }

    fn blind(&mut self, error: GatewayError, idle: bool) {
        let blind = self.view.blind_for();
        let enough = if self.missing() == 0 { NOTHING_NEW } else { PATIENCE };
        match Trouble::of(error) {
            Ok(trouble) => {
                if idle && trouble.own && blind >= enough {
                    self.give_up(u32::MAX);
                }
                self.control.pause(&trouble, Instant::now());
            }
            // The query itself is refused: perhaps the queue was deleted.
            Err(problem) => {
                tracing::warn!(batch_id = %self.batch.id, code = problem.code.as_str(), "cannot read the source queue");
                self.view.look_later();
                if idle && blind >= NOTHING_NEW {
                    self.give_up(u32::MAX);
                }
            }
        }
    }

    /// Records calls that came to light.
    async fn found(&mut self, drain: &Drain, calls: &[WaitingCall], hidden: bool) -> bool {
        let asked = ItemLabels { reason: &self.batch.reason, reference: &self.batch.reference };
        let first = self.known_count();
        let calls = calls.iter().map(|call| (call.conversation_id, call.since));
        let items = asked.items(drain, first, calls);
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let total = self.batch.total.max(first.saturating_add(count));
        let (id, owner) = (self.batch.id, self.transfers.records.owner());
        let added = self.batches.store.add_items(id, owner, &items, total).await;
        match self.logged("cannot record calls that were found", added) {
            Some(true) => {
                self.batch.total = total;
                self.add(items);
                self.view.progress(hidden);
                self.tell_the_hidden(0).await;
                true
            }
            Some(false) => {
                self.control.doubt();
                false
            }
            None => {
                // They may have been recorded all the same.
                self.rest_a_while().await;
                self.unread = Unread::From(first);
                while self.control.closing().is_none() && !self.recall().await {
                    self.rest_a_while().await;
                }
                false
            }
        }
    }

    /// Says that the drain stands still because up to `hidden` are hidden, or takes that back.
    async fn tell_the_hidden(&mut self, hidden: u32) {
        let hidden = hidden.min(self.missing());
        let detail = format!(
            "Genesys counts more calls than it shows: up to {hidden} of those that waited when the \
             drain began may be hidden behind rows of calls that were moved already, or have rows \
             that cannot be read. The drain looks again until they are shown, for 10 minutes at most."
        );
        if warn_of_hidden(&mut self.batch, (hidden > 0).then_some(detail)) {
            // Should it not be written: the next one will be.
            self.save().await;
        }
    }
}

/// At the end says how many may still wait, or takes back what was said before.
pub(super) fn tell_the_unseen(batch: &mut Batch) {
    let unseen = batch.unseen;
    let detail = format!(
        "Up to {unseen} of the calls that waited when the drain began were not shown in time. They \
         were not moved, and may still wait: drain the queue again."
    );
    warn_of_hidden(batch, (unseen > 0).then_some(detail));
}

fn warn_of_hidden(batch: &mut Batch, detail: Option<String>) -> bool {
    let changed = batch.warn(NOT_ALL_SHOWN, detail);
    if let (true, Some(detail)) = (changed, batch.warning(NOT_ALL_SHOWN)) {
        tracing::warn!(batch_id = %batch.id, detail, "Genesys does not show all waiting calls");
    }
    changed
}
