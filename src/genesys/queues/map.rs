//! The queue map: every queue of the organisation, found by id or by name in constant time.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::closest::Closest;
use crate::transfer::{
    ids::QueueId,
    model::{Queue, QueueRef},
};

/// What a look into the map found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Exactly one.
    One(Queue),
    /// Several have that name, none of them exactly, or several exactly.
    Many(Vec<Queue>),
    /// None.
    None,
}

/// All queues at one moment. Never changed; a newer map takes its place.
#[derive(Debug)]
pub(super) struct QueueMap {
    queues: Vec<Queue>,
    by_id: HashMap<QueueId, u32>,
    /// Trimmed name as it is spelt.
    exact: HashMap<String, Vec<u32>>,
    /// Trimmed name in lower case.
    folded: HashMap<String, Vec<u32>>,
    closest: Closest,
    /// When it was loaded.
    pub loaded_at: Timestamp,
    /// The same on the monotonic clock.
    pub loaded: Instant,
}

/// How names are compared when they do not match exactly.
pub(super) fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

impl QueueMap {
    /// A map of `queues`; of several with one id the last stands, because a list that moves while
    /// it is read shows an entry twice.
    pub(super) fn new(queues: Vec<Queue>, loaded_at: Timestamp, loaded: Instant) -> Self {
        let mut unique: HashMap<QueueId, Queue> = HashMap::with_capacity(queues.len());
        for queue in queues {
            unique.insert(queue.id, queue);
        }
        let mut queues: Vec<Queue> = unique.into_values().collect();
        queues.sort_by_cached_key(|queue| (fold(&queue.name), queue.name.clone(), queue.id));
        let mut map = Self {
            by_id: HashMap::with_capacity(queues.len()),
            exact: HashMap::with_capacity(queues.len()),
            folded: HashMap::with_capacity(queues.len()),
            closest: Closest::default(),
            queues: Vec::new(),
            loaded_at,
            loaded,
        };
        for (index, queue) in (0u32..).zip(&queues) {
            let folded = fold(&queue.name);
            map.closest.add(&folded, index);
            map.by_id.insert(queue.id, index);
            push(&mut map.exact, queue.name.trim().to_owned(), index);
            push(&mut map.folded, folded, index);
        }
        map.queues = queues;
        map
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    /// Finds a queue. Names: trimmed; an exact match wins, else one whatever the case.
    pub(super) fn find(&self, queue: &QueueRef) -> Found {
        match queue {
            QueueRef::Id(id) => match self.by_id.get(id).and_then(|index| self.at(*index)) {
                Some(queue) => Found::One(queue.clone()),
                None => Found::None,
            },
            QueueRef::Name(name) => {
                let name = name.as_str().trim();
                let hits = self.exact.get(name).or_else(|| self.folded.get(&fold(name)));
                let hits = hits.into_iter().flatten().filter_map(|index| self.at(*index));
                let mut queues: Vec<Queue> = hits.cloned().collect();
                match queues.len() {
                    0 => Found::None,
                    1 => queues.pop().map_or(Found::None, Found::One),
                    _ => Found::Many(queues),
                }
            }
        }
    }

    /// All queues whose name contains `fragment`, whatever the case, sorted by name.
    pub(super) fn search(&self, fragment: &str) -> Vec<Queue> {
        let fragment = fold(fragment);
        let hits = self.queues.iter().filter(|q| q.name.to_lowercase().contains(&fragment));
        hits.cloned().collect()
    }

    /// The names most like `name`, best first, at most 3.
    pub(super) fn closest(&self, name: &str) -> Vec<String> {
        let named = |index| self.at(index).map(|queue| queue.name.trim());
        self.closest.to(&fold(name), named)
    }

    /// The same map with `found` added or replaced and `gone` taken out.
    pub(super) fn changed(&self, found: &[Queue], gone: Option<QueueId>) -> Self {
        let kept = self.queues.iter().filter(|queue| Some(queue.id) != gone).cloned();
        let queues = kept.chain(found.iter().cloned()).collect();
        Self::new(queues, self.loaded_at, self.loaded)
    }

    fn at(&self, index: u32) -> Option<&Queue> {
        self.queues.get(usize::try_from(index).ok()?)
    }
}

fn push(names: &mut HashMap<String, Vec<u32>>, name: String, index: u32) {
    match names.entry(name) {
        Entry::Occupied(mut entry) => entry.get_mut().push(index),
        Entry::Vacant(entry) => drop(entry.insert(vec![index])),
    }
}

/// A map that is shared.
pub(super) type SharedMap = Arc<QueueMap>;

#[cfg(test)]
mod tests;
