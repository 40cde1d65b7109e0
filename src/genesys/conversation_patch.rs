//! The other way to move a call: one `PATCH` on the conversation that carries queue, priority and
//! skills. It knows no legs; the conversation is shown to the domain as having one.

use super::{
    call::Operation,
    upstream::{Upstream, json},
    wire::{self, SkillRequirement, same_conversation},
};
use crate::{
    problem::{FieldError, UpstreamAnswer},
    transfer::{
        clock_offset::ClockOffset,
        conversation::{Conversation, Leg, LegState, Purpose, Routing},
        gateway::{CallContext, GatewayError, MoveCommand, RoutingChange, Sent, Tried},
        ids::{ConversationId, QueueId, SkillId},
        model::{Priority, Queue, TransferRequest, TransferType},
    },
};

/// The API's own scale.
const PRIORITIES: std::ops::RangeInclusive<i32> = 0..=100;
/// What is sent when nothing was asked for: the middle of the scale.
const USUAL_PRIORITY: i32 = 50;

/// Whether the API's scale has this priority.
pub(super) fn takes_priority(priority: Priority) -> bool {
    PRIORITIES.contains(&priority.get())
}

/// Fields that this API cannot carry.
pub(super) fn unsupported(request: &TransferRequest) -> Vec<FieldError> {
    let error = |pointer: &str, detail: &str| FieldError {
        pointer: pointer.to_owned(),
        detail: format!("{detail} (genesys.transfer_api = conversation-patch)"),
    };
    let mut errors = Vec::new();
    if request.language_id.is_some() {
        errors.push(error("/languageId", "a language cannot be set through this API"));
    }
    if request.participant_id.is_some() {
        errors.push(error("/participantId", "a leg cannot be named through this API"));
    }
    if request.transfer_type == TransferType::Attended {
        errors.push(error("/transferType", "this API supports only unattended transfers"));
    }
    if request.priority.is_some_and(|priority| !takes_priority(priority)) {
        errors.push(error("/priority", "this API supports priorities from 0 to 100"));
    }
    errors
}

/// Reads a conversation.
pub(super) async fn conversation(
    upstream: &Upstream,
    ctx: &CallContext,
    id: ConversationId,
) -> Result<Conversation, GatewayError> {
    let request = upstream.request(ctx, Operation::GetCommunication, &[id.uuid()]);
    let read = upstream.read(request, |text| Ok(view(id, &serde_json::from_str(text)?)));
    let (conversation, clock) = read.await?;
    Ok(Conversation { clock, ..conversation? })
}

/// Sends the command.
pub(super) async fn send(
    upstream: &Upstream,
    ctx: &CallContext,
    command: &MoveCommand,
    attempt: u32,
) -> Tried {
    let skills = command.routing.skill_ids.iter().flatten();
    let routing = wire::CommunicationTarget {
        queue_id: command.queue.id.to_string(),
        priority: command.routing.priority.map_or(USUAL_PRIORITY, Priority::get),
        skill_requirements: skills.map(ToString::to_string).collect(),
    };
    let ids = [command.conversation_id.uuid()];
    let mut request = upstream.request(ctx, Operation::PatchCommunication, &ids);
    request.body = match json(&wire::CommunicationPatch { routing }) {
        Ok(body) => body,
        Err(error) => return Sent::NotSent(error).into(),
    };
    upstream.command(request, attempt).await
}

/// Sets priority and skills of a waiting conversation. The only call that can do so also moves,
/// so it is sent as a command for the queue the conversation waits in, and once.
pub(super) async fn set_routing(
    upstream: &Upstream,
    ctx: &CallContext,
    id: ConversationId,
    change: &RoutingChange,
) -> Result<(), GatewayError> {
    let now = conversation(upstream, ctx, id).await?;
    let Some((queue_id, routing)) = waiting_in(&now) else {
        return Err(GatewayError::Conflict(UpstreamAnswer {
            status: 409,
            message: Some("the conversation does not wait in a queue".to_owned()),
            ..Default::default()
        }));
    };
    let priority = routing.priority.map(Priority::saturating).filter(|p| takes_priority(*p));
    let command = MoveCommand {
        conversation_id: id,
        participant_id: None,
        queue: Queue { id: queue_id, name: String::new(), division: None },
        transfer_type: TransferType::Unattended,
        routing: RoutingChange {
            priority: change.priority.or(priority),
            skill_ids: change.skill_ids.clone().or(routing.skill_ids),
            ..RoutingChange::default()
        },
    };
    let unreadable = |detail, answer| Err(GatewayError::Unreadable { detail, answer });
    match send(upstream, ctx, &command, 1).await.sent {
        Sent::Taken(_) => Ok(()),
        Sent::NotSent(error) | Sent::Refused(error) => Err(error),
        Sent::Finished(answer) => Err(GatewayError::Failed(answer)),
        Sent::Uncertain { detail, answer } => unreadable(detail, answer),
        Sent::Abandoned(problem) => unreadable(problem.detail, None),
    }
}

fn waiting_in(conversation: &Conversation) -> Option<(QueueId, Routing)> {
    let leg = conversation.legs.iter().find(|leg| leg.state == LegState::Waiting)?;
    Some((leg.queue_id?, leg.routing.clone()))
}

fn view(id: ConversationId, read: &wire::Communication<'_>) -> Result<Conversation, GatewayError> {
    same_conversation(id, &read.id)?;
    let skills = read.routing.as_ref().and_then(|routing| routing.skill_requirements.as_ref());
    if skills.is_some_and(|skills| skills.left_out > 0) {
        // The command carries them all: it would take away the one that cannot be read.
        let detail = "a skill of the conversation cannot be read".to_owned();
        return Err(GatewayError::Unreadable { detail, answer: None });
    }
    let word = read.state.trim().to_ascii_lowercase();
    let (purpose, state) = match word.as_str() {
        "queued" => (Purpose::Acd, LegState::Waiting),
        "connected" => (Purpose::Agent, LegState::Connected),
        "held" => (Purpose::Agent, LegState::Held),
        "ringing" | "alerting" | "dialing" | "contacting" | "offering" => {
            (Purpose::Agent, LegState::Ringing)
        }
        "completed" | "disconnected" | "terminated" => (Purpose::Agent, LegState::Ended),
        // `busy`, `no-answer`, `declined`, and words not known today: none of them may move.
        _ => (Purpose::Agent, LegState::Other(word.clone())),
    };
    let blocked = matches!(state, LegState::Other(_)).then_some(word);
    let leg = leg(read, purpose, state);
    Ok(Conversation {
        id,
        ended: leg.is_ended(),
        blocked,
        legs: vec![leg],
        unread: false,
        clock: ClockOffset::default(),
        recent_transfers: Vec::new(),
        bulk: false,
    })
}

fn leg(read: &wire::Communication<'_>, purpose: Purpose, state: LegState) -> Leg {
    let routing = read.routing.as_ref();
    let skills = routing.and_then(|routing| routing.skill_requirements.as_ref());
    let since = read.start_time.as_deref().or(read.connected_time.as_deref());
    Leg {
        participant_id: None,
        purpose,
        state,
        supervision: None,
        queue_id: routing.and_then(|r| r.queue_id.as_deref()).and_then(|id| id.parse().ok()),
        since: since.and_then(wire::timestamp),
        disconnect_type: None,
        routing: Routing {
            priority: routing.and_then(|routing| routing.priority),
            skill_ids: skills.map(|list| list.items.iter().filter_map(skill_id).collect()),
            language_id: None,
        },
    }
}

fn skill_id(skill: &SkillRequirement<'_>) -> Option<SkillId> {
    match skill {
        SkillRequirement::Id(id) => id.parse().ok(),
        SkillRequirement::Reference(reference) => reference.id.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
