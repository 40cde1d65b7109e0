//! `GET /api/v2/conversations/{id}`.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::{EntityRef, Stamp, TransferBody, session::SessionBody};
use crate::sandbox::world::{
    Conversation, Media,
    model::{Participant, Routing, Supervision},
};

/// SDK model `Conversation`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct ConversationBody<'a> {
    id: Uuid,
    start_time: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Stamp>,
    address: &'a str,
    participants: Vec<ParticipantBody<'a>>,
    recording_state: &'static str,
    divisions: Vec<DivisionMembership>,
    recent_transfers: Vec<TransferBody>,
    secure_pause: bool,
    self_uri: String,
}

/// SDK model `ConversationDivisionMembership`.
#[derive(Debug, Serialize)]
pub(in crate::sandbox) struct DivisionMembership {
    division: EntityRef,
    entities: Vec<DivisionEntity>,
}

/// SDK model `DivisionEntityRef`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DivisionEntity {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    self_uri: String,
}

impl<'a> ConversationBody<'a> {
    pub(in crate::sandbox) fn new(conversation: &'a Conversation) -> Self {
        Self {
            id: conversation.id,
            start_time: Stamp(conversation.started),
            end_time: conversation.ended.map(Stamp),
            address: &conversation.ani,
            participants: conversation
                .participants
                .iter()
                .map(|leg| ParticipantBody::new(conversation, leg))
                .collect(),
            recording_state: "NONE",
            divisions: divisions(conversation),
            recent_transfers: conversation.transfers.iter().map(TransferBody::new).collect(),
            secure_pause: false,
            self_uri: format!("/api/v2/conversations/{}", conversation.id),
        }
    }
}

pub(super) fn divisions(conversation: &Conversation) -> Vec<DivisionMembership> {
    let queue = conversation.participants.iter().find_map(|leg| leg.queue.as_ref());
    let entities = queue.map(|queue| DivisionEntity {
        id: queue.id,
        name: Some(queue.name.clone()),
        self_uri: format!("/api/v2/routing/queues/{}", queue.id),
    });
    vec![DivisionMembership {
        division: EntityRef::division(&conversation.division),
        entities: entities.into_iter().collect(),
    }]
}

/// SDK model `Participant`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ParticipantBody<'a> {
    id: Uuid,
    start_time: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_name: Option<&'a str>,
    purpose: &'static str,
    participant_type: &'static str,
    address: &'a str,
    ani: &'a str,
    dnis: &'a str,
    wrapup_required: bool,
    media_roles: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_routing_data: Option<RoutingData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitored_participant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coached_participant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    barged_participant_id: Option<Uuid>,
    attributes: &'a BTreeMap<String, String>,
    calls: Vec<SessionBody<'a>>,
    callbacks: Vec<SessionBody<'a>>,
    chats: Vec<SessionBody<'a>>,
    cobrowsesessions: [(); 0],
    emails: Vec<SessionBody<'a>>,
    messages: Vec<SessionBody<'a>>,
    screenshares: [(); 0],
    social_expressions: [(); 0],
    videos: [(); 0],
}

impl<'a> ParticipantBody<'a> {
    fn new(conversation: &'a Conversation, leg: &'a Participant) -> Self {
        let of = |media: Media| -> Vec<SessionBody<'a>> {
            if media != conversation.media {
                return Vec::new();
            }
            leg.sessions
                .iter()
                .map(|session| SessionBody::new(conversation, leg, session))
                .collect()
        };
        let outside = leg.purpose.is_outside();
        let supervised = |how: Supervision| {
            let is_so = leg.supervision == Some(how);
            is_so.then(|| conversation.supervised_by(leg)).flatten()
        };
        Self {
            id: leg.id,
            start_time: Stamp(leg.started),
            connected_time: leg.sessions.iter().filter_map(|it| it.connected).min().map(Stamp),
            end_time: leg.ended.map(Stamp),
            name: leg.name.as_deref(),
            user_id: leg.user,
            user_uri: leg.user.map(|id| format!("/api/v2/users/{id}")),
            queue_id: leg.queue.as_ref().map(|queue| queue.id),
            queue_name: leg.queue.as_ref().map(|queue| queue.name.as_str()),
            purpose: leg.purpose.word(),
            participant_type: if outside { "External" } else { "Internal" },
            address: if outside { &conversation.ani } else { &conversation.dnis },
            ani: &conversation.ani,
            dnis: &conversation.dnis,
            wrapup_required: false,
            media_roles: ["full"],
            conversation_routing_data: RoutingData::new(leg),
            monitored_participant_id: supervised(Supervision::Monitor),
            coached_participant_id: supervised(Supervision::Coach),
            barged_participant_id: supervised(Supervision::BargeIn),
            attributes: &leg.attributes,
            calls: of(Media::Voice),
            callbacks: of(Media::Callback),
            chats: of(Media::Chat),
            cobrowsesessions: [],
            emails: of(Media::Email),
            messages: of(Media::Message),
            screenshares: [],
            social_expressions: [],
            videos: [],
        }
    }
}

/// SDK model `ConversationRoutingData`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoutingData<'a> {
    queue: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<Link>,
    priority: i64,
    skills: Vec<Link>,
    scored_agents: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    skill_expression: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<Uuid>,
}

/// SDK model `AddressableEntityRef`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Link(EntityRef);

impl<'a> RoutingData<'a> {
    pub(super) fn new(leg: &'a Participant) -> Option<Self> {
        let (queue, routing): (_, &Routing) = (leg.queue.as_ref()?, leg.routing.as_ref()?);
        Some(Self {
            queue: Link(EntityRef::queue(queue.id)),
            language: routing.language.map(|id| Link(EntityRef::language(id))),
            priority: routing.priority,
            skills: routing.skills.iter().map(|id| Link(EntityRef::skill(*id))).collect(),
            scored_agents: [],
            skill_expression: routing.skill_expression.as_deref(),
            label: routing.label,
        })
    }
}
