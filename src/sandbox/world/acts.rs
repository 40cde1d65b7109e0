//! What people do meanwhile: agents answer, callers hang up. Lets an operator play them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Blocked, Conversation, Purpose, Refused, World,
    make::{name_of, session},
    model::{Disconnect, Participant, SessionState, Supervision},
    moves::{end_leg, room_for_a_leg},
};
use crate::clock::IdSource;

/// Something that happens to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// An agent's phone begins to ring.
    Ring,
    /// The agent it rings at answers; without one, an agent of the queue takes it at once.
    Answer,
    /// It stops ringing unanswered.
    RingOut,
    /// The connected agents put it on hold.
    Hold,
    /// They take it off hold.
    Resume,
    /// Another agent joins.
    Join,
    /// A supervisor begins to listen.
    Monitor,
    /// The whole conversation ends.
    HangUp,
    /// Only the customer leaves.
    CustomerLeaves,
    /// Only the agents leave; it ends when no queue or menu holds it.
    AgentsLeave,
}

impl Act {
    /// Every act there is.
    pub const ALL: [Self; 10] = [
        Self::Ring,
        Self::Answer,
        Self::RingOut,
        Self::Hold,
        Self::Resume,
        Self::Join,
        Self::Monitor,
        Self::HangUp,
        Self::CustomerLeaves,
        Self::AgentsLeave,
    ];
}

impl World {
    /// Lets something happen.
    ///
    /// # Errors
    /// [`Refused::UnknownConversation`], [`Refused::ConversationEnded`], or what does not fit.
    pub fn act(&mut self, id: Uuid, act: Act, now: Timestamp) -> Result<(), Refused> {
        self.edit(id, now, |conversation, ids| {
            if conversation.ended.is_some() {
                return Err(Refused::ConversationEnded);
            }
            match act {
                Act::Ring => add_agent(conversation, ids, SessionState::Alerting, now),
                Act::Join => add_agent(conversation, ids, SessionState::Connected, now),
                Act::Monitor => {
                    add_agent(conversation, ids, SessionState::Connected, now)?;
                    if let Some(leg) = conversation.participants.last_mut() {
                        leg.supervision = Some(Supervision::Monitor);
                    }
                    Ok(())
                }
                Act::Answer => answer(conversation, ids, now),
                Act::RingOut => ring_out(conversation, now),
                Act::Hold => hold(conversation, true, now),
                Act::Resume => hold(conversation, false, now),
                Act::HangUp => {
                    hang_up(conversation, now);
                    Ok(())
                }
                Act::CustomerLeaves => {
                    end_where(conversation, Disconnect::Endpoint, now, |leg| {
                        leg.purpose.is_outside()
                    });
                    close_when_empty(conversation, now);
                    Ok(())
                }
                Act::AgentsLeave => {
                    end_where(conversation, Disconnect::Client, now, |leg| leg.purpose.is_staff());
                    let held_by_us = conversation
                        .participants
                        .iter()
                        .any(|leg| leg.is_open() && !leg.purpose.is_outside());
                    if !held_by_us {
                        hang_up(conversation, now);
                    }
                    Ok(())
                }
            }
        })
    }

    /// Sets or clears a state that only the conversation-patch API knows.
    ///
    /// # Errors
    /// [`Refused::UnknownConversation`].
    pub fn block(
        &mut self,
        id: Uuid,
        state: Option<Blocked>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.edit(id, now, |conversation, _| {
            conversation.blocked = state;
            Ok(())
        })
    }
}

fn add_agent(
    conversation: &mut Conversation,
    ids: &IdSource,
    state: SessionState,
    now: Timestamp,
) -> Result<(), Refused> {
    room_for_a_leg(conversation)?;
    let queue = conversation
        .participants
        .iter()
        .rev()
        .find(|leg| leg.is_open() && leg.queue.is_some())
        .and_then(|leg| leg.queue.clone());
    let purpose = if queue.is_some() { Purpose::Agent } else { Purpose::User };
    conversation.participants.push(Participant {
        id: ids.next(now),
        purpose,
        name: name_of(purpose, None),
        routing: queue.as_ref().and_then(|_| conversation.routing().cloned()),
        queue,
        user: Some(ids.next(now)),
        supervision: None,
        started: now,
        ended: None,
        sessions: vec![session(ids.next(now), state, now)],
        attributes: BTreeMap::new(),
    });
    Ok(())
}

fn answer(conversation: &mut Conversation, ids: &IdSource, now: Timestamp) -> Result<(), Refused> {
    if !conversation.is_ringing() {
        if conversation.queue_leg().is_none() {
            return Err(Refused::DoesNotFit("it neither rings nor waits in a queue"));
        }
        add_agent(conversation, ids, SessionState::Alerting, now)?;
    }
    let rings = |leg: &&mut Participant| leg.is_agent() && leg.is_ringing();
    if let Some(leg) = conversation.participants.iter_mut().find(rings) {
        for session in leg.sessions.iter_mut().filter(|session| session.state.is_ringing()) {
            session.state = SessionState::Connected;
            session.connected = Some(now);
        }
    }
    // Genesys ends an answered queue leg with the same word as a moved one.
    end_where(conversation, Disconnect::Transfer, now, |leg| leg.purpose == Purpose::Acd);
    Ok(())
}

fn ring_out(conversation: &mut Conversation, now: Timestamp) -> Result<(), Refused> {
    if !conversation.is_ringing() {
        return Err(Refused::DoesNotFit("it does not ring"));
    }
    end_where(conversation, Disconnect::TransferNoAnswer, now, |leg| {
        leg.is_agent() && leg.is_ringing()
    });
    let inside = |leg: &Participant| leg.is_open() && !leg.purpose.is_outside();
    if !conversation.participants.iter().any(inside) {
        hang_up(conversation, now);
    }
    Ok(())
}

fn hold(conversation: &mut Conversation, held: bool, now: Timestamp) -> Result<(), Refused> {
    let mut any = false;
    let agents =
        conversation.participants.iter_mut().filter(|leg| leg.is_agent() && leg.is_connected());
    for session in agents.flat_map(|leg| leg.sessions.iter_mut()) {
        if session.state == SessionState::Connected {
            session.held = held;
            session.held_since = held.then_some(now);
            any = true;
        }
    }
    if any { Ok(()) } else { Err(Refused::DoesNotFit("no agent is connected")) }
}

fn hang_up(conversation: &mut Conversation, now: Timestamp) {
    end_where(conversation, Disconnect::Endpoint, now, |leg| leg.purpose.is_outside());
    end_where(conversation, Disconnect::Peer, now, |_| true);
    close_when_empty(conversation, now);
}

fn close_when_empty(conversation: &mut Conversation, now: Timestamp) {
    if conversation.participants.iter().all(|leg| leg.ended.is_some()) {
        conversation.ended = Some(now);
    }
}

fn end_where(
    conversation: &mut Conversation,
    how: Disconnect,
    now: Timestamp,
    which: impl Fn(&Participant) -> bool,
) {
    for leg in conversation.participants.iter_mut().filter(|leg| which(leg)) {
        end_leg(leg, how, now);
    }
}
