//! Look-ups of single queues at Genesys: one at a time per queue, not repeated for a while once
//! answered. Searches for names are limited for all callers together, so that made-up names cannot
//! use up the request limit. Memory is bounded.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{LOOK_UP_REST, map::QueueMatch};
use crate::{
    names::fold,
    support::{Joined, SingleFlight},
    transfer::{gateway::GatewayError, ids::QueueId, model::QueueRef},
};

/// Queues remembered; beyond that the oldest are forgotten.
const REMEMBERED: usize = 2_048;

/// Searches allowed in a burst, for all callers together. One more is allowed every
/// [`LOOK_UP_REST`].
const SEARCHES_AT_ONCE: u32 = 10;

/// What is remembered about queues that are not in the map, or should not be trusted to be.
pub(super) struct Misses {
    tracker: TaskTracker,
    state: Arc<Mutex<SearchState>>,
}

struct SearchState {
    /// By folded name, or by id.
    looked: HashMap<SearchKey, Looked>,
    /// Queues for which a command was refused, with when; `true` until looked for.
    doubted: HashMap<QueueId, (bool, Instant)>,
    /// When the whole burst is allowed again.
    burst_at: Instant,
}

impl SearchState {
    /// Whether one more search is allowed; it is counted then.
    fn may_search(&mut self, now: Instant) -> bool {
        let burst_at = self.burst_at.max(now) + LOOK_UP_REST;
        let allowed = burst_at <= now + LOOK_UP_REST * SEARCHES_AT_ONCE;
        if allowed {
            self.burst_at = burst_at;
        }
        allowed
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum SearchKey {
    Name(String),
    Id(QueueId),
}

type SearchResult = Result<QueueMatch, GatewayError>;

struct Looked {
    flight: Arc<SingleFlight<SearchResult>>,
    began: Instant,
    /// What Genesys said, and when.
    told: Option<(QueueMatch, Instant)>,
}

impl SearchKey {
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
        let state = SearchState {
            looked: HashMap::new(),
            doubted: HashMap::new(),
            burst_at: Instant::now(),
        };
        Self { tracker, state: Arc::new(Mutex::new(state)) }
    }

    /// Runs `look`, or joins the one in progress. One that ended a short while ago is answered from
    /// memory, unless the queue `is_doubted`. A name that may not be searched for is not found.
    ///
    /// # Errors
    /// When it could not be found out before `by`.
    pub(super) async fn look_up<W, F>(
        &self,
        queue: &QueueRef,
        is_doubted: bool,
        by: Instant,
        look: W,
    ) -> SearchResult
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output = SearchResult> + Send + 'static,
    {
        match self.join(queue, is_doubted, look) {
            Ok(joined) => joined.outcome(by).await?,
            Err(known) => Ok(known),
        }
    }

    fn join<W, F>(
        &self,
        queue: &QueueRef,
        is_doubted: bool,
        look: W,
    ) -> Result<Joined<SearchResult>, QueueMatch>
    where
        W: FnOnce() -> F + Send + 'static,
        F: Future<Output = SearchResult> + Send + 'static,
    {
        let (key, now) = (SearchKey::of(queue), Instant::now());
        let mut state = self.lock();
        if let Some(looked) = state.looked.get(&key) {
            if let Some(running) = looked.flight.under_way() {
                return Ok(running);
            }
            let recent = looked.told.as_ref().filter(|(_, at)| now < *at + LOOK_UP_REST);
            if let Some((found, _)) = recent.filter(|_| !is_doubted) {
                return Err(found.clone());
            }
        }
        // Ids must be found while there is no list, and cost no more than the look at a
        // conversation would. A doubt follows a command, of which there are few.
        if matches!(key, SearchKey::Name(_)) && !is_doubted && !state.may_search(now) {
            return Err(QueueMatch::None);
        }
        make_room(&mut state.looked, |looked| looked.began);
        let looked = state.looked.entry(key.clone()).or_insert_with(|| Looked {
            flight: Arc::new(SingleFlight::new(self.tracker.clone())),
            began: now,
            told: None,
        });
        looked.began = now;
        let flight = Arc::clone(&looked.flight);
        let memory = Arc::clone(&self.state);
        Ok(flight.join(|| async move {
            let outcome = look().await;
            let mut state = memory.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Ok(found), Some(looked)) = (&outcome, state.looked.get_mut(&key)) {
                looked.told = Some((found.clone(), Instant::now()));
            }
            outcome
        }))
    }

    /// Has the queue looked for before it is used again, at most once in a while.
    pub(super) fn doubt(&self, id: QueueId) {
        let now = Instant::now();
        let mut state = self.lock();
        make_room(&mut state.doubted, |(_, at)| *at);
        if let Some(looked) = state.looked.get_mut(&SearchKey::Id(id)) {
            looked.told = None;
        }
        let recently = state.doubted.get(&id).is_some_and(|(_, at)| now < *at + LOOK_UP_REST);
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
            looked.told = None;
            looked.flight.under_way().is_some()
        });
    }

    fn lock(&self) -> MutexGuard<'_, SearchState> {
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

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use uuid::Uuid;

    use super::*;
    use crate::transfer::model::{Queue, QueueName};

    fn id() -> QueueId {
        QueueId::new(Uuid::from_u128(1))
    }

    fn queue() -> Queue {
        Queue { id: id(), name: "Sales".to_owned(), division: None }
    }

    fn named(number: u32) -> QueueRef {
        QueueRef::Name(QueueName::parse(&format!("Made up {number}")).unwrap())
    }

    struct Bench {
        misses: Misses,
        looks: Arc<AtomicU32>,
    }

    impl Bench {
        fn new() -> Self {
            Self { misses: Misses::new(TaskTracker::new()), looks: Arc::default() }
        }

        /// Whether Genesys was asked, and what came of it.
        async fn ask(
            &self,
            queue: &QueueRef,
            is_doubted: bool,
            there: SearchResult,
        ) -> (bool, SearchResult) {
            let (before, looks) = (self.looks.load(Ordering::SeqCst), Arc::clone(&self.looks));
            let look = move || async move {
                looks.fetch_add(1, Ordering::SeqCst);
                there
            };
            let by = Instant::now() + Duration::from_secs(5);
            let outcome = self.misses.look_up(queue, is_doubted, by, look).await;
            (self.looks.load(Ordering::SeqCst) > before, outcome)
        }

        /// How many of these names are searched for.
        async fn searches(&self, names: std::ops::Range<u32>) -> u32 {
            let before = self.looks.load(Ordering::SeqCst);
            for number in names {
                assert_eq!(
                    self.ask(&named(number), false, Ok(QueueMatch::None)).await.1,
                    Ok(QueueMatch::None)
                );
            }
            self.looks.load(Ordering::SeqCst) - before
        }
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_a_few_one_new_name_is_searched_for_in_30_seconds() {
        let bench = Bench::new();
        assert_eq!(bench.searches(0..50).await, 10);
        for from in [50, 100, 150] {
            tokio::time::advance(LOOK_UP_REST).await;
            assert_eq!(bench.searches(from..from + 50).await, 1);
        }
        tokio::time::advance(LOOK_UP_REST / 2).await;
        assert_eq!(bench.searches(200..250).await, 0);
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(bench.searches(250..300).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_was_searched_for_costs_nothing_more_for_a_while() {
        let bench = Bench::new();
        assert_eq!(bench.searches(0..1).await, 1);
        for _ in 0..50 {
            assert_eq!(bench.searches(0..1).await, 0);
        }
        assert_eq!(bench.searches(1..50).await, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn ids_and_doubts_are_looked_for_however_many_names_were() {
        let bench = Bench::new();
        bench.searches(0..50).await;
        for number in 0..50 {
            let id = QueueRef::Id(QueueId::new(Uuid::from_u128(number)));
            assert_eq!(
                bench.ask(&id, false, Ok(QueueMatch::None)).await,
                (true, Ok(QueueMatch::None))
            );
        }
        let (asked, outcome) = bench.ask(&named(60), true, Ok(QueueMatch::One(queue()))).await;
        assert_eq!((asked, outcome), (true, Ok(QueueMatch::One(queue()))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_was_found_is_asked_for_again_once_a_command_was_refused() {
        let bench = Bench::new();
        let (by_id, found) = (QueueRef::Id(id()), Ok(QueueMatch::One(queue())));
        assert_eq!(bench.ask(&by_id, false, found.clone()).await, (true, found.clone()));
        assert_eq!(bench.ask(&by_id, false, Ok(QueueMatch::None)).await, (false, found));
        bench.misses.doubt(id());
        assert_eq!(
            bench.ask(&by_id, false, Ok(QueueMatch::None)).await,
            (true, Ok(QueueMatch::None))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_not_remembered() {
        let bench = Bench::new();
        let error = Err(GatewayError::DeadlineExceeded);
        assert_eq!(bench.ask(&named(1), false, error.clone()).await, (true, error));
        assert_eq!(
            bench.ask(&named(1), false, Ok(QueueMatch::None)).await,
            (true, Ok(QueueMatch::None))
        );
    }
}
