//! The JSON of analytics: rows of who waits, and conversations as they were at a time.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{time, with};
use crate::sandbox::world::{
    MediaType, SupervisorMode, WorldConversation,
    model::{Disconnect, LegPurpose, LegRouting, LegSession, WorldLeg},
};

/// SDK model `ObservationValue`: `leg` waits in a queue since it started.
pub fn observation(
    conversation: &WorldConversation,
    leg: &WorldLeg,
    routing: &LegRouting,
) -> Value {
    let own = json!({
        "observationDate": time(leg.started),
        "addressFrom": conversation.ani,
        "addressTo": conversation.dnis,
    });
    with(waiting(conversation, leg, routing), own)
}

/// SDK model `ConversationActivityEntityData`.
pub fn activity(
    conversation: &WorldConversation,
    leg: &WorldLeg,
    routing: &LegRouting,
    (queue, media): (Uuid, MediaType),
) -> Value {
    let own = json!({
        "activityDate": time(leg.started),
        "metric": "oWaiting",
        "queueId": queue,
        "mediaType": media,
    });
    with(waiting(conversation, leg, routing), own)
}

/// What both kinds of rows share.
fn waiting(conversation: &WorldConversation, leg: &WorldLeg, routing: &LegRouting) -> Value {
    let customer = conversation.participants.iter().find(|leg| leg.purpose.is_outside());
    json!({
        "conversationId": conversation.id,
        "sessionId": leg.main_session().map(|session| session.id),
        "requestedRoutingSkillIds": routing.skills,
        "requestedLanguageId": routing.language,
        "routingPriority": routing.priority,
        "participantName": customer.and_then(|leg| leg.name.as_deref()),
        "direction": "inbound",
        "ani": conversation.ani,
        "dnis": conversation.dnis,
        "requestedRoutings": ["Standard"],
    })
}

/// SDK model `AnalyticsConversationWithoutAttributes`, as it was `at` that time.
pub fn details(conversation: &WorldConversation, at: Timestamp) -> Value {
    let legs = conversation.participants.iter().filter(|leg| leg.started <= at);
    json!({
        "conversationId": conversation.id,
        "conversationStart": time(conversation.started),
        "conversationEnd": conversation.ended.filter(|end| *end <= at).map(time),
        "originatingDirection": "inbound",
        "divisionIds": [conversation.division.id],
        "participants": legs.map(|leg| participant(conversation, leg, at)).collect::<Value>(),
    })
}

/// SDK model `AnalyticsParticipantWithoutAttributes`.
fn participant(conversation: &WorldConversation, leg: &WorldLeg, at: Timestamp) -> Value {
    let supervised = |how: SupervisorMode| {
        let is_so = leg.supervision == Some(how);
        is_so.then(|| conversation.supervised_by(leg)).flatten()
    };
    let session = |session: &LegSession| {
        json!({
            "sessionId": session.id,
            "mediaType": conversation.media,
            "direction": "inbound",
            "ani": conversation.ani,
            "dnis": conversation.dnis,
            "monitoredParticipantId": supervised(SupervisorMode::Monitor),
            "coachedParticipantId": supervised(SupervisorMode::Coach),
            "bargedParticipantId": supervised(SupervisorMode::BargeIn),
            "segments": segments(leg, session, at),
        })
    };
    json!({
        "participantId": leg.id,
        "participantName": leg.name,
        "purpose": leg.purpose,
        "userId": leg.user,
        "sessions": leg.sessions.iter().map(session).collect::<Value>(),
    })
}

/// SDK model `AnalyticsConversationSegment`, one after the other.
fn segments(leg: &WorldLeg, session: &LegSession, at: Timestamp) -> Vec<Value> {
    let talks = match leg.purpose {
        LegPurpose::Ivr => "ivr",
        _ => match leg.supervision {
            Some(SupervisorMode::Monitor) => "monitoring",
            Some(SupervisorMode::Coach) => "coaching",
            Some(SupervisorMode::BargeIn) => "barging",
            None => "interact",
        },
    };
    let begun = [
        ("alert", session.alerting),
        (talks, session.connected),
        ("hold", session.held_since.filter(|_| session.held)),
    ];
    let mut begun: Vec<(&str, Timestamp)> =
        begun.into_iter().filter_map(|(kind, since)| Some((kind, since?))).collect();
    if begun.is_empty() {
        begun.push((talks, leg.started));
    }
    let ended = session.disconnected.or(leg.ended).filter(|end| *end <= at);
    let mut segments = Vec::new();
    for (place, (kind, since)) in begun.iter().enumerate() {
        if *since > at && place > 0 {
            break;
        }
        let next = begun.get(place + 1).map(|(_, since)| *since).filter(|since| *since <= at);
        let disconnect = session.disconnect.filter(|_| next.is_none() && ended.is_some());
        let routing = leg.routing.as_ref().filter(|_| leg.purpose == LegPurpose::Acd);
        segments.push(json!({
            "segmentType": kind,
            "queueId": leg.queue_id(),
            "segmentStart": time(*since),
            "segmentEnd": next.or(ended).map(time),
            "disconnectType": disconnect.map(disconnect_word),
            "conference": false,
            "requestedRoutingSkillIds": routing.map(|routing| &routing.skills),
            "requestedLanguageId": routing.and_then(|routing| routing.language),
        }));
    }
    segments
}

/// The words of analytics.
const fn disconnect_word(disconnect: Disconnect) -> &'static str {
    match disconnect {
        Disconnect::Endpoint => "endpoint",
        Disconnect::Client => "client",
        Disconnect::Peer => "peer",
        Disconnect::Transfer => "transfer",
        Disconnect::TransferNoAnswer => "noAnswerTransfer",
    }
}
