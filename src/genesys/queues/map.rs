//! The queue map: every queue of the organisation, found by id or by name.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio::time::Instant;

use super::closest::Closest;
use crate::{
    names::{fold, spelling, trim},
    transfer::{
        ids::QueueId,
        model::{Queue, QueueRef},
    },
};

/// What a look into the map found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum QueueMatch {
    /// Exactly one.
    One(Queue),
    /// Several have that name, none of them spelt like it, or several.
    Many(Vec<Queue>),
    /// None.
    None,
}

/// All queues at one moment. Never changed; a newer map takes its place.
#[derive(Debug)]
pub(super) struct QueueMap {
    /// Sorted by folded name.
    queues: Vec<IndexedQueue>,
    by_id: HashMap<QueueId, u32>,
    closest: Closest,
    /// When it was loaded.
    pub loaded_at: Timestamp,
    /// The same on the monotonic clock.
    pub loaded: Instant,
}

#[derive(Debug)]
struct IndexedQueue {
    queue: Queue,
    /// Its name as [`fold`] gives it.
    folded: String,
}

impl IndexedQueue {
    fn place(&self) -> (&str, &str, QueueId) {
        (&self.folded, &self.queue.name, self.queue.id)
    }
}

impl QueueMap {
    /// A map of `queues`; of several with one id the last stands, because a list that moves while
    /// it is read shows an entry twice.
    pub(super) fn new(queues: Vec<Queue>, loaded_at: Timestamp, loaded: Instant) -> Self {
        let mut unique: HashMap<QueueId, Queue> = HashMap::with_capacity(queues.len());
        for queue in queues {
            unique.insert(queue.id, queue);
        }
        let known = |queue: Queue| IndexedQueue { folded: fold(&queue.name), queue };
        let mut queues: Vec<IndexedQueue> = unique.into_values().map(known).collect();
        queues.sort_unstable_by(|one, other| one.place().cmp(&other.place()));
        let mut map = Self {
            by_id: HashMap::with_capacity(queues.len()),
            closest: Closest::default(),
            queues: Vec::new(),
            loaded_at,
            loaded,
        };
        for (index, IndexedQueue { queue, folded }) in (0u32..).zip(&queues) {
            map.closest.add(folded, index);
            map.by_id.insert(queue.id, index);
        }
        map.queues = queues;
        map
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    /// Finds a queue. Names: one that is spelt the same wins, else one whatever the case.
    pub(super) fn find(&self, queue: &QueueRef) -> QueueMatch {
        match queue {
            QueueRef::Id(id) => match self.by_id.get(id).and_then(|index| self.at(*index)) {
                Some(known) => QueueMatch::One(known.queue.clone()),
                None => QueueMatch::None,
            },
            QueueRef::Name(name) => self.named(name.as_str()),
        }
    }

    fn named(&self, name: &str) -> QueueMatch {
        let folded = fold(name);
        let first = self.queues.partition_point(|known| known.folded < folded);
        let alike = self.queues.iter().skip(first).take_while(|known| known.folded == folded);
        let mut queues: Vec<Queue> = alike.map(|known| known.queue.clone()).collect();
        if queues.len() > 1 {
            let spelt = spelling(name);
            let is_exact = |queue: &Queue| spelling(&queue.name) == spelt;
            if queues.iter().any(is_exact) {
                queues.retain(is_exact);
            }
        }
        match queues.len() {
            0 => QueueMatch::None,
            1 => queues.pop().map_or(QueueMatch::None, QueueMatch::One),
            _ => QueueMatch::Many(queues),
        }
    }

    /// All queues whose name contains `fragment`, whatever the case, sorted by name.
    pub(super) fn search(&self, fragment: &str) -> Vec<Queue> {
        let fragment = fold(fragment);
        let hits = self.queues.iter().filter(|known| known.folded.contains(&fragment));
        hits.map(|known| known.queue.clone()).collect()
    }

    /// The names most like `name`, best first, at most 3.
    pub(super) fn closest(&self, name: &str) -> Vec<String> {
        let named = |index| {
            let known = self.at(index)?;
            Some((known.folded.as_str(), trim(&known.queue.name)))
        };
        self.closest.to(&fold(name), named)
    }

    /// The same map with `found` added or replaced and `gone` taken out.
    pub(super) fn changed(&self, found: &[Queue], gone: Option<QueueId>) -> Self {
        let all = self.queues.iter().map(|known| &known.queue);
        let kept = all.filter(|queue| Some(queue.id) != gone).chain(found).cloned();
        Self::new(kept.collect(), self.loaded_at, self.loaded)
    }

    fn at(&self, index: u32) -> Option<&IndexedQueue> {
        self.queues.get(usize::try_from(index).ok()?)
    }
}

/// A map that is shared.
pub(super) type SharedMap = Arc<QueueMap>;

#[cfg(test)]
mod tests;
