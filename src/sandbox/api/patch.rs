//! The two conversation-patch calls. No published SDK has them; their shape follows the
//! project's founding document, with a start time added.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Answer, ApiError, Call, conversations::find};
use crate::sandbox::{
    ledger::Effect,
    wire::Stamp,
    world::{Conversation, Refused},
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Communication {
    id: Uuid,
    state: &'static str,
    /// While queued the time of entry into the queue, else the conversation's start.
    start_time: Stamp,
    routing: Option<CommunicationRouting>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CommunicationRouting {
    queue_id: Uuid,
    priority: i64,
    skill_requirements: Vec<Uuid>,
}

impl Communication {
    fn new(conversation: &Conversation) -> Self {
        let waiting = conversation.waiting_leg();
        let since = waiting.map_or(conversation.started, |leg| leg.started);
        let leg = conversation
            .participants
            .iter()
            .rev()
            .find(|leg| leg.queue.is_some() && leg.routing.is_some());
        let routing = leg.and_then(|leg| {
            let (queue, routing) = (leg.queue.as_ref()?, leg.routing.as_ref()?);
            Some(CommunicationRouting {
                queue_id: queue.id,
                priority: routing.priority,
                skill_requirements: routing.skills.clone(),
            })
        });
        Self {
            id: conversation.id,
            state: conversation.summary(),
            start_time: Stamp(since),
            routing,
        }
    }
}

pub(super) fn read(call: &mut Call<'_>, id: Uuid) -> Result<Answer, ApiError> {
    Ok(Answer::json(&Communication::new(find(call, id)?)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchBody {
    routing: PatchRouting,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PatchRouting {
    queue_id: String,
    priority: i64,
    skill_requirements: Vec<Uuid>,
}

pub(super) fn apply(call: &mut Call<'_>, id: Uuid) -> Result<Answer, ApiError> {
    find(call, id)?;
    let PatchBody { routing } = call.body()?;
    let invalid_queue = || ApiError::bad("invalid.value", "Invalid Queue ID").at("routing.queueId");
    let queue = Uuid::try_parse(&routing.queue_id).map_err(|_| invalid_queue())?;
    if !(0..=100).contains(&routing.priority) {
        let message = "priority must lie between 0 and 100.";
        return Err(ApiError::bad("constraint.validation", message).at("routing.priority"));
    }
    if find(call, id)?.summary() == "completed" {
        return Err(conflict(&Refused::ConversationEnded));
    }
    let now = call.now;
    let skills = routing.skill_requirements;
    let moved = call.state.world.patch_move(id, queue, routing.priority, skills, now);
    let moved = moved.map_err(|refused| match refused {
        Refused::UnknownQueue => invalid_queue(),
        refused => conflict(&refused),
    })?;
    call.state.moved(&moved, call.seq, now);
    let answer = Answer::json(&Communication::new(find(call, id)?));
    Ok(Answer { effect: Effect::Applied, ..answer })
}

fn conflict(refused: &Refused) -> ApiError {
    ApiError::refused(refused, axum::http::StatusCode::CONFLICT)
}
