//! The forms of a conversation, and the commands that move it and set its place in a queue.

use std::time::Duration;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use uuid::Uuid;

use super::{ApiError, ApiResult, forbidden, model, read};
use crate::sandbox::{
    handler::{Context, json},
    ledger::Effect,
    wire,
    world::{
        MediaType, Move, QueueChoice, RoutingEdit, TransferKind, WorldConversation, WorldError,
    },
};

/// Highest priority, up and down (SDK, `RoutingConversationAttributesRequest.priority`).
const MAX_PRIORITY: i64 = 25_000_000;

fn find<'a>(context: &'a Context<'_>, id: Uuid) -> Result<&'a WorldConversation, ApiError> {
    let found = context.state.world.conversation(id);
    found.ok_or_else(|| forbidden(context, &WorldError::UnknownConversation))
}

/// `GET /api/v2/conversations/{id}`
pub fn whole(context: &mut Context<'_>, id: Uuid) -> ApiResult {
    Ok(model(wire::conversation(find(context, id)?)))
}

/// `GET /api/v2/conversations/calls/{id}`
pub fn calls(context: &mut Context<'_>, id: Uuid) -> ApiResult {
    let conversation = find(context, id)?;
    if conversation.media != MediaType::Voice {
        return Err(forbidden(context, &WorldError::UnknownConversation));
    }
    Ok(model(wire::call_conversation(conversation)))
}

/// SDK model `TransferToQueueRequest`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TransferToQueueRequest {
    queue_id: Option<String>,
    queue_name: Option<String>,
    transfer_type: Option<TransferKind>,
    /// Only internal messages have a use for it.
    #[serde(rename = "keepInternalMessageAlive")]
    _keep_alive: Option<bool>,
}

impl TransferToQueueRequest {
    fn target(self) -> Result<QueueChoice, ApiError> {
        match (self.queue_id, self.queue_name) {
            (Some(id), _) => Uuid::try_parse(&id).map(QueueChoice::Id).map_err(|_| {
                ApiError::bad("invalid.value", "queueId is not a UUID.").at("queueId")
            }),
            (None, Some(name)) => Ok(QueueChoice::Name(name)),
            (None, None) => {
                let message = "One of queueId and queueName is needed.";
                Err(ApiError::bad("constraint.validation", message).at("queueId"))
            }
        }
    }
}

/// `POST /api/v2/conversations/{id}/participants/{leg}/replace/queue`
pub fn replace(context: &mut Context<'_>, (id, leg): (Uuid, Uuid)) -> ApiResult {
    let body: TransferToQueueRequest = read(context)?;
    let kind = body.transfer_type.unwrap_or_default();
    let target = body.target()?;
    let planned = context.state.world.plan_replace(id, leg, &target, kind, context.now);
    let order = planned.map_err(|error| forbidden(context, &error))?;
    let delay = context.state.behaviour.effect_delay_ms;
    if context.tag.at_once || delay == 0 {
        context.state.apply(&order, context.tag.seq, context.now);
    } else {
        context.note(Effect::Pending);
        let (epoch, delay) = (context.state.epoch, Duration::from_millis(delay));
        context.core.apply_later(order, context.tag.seq, epoch, delay);
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// SDK model `RoutingConversationAttributesRequest`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RoutingAttributesRequest {
    priority: Option<i64>,
    skill_ids: Option<Vec<Uuid>>,
    skill_expression: Option<String>,
    language_id: Option<Clearable>,
    label_id: Option<Clearable>,
    /// Scored agents do not take part here.
    #[serde(rename = "requestScoredAgents")]
    _scored_agents: Option<Vec<Value>>,
}

/// An id, or the empty text that clears it.
struct Clearable(Option<Uuid>);

impl<'de> Deserialize<'de> for Clearable {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        let id = Uuid::try_parse(&text);
        id.map(|id| Self(Some(id))).map_err(|_| D::Error::custom("an id is not a UUID"))
    }
}

/// `PATCH /api/v2/routing/conversations/{id}`
pub fn set_routing(context: &mut Context<'_>, id: Uuid) -> ApiResult {
    let body: RoutingAttributesRequest = read(context)?;
    let scale = -MAX_PRIORITY..=MAX_PRIORITY;
    if body.priority.is_some_and(|priority| !scale.contains(&priority)) {
        let message = "priority must lie between -25000000 and 25000000.";
        return Err(ApiError::bad("constraint.validation", message).at("priority"));
    }
    let edit = RoutingEdit {
        priority: body.priority,
        skills: body.skill_ids,
        language: body.language_id.map(|Clearable(id)| id),
        label: body.label_id.map(|Clearable(id)| id),
        skill_expression: body.skill_expression.map(|text| Some(text).filter(|it| !it.is_empty())),
    };
    let set = context.state.world.set_routing(id, edit, context.now);
    let routing = set.map_err(|error| forbidden(context, &error))?;
    context.note(Effect::Applied);
    Ok(model(wire::routing_attributes(&routing)))
}

fn shown(context: &Context<'_>, id: Uuid) -> Result<Response, ApiError> {
    Ok(json(&wire::communication(find(context, id)?)))
}

/// `GET /api/v2/communications/conversations/{id}`
pub fn communication(context: &mut Context<'_>, id: Uuid) -> ApiResult {
    shown(context, id)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommunicationRequest {
    routing: CommunicationPlace,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CommunicationPlace {
    queue_id: String,
    priority: i64,
    skill_requirements: Vec<Uuid>,
}

/// `PATCH /api/v2/communications/conversations/{id}`
pub fn move_communication(context: &mut Context<'_>, id: Uuid) -> ApiResult {
    find(context, id)?;
    let CommunicationRequest { routing } = read(context)?;
    let invalid_queue = || ApiError::bad("invalid.value", "Invalid Queue ID").at("routing.queueId");
    let conflict = |error: &WorldError| ApiError::world(error, StatusCode::CONFLICT);
    let queue = Uuid::try_parse(&routing.queue_id).map_err(|_| invalid_queue())?;
    if !(0..=100).contains(&routing.priority) {
        let message = "priority must lie between 0 and 100.";
        return Err(ApiError::bad("constraint.validation", message).at("routing.priority"));
    }
    if find(context, id)?.summary() == "completed" {
        return Err(conflict(&WorldError::ConversationEnded));
    }
    let (now, skills) = (context.now, routing.skill_requirements);
    let moved = context.state.world.patch_move(id, queue, routing.priority, skills, now);
    let moved = moved.map_err(|error| match error {
        WorldError::UnknownQueue => invalid_queue(),
        error => conflict(&error),
    })?;
    context.state.ledger.moved(Move { request: context.tag.seq, ..moved });
    context.note(Effect::Applied);
    shown(context, id)
}
