//! `POST /api/v2/analytics/queues/observations/query`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, ApiError, Call};
use crate::sandbox::{
    state::EmptyQueue,
    wire::Stamp,
    world::{Media, Row, World},
};

/// Rows of one metric at most.
const MAX_ROWS: usize = 100;
/// Predicates of a query at most, all clauses together.
const MAX_PREDICATES: usize = 1_000;
/// The metric this sandbox observes.
const METRIC: &str = "oWaiting";

/// SDK model `QueueObservationQuery`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Query {
    filter: Filter,
    metrics: Vec<String>,
    #[serde(default)]
    detail_metrics: Vec<String>,
}

/// SDK model `QueueObservationQueryFilter`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(rename = "type")]
    join: Join,
    #[serde(default)]
    clauses: Vec<Clause>,
    #[serde(default)]
    predicates: Vec<Predicate>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Join {
    And,
    Or,
}

/// SDK model `QueueObservationQueryClause`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clause {
    #[serde(rename = "type")]
    join: Join,
    predicates: Vec<Predicate>,
}

/// SDK model `QueueObservationQueryPredicate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    #[serde(rename = "type", default)]
    #[expect(dead_code, reason = "the only kind with a meaning here is `dimension`")]
    kind: Option<Kind>,
    dimension: Dimension,
    #[serde(default)]
    operator: Operator,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    #[expect(dead_code, reason = "no dimension of this query takes a range")]
    range: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Dimension,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Dimension {
    MediaType,
    QueueId,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Operator {
    #[default]
    Matches,
    Exists,
    NotExists,
}

impl Join {
    fn of(self, mut parts: impl Iterator<Item = bool>) -> bool {
        match self {
            Self::And => parts.all(|part| part),
            Self::Or => parts.any(|part| part),
        }
    }
}

impl Predicate {
    fn holds(&self, queue: &str, media: Media) -> bool {
        let actual = match self.dimension {
            Dimension::MediaType => media.word(),
            Dimension::QueueId => queue,
        };
        match self.operator {
            Operator::Matches => {
                self.value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case(actual))
            }
            Operator::Exists => true,
            Operator::NotExists => false,
        }
    }
}

impl Filter {
    fn predicates(&self) -> impl Iterator<Item = &Predicate> {
        self.predicates.iter().chain(self.clauses.iter().flat_map(|clause| &clause.predicates))
    }

    fn holds(&self, queue: &str, media: Media) -> bool {
        let single = self.predicates.iter().map(|predicate| predicate.holds(queue, media));
        let grouped = self.clauses.iter().map(|clause| {
            clause.join.of(clause.predicates.iter().map(|predicate| predicate.holds(queue, media)))
        });
        self.join.of(single.chain(grouped))
    }

    /// The queues the query names, in order.
    fn queues(&self) -> Result<BTreeSet<Uuid>, ApiError> {
        let mut queues = BTreeSet::new();
        let named = self.predicates().filter(|it| it.dimension == Dimension::QueueId);
        for value in named.filter_map(|predicate| predicate.value.as_deref()) {
            let id = Uuid::try_parse(value).map_err(|_| {
                ApiError::bad("invalid.value", "A queueId in the filter is not a UUID.")
            })?;
            queues.insert(id);
        }
        if queues.is_empty() {
            let message = "The filter must name at least one queueId.";
            return Err(ApiError::bad("constraint.validation", message).at("filter"));
        }
        Ok(queues)
    }
}

/// SDK model `QueueObservationQueryResponse`.
#[derive(Debug, Serialize)]
struct Response<'a> {
    results: Vec<Group<'a>>,
}

/// SDK model `QueueObservationDataContainer`.
#[derive(Debug, Serialize)]
struct Group<'a> {
    group: GroupKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Vec<Data<'a>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupKey {
    queue_id: Uuid,
    media_type: &'static str,
}

/// SDK model `ObservationMetricData`.
#[derive(Debug, Serialize)]
struct Data<'a> {
    metric: &'static str,
    stats: Stats,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observations: Option<Vec<Observation<'a>>>,
}

#[derive(Debug, Serialize)]
struct Stats {
    count: usize,
}

/// SDK model `ObservationValue`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Observation<'a> {
    #[serde(rename = "observationDate")]
    since: Stamp,
    conversation_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Uuid>,
    requested_routing_skill_ids: &'a [Uuid],
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_language_id: Option<Uuid>,
    routing_priority: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant_name: Option<&'a str>,
    direction: &'static str,
    address_from: &'a str,
    address_to: &'a str,
    ani: &'a str,
    dnis: &'a str,
    requested_routings: [&'static str; 1],
}

pub(super) fn query(call: &mut Call<'_>) -> Result<Answer, ApiError> {
    let query: Query = call.body()?;
    if query.filter.predicates().count() > MAX_PREDICATES {
        let message = "The filter has too many predicates.";
        return Err(ApiError::bad("constraint.validation", message).at("filter"));
    }
    for metric in query.metrics.iter().chain(&query.detail_metrics) {
        if metric != METRIC {
            let message = "The sandbox observes oWaiting only.";
            return Err(ApiError::bad("invalid.value", message).at("metrics"));
        }
    }
    if query.metrics.is_empty() {
        let message = "metrics must not be empty.";
        return Err(ApiError::bad("constraint.validation", message).at("metrics"));
    }
    let detailed = !query.detail_metrics.is_empty();
    let world = &call.state.world;
    let mut results = Vec::new();
    for queue in query.filter.queues()?.into_iter().filter(|id| world.queue(*id).is_some()) {
        let text = queue.to_string();
        for media in Media::ALL.into_iter().filter(|media| query.filter.holds(&text, *media)) {
            let cap = if detailed { MAX_ROWS } else { 0 };
            let rows = world.waiting(queue, media, cap, call.now);
            let empty = (rows.count == 0).then_some(call.state.behaviour.empty_queue);
            let data = match empty {
                Some(EmptyQueue::Unmentioned) => continue,
                Some(EmptyQueue::WithoutData) => None,
                Some(EmptyQueue::WithoutMetric) => Some(Vec::new()),
                Some(EmptyQueue::Counted) | None => Some(vec![Data {
                    metric: METRIC,
                    stats: Stats { count: rows.count },
                    truncated: detailed.then_some(rows.truncated),
                    observations: detailed.then(|| observations(world, &rows.rows)),
                }]),
            };
            let group = GroupKey { queue_id: queue, media_type: media.word() };
            results.push(Group { group, data });
        }
    }
    Ok(Answer::json(&Response { results }))
}

fn observations<'a>(world: &'a World, rows: &[Row]) -> Vec<Observation<'a>> {
    rows.iter().filter_map(|row| observation(world, *row)).collect()
}

/// A row. The leg is the one that waited since then, so a stale row shows what it showed before.
fn observation(world: &World, row: Row) -> Option<Observation<'_>> {
    let conversation = world.conversation(row.conversation)?;
    let leg = conversation
        .participants
        .iter()
        .find(|leg| leg.queue.is_some() && leg.started == row.since && leg.routing.is_some())?;
    let routing = leg.routing.as_ref()?;
    let customer = conversation.participants.iter().find(|leg| leg.purpose.is_outside());
    Some(Observation {
        since: Stamp(row.since),
        conversation_id: row.conversation,
        session_id: leg.main_session().map(|session| session.id),
        requested_routing_skill_ids: &routing.skills,
        requested_language_id: routing.language,
        routing_priority: routing.priority,
        participant_name: customer.and_then(|leg| leg.name.as_deref()),
        direction: "inbound",
        address_from: &conversation.ani,
        address_to: &conversation.dnis,
        ani: &conversation.ani,
        dnis: &conversation.dnis,
        requested_routings: ["Standard"],
    })
}
