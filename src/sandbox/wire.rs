//! The JSON of the answers, member by member as the SDK's models spell it (269.0.0). Written
//! apart from the gateway's own shapes on purpose: the two must not share a misspelt member.
//! Members that are absent are `null` here and left out by [`without_nulls`].

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

mod analytics;

pub use analytics::{activity, details, observation};

use super::world::{
    Division, MediaType, SupervisorMode, WorldConversation, WorldQueue,
    model::{LegRouting, LegSession, RecentTransfer, WorldLeg},
};

/// A time with milliseconds, as Genesys writes it.
pub fn time(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The value without members that are `null`, at any depth.
pub fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.into_iter().filter(|(_, value)| !value.is_null());
            present.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// `more` added to `members`; where both have a member, `more` wins.
fn with(mut members: Value, more: Value) -> Value {
    if let (Value::Object(members), Value::Object(more)) = (&mut members, more) {
        members.extend(more);
    }
    members
}

/// A link to something under `/api/v2/`.
pub fn link(what: &str, id: Uuid) -> Value {
    json!({"id": id, "selfUri": format!("/api/v2/{what}/{id}")})
}

fn division_link(division: &Division) -> Value {
    with(link("authorization/divisions", division.id), json!({"name": division.name}))
}

/// SDK model `Queue`.
pub fn queue(queue: &WorldQueue) -> Value {
    json!({
        "id": queue.id,
        "name": queue.name,
        "division": division_link(&queue.division),
        "dateCreated": time(queue.created),
        "dateModified": time(queue.modified),
        "memberCount": queue.member_count,
        "userMemberCount": queue.member_count,
        "joinedMemberCount": queue.joined_count,
        "scoringMethod": "TimestampAndPriority",
        "skillEvaluationMethod": "ALL",
        "autoAnswerOnly": false,
        "enableTranscription": false,
        "enableManualAssignment": false,
        "selfUri": format!("/api/v2/routing/queues/{}", queue.id),
    })
}

/// SDK model `Conversation`.
pub fn conversation(conversation: &WorldConversation) -> Value {
    let participants = conversation.participants.iter().map(|leg| participant(conversation, leg));
    let own = json!({
        "startTime": time(conversation.started),
        "endTime": conversation.ended.map(time),
        "address": conversation.ani,
        "participants": participants.collect::<Value>(),
        "recordingState": "NONE",
    });
    with(outline("conversations", conversation), own)
}

/// SDK model `CallConversation`.
pub fn call_conversation(conversation: &WorldConversation) -> Value {
    let participants =
        conversation.participants.iter().map(|leg| call_participant(conversation, leg));
    let own = json!({
        "participants": participants.collect::<Value>(),
        "otherMediaUris": [],
        "recordingState": "none",
    });
    with(outline("conversations/calls", conversation), own)
}

/// What both forms of a conversation share.
fn outline(what: &str, conversation: &WorldConversation) -> Value {
    let queue = conversation.participants.iter().find_map(|leg| leg.queue.as_ref());
    let entities =
        queue.map(|queue| with(link("routing/queues", queue.id), json!({"name": queue.name})));
    let own = json!({
        "divisions": [{
            "division": division_link(&conversation.division),
            "entities": entities.into_iter().collect::<Value>(),
        }],
        "recentTransfers": conversation.transfers.iter().map(transfer).collect::<Value>(),
        "securePause": false,
    });
    with(link(what, conversation.id), own)
}

/// SDK model `TransferResponse`. Its destination has no member for a queue.
fn transfer(transfer: &RecentTransfer) -> Value {
    json!({
        "id": transfer.id,
        "state": "Complete",
        "dateIssued": time(transfer.issued),
        "initiator": transfer.initiator.map(|user| json!({"userId": user})),
        "destination": {},
        "transferType": transfer.kind,
    })
}

/// SDK model `Participant`.
fn participant(conversation: &WorldConversation, leg: &WorldLeg) -> Value {
    let sessions = |media: MediaType| -> Value {
        let of_media = leg.sessions.iter().filter(|_| media == conversation.media);
        of_media.map(|one| session(conversation, leg, one)).collect()
    };
    let own = json!({
        "connectedTime": leg.sessions.iter().filter_map(|it| it.connected).min().map(time),
        "userId": leg.user,
        "userUri": leg.user.map(|id| format!("/api/v2/users/{id}")),
        "queueId": leg.queue_id(),
        "queueName": leg.queue.as_ref().map(|queue| &queue.name),
        "participantType": if leg.purpose.is_outside() { "External" } else { "Internal" },
        "calls": sessions(MediaType::Voice),
        "callbacks": sessions(MediaType::Callback),
        "chats": sessions(MediaType::Chat),
        "cobrowsesessions": [],
        "emails": sessions(MediaType::Email),
        "messages": sessions(MediaType::Message),
        "screenshares": [],
        "socialExpressions": [],
        "videos": [],
    });
    with(leg_outline(conversation, leg), own)
}

/// SDK model `CallMediaParticipant`.
fn call_participant(conversation: &WorldConversation, leg: &WorldLeg) -> Value {
    let session = leg.main_session();
    let own = json!({
        "startAlertingTime": session.and_then(|it| it.alerting).map(time),
        "connectedTime": session.and_then(|it| it.connected).map(time),
        "startHoldTime": session.and_then(|it| it.held_since).map(time),
        "state": session.map_or(json!("none"), |it| json!(it.state.shown(conversation.media))),
        "direction": "inbound",
        "disconnectType": session.and_then(|it| it.disconnect),
        "held": session.is_some_and(|it| it.held),
        "user": leg.user.map(|id| link("users", id)),
        "queue": leg.queue_id().map(|id| link("routing/queues", id)),
        "provider": provider(conversation.media),
        "muted": false,
        "confined": false,
        "recording": false,
        "recordingState": "none",
        "securePause": false,
    });
    with(leg_outline(conversation, leg), own)
}

/// What both forms of a participant share.
fn leg_outline(conversation: &WorldConversation, leg: &WorldLeg) -> Value {
    let (ani, dnis) = (&conversation.ani, &conversation.dnis);
    let supervised = |how: SupervisorMode| {
        let is_so = leg.supervision == Some(how);
        is_so.then(|| conversation.supervised_by(leg)).flatten()
    };
    json!({
        "id": leg.id,
        "name": leg.name,
        "address": if leg.purpose.is_outside() { ani } else { dnis },
        "ani": ani,
        "dnis": dnis,
        "startTime": time(leg.started),
        "endTime": leg.ended.map(time),
        "purpose": leg.purpose,
        "wrapupRequired": false,
        "mediaRoles": ["full"],
        "conversationRoutingData": routing_data(leg),
        "monitoredParticipantId": supervised(SupervisorMode::Monitor),
        "coachedParticipantId": supervised(SupervisorMode::Coach),
        "bargedParticipantId": supervised(SupervisorMode::BargeIn),
        "attributes": leg.attributes,
    })
}

/// SDK model `ConversationRoutingData`.
fn routing_data(leg: &WorldLeg) -> Option<Value> {
    let (queue, routing) = (leg.queue_id()?, leg.routing.as_ref()?);
    let own = json!({"queue": link("routing/queues", queue), "label": routing.label});
    Some(with(routing_outline(routing), own))
}

/// SDK model `RoutingConversationAttributesResponse`.
pub fn routing_attributes(routing: &LegRouting) -> Value {
    let label = routing.label.map(|id| link("routing/utilization/labels", id));
    with(routing_outline(routing), json!({"label": label}))
}

fn routing_outline(routing: &LegRouting) -> Value {
    let skills = routing.skills.iter().map(|id| link("routing/skills", *id));
    json!({
        "priority": routing.priority,
        "skills": skills.collect::<Value>(),
        "language": routing.language.map(|id| link("routing/languages", id)),
        "scoredAgents": [],
        "skillExpression": routing.skill_expression,
    })
}

/// What the SDK models `Call`, `Callback`, `ConversationChat`, `Email` and `Message` share, and
/// what only some of them have.
fn session(conversation: &WorldConversation, leg: &WorldLeg, session: &LegSession) -> Value {
    let media = conversation.media;
    let shared = json!({
        "state": session.state.shown(media),
        "initialState": if session.alerting.is_some() { "alerting" } else { "connected" },
        "id": session.id,
        "direction": "inbound",
        "held": session.held,
        "segments": [],
        "disconnectType": session.disconnect,
        "startHoldTime": session.held_since.map(time),
        "startAlertingTime": session.alerting.map(time),
        "connectedTime": session.connected.map(time),
        "disconnectedTime": session.disconnected.map(time),
        "provider": provider(media),
        "afterCallWorkRequired": false,
        "type": (media == MediaType::Message).then_some("webmessaging"),
    });
    if media != MediaType::Voice {
        return shared;
    }
    let address = |number: &str, name: Option<&str>| json!({"name": name, "addressNormalized": number, "addressRaw": number});
    let (customer, inside) = (&conversation.ani, &conversation.dnis);
    let outside = leg.purpose.is_outside();
    let (near, far) = if outside { (customer, inside) } else { (inside, customer) };
    let of_call = json!({
        "recording": false,
        "recordingState": "none",
        "muted": false,
        "confined": false,
        "securePause": false,
        "self": address(near, leg.name.as_deref()),
        "other": address(far, None),
    });
    with(shared, of_call)
}

/// Who carries a medium.
fn provider(media: MediaType) -> &'static str {
    match media {
        MediaType::Voice => "Edge",
        MediaType::Callback => "PureCloud Callback",
        MediaType::Chat => "PureCloud Webchat v2",
        MediaType::Email => "PureCloud Email",
        MediaType::Message => "PureCloud Messaging",
    }
}

/// A conversation as conversation-patch shows it, which no published SDK has: the shape follows
/// the project's founding document. `startTime` is, while queued, the time of entry into the
/// queue, else the conversation's start.
pub fn communication(conversation: &WorldConversation) -> Value {
    let since = conversation.waiting_leg().map_or(conversation.started, |leg| leg.started);
    let routing = conversation.participants.iter().rev().find_map(|leg| {
        let (queue, routing) = (leg.queue_id()?, leg.routing.as_ref()?);
        Some(json!({
            "queueId": queue,
            "priority": routing.priority,
            "skillRequirements": routing.skills,
        }))
    });
    json!({
        "id": conversation.id,
        "state": conversation.summary(),
        "startTime": time(since),
        "routing": routing,
    })
}

/// SDK model `ErrorBody`.
pub fn error(
    (status, code, message): (u16, &str, &str),
    params: &Map<String, Value>,
    field: Option<&str>,
    context: Uuid,
) -> Value {
    let details = field.map(|field| json!({"errorCode": code, "fieldName": field}));
    json!({
        "message": message,
        "code": code,
        "status": status,
        "messageWithParams": message,
        "messageParams": params,
        "contextId": context,
        "details": details.into_iter().collect::<Value>(),
        "errors": [],
    })
}
