//! What goes on in queues: one request for each 100 of them, kept for a few seconds and shared by
//! all who ask.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    call::{Operation, Operations},
    pacing::Pacer,
    upstream::{self, Upstream},
    wire::{
        analytics::WaitEstimates,
        observations::{Data, Group, Observations},
    },
};
use crate::{
    clock::Clock,
    support::SingleFlight,
    transfer::{
        clock_offset::ClockOffset,
        gateway::{CallContext, GatewayError, Lane, QueueActivity},
        ids::QueueId,
    },
};

/// How long a number is good, and how long a failure is not repeated.
const KEPT: Duration = Duration::from_secs(5);
/// A queue that was asked for within this time is loaded along with others, so that all who watch
/// share the requests.
const WATCHED: Duration = Duration::from_secs(10);
/// A queue that was not asked for within this time is forgotten.
const FORGOTTEN: Duration = Duration::from_mins(10);
/// Queues in one request.
const AT_ONCE: usize = 100;
/// How long a request waits for its place in the budget.
const PACE: Duration = Duration::from_secs(2);
/// How long a load may take.
const LONGEST: Duration = Duration::from_secs(15);
/// Loads one asker waits for: one that began before it asked, and its own.
const ROUNDS: usize = 3;
/// How long metrics are not asked for that were refused.
const REFUSED: Duration = Duration::from_mins(10);
/// The first is the one that no organisation refuses.
const METRICS: [&str; 5] =
    ["oWaiting", "oInteracting", "oLongestWaiting", "oOnQueueUsers", "oUserRoutingStatuses"];

/// The activity of queues as far as it is known. Clones share it.
#[derive(Clone)]
pub(super) struct QueueActivities(Arc<Activities>);

struct Activities {
    upstream: Upstream,
    pacer: Pacer,
    clock: Arc<dyn Clock>,
    state: Mutex<RecentlyAsked>,
    flight: SingleFlight<()>,
    /// The estimated waits; held while one is asked for.
    estimates: tokio::sync::Mutex<HashMap<QueueId, (Option<u64>, Instant)>>,
}

#[derive(Default)]
struct RecentlyAsked {
    queues: HashMap<QueueId, WatchEntry>,
    /// Until when only the calls that wait are asked for.
    waiting_only: Option<Instant>,
    /// Why the last load failed, and when.
    failure: Option<(GatewayError, Instant)>,
}

struct WatchEntry {
    asked_at: Instant,
    loaded: Option<(QueueActivity, Instant)>,
}

impl WatchEntry {
    fn is_fresh(&self) -> bool {
        self.loaded.is_some_and(|(_, at)| at.elapsed() < KEPT)
    }
}

impl QueueActivities {
    /// Nothing known yet; loads run on `tracker`.
    pub(super) fn new(
        upstream: Upstream,
        pacer: Pacer,
        clock: Arc<dyn Clock>,
        tracker: TaskTracker,
    ) -> Self {
        let (state, estimates) = (Mutex::default(), tokio::sync::Mutex::default());
        let flight = SingleFlight::new(tracker);
        Self(Arc::new(Activities { upstream, pacer, clock, state, flight, estimates }))
    }

    /// See [`crate::transfer::gateway::CallGateway::queue_activity`].
    pub(super) async fn get(
        &self,
        by: Instant,
        ids: &[QueueId],
    ) -> Result<HashMap<QueueId, QueueActivity>, GatewayError> {
        let activities = &self.0;
        for _ in 0..ROUNDS {
            if activities.watch(ids) {
                break;
            }
            // Not within the condition, which would keep the lock.
            let failure = activities.lock().recent_failure();
            if let Some(error) = failure {
                return activities.lock().last_known(ids, error);
            }
            let flight = activities.flight.join(|| Arc::clone(activities).load());
            if let Err(late) = flight.outcome(by).await {
                return activities.lock().last_known(ids, late.into());
            }
        }
        Ok(activities.lock().known(ids))
    }
}

impl QueueActivities {
    /// How long a new call would wait in a queue, at most 5 s old.
    pub(super) async fn estimated_wait(
        &self,
        ctx: &CallContext,
        queue: QueueId,
    ) -> Result<Option<u64>, GatewayError> {
        let activities = &self.0;
        let lock = tokio::time::timeout_at(ctx.deadline, activities.estimates.lock());
        let mut estimates = lock.await.map_err(|_| GatewayError::DeadlineExceeded)?;
        estimates.retain(|_, (_, at)| at.elapsed() < KEPT);
        if let Some((known, _)) = estimates.get(&queue) {
            return Ok(*known);
        }
        let mut ctx = ctx.in_lane(Lane::Batch);
        let by = ctx.deadline.min(Instant::now() + PACE);
        let operations = Operations::of(Operation::GetWaitEstimate);
        ctx.admission = Some(activities.pacer.reserve(&ctx, operations, by).await?);
        let request =
            activities.upstream.request(&ctx, Operation::GetWaitEstimate, &[queue.uuid()]);
        let parse = |text: &str| serde_json::from_str::<WaitEstimates>(text);
        let read = activities.upstream.read(request, parse).await;
        let (told, _) = read.map_err(GatewayError::of_no_conversation)?;
        let of_calls = |intent: &Option<String>| {
            intent.as_deref().is_none_or(|intent| intent.eq_ignore_ascii_case("CALL"))
        };
        let mut calls = told.results.items.iter().filter(|it| of_calls(&it.intent));
        let estimate = calls.find_map(|it| it.estimated_wait_time_seconds);
        estimates.insert(queue, (estimate, Instant::now()));
        Ok(estimate)
    }
}

impl Activities {
    fn lock(&self) -> MutexGuard<'_, RecentlyAsked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that these are asked for; whether all of them are fresh.
    fn watch(&self, ids: &[QueueId]) -> bool {
        let (mut state, now) = (self.lock(), Instant::now());
        let mut all_fresh = true;
        for id in ids {
            let new = WatchEntry { asked_at: now, loaded: None };
            let queue = state.queues.entry(*id).or_insert(new);
            queue.asked_at = now;
            all_fresh &= queue.is_fresh();
        }
        all_fresh
    }

    /// Loads what is asked for and no longer fresh.
    async fn load(self: Arc<Self>) {
        let due = self.lock().due();
        for queues in due.chunks(AT_ONCE) {
            let came = self.ask(queues).await;
            let (mut state, now) = (self.lock(), Instant::now());
            match came {
                Ok(loaded) => {
                    state.failure = None;
                    for (id, activity) in loaded {
                        if let Some(queue) = state.queues.get_mut(&id) {
                            queue.loaded = Some((activity, now));
                        }
                    }
                }
                Err(error) => {
                    state.failure = Some((error, now));
                    return;
                }
            }
        }
    }

    /// Asks for all metrics; for some time after that was refused, for the calls that wait.
    async fn ask(&self, ids: &[QueueId]) -> Result<Vec<(QueueId, QueueActivity)>, GatewayError> {
        let waiting_only = self.lock().waiting_only.is_some_and(|until| Instant::now() < until);
        if !waiting_only {
            match self.query(ids, &METRICS).await {
                Err(GatewayError::Rejected(_)) => {}
                came => return came,
            }
            tracing::warn!(
                "Genesys refuses to tell of agents and of calls in progress; for 10 minutes only the \
                 calls that wait are asked for"
            );
            self.lock().waiting_only = Some(Instant::now() + REFUSED);
        }
        self.query(ids, &METRICS[..1]).await
    }

    async fn query(
        &self,
        ids: &[QueueId],
        metrics: &[&str],
    ) -> Result<Vec<(QueueId, QueueActivity)>, GatewayError> {
        let now = Instant::now();
        let mut ctx = CallContext::new(now + LONGEST, Lane::Batch);
        let operations = Operations::of(Operation::QueryWaiting);
        // Only for its place in the budget the time is short: what is known is shown instead.
        ctx.admission = Some(self.pacer.reserve(&ctx, operations, now + PACE).await?);
        let mut request = self.upstream.request(&ctx, Operation::QueryWaiting, &[]);
        let predicate = |id: &QueueId| {
            json!({
                "type": "dimension", "dimension": "queueId", "operator": "matches",
                "value": id.to_string(),
            })
        };
        let predicates: Vec<_> = ids.iter().map(predicate).collect();
        request.body = upstream::json(&json!({
            "filter": {"type": "or", "predicates": predicates},
            "metrics": metrics,
        }))?;
        let read = self.upstream.read(request, |text| serde_json::from_str(text)).await;
        let (answer, offset) = read.map_err(GatewayError::of_no_conversation)?;
        let now = self.clock.now();
        Ok(ids.iter().map(|id| (*id, view(&answer, *id, now, offset))).collect())
    }
}

impl RecentlyAsked {
    fn recent_failure(&self) -> Option<GatewayError> {
        let (error, at) = self.failure.as_ref()?;
        (at.elapsed() < KEPT).then(|| error.clone())
    }

    fn known(&self, ids: &[QueueId]) -> HashMap<QueueId, QueueActivity> {
        let known = |id: &QueueId| Some((*id, self.queues.get(id)?.loaded?.0));
        ids.iter().filter_map(known).collect()
    }

    /// What was known before, where nothing newer can be had for a while.
    fn last_known(
        &self,
        ids: &[QueueId],
        error: GatewayError,
    ) -> Result<HashMap<QueueId, QueueActivity>, GatewayError> {
        use GatewayError as E;
        let passes =
            matches!(error, E::RateLimited { .. } | E::Unavailable { .. } | E::DeadlineExceeded);
        let known = self.known(ids);
        if passes && !known.is_empty() { Ok(known) } else { Err(error) }
    }

    /// The queues to load now. The last request is filled up with others that are watched, those
    /// loaded longest ago first.
    fn due(&mut self) -> Vec<QueueId> {
        self.queues.retain(|_, queue| queue.asked_at.elapsed() < FORGOTTEN);
        let watched = self.queues.iter().filter(|(_, queue)| queue.asked_at.elapsed() < WATCHED);
        let mut watched: Vec<(Option<Instant>, bool, QueueId)> = watched
            .map(|(id, queue)| (queue.loaded.map(|(_, at)| at), queue.is_fresh(), *id))
            .collect();
        watched.sort_unstable();
        let stale = watched.iter().filter(|(_, fresh, _)| !fresh).count();
        let most = stale.div_ceil(AT_ONCE) * AT_ONCE;
        watched.into_iter().take(most).map(|(_, _, id)| id).collect()
    }
}

/// What an answer tells of a queue.
fn view(answer: &Observations, id: QueueId, now: Timestamp, clock: ClockOffset) -> QueueActivity {
    let groups = || answer.results.items.iter().filter(move |group| is_about(group, id));
    let all = || groups().filter_map(|group| group.data.as_ref()).flat_map(|data| &data.items);
    let named = |metric: &'static str| {
        all().filter(move |data| data.metric.as_deref().is_some_and(|name| name == metric))
    };
    let count = |data: &Data| data.stats.as_ref()?.count;
    let sum = |metric: &'static str| total(named(metric).map(count));
    let unread = answer.results.left_out > 0
        || groups().filter_map(|group| group.data.as_ref()).any(|data| data.left_out > 0);
    // A queue in which nothing waits may not be mentioned.
    let waiting =
        sum("oWaiting").or_else(|| (!unread && named("oWaiting").next().is_none()).then_some(0));
    let longest = || {
        let ms = named("oLongestWaiting").find_map(|data| data.stats.as_ref()?.calculated_value)?;
        let since = Timestamp::from_millisecond(ms).ok()?;
        u64::try_from(clock.theirs(now).duration_since(since).as_secs().max(0)).ok()
    };
    let is = |data: &&Data, word: &str| {
        data.qualifier.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(word))
    };
    let statuses = || named("oUserRoutingStatuses").filter(|data| data.qualifier.is_some());
    let users = || named("oOnQueueUsers").filter(|data| !is(data, "OFF_QUEUE"));
    let on_queue = total(users().map(count)).or_else(|| {
        // All may be off queue: then the status is told, and no other.
        let on = statuses().filter(|data| !is(data, "OFF_QUEUE"));
        let told = statuses().next().is_some();
        total(on.map(count)).or(told.then_some(0))
    });
    let idle = |status: &mut dyn Iterator<Item = &Data>| {
        let mut idle = None;
        for data in status {
            let more = if is(&data, "IDLE") { count(data)? } else { 0 };
            idle = Some(idle.unwrap_or(0) + more);
        }
        idle
    };
    QueueActivity {
        waiting,
        longest_wait_seconds: waiting.filter(|waiting| *waiting > 0).and_then(|_| longest()),
        interacting: sum("oInteracting"),
        on_queue,
        idle: idle(&mut statuses())
            .or_else(|| idle(&mut users().filter(|data| data.qualifier.is_some()))),
        as_of: now,
    }
}

/// The sum; `None` when there is nothing, or something without a number.
fn total(counts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let counts: Vec<u64> = counts.collect::<Option<_>>()?;
    (!counts.is_empty()).then(|| counts.iter().fold(0, |sum: u64, one| sum.saturating_add(*one)))
}

/// The user metrics come without a medium.
fn is_about(group: &Group, queue: QueueId) -> bool {
    let Some(key) = &group.group else { return false };
    key.queue_id.as_deref().is_some_and(|id| id.parse() == Ok(queue))
        && key.media_type.as_deref().is_none_or(|media| media.eq_ignore_ascii_case("voice"))
}

#[cfg(test)]
mod tests;
