//! The pretended organisation: its queues, its conversations and the rules by which they change.
//! Knows no HTTP; every method is told the time. A rule that forbids what is asked is a
//! [`WorldError`].

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::clock::IdSource;

mod changes;
mod line;
pub mod model;
mod shape;

pub use changes::{Act, QueueChoice, ReplaceOrder, RoutingEdit, only};
pub use line::{Staleness, WaitingRow, WaitingRows};
pub use model::{
    Blocked, Division, LegPurpose, MediaType, Move, NamedQueue, SupervisorMode, TransferKind,
    WorldConversation, WorldError, WorldQueue, stamp,
};
pub use shape::{LegSpec, NewConversation, Shape};

use line::WaitingLine;

/// Queues the world holds at most.
pub const MAX_QUEUES: usize = 100_000;
/// Divisions the world holds at most.
const MAX_DIVISIONS: usize = 1_000;
/// Conversations the world holds at most, ended ones included.
pub const MAX_CONVERSATIONS: usize = 100_000;
/// Participants a conversation holds at most, ended ones included.
pub const MAX_PARTICIPANTS: usize = 1_000;

/// Queues, conversations, and who waits where.
pub struct World {
    ids: IdSource,
    home: Division,
    queues: HashMap<Uuid, WorldQueue>,
    by_name: BTreeSet<(String, Uuid)>,
    divisions: Vec<Division>,
    conversations: HashMap<Uuid, WorldConversation>,
    lines: HashMap<(Uuid, MediaType), WaitingLine>,
    /// How truthful the waiting-calls query is.
    pub staleness: Staleness,
    left: u64,
}

impl World {
    /// An empty organisation whose home division is `home`.
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
    pub fn conversation(&self, id: Uuid) -> Option<&WorldConversation> {
        self.conversations.get(&id)
    }

    /// All conversations, in no order.
    pub fn conversations(&self) -> impl Iterator<Item = &WorldConversation> {
        self.conversations.values()
    }

    /// Puts a conversation in.
    pub(super) fn insert(&mut self, conversation: WorldConversation) -> Result<Uuid, WorldError> {
        if self.conversations.contains_key(&conversation.id) {
            return Err(WorldError::IdTaken);
        }
        if self.conversations.len() >= MAX_CONVERSATIONS {
            return Err(WorldError::Full("100000 conversations"));
        }
        let id = conversation.id;
        if let Some((queue, since)) = place(&conversation) {
            self.lines.entry((queue, conversation.media)).or_default().enter(since, id);
        }
        self.conversations.insert(id, conversation);
        Ok(id)
    }

    /// Forgets a conversation as if it had never been.
    pub fn remove_conversation(&mut self, id: Uuid) -> Result<(), WorldError> {
        let gone = self.conversations.remove(&id).ok_or(WorldError::UnknownConversation)?;
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
        change: impl FnOnce(&mut WorldConversation, &IdSource) -> Result<T, WorldError>,
    ) -> Result<T, WorldError> {
        let conversation =
            self.conversations.get_mut(&id).ok_or(WorldError::UnknownConversation)?;
        let before = place(conversation);
        let outcome = change(conversation, &self.ids);
        let (after, media) = (place(conversation), conversation.media);
        if before != after {
            self.move_in_lines(id, media, before, after, now);
        }
        outcome
    }

    /// The same for a conversation that has not ended.
    fn edit_open<T>(
        &mut self,
        id: Uuid,
        now: Timestamp,
        change: impl FnOnce(&mut WorldConversation, &IdSource) -> Result<T, WorldError>,
    ) -> Result<T, WorldError> {
        self.edit(id, now, |conversation, ids| match conversation.ended {
            Some(_) => Err(WorldError::ConversationEnded),
            None => change(conversation, ids),
        })
    }

    fn move_in_lines(
        &mut self,
        id: Uuid,
        media: MediaType,
        before: Option<(Uuid, Timestamp)>,
        after: Option<(Uuid, Timestamp)>,
        now: Timestamp,
    ) {
        if let Some((queue, since)) = before {
            self.left += 1;
            let line = self.lines.entry((queue, media)).or_default();
            line.leave(since, id);
            if let Some(until) = self.staleness.shown_until(self.left, now) {
                line.keep_showing(since, id, until, now);
            }
            if line.is_idle() {
                self.lines.remove(&(queue, media));
            }
        }
        if let Some((queue, since)) = after {
            self.lines.entry((queue, media)).or_default().enter(since, id);
        }
    }

    /// What waits in a queue by one medium, as the analytics API shows it; at most `cap` rows, the oldest and the newest half of them when there are more.
    pub fn waiting(
        &self,
        queue: Uuid,
        media: MediaType,
        cap: usize,
        now: Timestamp,
    ) -> WaitingRows {
        self.lines
            .get(&(queue, media))
            .map_or_else(WaitingRows::default, |line| line.rows(cap, now))
    }

    /// How many conversations of one medium really wait in a queue, whatever a stale query says.
    pub fn really_waiting(&self, queue: Uuid, media: MediaType) -> usize {
        self.lines.get(&(queue, media)).map_or(0, WaitingLine::len)
    }

    /// The conversations that wait in a queue by one medium, in the order they are served.
    pub fn served_next(&self, queue: Uuid, media: MediaType) -> Vec<Served> {
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
    pub fn waiting_ids(&self, queue: Uuid, media: MediaType) -> Vec<Uuid> {
        self.lines.get(&(queue, media)).map_or_else(Vec::new, WaitingLine::ids)
    }

    /// The queue with that id.
    pub fn queue(&self, id: Uuid) -> Option<&WorldQueue> {
        self.queues.get(&id)
    }

    /// All queues, sorted by name (whatever the case), then by id.
    pub fn queues(&self) -> impl DoubleEndedIterator<Item = &WorldQueue> {
        self.by_name.iter().filter_map(|(_, id)| self.queues.get(id))
    }

    /// The queues with exactly that name, whatever the case.
    pub fn queues_named(&self, name: &str) -> impl Iterator<Item = &WorldQueue> {
        let folded = name.to_lowercase();
        let from = Bound::Included((folded.clone(), Uuid::nil()));
        let to = Bound::Included((folded, Uuid::max()));
        self.by_name.range((from, to)).filter_map(|(_, id)| self.queues.get(id))
    }

    /// The division with that name, made when there is none; the home division without a name.
    pub fn division(&mut self, name: Option<&str>, now: Timestamp) -> Result<Division, WorldError> {
        let Some(name) = name else { return Ok(self.home.clone()) };
        if let Some(known) = self.divisions.iter().find(|division| division.name == name) {
            return Ok(known.clone());
        }
        let division = Division { id: self.new_id(now), name: name.to_owned() };
        self.add_division(division.clone())?;
        Ok(division)
    }

    /// Makes a division with a given id.
    pub fn add_division(&mut self, division: Division) -> Result<(), WorldError> {
        if self.divisions.iter().any(|known| known.id == division.id) {
            return Err(WorldError::IdTaken);
        }
        if self.divisions.len() >= MAX_DIVISIONS {
            return Err(WorldError::Full("1000 divisions"));
        }
        self.divisions.push(division);
        Ok(())
    }

    /// Makes a queue. Names need not be unique.
    pub fn add_queue(
        &mut self,
        id: Option<Uuid>,
        name: &str,
        division: Division,
        member_count: u32,
        now: Timestamp,
    ) -> Result<Uuid, WorldError> {
        let id = id.unwrap_or_else(|| self.new_id(now));
        if self.queues.contains_key(&id) {
            return Err(WorldError::IdTaken);
        }
        if self.queues.len() >= MAX_QUEUES {
            return Err(WorldError::Full("100000 queues"));
        }
        self.by_name.insert((name.to_lowercase(), id));
        let queue = WorldQueue {
            id,
            name: name.to_owned(),
            division,
            member_count,
            joined_count: member_count,
            created: now,
            modified: now,
        };
        self.queues.insert(id, queue);
        Ok(id)
    }

    /// Renames a queue.
    pub fn rename_queue(&mut self, id: Uuid, name: &str, now: Timestamp) -> Result<(), WorldError> {
        let queue = self.queues.get_mut(&id).ok_or(WorldError::UnknownQueue)?;
        self.by_name.remove(&(queue.name.to_lowercase(), id));
        name.clone_into(&mut queue.name);
        queue.modified = now;
        self.by_name.insert((name.to_lowercase(), id));
        Ok(())
    }

    /// So many of a queue's agents are on queue from now on.
    pub fn set_joined(&mut self, id: Uuid, count: u32) -> Result<(), WorldError> {
        self.queues.get_mut(&id).ok_or(WorldError::UnknownQueue)?.joined_count = count;
        Ok(())
    }

    /// Deletes a queue. Conversations that wait in it keep waiting.
    pub fn remove_queue(&mut self, id: Uuid) -> Result<(), WorldError> {
        let queue = self.queues.remove(&id).ok_or(WorldError::UnknownQueue)?;
        self.by_name.remove(&(queue.name.to_lowercase(), id));
        Ok(())
    }

    /// The queue as a leg remembers it.
    pub fn queue_ref(&self, id: Uuid) -> Result<NamedQueue, WorldError> {
        let queue = self.queues.get(&id).ok_or(WorldError::UnknownQueue)?;
        Ok(NamedQueue { id, name: queue.name.clone() })
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
fn place(conversation: &WorldConversation) -> Option<(Uuid, Timestamp)> {
    let leg = conversation.waiting_leg()?;
    Some((leg.queue_id()?, leg.started))
}

/// The time `by` before `now`, or `now` itself where the calendar ends.
pub fn before(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_sub(by).unwrap_or(now)
}

/// Whether `name` fits a filter with an optional `*` before and after, whatever the case
/// (`name` of `GET /api/v2/routing/queues`).
pub fn name_fits(filter: &str, name: &str) -> bool {
    let (filter, name) = (filter.to_lowercase(), name.to_lowercase());
    let open_start = filter.strip_prefix('*');
    let rest = open_start.unwrap_or(&filter);
    let open_end = rest.strip_suffix('*');
    let core = open_end.unwrap_or(rest);
    match (open_start.is_some(), open_end.is_some()) {
        (true, true) => name.contains(core),
        (true, false) => name.ends_with(core),
        (false, true) => name.starts_with(core),
        (false, false) => name == core,
    }
}

#[cfg(test)]
mod tests;
