//! The pretended organisation: its queues, its conversations and the rules by which they change.
//! Knows no HTTP; every method is told the time.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::clock::IdSource;

mod acts;
mod line;
mod make;
pub mod model;
mod moves;
pub mod queues;
mod refused;
mod routing;
mod shape;
mod summary;
mod words;

pub use acts::Act;
pub use line::{Row, Rows, Staleness};
pub use make::NewConversation;
pub use model::{
    Blocked, Conversation, Division, Media, Purpose, Queue, QueueRef, Supervision, TransferKind,
};
pub use moves::{Moved, QueueChoice, ReplaceOrder};
pub use refused::Refused;
pub use routing::RoutingEdit;
pub use shape::{LegSpec, Shape};

use line::Line;

/// Queues the world holds at most.
pub const MAX_QUEUES: usize = 100_000;
/// Conversations the world holds at most, ended ones included.
pub const MAX_CONVERSATIONS: usize = 100_000;
/// Participants a conversation holds at most, ended ones included.
pub const MAX_PARTICIPANTS: usize = 1_000;

/// Everything there is.
#[derive(Debug)]
pub struct World {
    ids: IdSource,
    home: Division,
    queues: HashMap<Uuid, Queue>,
    by_name: BTreeSet<(String, Uuid)>,
    divisions: Vec<Division>,
    conversations: HashMap<Uuid, Conversation>,
    lines: HashMap<(Uuid, Media), Line>,
    /// How truthful the waiting-calls query is.
    pub staleness: Staleness,
    left: u64,
}

impl World {
    /// An empty organisation whose home division is `home`.
    #[must_use]
    pub fn new(home: Division) -> Self {
        Self {
            ids: IdSource::default(),
            divisions: vec![home.clone()],
            home,
            queues: HashMap::new(),
            by_name: BTreeSet::new(),
            conversations: HashMap::new(),
            lines: HashMap::new(),
            staleness: Staleness::default(),
            left: 0,
        }
    }

    /// A fresh id.
    pub fn new_id(&self, now: Timestamp) -> Uuid {
        self.ids.next(now)
    }

    /// The conversation with that id, ended ones included.
    #[must_use]
    pub fn conversation(&self, id: Uuid) -> Option<&Conversation> {
        self.conversations.get(&id)
    }

    /// All conversations, in no order.
    pub fn conversations(&self) -> impl Iterator<Item = &Conversation> {
        self.conversations.values()
    }

    /// Puts a conversation in.
    ///
    /// # Errors
    /// [`Refused::IdTaken`], [`Refused::Full`].
    pub(super) fn insert(&mut self, conversation: Conversation) -> Result<Uuid, Refused> {
        if self.conversations.contains_key(&conversation.id) {
            return Err(Refused::IdTaken);
        }
        if self.conversations.len() >= MAX_CONVERSATIONS {
            return Err(Refused::Full("100000 conversations"));
        }
        let id = conversation.id;
        if let Some((queue, since)) = place(&conversation) {
            self.lines.entry((queue, conversation.media)).or_default().enter(since, id);
        }
        self.conversations.insert(id, conversation);
        Ok(id)
    }

    /// Forgets a conversation as if it had never been.
    ///
    /// # Errors
    /// [`Refused::UnknownConversation`].
    pub fn remove_conversation(&mut self, id: Uuid) -> Result<(), Refused> {
        let gone = self.conversations.remove(&id).ok_or(Refused::UnknownConversation)?;
        if let Some((queue, since)) = place(&gone)
            && let Some(line) = self.lines.get_mut(&(queue, gone.media))
        {
            line.leave(since, id);
        }
        self.lines.retain(|_, line| {
            line.forget(id);
            !line.is_idle()
        });
        Ok(())
    }

    /// Changes one conversation and keeps the queues' lines in step with it.
    fn edit<T>(
        &mut self,
        id: Uuid,
        now: Timestamp,
        change: impl FnOnce(&mut Conversation, &IdSource) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let conversation = self.conversations.get_mut(&id).ok_or(Refused::UnknownConversation)?;
        let before = place(conversation);
        let outcome = change(conversation, &self.ids);
        let (after, media) = (place(conversation), conversation.media);
        if before != after {
            self.move_in_lines(id, media, before, after, now);
        }
        outcome
    }

    fn move_in_lines(
        &mut self,
        id: Uuid,
        media: Media,
        before: Option<(Uuid, Timestamp)>,
        after: Option<(Uuid, Timestamp)>,
        now: Timestamp,
    ) {
        if let Some((queue, since)) = before {
            self.left += 1;
            let line = self.lines.entry((queue, media)).or_default();
            line.leave(since, id);
            if let Some(until) = self.staleness.shown_until(self.left, now) {
                line.haunt(since, id, until, now);
            }
            if line.is_idle() {
                self.lines.remove(&(queue, media));
            }
        }
        if let Some((queue, since)) = after {
            self.lines.entry((queue, media)).or_default().enter(since, id);
        }
    }

    /// Who waits in a queue by one medium, as the analytics API would tell it; at most `cap`
    /// rows, the oldest and the newest half of them when there are more.
    #[must_use]
    pub fn waiting(&self, queue: Uuid, media: Media, cap: usize, now: Timestamp) -> Rows {
        self.lines.get(&(queue, media)).map_or_else(Rows::default, |line| line.rows(cap, now))
    }

    /// How many conversations of one medium really wait in a queue, whatever a stale query says.
    #[must_use]
    pub fn really_waiting(&self, queue: Uuid, media: Media) -> usize {
        self.lines.get(&(queue, media)).map_or(0, Line::len)
    }

    /// The conversations that wait in a queue by one medium, in the order they are served.
    #[must_use]
    pub fn served_next(&self, queue: Uuid, media: Media) -> Vec<Served> {
        let served = |id: Uuid| {
            let leg = self.conversation(id)?.waiting_leg()?;
            let priority = leg.routing.as_ref().map_or(0, |routing| routing.priority);
            let earlier = priority.saturating_mul(60_000);
            let score = leg.started.as_millisecond().saturating_sub(earlier);
            Some(Served { conversation: id, since: leg.started, priority, score })
        };
        let mut line: Vec<Served> =
            self.waiting_ids(queue, media).into_iter().filter_map(served).collect();
        line.sort_by_key(|served| (served.score, served.conversation));
        line
    }

    /// Ids of the conversations that wait in a queue by one medium, longest wait first.
    #[must_use]
    pub fn waiting_ids(&self, queue: Uuid, media: Media) -> Vec<Uuid> {
        self.lines.get(&(queue, media)).map_or_else(Vec::new, Line::ids)
    }
}

/// A conversation in the order it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// The conversation.
    pub conversation: Uuid,
    /// Since when it waits.
    pub since: Timestamp,
    /// Its priority.
    pub priority: i64,
    /// The lowest is served first: milliseconds since 1970 at which it began to wait, less a
    /// minute for each point of priority.
    pub score: i64,
}

/// Where a conversation stands in line, and since when.
fn place(conversation: &Conversation) -> Option<(Uuid, Timestamp)> {
    let leg = conversation.waiting_leg()?;
    Some((leg.queue.as_ref()?.id, leg.started))
}

/// The time `by` before `now`, or `now` itself where the calendar ends.
pub(super) fn before(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_sub(by).unwrap_or(now)
}

#[cfg(test)]
mod tests;
