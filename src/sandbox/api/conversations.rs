//! The two forms of a conversation, and the command that replaces a leg by a queue.

use axum::http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::{Answer, ApiError, Call};
use crate::sandbox::{
    ledger::Effect,
    wire::{calls::CallConversationBody, conversation::ConversationBody},
    world::{Conversation, Media, QueueChoice, Refused, TransferKind},
};

pub(super) fn find<'a>(call: &'a Call<'_>, id: Uuid) -> Result<&'a Conversation, ApiError> {
    let found = call.state.world.conversation(id);
    found.ok_or_else(|| call.refused(&Refused::UnknownConversation))
}

pub(super) fn whole(call: &mut Call<'_>, id: Uuid) -> Result<Answer, ApiError> {
    Ok(Answer::json(&ConversationBody::new(find(call, id)?)))
}

pub(super) fn calls(call: &mut Call<'_>, id: Uuid) -> Result<Answer, ApiError> {
    let conversation = find(call, id)?;
    if conversation.media != Media::Voice {
        return Err(call.refused(&Refused::UnknownConversation));
    }
    Ok(Answer::json(&CallConversationBody::new(conversation)))
}

/// SDK model `TransferToQueueRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TransferToQueue {
    queue_id: Option<String>,
    queue_name: Option<String>,
    transfer_type: Option<TransferKind>,
    #[expect(dead_code, reason = "only internal messages have a use for it; it must be a boolean")]
    keep_internal_message_alive: Option<bool>,
}

impl TransferToQueue {
    fn target(&self) -> Result<QueueChoice, ApiError> {
        match (&self.queue_id, &self.queue_name) {
            (Some(id), _) => Uuid::try_parse(id).map(QueueChoice::Id).map_err(|_| {
                ApiError::bad("invalid.value", "queueId is not a UUID.").at("queueId")
            }),
            (None, Some(name)) => Ok(QueueChoice::Name(name.clone())),
            (None, None) => Err(ApiError::bad(
                "constraint.validation",
                "One of queueId and queueName is needed.",
            )
            .at("queueId")),
        }
    }
}

pub(super) fn replace(call: &mut Call<'_>, id: Uuid, leg: Uuid) -> Result<Answer, ApiError> {
    let body: TransferToQueue = call.body()?;
    let target = body.target()?;
    let kind = body.transfer_type.unwrap_or_default();
    let order = call
        .state
        .world
        .plan_replace(id, leg, &target, kind, call.now)
        .map_err(|refused| call.refused(&refused))?;
    let accepted = Answer {
        status: StatusCode::ACCEPTED,
        body: Vec::new(),
        effect: Effect::Pending,
        later: None,
    };
    if call.at_once || call.state.behaviour.effect_delay_ms == 0 {
        let effect = call.state.apply(&order, call.seq, call.now);
        return Ok(Answer { effect, ..accepted });
    }
    Ok(Answer { later: Some(order), ..accepted })
}
