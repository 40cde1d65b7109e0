//! `PATCH /api/v2/routing/conversations/{id}`.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value;
use uuid::Uuid;

use super::{Answer, ApiError, Call};
use crate::sandbox::{
    ledger::Effect,
    wire::EntityRef,
    world::{RoutingEdit, model::Routing},
};

/// Highest priority, up and down (SDK, `RoutingConversationAttributesRequest.priority`).
const MAX_PRIORITY: i64 = 25_000_000;

/// SDK model `RoutingConversationAttributesRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttributesRequest {
    priority: Option<i64>,
    skill_ids: Option<Vec<Uuid>>,
    skill_expression: Option<String>,
    language_id: Option<Clearable>,
    label_id: Option<Clearable>,
    #[expect(dead_code, reason = "scored agents do not take part here; it must be a list")]
    request_scored_agents: Option<Vec<Value>>,
}

/// An id, or the empty text that clears it.
#[derive(Debug)]
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

/// SDK model `RoutingConversationAttributesResponse`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AttributesResponse {
    priority: i64,
    skills: Vec<EntityRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<EntityRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<EntityRef>,
    scored_agents: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    skill_expression: Option<String>,
}

impl AttributesResponse {
    fn new(routing: Routing) -> Self {
        Self {
            priority: routing.priority,
            skills: routing.skills.into_iter().map(EntityRef::skill).collect(),
            language: routing.language.map(EntityRef::language),
            label: routing.label.map(EntityRef::label),
            scored_agents: [],
            skill_expression: routing.skill_expression,
        }
    }
}

pub(super) fn patch(call: &mut Call<'_>, id: Uuid) -> Result<Answer, ApiError> {
    let body: AttributesRequest = call.body()?;
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
    let now = call.now;
    let routing =
        call.state.world.set_routing(id, edit, now).map_err(|refused| call.refused(&refused))?;
    let answer = Answer::json(&AttributesResponse::new(routing));
    Ok(Answer { effect: Effect::Applied, ..answer })
}
