//! Look-ups of single queues at Genesys: one at a time per queue, and not again for a while when
//! the queue is not there. Memory is bounded.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::MISS_REST;
use crate::{
    genesys::flight::{Boarding, Flight},
    names::fold,
    transfer::{gateway::GatewayError, ids::QueueId, model::QueueRef},
};

/// Queues remembered; beyond that the oldest are forgotten.
const REMEMBERED: usize = 2_048;

/// What is remembered about queues that are not in the map, or should not be trusted to be.
pub(super) struct Misses {
    tracker: TaskTracker,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By folded name, or by id.
    looked: HashMap<Key, Looked>,
    /// Queues for which a command was refused, with when; `true` until looked for.
    doubted: HashMap<QueueId, (bool, Instant)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    Id(QueueId),
}

struct Looked {
    flight: Arc<Flight<Result<bool, GatewayError>>>,
    began: Instant,
    /// Not at Genesys at that time.
    absent_at: Option<Instant>,
}

impl Key {
    fn of(queue: &QueueRef) -> Self {
        match queue {
            QueueRef::Name(name) => Self::Name(fold(name.as_str())),
            QueueRef::Id(id) => Self::Id(*id),
        }
    }
}

impl Misses {
    /// Nothing remembered.
    pub(super) fn new(tracker: TaskTracker) -> Self {
        Self { tracker, state: Arc::default() }
    }

    /// Runs `look`, which says whether the queue is there, unless it ran and said no a short
    /// while ago; joins it when it is under way.
    ///
    /// # Errors
    /// When it could not be found out before `by`.
    pub(super) async fn look_up<W, F>(
        &self,
        queue: &QueueRef,
        by: Instant,
        look: W,
    ) -> Result<(), GatewayError>
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<bool, GatewayError>> + Send + 'static,
    {
        match self.board(queue, look) {
            Some(boarding) => boarding.outcome(by).await?.map(drop),
            None => Ok(()),
        }
    }

    fn board<W, F>(&self, queue: &QueueRef, look: W) -> Option<Boarding<Result<bool, GatewayError>>>
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<bool, GatewayError>> + Send + 'static,
    {
        let (key, now) = (Key::of(queue), Instant::now());
        let mut state = self.lock();
        make_room(&mut state.looked, |looked| looked.began);
        let looked = state.looked.entry(key.clone()).or_insert_with(|| Looked {
            flight: Arc::new(Flight::new(self.tracker.clone())),
            began: now,
            absent_at: None,
        });
        if looked.absent_at.is_some_and(|at| now < at + MISS_REST) {
            return None;
        }
        looked.began = now;
        let flight = Arc::clone(&looked.flight);
        let memory = Arc::clone(&self.state);
        Some(flight.board(|| async move {
            let there = look().await;
            let mut state = memory.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Ok(there), Some(looked)) = (&there, state.looked.get_mut(&key)) {
                looked.absent_at = (!there).then(Instant::now);
            }
            there
        }))
    }

    /// Has the queue looked for before it is used again, at most once in a while.
    pub(super) fn doubt(&self, id: QueueId) {
        let now = Instant::now();
        let mut state = self.lock();
        make_room(&mut state.doubted, |(_, at)| *at);
        let recently = state.doubted.get(&id).is_some_and(|(_, at)| now < *at + MISS_REST);
        if !recently {
            state.doubted.insert(id, (true, now));
        }
    }

    /// Whether the queue should be looked for; the one who is told so does it.
    pub(super) fn is_doubted(&self, id: QueueId) -> bool {
        let mut state = self.lock();
        state.doubted.get_mut(&id).is_some_and(|(open, _)| std::mem::take(open))
    }

    /// Forgets everything; a whole new list says more.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.doubted.clear();
        state.looked.retain(|_, looked| {
            looked.absent_at = None;
            looked.flight.under_way().is_some()
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a memory within its bound: the older half goes when it is full.
fn make_room<K: Eq + Hash + Clone, V>(memory: &mut HashMap<K, V>, at: impl Fn(&V) -> Instant) {
    if memory.len() < REMEMBERED {
        return;
    }
    let mut ages: Vec<Instant> = memory.values().map(&at).collect();
    let middle = ages.len() / 2;
    let (_, median, _) = ages.select_nth_unstable(middle);
    let median = *median;
    memory.retain(|_, value| at(value) > median);
}
