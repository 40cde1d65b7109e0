//! The queues, what waits in them, and the contact-centre settings.

use std::collections::{BTreeSet, HashMap};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ApiError, ApiResult, model, read};
use crate::sandbox::{
    handler::Context,
    state::EmptyQueue,
    wire,
    world::{
        MediaType, WaitingRow, World, WorldConversation, WorldError, WorldQueue,
        model::{LegRouting, WorldLeg},
        name_fits,
    },
};

/// Page size when none is asked for.
const USUAL_PAGE: usize = 25;
/// Rows of one metric at most.
const MAX_ROWS: usize = 100;
/// Predicates of a query at most, all clauses together.
const MAX_PREDICATES: usize = 1_000;
/// The metric that has rows.
const WAITING: &str = "oWaiting";
/// The other metrics of calls.
const INTERACTING: &str = "oInteracting";
const LONGEST: &str = "oLongestWaiting";
/// The metrics of agents.
const ON_QUEUE: &str = "oOnQueueUsers";
const STATUSES: &str = "oUserRoutingStatuses";

/// `GET /api/v2/routing/queues`, SDK model `QueueEntityListing`.
pub fn page(context: &mut Context<'_>, (): ()) -> ApiResult {
    let number = positive(context, "pageNumber", 1)?;
    let largest = usize::try_from(context.state.behaviour.max_page_size).unwrap_or(1).max(1);
    let size = positive(context, "pageSize", USUAL_PAGE)?.min(largest);
    let descending = match context.parameter("sortOrder").as_deref() {
        None | Some("" | "asc" | "ascending") => false,
        Some("desc" | "descending") => true,
        Some(_) => return Err(ApiError::bad("invalid.value", "sortOrder: asc or desc")),
    };
    let name = context.parameter("name").filter(|name| !name.is_empty());
    let (ids, divisions) = (list(context, "id"), list(context, "divisionId"));
    let among = |list: &[String], id: Uuid| list.is_empty() || list.contains(&id.to_string());
    let fits = |queue: &&WorldQueue| {
        name.as_deref().is_none_or(|name| name_fits(name, &queue.name))
            && among(&ids, queue.id)
            && among(&divisions, queue.division.id)
    };
    let world = &context.state.world;
    let mut found: Vec<&WorldQueue> = world.queues().filter(fits).collect();
    if descending {
        found.reverse();
    }
    let (from, total) = (number.saturating_sub(1).saturating_mul(size), found.len());
    let page_count = total.div_ceil(size);
    let uri = |page: usize| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("pageSize", &size.to_string());
        query.append_pair("pageNumber", &page.to_string());
        if let Some(name) = &name {
            query.append_pair("name", name);
        }
        format!("/api/v2/routing/queues?{}", query.finish())
    };
    Ok(model(json!({
        "entities": found.into_iter().skip(from).take(size).map(wire::queue).collect::<Value>(),
        "pageSize": size,
        "pageNumber": number,
        "total": total,
        "pageCount": page_count,
        "firstUri": uri(1),
        "lastUri": uri(page_count.max(1)),
        "selfUri": uri(number),
        "nextUri": (number < page_count).then(|| uri(number.saturating_add(1))),
        "previousUri": (number > 1).then(|| uri(number - 1)),
    })))
}

/// The values of a parameter that may be given several times, or as a list with commas.
pub(super) fn list(context: &Context<'_>, name: &str) -> Vec<String> {
    let values = context.query().filter(|(key, _)| key == name);
    values
        .flat_map(|(_, text)| text.split(',').map(str::to_lowercase).collect::<Vec<_>>())
        .collect()
}

pub(super) fn positive(
    context: &Context<'_>,
    name: &'static str,
    usual: usize,
) -> Result<usize, ApiError> {
    let Some(text) = context.parameter(name) else { return Ok(usual) };
    let number = text.parse::<usize>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        ApiError::bad("invalid.value", format!("{name} must be a whole number above 0.")).at(name)
    })
}

/// `GET /api/v2/routing/queues/{id}`
pub fn one(context: &mut Context<'_>, id: Uuid) -> ApiResult {
    let queue = context.state.world.queue(id).ok_or_else(|| {
        let text = WorldError::UnknownQueue.to_string();
        ApiError::new(StatusCode::NOT_FOUND, "not.found", text)
    })?;
    Ok(model(wire::queue(queue)))
}

/// `GET /api/v2/routing/settings/contactcenter`
#[expect(clippy::unnecessary_wraps, reason = "it is what handlers return")]
pub fn contact_center(context: &mut Context<'_>, (): ()) -> ApiResult {
    let strips = context.state.behaviour.remove_skills_from_blind_transfer;
    Ok(model(json!({"removeSkillsFromBlindTransfer": strips})))
}

/// SDK model `QueueObservationQuery`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ObservationQuery {
    filter: ObservationFilter,
    metrics: Vec<String>,
    #[serde(default)]
    detail_metrics: Vec<String>,
}

/// SDK models `QueueObservationQueryFilter` and `ConversationActivityQueryFilter`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObservationFilter {
    #[serde(rename = "type")]
    join: ClauseJoin,
    #[serde(default)]
    clauses: Vec<ObservationClause>,
    #[serde(default)]
    predicates: Vec<ObservationPredicate>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClauseJoin {
    And,
    Or,
}

/// SDK model `QueueObservationQueryClause`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObservationClause {
    #[serde(rename = "type")]
    join: ClauseJoin,
    predicates: Vec<ObservationPredicate>,
}

/// SDK model `QueueObservationQueryPredicate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObservationPredicate {
    #[serde(rename = "type")]
    _kind: Option<PredicateKind>,
    dimension: ObservationDimension,
    #[serde(default)]
    operator: PredicateOperator,
    value: Option<String>,
    /// No dimension of this query takes one.
    #[serde(rename = "range")]
    _range: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum PredicateKind {
    Dimension,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ObservationDimension {
    MediaType,
    QueueId,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum PredicateOperator {
    #[default]
    Matches,
    Exists,
    NotExists,
}

impl ClauseJoin {
    fn of(self, mut parts: impl Iterator<Item = bool>) -> bool {
        match self {
            Self::And => parts.all(|part| part),
            Self::Or => parts.any(|part| part),
        }
    }
}

impl ObservationPredicate {
    fn holds(&self, queue: &str, media: Option<MediaType>) -> bool {
        let value = self.value.as_deref().map(str::to_ascii_lowercase);
        match self.operator {
            PredicateOperator::Matches => value.is_some_and(|value| match self.dimension {
                ObservationDimension::MediaType => media.is_some_and(|it| json!(it) == value),
                ObservationDimension::QueueId => value == queue,
            }),
            PredicateOperator::Exists => self.is_there(media),
            PredicateOperator::NotExists => !self.is_there(media),
        }
    }

    fn is_there(&self, media: Option<MediaType>) -> bool {
        self.dimension == ObservationDimension::QueueId || media.is_some()
    }
}

impl ObservationFilter {
    fn predicates(&self) -> impl Iterator<Item = &ObservationPredicate> {
        self.predicates.iter().chain(self.clauses.iter().flat_map(|clause| &clause.predicates))
    }

    /// Whether a group of that queue and medium fits; the metrics of agents have no medium.
    pub(super) fn holds(&self, queue: &str, media: Option<MediaType>) -> bool {
        let single = self.predicates.iter().map(|predicate| predicate.holds(queue, media));
        let grouped = self.clauses.iter().map(|clause| {
            clause.join.of(clause.predicates.iter().map(|predicate| predicate.holds(queue, media)))
        });
        self.join.of(single.chain(grouped))
    }

    /// The queues the query names, in order.
    pub(super) fn queues(&self) -> Result<BTreeSet<Uuid>, ApiError> {
        let mut queues = BTreeSet::new();
        let named = self.predicates().filter(|it| it.dimension == ObservationDimension::QueueId);
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
pub fn observations(context: &mut Context<'_>, (): ()) -> ApiResult {
    let query: ObservationQuery = read(context)?;
    if query.filter.predicates().count() > MAX_PREDICATES {
        let message = "The filter has too many predicates.";
        return Err(ApiError::bad("constraint.validation", message).at("filter"));
    }
    let known = [WAITING, INTERACTING, LONGEST, ON_QUEUE, STATUSES];
    let fits = query.metrics.iter().all(|metric| known.contains(&metric.as_str()))
        && query.detail_metrics.iter().all(|metric| metric == WAITING);
    if !fits {
        let message = "The sandbox does not observe one of these metrics.";
        return Err(ApiError::bad("invalid.value", message).at("metrics"));
    }
    if query.metrics.is_empty() {
        let message = "metrics must not be empty.";
        return Err(ApiError::bad("constraint.validation", message).at("metrics"));
    }
    let world = &context.state.world;
    let asks = |metric: &str| query.metrics.iter().any(|asked| asked == metric);
    let busy = if asks(INTERACTING) || asks(ON_QUEUE) || asks(STATUSES) {
        interacting(world)
    } else {
        HashMap::new()
    };
    let mut results = Vec::new();
    for queue in query.filter.queues()?.into_iter().filter_map(|id| world.queue(id)) {
        let text = queue.id.to_string();
        for media in MediaType::ALL {
            if query.filter.holds(&text, Some(media))
                && let Some(data) = of_calls(context, &query, (queue.id, media), &busy)
            {
                let group = json!({"queueId": queue.id, "mediaType": media});
                results.push(json!({"group": group, "data": data}));
            }
        }
        let agents = of_agents(queue, busy.get(&(queue.id, MediaType::Voice)).copied());
        let agents = agents.into_iter().filter(|data| data["metric"].as_str().is_some_and(asks));
        let agents: Vec<Value> = agents.collect();
        if query.filter.holds(&text, None) && !agents.is_empty() {
            results.push(json!({"group": {"queueId": queue.id}, "data": agents}));
        }
    }
    Ok(model(json!({"results": results})))
}

/// Conversations with an agent of a queue.
fn interacting(world: &World) -> HashMap<(Uuid, MediaType), u32> {
    let mut busy = HashMap::new();
    for conversation in world.conversations().filter(|it| it.ended.is_none()) {
        let agents = conversation.participants.iter();
        let mut agent = agents.filter(|leg| leg.is_agent() && leg.is_connected());
        if let Some(queue) = agent.find_map(WorldLeg::queue_id) {
            *busy.entry((queue, conversation.media)).or_default() += 1;
        }
    }
    busy
}

/// The metrics of one queue and medium; `Null` for none, `None` for no group.
fn of_calls(
    context: &Context<'_>,
    query: &ObservationQuery,
    (queue, media): (Uuid, MediaType),
    busy: &HashMap<(Uuid, MediaType), u32>,
) -> Option<Value> {
    let detailed = !query.detail_metrics.is_empty();
    let cap = if detailed { MAX_ROWS } else { 1 };
    let world = &context.state.world;
    let rows = world.waiting(queue, media, cap, context.now);
    let empty = (rows.count == 0).then_some(context.state.behaviour.empty_queue);
    let mut data = Vec::new();
    for metric in &query.metrics {
        data.extend(match (metric.as_str(), empty) {
            (WAITING, Some(EmptyQueue::Unmentioned)) => return None,
            (WAITING, Some(EmptyQueue::WithoutData)) => return Some(Value::Null),
            (WAITING, None | Some(EmptyQueue::Counted)) => Some(json!({
                "metric": WAITING,
                "stats": {"count": rows.count},
                "truncated": detailed.then_some(rows.truncated),
                "observations": detailed.then(|| {
                    rows.rows.iter().filter_map(|row| observation(world, *row)).collect::<Value>()
                }),
            })),
            (INTERACTING, _) => {
                let count = busy.get(&(queue, media)).copied().unwrap_or(0);
                Some(json!({"metric": INTERACTING, "stats": {"count": count}}))
            }
            (LONGEST, _) => rows.rows.first().map(|oldest| {
                let since = oldest.since.as_millisecond();
                json!({"metric": LONGEST, "stats": {"calculatedMetricValue": since}})
            }),
            _ => None,
        });
    }
    Some(Value::Array(data))
}

/// What the agents of a queue do; nothing of a queue without agents.
fn of_agents(queue: &WorldQueue, talking: Option<u32>) -> Vec<Value> {
    let talking = talking.unwrap_or(0).min(queue.joined_count);
    let off = queue.member_count.saturating_sub(queue.joined_count);
    let statuses = [
        ("IDLE", queue.joined_count.saturating_sub(talking)),
        ("INTERACTING", talking),
        ("OFF_QUEUE", off),
    ];
    let told = statuses.into_iter().filter(|(_, count)| *count > 0);
    let data = |metric: &str, status: &str, count: u32| json!({"metric": metric, "qualifier": status, "stats": {"count": count}});
    told.flat_map(|(status, count)| {
        let on = (status != "OFF_QUEUE").then(|| data(ON_QUEUE, status, count));
        on.into_iter().chain([data(STATUSES, status, count)])
    })
    .collect()
}

/// What waits there: the leg is the one that waited since then, so a stale row shows what it showed
/// before.
pub(super) fn waited(
    world: &World,
    row: WaitingRow,
) -> Option<(&WorldConversation, &WorldLeg, &LegRouting)> {
    let conversation = world.conversation(row.conversation)?;
    let waited = |leg: &&WorldLeg| leg.queue.is_some() && leg.started == row.since;
    let mut legs = conversation.participants.iter().filter(waited);
    let (leg, routing) = legs.find_map(|leg| Some((leg, leg.routing.as_ref()?)))?;
    Some((conversation, leg, routing))
}

fn observation(world: &World, row: WaitingRow) -> Option<Value> {
    let (conversation, leg, routing) = waited(world, row)?;
    Some(wire::observation(conversation, leg, routing))
}
