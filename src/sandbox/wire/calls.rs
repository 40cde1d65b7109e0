//! `GET /api/v2/conversations/calls/{id}`.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::{
    EntityRef, Stamp, TransferBody,
    conversation::{DivisionMembership, RoutingData, divisions},
    session::provider,
};
use crate::sandbox::world::{
    Conversation,
    model::{Disconnect, Participant, Supervision},
};

/// SDK model `CallConversation`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::sandbox) struct CallConversationBody<'a> {
    id: Uuid,
    participants: Vec<CallParticipant<'a>>,
    other_media_uris: [(); 0],
    recent_transfers: Vec<TransferBody>,
    divisions: Vec<DivisionMembership>,
    recording_state: &'static str,
    secure_pause: bool,
    self_uri: String,
}

impl<'a> CallConversationBody<'a> {
    pub(in crate::sandbox) fn new(conversation: &'a Conversation) -> Self {
        Self {
            id: conversation.id,
            participants: conversation
                .participants
                .iter()
                .map(|leg| CallParticipant::new(conversation, leg))
                .collect(),
            other_media_uris: [],
            recent_transfers: conversation.transfers.iter().map(TransferBody::new).collect(),
            divisions: divisions(conversation),
            recording_state: "none",
            secure_pause: false,
            self_uri: format!("/api/v2/conversations/calls/{}", conversation.id),
        }
    }
}

/// SDK model `CallMediaParticipant`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the model has them")]
struct CallParticipant<'a> {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    address: &'a str,
    start_time: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_alerting_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_hold_time: Option<Stamp>,
    purpose: &'static str,
    state: &'static str,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_type: Option<&'static str>,
    held: bool,
    wrapup_required: bool,
    media_roles: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<EntityRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<EntityRef>,
    attributes: &'a BTreeMap<String, String>,
    provider: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_routing_data: Option<RoutingData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitored_participant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coached_participant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    barged_participant_id: Option<Uuid>,
    muted: bool,
    confined: bool,
    recording: bool,
    recording_state: &'static str,
    ani: &'a str,
    dnis: &'a str,
    secure_pause: bool,
}

impl<'a> CallParticipant<'a> {
    fn new(conversation: &'a Conversation, leg: &'a Participant) -> Self {
        let session = leg.main_session();
        let outside = leg.purpose.is_outside();
        let supervised = |how: Supervision| {
            let is_so = leg.supervision == Some(how);
            is_so.then(|| conversation.supervised_by(leg)).flatten()
        };
        Self {
            id: leg.id,
            name: leg.name.as_deref(),
            address: if outside { &conversation.ani } else { &conversation.dnis },
            start_time: Stamp(leg.started),
            start_alerting_time: session.and_then(|it| it.alerting).map(Stamp),
            connected_time: session.and_then(|it| it.connected).map(Stamp),
            end_time: leg.ended.map(Stamp),
            start_hold_time: session.and_then(|it| it.held_since).map(Stamp),
            purpose: leg.purpose.word(),
            state: session.map_or("none", |it| it.state.word(conversation.media)),
            direction: "inbound",
            disconnect_type: session.and_then(|it| it.disconnect).map(Disconnect::word),
            held: session.is_some_and(|it| it.held),
            wrapup_required: false,
            media_roles: ["full"],
            user: leg.user.map(EntityRef::user),
            queue: leg.queue.as_ref().map(|queue| EntityRef::queue(queue.id)),
            attributes: &leg.attributes,
            provider: provider(conversation.media),
            conversation_routing_data: RoutingData::new(leg),
            monitored_participant_id: supervised(Supervision::Monitor),
            coached_participant_id: supervised(Supervision::Coach),
            barged_participant_id: supervised(Supervision::BargeIn),
            muted: false,
            confined: false,
            recording: false,
            recording_state: "none",
            ani: &conversation.ani,
            dnis: &conversation.dnis,
            secure_pause: false,
        }
    }
}
