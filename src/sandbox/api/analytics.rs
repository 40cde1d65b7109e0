//! Analytics of many conversations at once: who waits, page by page, and the legs of a hundred.
//! Also what an organisation may ask for.

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ApiError, ApiResult, model,
    queues::{ObservationFilter, list, positive},
    read,
};
use crate::sandbox::{
    handler::Context,
    wire,
    world::{MediaType, WaitingRow, WorldError, before},
};

/// Conversations of one request for details at most.
const MAX_IDS: usize = 100;
/// Page size when none is asked for.
const USUAL_PAGE: usize = 25;
/// The metric and the grouping that the activity query knows here.
const METRIC: &str = "oWaiting";
const GROUPING: [&str; 2] = ["conversationId", "queueId"];

/// SDK model `ConversationActivityQuery`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ActivityQuery {
    metrics: Vec<ActivityMetric>,
    group_by: Vec<String>,
    filter: ObservationFilter,
    #[serde(default)]
    order: SortOrder,
}

/// SDK model `ConversationActivityQueryMetric`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActivityMetric {
    metric: String,
    #[serde(default)]
    details: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SortOrder {
    #[default]
    Asc,
    Desc,
}

/// `POST /api/v2/analytics/conversations/activity/query`, SDK model
/// `ConversationActivityResponse`.
pub fn activity(context: &mut Context<'_>, (): ()) -> ApiResult {
    let query: ActivityQuery = read(context)?;
    let number = positive(context, "pageNumber", 1)?;
    let largest = usize::try_from(context.state.behaviour.max_page_size).unwrap_or(1).max(1);
    let size = positive(context, "pageSize", USUAL_PAGE)?.min(largest);
    let [metric] = query.metrics.as_slice() else {
        return Err(ApiError::bad("invalid.value", "One metric is needed.").at("metrics"));
    };
    if metric.metric != METRIC {
        let message = "The activity query of the sandbox knows oWaiting only.";
        return Err(ApiError::bad("invalid.value", message).at("metrics"));
    }
    if query.group_by != GROUPING {
        let message = "The sandbox groups by conversationId and queueId.";
        return Err(ApiError::bad("invalid.value", message).at("groupBy"));
    }
    let world = &context.state.world;
    let mut rows: Vec<(WaitingRow, Uuid, MediaType)> = Vec::new();
    for queue in query.filter.queues()? {
        let text = queue.to_string();
        for media in MediaType::ALL.into_iter().filter(|it| query.filter.holds(&text, Some(*it))) {
            let waiting = world.waiting(queue, media, usize::MAX, context.now).rows;
            rows.extend(waiting.into_iter().map(|row| (row, queue, media)));
        }
    }
    rows.sort_unstable_by_key(|(row, ..)| *row);
    if query.order == SortOrder::Desc {
        rows.reverse();
    }
    let from = (number - 1).saturating_mul(size);
    let group = |(row, queue, media): (WaitingRow, Uuid, MediaType)| {
        let (conversation, leg, routing) = super::queues::waited(world, row)?;
        let entity = wire::activity(conversation, leg, routing, (queue, media));
        Some(json!({
            "group": {"conversationId": row.conversation, "queueId": queue},
            "data": [{"metric": METRIC, "count": 1}],
            "truncated": false,
            "entities": metric.details.then_some([entity]),
        }))
    };
    Ok(model(json!({
        "results": rows.into_iter().skip(from).take(size).filter_map(group).collect::<Value>(),
        "entityIdDimension": "conversationId",
    })))
}

/// `GET /api/v2/analytics/conversations/details`, SDK model
/// `AnalyticsConversationWithoutAttributesMultiGetResponse`: as things were some time ago.
pub fn details(context: &mut Context<'_>, (): ()) -> ApiResult {
    let ids = list(context, "id");
    if !(1..=MAX_IDS).contains(&ids.len()) {
        return Err(ApiError::bad("constraint.validation", "id: 1 to 100 conversations").at("id"));
    }
    let ids: Result<Vec<Uuid>, _> = ids.iter().map(|id| Uuid::try_parse(id)).collect();
    let ids = ids.map_err(|_| ApiError::bad("invalid.value", "id: not a UUID").at("id"))?;
    let (world, behaviour) = (&context.state.world, &context.state.behaviour);
    let lag = i64::try_from(behaviour.details_lag_ms).unwrap_or(i64::MAX);
    let at = before(context.now, SignedDuration::from_millis(lag));
    let every = behaviour.details_missing_every;
    let is_told = |place: &usize| every == 0 || !(*place as u64 + 1).is_multiple_of(every);
    let told = ids.iter().enumerate().filter(|(place, _)| is_told(place));
    let told = told.filter_map(|(_, id)| world.conversation(*id));
    let told = told.filter(|it| it.started <= at).map(|it| wire::details(it, at));
    Ok(model(json!({"conversations": told.collect::<Value>()})))
}

/// Seconds that a call takes, for the estimate.
const TALK: usize = 180;

/// `GET /api/v2/routing/queues/{id}/mediatypes/call/estimatedwaittime`, SDK model
/// `EstimatedWaitTimePredictions`: none where no agent is on queue.
pub fn estimated_wait(context: &mut Context<'_>, id: Uuid) -> ApiResult {
    let world = &context.state.world;
    let queue = world.queue(id).ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, "not.found", WorldError::UnknownQueue.to_string())
    })?;
    let agents = usize::try_from(queue.joined_count).unwrap_or(usize::MAX);
    let seconds = (world.really_waiting(id, MediaType::Voice) * TALK).checked_div(agents);
    let results = seconds.map(|seconds| {
        json!({"intent": "CALL", "formula": "SIMPLE", "estimatedWaitTimeSeconds": seconds})
    });
    Ok(model(json!({"results": results.into_iter().collect::<Value>()})))
}

/// `GET /api/v2/organizations/limits/namespaces/platform.api`, SDK model `LimitsEntityListing`.
#[expect(clippy::unnecessary_wraps, reason = "it is what handlers return")]
pub fn limits(context: &mut Context<'_>, (): ()) -> ApiResult {
    let limit =
        |key: &str, value: u32| json!({"namespace": "platform.api", "key": key, "value": value});
    let per_minute = context.state.behaviour.requests_per_minute;
    Ok(model(json!({"entities": [
        limit("client.credentials.token.rate.per.minute", per_minute),
        limit("client.credentials.token.max", 100),
    ]})))
}
