//! The shapes of queues and what goes on in them.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::time;
use crate::transfer::{WatchedQueue, gateway::QueueActivity, ids::QueueId, model::Queue};

/// What goes on in a queue, voice only; a number that Genesys did not tell is null.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueActivity)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ActivityView {
    /// Calls that wait.
    #[schema(required)]
    waiting: Option<u64>,
    /// How long the oldest of them has waited; null also when none waits.
    #[schema(required)]
    longest_wait_seconds: Option<u64>,
    /// Calls that an agent has.
    #[schema(required)]
    interacting: Option<u64>,
    agents: AgentsView,
    /// How long a new call would wait, as Genesys estimates it; only of a single queue and in plans.
    #[schema(required)]
    estimated_wait_seconds: Option<u64>,
    /// When Genesys said so.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
}

/// The agents of a queue.
#[derive(Serialize, ToSchema)]
#[schema(as = QueueAgents)]
#[serde(rename_all = "camelCase")]
struct AgentsView {
    /// Agents on queue, whatever they do.
    #[schema(required)]
    on_queue: Option<u64>,
    /// Agents on queue that are free.
    #[schema(required)]
    idle: Option<u64>,
}

impl ActivityView {
    /// The activity, with the estimated wait when it was asked for.
    pub(in crate::http) const fn new(activity: &QueueActivity, estimated: Option<u64>) -> Self {
        Self {
            waiting: activity.waiting,
            longest_wait_seconds: activity.longest_wait_seconds,
            interacting: activity.interacting,
            agents: AgentsView { on_queue: activity.on_queue, idle: activity.idle },
            estimated_wait_seconds: estimated,
            as_of: activity.as_of,
        }
    }
}

/// A queue with its division.
#[derive(Serialize, ToSchema)]
#[schema(as = Queue)]
pub(in crate::http) struct QueueView<'a> {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: QueueId,
    /// Its name as Genesys spells it.
    name: &'a str,
    /// The name of its division, when known.
    #[schema(required)]
    division: Option<&'a str>,
    /// What goes on in it, when it was asked for; null when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ActivityView>)]
    #[expect(clippy::option_option, reason = "not asked for, not known, known")]
    activity: Option<Option<ActivityView>>,
}

impl<'a> From<&'a Queue> for QueueView<'a> {
    fn from(queue: &'a Queue) -> Self {
        let division = queue.division.as_deref();
        Self { id: queue.id, name: &queue.name, division, activity: None }
    }
}

impl<'a> From<&'a WatchedQueue> for QueueView<'a> {
    fn from(watched: &'a WatchedQueue) -> Self {
        let activity = watched.activity.as_ref();
        let activity = activity.map(|it| ActivityView::new(it, watched.estimated_wait));
        Self { activity: Some(activity), ..Self::from(&watched.queue) }
    }
}

/// Queues of the cached map.
#[derive(Serialize, ToSchema)]
#[schema(as = Queues)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct QueuesView<'a> {
    items: Vec<QueueView<'a>>,
    /// When the map was loaded from Genesys.
    #[serde(serialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    loaded_at: Timestamp,
}

impl<'a> QueuesView<'a> {
    /// These queues of a map that was loaded then.
    pub(in crate::http) fn new<T>(items: &'a [T], loaded_at: Timestamp) -> Self
    where
        &'a T: Into<QueueView<'a>>,
    {
        Self { items: items.iter().map(Into::into).collect(), loaded_at }
    }
}

/// The queue a transfer would go to.
#[derive(Serialize, ToSchema)]
#[schema(as = TargetQueue)]
pub(in crate::http) struct TargetView<'a> {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: QueueId,
    /// Its name as Genesys spells it.
    name: &'a str,
    /// What goes on in it; null when that is not known.
    #[schema(required)]
    activity: Option<ActivityView>,
}

impl<'a> TargetView<'a> {
    /// The queue, with what is known of it.
    pub(in crate::http) fn new(queue: &'a Queue, activity: Option<&QueueActivity>) -> Self {
        let activity = activity.map(|activity| ActivityView::new(activity, None));
        Self { id: queue.id, name: &queue.name, activity }
    }
}
