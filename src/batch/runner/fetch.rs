//! Where the items come from: the store, and for a drain the queue itself.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{ADMISSION, Close, Open, Runner, Unread, stand};
use crate::{
    batch::{
        Batch, Drain, Item,
        drain::{ItemLabels, TAIL},
        item::BEGIN_PICTURE,
        looks,
        sight::{self, News},
        trouble::Trouble,
    },
    transfer::{
        context,
        engine::calls_needed,
        gateway::{BatchPace, GatewayError, Lane, WaitingCall, WaitingCalls},
    },
};

/// Fewer items to do than this, and more are fetched.
const FEW: usize = 16;

/// Items read from the store at once.
const PAGE: u32 = 100;

/// A shorter wait for the request limit is not told.
const WORTH_TELLING: Duration = Duration::from_secs(2);

/// Most calls that one look at many shows.
const PICTURES: usize = 100;

/// Moved calls may be shown for a while. For so long the newest ones wait, so that those between
/// come first.
const LAG: Duration = Duration::from_secs(15);

/// When nothing new came to light for so long, and hardly any call is missing, the drain ends.
const NOTHING_NEW: Duration = Duration::from_mins(1);

/// When for so long no look could be had, or none that shows the missing calls, it ends for certain.
const PATIENCE: Duration = Duration::from_mins(10);

/// The warning of a standing drain that cannot see agents.
const AGENTS_UNKNOWN: &str = "agents_unknown";

/// The warning of a drain that some calls are hidden from.
const NOT_ALL_SHOWN: &str = "not_all_shown";

impl Runner {
    /// Fetches items if there are few. `false` when something else has to be done first.
    pub(super) async fn fetch(&mut self) -> bool {
        let end = if self.is_tail_held() { TAIL } else { u32::MAX };
        if self.open.range(..end).take(FEW).count() >= FEW {
            return true;
        }
        if let Unread::From(position) = self.unread {
            return self.read_items(position).await;
        }
        if self.stand.is_some() {
            return true;
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

    /// Whether the items that a look left for the end wait for those that are hidden before them.
    pub(super) fn is_tail_held(&self) -> bool {
        !self.tail_may_go && self.missing() > 0
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
        if self.stand.is_some() {
            // All that came to light and may still move counts as moved.
            let unmoved = self.ended.saturating_sub(self.moves);
            return most.saturating_add(unmoved).saturating_sub(self.batch.total);
        }
        most.saturating_sub(self.known_count())
    }

    /// Whether a standing drain has nothing left to do and waits for nothing.
    pub(super) fn is_done_standing(&self) -> bool {
        let Some(stand) = &self.stand else { return false };
        let (over, left) = (stand.is_over(self.transfers.clock.now()), !self.open.is_empty());
        match (over, left) {
            (true, left) => !left || !stand.is_moving(),
            (false, left) => !left && self.room() == 0,
        }
    }

    /// Looks at the queue of a standing drain, if that is due. `false` when something else has to
    /// be done first.
    pub(super) async fn watch_queue(&mut self) -> bool {
        let Some(drain) = self.batch.drain.clone() else { return true };
        let clock = self.transfers.clock.now();
        let has_room = self.room() > 0;
        let Some(mut stand) = self.stand.take_if(|stand| stand.is_due(Instant::now(), clock))
        else {
            return true;
        };
        let (batches, caller) = (Arc::clone(&self.batches), self.batch.requested_by.clone());
        let mut told = None;
        let moves = |on_queue| {
            told = Some(on_queue);
            stand.saw(on_queue);
            stand.is_moving() && has_room
        };
        let looked = self.unless_stopped(looks::look(&batches, &drain, &caller, moves)).await;
        let not_before = looked.as_ref().and_then(|seen| seen.not_before);
        let pause = not_before
            .map_or(stand::BEAT, |at| at.duration_since(clock).unsigned_abs().min(stand::BEAT));
        stand.looked(Instant::now(), clock, pause);
        let moving = stand.is_moving();
        let is_blind = stand.watches_agents() && told == Some(None);
        self.stand = Some(stand);
        if told.is_some() {
            self.tell_that_agents_are_unknown(is_blind).await;
        }
        let Some(seen) = looked else { return false };
        match seen.waiting {
            Some(look) if moving => {
                let calls = self.newcomers(&drain, &look);
                calls.is_empty() || self.found(&drain, &calls, false).await
            }
            _ => true,
        }
    }

    /// Says that the drain cannot know whether agents are there, or takes that back.
    async fn tell_that_agents_are_unknown(&mut self, is_blind: bool) {
        let detail = "Genesys does not tell how many agents are on queue in the source queue. Calls are \
                      moved only once it says that none is.";
        if self.batch.warn(AGENTS_UNKNOWN, is_blind.then(|| detail.to_owned())) {
            self.save().await;
        }
    }

    /// The calls of a look that came since they were seen last, and have waited long enough.
    fn newcomers(&self, drain: &Drain, look: &WaitingCalls) -> Vec<WaitingCall> {
        let by = drain.arrived_by(look.clock.theirs(self.transfers.clock.now()));
        let most = usize::try_from(self.room()).unwrap_or(usize::MAX);
        let is_new = |row: &&WaitingCall| {
            let before = self.arrived.get(&row.conversation_id);
            row.since <= by && before.is_none_or(|before| row.since > *before)
        };
        look.rows.iter().filter(is_new).take(most).cloned().collect()
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
            if let (Some(_), Some(since)) = (&self.stand, item.waiting_since) {
                self.arrived.insert(item.request.conversation_id, since);
            }
            self.open.insert(item.position, Open::from(item));
        }
    }

    /// How requests of this batch follow each other now.
    pub(super) fn pace(&self) -> BatchPace {
        let calls = self.open.len().saturating_add(self.missing().try_into().unwrap_or(0));
        let each = self
            .open
            .values()
            .next()
            .map_or(1, |open| calls_needed(&self.transfers, &open.item.request));
        let needed = u32::try_from(calls).unwrap_or(u32::MAX).saturating_mul(each);
        self.transfers.gateway.batch_pace(needed, each)
    }

    /// Takes `requests` out of the minute.
    pub(super) fn spend(&mut self, requests: u32) {
        let taken = self.apart.saturating_mul(requests);
        self.spread_until = self.spread_until.max(Instant::now()) + taken;
    }

    /// Tells callers until when the batch waits for the request limit, if that is for long. Should
    /// it not be written: the next one will be.
    pub(super) async fn tell_the_wait(&mut self, wait: Duration) {
        if wait < WORTH_TELLING {
            return;
        }
        let now = self.transfers.clock.now();
        let until = now.saturating_add(wait).unwrap_or(now);
        let told = self.batch.waiting_until.is_some_and(|told| told > now);
        if !told {
            self.batch.waiting_until = Some(until);
            self.save().await;
        }
    }

    /// Sees that the item is begun on a fresh picture, if a look at many calls shows it, and that
    /// requests are spread over the minute. `false`: something else has to be done first.
    pub(super) async fn look_ahead(&mut self, position: u32) -> bool {
        let now = Instant::now();
        if self.pictures_until.is_some_and(|until| now < until) {
            let has_picture = |open: &Open| open.has_picture() || open.looks_alone;
            if self.open.get(&position).is_some_and(has_picture) {
                return true;
            }
        }
        if now < self.spread_until {
            self.tell_the_wait(self.spread_until.saturating_duration_since(now)).await;
            self.rest_until(self.spread_until).await;
            return false;
        }
        self.apart = self.pace().apart;
        let Some(drain) = self.batch.drain.as_ref().filter(|_| self.transfers.settings.verify)
        else {
            return true;
        };
        if self.open.get(&position).is_none_or(|open| open.looks_alone) {
            return true;
        }
        let due = self.open.values().filter(|open| open.due().is_none_or(|at| at <= now));
        let due = due.filter(|open| !open.looks_alone).take(PICTURES);
        let ids: Vec<_> = due.map(|open| open.item.request.conversation_id).collect();
        let (transfers, from) = (Arc::clone(&self.transfers), drain.from.id);
        let ctx = context(Instant::now() + ADMISSION, Lane::Batch);
        let ctx = ctx.on_behalf_of(&self.batch.requested_by);
        let looking = transfers.gateway.bulk_look(&ctx, from, &ids);
        let Some(mut pictures) = self.unless_stopped(looking).await else {
            return false;
        };
        let at = Instant::now();
        self.pictures_until = (!pictures.is_empty()).then(|| at + BEGIN_PICTURE);
        let ids: HashSet<_> = ids.into_iter().collect();
        for open in self.open.values_mut() {
            let id = open.item.request.conversation_id;
            if ids.contains(&id) {
                let mut picture = pictures.remove(&id);
                if let (Some(picture), Some(row)) = (&mut picture, open.item.row()) {
                    row.complete(picture);
                }
                open.seen(picture, at);
                if open.is_gone() {
                    open.pays(&ctx.usage);
                }
            }
        }
        self.take_back_all();
        self.control.is_undisturbed()
    }

    /// One look at the queue. `idle`: there is nothing else to do.
    async fn look(&mut self, idle: bool) -> bool {
        let Some(drain) = self.batch.drain.clone() else {
            return true;
        };
        let transfers = Arc::clone(&self.transfers);
        let ctx = context(Instant::now() + ADMISSION, Lane::Batch);
        let ctx = ctx.on_behalf_of(&self.batch.requested_by);
        let looking = transfers.gateway.waiting(&ctx, drain.from.id);
        let Some(looked) = self.unless_stopped(looking).await else {
            return false;
        };
        match looked {
            Ok(look) => {
                self.view.blind_since = None;
                self.view.still_waiting = Some(self.unmoved(&look));
                self.use_look(&drain, &look, idle).await
            }
            Err(error) => {
                self.blind(error, idle);
                false
            }
        }
    }

    /// How many calls a look counts that were not moved.
    pub(super) fn unmoved(&self, look: &WaitingCalls) -> u64 {
        let moved = look.rows.iter().filter(|row| self.moved.contains(&row.conversation_id));
        look.count.saturating_sub(u64::try_from(moved.count()).unwrap_or(u64::MAX))
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
    pub(super) fn missing(&self) -> u32 {
        if self.stand.is_some() {
            return 0;
        }
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
        self.tail_may_go = true;
        if self.open.is_empty() {
            self.control.close(Close::Finished);
        }
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
        // In a standing drain a call can come back, as another item.
        let first = if self.stand.is_some() { self.batch.total } else { self.known_count() };
        let items = asked.items(drain, first, calls.iter().cloned());
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
