//! The sessions of a participant: calls, callbacks, chats, e-mails, messages.

use serde::Serialize;
use uuid::Uuid;

use super::Stamp;
use crate::sandbox::world::{
    Conversation, Media,
    model::{Disconnect, Participant, Session},
};

/// What the SDK models `Call`, `Callback`, `ConversationChat`, `Email` and `Message` share, and
/// what only some of them have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionBody<'a> {
    state: &'static str,
    initial_state: &'static str,
    id: Uuid,
    direction: &'static str,
    held: bool,
    segments: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_hold_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_alerting_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_time: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnected_time: Option<Stamp>,
    provider: &'static str,
    after_call_work_required: bool,
    #[serde(flatten)]
    of_call: Option<CallOnly<'a>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    message_type: Option<&'static str>,
}

/// Members that only `Call` has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the model has them")]
struct CallOnly<'a> {
    recording: bool,
    recording_state: &'static str,
    muted: bool,
    confined: bool,
    secure_pause: bool,
    #[serde(rename = "self")]
    own: Address<'a>,
    other: Address<'a>,
}

/// SDK model `Address`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the model's own names")]
struct Address<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    address_normalized: &'a str,
    address_raw: &'a str,
}

impl<'a> SessionBody<'a> {
    pub(super) fn new(
        conversation: &'a Conversation,
        leg: &'a Participant,
        session: &'a Session,
    ) -> Self {
        let media = conversation.media;
        Self {
            state: session.state.word(media),
            initial_state: if session.alerting.is_some() { "alerting" } else { "connected" },
            id: session.id,
            direction: "inbound",
            held: session.held,
            segments: [],
            disconnect_type: session.disconnect.map(Disconnect::word),
            start_hold_time: session.held_since.map(Stamp),
            start_alerting_time: session.alerting.map(Stamp),
            connected_time: session.connected.map(Stamp),
            disconnected_time: session.disconnected.map(Stamp),
            provider: provider(media),
            after_call_work_required: false,
            of_call: (media == Media::Voice).then(|| CallOnly::new(conversation, leg)),
            message_type: (media == Media::Message).then_some("webmessaging"),
        }
    }
}

impl<'a> CallOnly<'a> {
    fn new(conversation: &'a Conversation, leg: &'a Participant) -> Self {
        let address = |number: &'a str, name: Option<&'a str>| Address {
            name,
            address_normalized: number,
            address_raw: number,
        };
        let (customer, inside) = (&conversation.ani, &conversation.dnis);
        let outside = leg.purpose.is_outside();
        let (near, far) = if outside { (customer, inside) } else { (inside, customer) };
        let (own, other) = (address(near, leg.name.as_deref()), address(far, None));
        Self {
            recording: false,
            recording_state: "none",
            muted: false,
            confined: false,
            secure_pause: false,
            own,
            other,
        }
    }
}

/// Who carries a medium.
pub(super) fn provider(media: Media) -> &'static str {
    match media {
        Media::Voice => "Edge",
        Media::Callback => "PureCloud Callback",
        Media::Chat => "PureCloud Webchat v2",
        Media::Email => "PureCloud Email",
        Media::Message => "PureCloud Messaging",
    }
}
