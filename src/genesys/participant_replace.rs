//! The default way to move a call: one leg of the conversation is replaced by a queue, then
//! priority, skills and language are set on the conversation.

use super::{
    call::Operation,
    upstream::{Upstream, json},
    wire::{self, Medium, Participant, Reference, same_conversation},
};
use crate::transfer::{
    clock_offset::ClockOffset,
    conversation::{Conversation, Leg, LegState, Purpose, Routing, Supervision},
    gateway::{CallContext, GatewayError, MoveCommand, RoutingChange, Sent, Tried},
    ids::ConversationId,
    model::{Priority, TransferType},
};

/// Reads a conversation.
pub(super) async fn conversation(
    upstream: &Upstream,
    ctx: &CallContext,
    id: ConversationId,
) -> Result<Conversation, GatewayError> {
    let request = upstream.request(ctx, Operation::GetConversation, &[id.uuid()]);
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
    let Some(participant) = command.participant_id else {
        let detail = "Genesys did not report the id needed to replace the leg".to_owned();
        return Sent::NotSent(GatewayError::Unreadable { detail, answer: None }).into();
    };
    let ids = [command.conversation_id.uuid(), participant.uuid()];
    let mut request = upstream.request(ctx, Operation::ReplaceWithQueue, &ids);
    request.body = match json(&wire::TransferToQueue {
        queue_id: command.queue.id.to_string(),
        transfer_type: transfer_type(command.transfer_type),
    }) {
        Ok(body) => body,
        Err(error) => return Sent::NotSent(error).into(),
    };
    upstream.command(request, attempt).await
}

/// Sets priority, skills and language.
pub(super) async fn set_routing(
    upstream: &Upstream,
    ctx: &CallContext,
    id: ConversationId,
    change: &RoutingChange,
) -> Result<(), GatewayError> {
    let skills = change.skill_ids.as_ref();
    let language = change.language_id.map(|id| id.to_string());
    // An empty text takes the language away.
    let language = language.or_else(|| change.clears_language.then(String::new));
    let mut request = upstream.request(ctx, Operation::SetRouting, &[id.uuid()]);
    request.body = json(&wire::RoutingAttributes {
        priority: change.priority.map(Priority::get),
        skill_ids: skills.map(|ids| ids.iter().map(ToString::to_string).collect()),
        language_id: language,
    })?;
    upstream.patch(request).await
}

/// The words of `TransferToQueueRequest`.
const fn transfer_type(kind: TransferType) -> &'static str {
    match kind {
        TransferType::Unattended => "Unattended",
        TransferType::Attended => "Attended",
    }
}

fn view(
    id: ConversationId,
    read: &wire::WireConversation<'_>,
) -> Result<Conversation, GatewayError> {
    same_conversation(id, &read.id)?;
    let participants = &read.participants.items;
    let legs: Vec<Leg> = participants.iter().map(leg).collect();
    let unread = read.participants.left_out > 0
        || participants.iter().zip(&legs).any(|(participant, leg)| is_unsure(participant, leg));
    let all_ended = !unread && !legs.is_empty() && legs.iter().all(Leg::is_ended);
    Ok(Conversation {
        id,
        ended: read.end_time.is_some() || all_ended,
        blocked: None,
        legs,
        unread,
        clock: ClockOffset::default(),
        recent_transfers: read.recent_transfers.items.iter().map(|t| t.id.to_string()).collect(),
        bulk: false,
    })
}

/// Whether a leg that may not have ended has no id, or perhaps another state than it shows.
fn is_unsure(participant: &Participant<'_>, leg: &Leg) -> bool {
    let is_through = matches!(leg.state, LegState::Connected | LegState::Held | LegState::Waiting);
    let may_be_more = participant.end_time.is_none() && participant.holds_unreadable();
    (may_be_more && !is_through) || (leg.participant_id.is_none() && !leg.is_ended())
}

fn leg(participant: &Participant<'_>) -> Leg {
    let purpose = Purpose::from(participant.purpose.as_deref().unwrap_or("unknown").to_owned());
    let (state, medium) = stand(participant, &purpose);
    let data = participant.conversation_routing_data.as_ref();
    let queue = participant.queue_id.as_deref();
    let queue = queue
        .or(participant.queue.as_ref().map(|queue| &*queue.id))
        .or_else(|| Some(&*data?.queue.as_ref()?.id));
    let since = participant.connected_time.as_deref();
    let since =
        since.or_else(|| medium?.connected_time.as_deref()).or(participant.start_time.as_deref());
    Leg {
        participant_id: participant.id.as_deref().and_then(|id| id.parse().ok()),
        disconnect_type: (state == LegState::Ended).then(|| disconnect_type(participant)).flatten(),
        purpose,
        state,
        supervision: supervision(participant),
        queue_id: queue.and_then(|id| id.parse().ok()),
        since: since.and_then(wire::timestamp),
        routing: data.map(routing).unwrap_or_default(),
    }
}

/// What a supervisor does. One who listened before barging in has barged in.
fn supervision(participant: &Participant<'_>) -> Option<Supervision> {
    let names = |id: &Option<wire::Text<'_>>| id.as_ref().is_some_and(|id| !id.is_empty());
    if names(&participant.barged_participant_id) {
        return Some(Supervision::BargedIn);
    }
    let listens =
        names(&participant.monitored_participant_id) || names(&participant.coached_participant_id);
    listens.then_some(Supervision::Listens)
}

/// How a participant stands: as the most alive of what it holds (an agent who consults holds two
/// calls).
fn stand<'a>(
    participant: &'a Participant<'a>,
    purpose: &Purpose,
) -> (LegState, Option<&'a Medium<'a>>) {
    if participant.end_time.is_some() {
        return (LegState::Ended, participant.media().next());
    }
    let stands = participant.media().map(|medium| (medium_state(medium, purpose), Some(medium)));
    stands
        .min_by_key(|(state, _)| liveliness(state))
        .unwrap_or_else(|| (LegState::Other("none".to_owned()), None))
}

fn medium_state(medium: &Medium<'_>, purpose: &Purpose) -> LegState {
    let word = medium.state.as_deref().unwrap_or("none");
    let is = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    if is(&["connected"]) {
        match medium.held {
            _ if *purpose == Purpose::Acd => LegState::Waiting,
            Some(true) => LegState::Held,
            _ => LegState::Connected,
        }
    } else if is(&["held"]) {
        LegState::Held
    } else if is(&["disconnected", "terminated"]) {
        LegState::Ended
    } else if is(&["alerting", "dialing", "contacting", "offering"]) {
        LegState::Ringing
    } else {
        // Never one of the words above, so that a transfer cannot take it for one.
        LegState::Other(word.to_ascii_lowercase())
    }
}

const fn liveliness(state: &LegState) -> u8 {
    match state {
        LegState::Connected | LegState::Waiting => 0,
        LegState::Held => 1,
        LegState::Ringing => 2,
        LegState::Other(_) => 3,
        LegState::Ended => 4,
    }
}

/// How it ended; a transfer among several calls is what tells.
fn disconnect_type(participant: &Participant<'_>) -> Option<String> {
    let mut words = participant.media().filter_map(|medium| medium.disconnect_type.as_deref());
    let first = words.next()?;
    let is_transfer = |word: &&str| word.starts_with("transfer");
    Some(std::iter::once(first).chain(words).find(is_transfer).unwrap_or(first).to_owned())
}

fn routing(data: &wire::RoutingData<'_>) -> Routing {
    fn id<T: std::str::FromStr>(reference: &Reference<'_>) -> Option<T> {
        reference.id.parse().ok()
    }
    Routing {
        priority: data.priority,
        skill_ids: data.skills.as_ref().map(|skills| skills.items.iter().filter_map(id).collect()),
        language_id: data.language.as_ref().and_then(id),
    }
}

#[cfg(test)]
mod tests;
