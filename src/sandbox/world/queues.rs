//! The organisation's queues: made, renamed, deleted, searched.

use std::ops::Bound;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Division, MAX_QUEUES, Queue, QueueRef, Refused, World};

/// Divisions the world holds at most.
const MAX_DIVISIONS: usize = 1_000;

impl World {
    /// The queue with that id.
    #[must_use]
    pub fn queue(&self, id: Uuid) -> Option<&Queue> {
        self.queues.get(&id)
    }

    /// How many queues there are.
    #[must_use]
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// All queues, sorted by name (whatever the case), then by id.
    pub fn queues(&self) -> impl DoubleEndedIterator<Item = &Queue> {
        self.by_name.iter().filter_map(|(_, id)| self.queues.get(id))
    }

    /// The queues with exactly that name, whatever the case.
    pub fn queues_named(&self, name: &str) -> impl Iterator<Item = &Queue> {
        let folded = name.to_lowercase();
        let from = Bound::Included((folded.clone(), Uuid::nil()));
        let to = Bound::Included((folded, Uuid::max()));
        self.by_name.range((from, to)).filter_map(|(_, id)| self.queues.get(id))
    }

    /// The division with that name, made when there is none; the home division without a name.
    ///
    /// # Errors
    /// [`Refused::Full`].
    pub fn division(&mut self, name: Option<&str>, now: Timestamp) -> Result<Division, Refused> {
        let Some(name) = name else { return Ok(self.home.clone()) };
        if let Some(known) = self.divisions.iter().find(|division| division.name == name) {
            return Ok(known.clone());
        }
        let division = Division { id: self.new_id(now), name: name.to_owned() };
        self.add_division(division.clone())?;
        Ok(division)
    }

    /// Makes a division with a given id.
    ///
    /// # Errors
    /// [`Refused::IdTaken`], [`Refused::Full`].
    pub fn add_division(&mut self, division: Division) -> Result<(), Refused> {
        if self.divisions.iter().any(|known| known.id == division.id) {
            return Err(Refused::IdTaken);
        }
        if self.divisions.len() >= MAX_DIVISIONS {
            return Err(Refused::Full("1000 divisions"));
        }
        self.divisions.push(division);
        Ok(())
    }

    /// Makes a queue. Names need not be unique.
    ///
    /// # Errors
    /// [`Refused::IdTaken`], [`Refused::Full`].
    pub fn add_queue(
        &mut self,
        id: Option<Uuid>,
        name: &str,
        division: Division,
        member_count: u32,
        now: Timestamp,
    ) -> Result<Uuid, Refused> {
        let id = id.unwrap_or_else(|| self.new_id(now));
        if self.queues.contains_key(&id) {
            return Err(Refused::IdTaken);
        }
        if self.queues.len() >= MAX_QUEUES {
            return Err(Refused::Full("100000 queues"));
        }
        let name = name.to_owned();
        self.by_name.insert((name.to_lowercase(), id));
        let queue = Queue {
            id,
            name,
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
    ///
    /// # Errors
    /// [`Refused::UnknownQueue`].
    pub fn rename_queue(&mut self, id: Uuid, name: &str, now: Timestamp) -> Result<(), Refused> {
        let queue = self.queues.get_mut(&id).ok_or(Refused::UnknownQueue)?;
        self.by_name.remove(&(queue.name.to_lowercase(), id));
        name.clone_into(&mut queue.name);
        queue.modified = now;
        self.by_name.insert((name.to_lowercase(), id));
        Ok(())
    }

    /// So many of a queue's agents are on queue from now on.
    ///
    /// # Errors
    /// [`Refused::UnknownQueue`].
    pub fn set_joined(&mut self, id: Uuid, count: u32) -> Result<(), Refused> {
        self.queues.get_mut(&id).ok_or(Refused::UnknownQueue)?.joined_count = count;
        Ok(())
    }

    /// Deletes a queue. Conversations that wait in it go on waiting in a queue that nobody finds.
    ///
    /// # Errors
    /// [`Refused::UnknownQueue`].
    pub fn remove_queue(&mut self, id: Uuid) -> Result<(), Refused> {
        let queue = self.queues.remove(&id).ok_or(Refused::UnknownQueue)?;
        self.by_name.remove(&(queue.name.to_lowercase(), id));
        Ok(())
    }

    /// The queue as a leg remembers it.
    ///
    /// # Errors
    /// [`Refused::UnknownQueue`].
    pub fn queue_ref(&self, id: Uuid) -> Result<QueueRef, Refused> {
        let queue = self.queues.get(&id).ok_or(Refused::UnknownQueue)?;
        Ok(QueueRef { id, name: queue.name.clone() })
    }
}

/// Whether `name` fits a filter with an optional `*` before and after, whatever the case
/// (`name` of `GET /api/v2/routing/queues`).
#[must_use]
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
