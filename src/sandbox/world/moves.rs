//! How a conversation changes queue, and how its place in the queue is set.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Conversation, MAX_PARTICIPANTS, Purpose, QueueRef, Refused, TransferKind, World,
    model::{Disconnect, Participant, RECENT_TRANSFERS, Routing, SessionState, Transfer},
};
use crate::clock::IdSource;

/// How a command names its target queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueChoice {
    /// By id.
    Id(Uuid),
    /// By its exact name.
    Name(String),
}

/// A replace command that was checked and waits to take effect.
#[derive(Debug, Clone)]
pub struct ReplaceOrder {
    /// The conversation.
    pub conversation: Uuid,
    /// The leg to replace.
    pub participant: Uuid,
    /// The target.
    pub queue: QueueRef,
    /// Blind or attended.
    pub kind: TransferKind,
    /// When it was asked for.
    pub asked: Timestamp,
}

/// A move that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The conversation.
    pub conversation: Uuid,
    /// The leg that was replaced; `None` when the command named none.
    pub replaced: Option<Uuid>,
    /// The leg that joined.
    pub joined: Uuid,
    /// The queue of the leg that was replaced.
    pub from: Option<Uuid>,
    /// The target.
    pub to: Uuid,
}

impl World {
    /// Checks a replace command as Genesys does before it answers 202.
    ///
    /// # Errors
    /// Whatever forbids it.
    pub fn plan_replace(
        &self,
        conversation: Uuid,
        participant: Uuid,
        target: &QueueChoice,
        kind: TransferKind,
        now: Timestamp,
    ) -> Result<ReplaceOrder, Refused> {
        let found = self.conversation(conversation).ok_or(Refused::UnknownConversation)?;
        if found.ended.is_some() {
            return Err(Refused::ConversationEnded);
        }
        let queue = self.choose_queue(target)?;
        replaceable(found, participant)?;
        Ok(ReplaceOrder { conversation, participant, queue, kind, asked: now })
    }

    /// Carries a checked replace command out. Checks again: the conversation may have changed
    /// between the answer and the effect.
    ///
    /// # Errors
    /// Whatever forbids it by now; nothing has changed then.
    pub fn carry_out(
        &mut self,
        order: &ReplaceOrder,
        strip_skills: bool,
        now: Timestamp,
    ) -> Result<Moved, Refused> {
        self.edit(order.conversation, now, |conversation, ids| {
            if conversation.ended.is_some() {
                return Err(Refused::ConversationEnded);
            }
            let leg = replaceable(conversation, order.participant)?;
            let (from, initiator) = (leg.queue.as_ref().map(|queue| queue.id), leg.user);
            let mut routing = leg
                .routing
                .as_ref()
                .or_else(|| conversation.routing())
                .cloned()
                .unwrap_or_default();
            if strip_skills && order.kind == TransferKind::Unattended {
                routing.skills.clear();
            }
            let waited = leg.purpose == Purpose::Acd;
            for leg in &mut conversation.participants {
                let goes_too = leg.purpose == Purpose::Acd || (waited && leg.is_ringing());
                if leg.id == order.participant {
                    end_leg(leg, Disconnect::Transfer, now);
                } else if goes_too && !leg.purpose.is_outside() {
                    end_leg(leg, Disconnect::Peer, now);
                }
            }
            let joined = join_queue(conversation, ids, order.queue.clone(), routing, now);
            remember(conversation, ids, order, initiator, now);
            Ok(Moved {
                conversation: conversation.id,
                replaced: Some(order.participant),
                joined,
                from,
                to: order.queue.id,
            })
        })
    }

    /// Moves a conversation the way the conversation-patch API does: every inside leg ends, and
    /// it waits in the target queue with exactly these values.
    ///
    /// # Errors
    /// Whatever forbids it.
    pub fn patch_move(
        &mut self,
        conversation: Uuid,
        queue: Uuid,
        priority: i64,
        skills: Vec<Uuid>,
        now: Timestamp,
    ) -> Result<Moved, Refused> {
        let target = self.queue_ref(queue)?;
        self.edit(conversation, now, |conversation, ids| {
            if conversation.ended.is_some() {
                return Err(Refused::ConversationEnded);
            }
            if conversation.blocked.is_some() {
                return Err(Refused::Blocked);
            }
            room_for_a_leg(conversation)?;
            let agent_talks =
                conversation.participants.iter().any(|leg| leg.is_agent() && leg.is_connected());
            if conversation.is_ringing() && !agent_talks {
                return Err(Refused::Ringing);
            }
            let from = conversation
                .participants
                .iter()
                .rev()
                .filter(|leg| leg.is_open() && !leg.purpose.is_outside())
                .find_map(|leg| leg.queue.as_ref().map(|queue| queue.id));
            let waits = conversation.waiting_leg();
            if waits.is_some_and(|leg| {
                leg.queue.as_ref().is_some_and(|queue| queue.id == target.id)
                    && leg.routing.as_ref().is_some_and(|routing| routing.priority == priority)
            }) {
                return Err(Refused::AlreadyThere);
            }
            for leg in &mut conversation.participants {
                if !leg.purpose.is_outside() {
                    end_leg(leg, Disconnect::Transfer, now);
                }
            }
            let language = conversation.routing().and_then(|routing| routing.language);
            let routing = Routing { priority, skills, language, ..Routing::default() };
            let joined = join_queue(conversation, ids, target, routing, now);
            Ok(Moved { conversation: conversation.id, replaced: None, joined, from, to: queue })
        })
    }

    fn choose_queue(&self, choice: &QueueChoice) -> Result<QueueRef, Refused> {
        match choice {
            QueueChoice::Id(id) => self.queue_ref(*id),
            QueueChoice::Name(name) => {
                let mut named = self.queues_named(name).filter(|queue| queue.name == *name);
                let first = named.next().ok_or(Refused::UnknownQueue)?;
                if named.next().is_some() {
                    return Err(Refused::AmbiguousQueue);
                }
                Ok(QueueRef { id: first.id, name: first.name.clone() })
            }
        }
    }
}

fn replaceable(conversation: &Conversation, participant: Uuid) -> Result<&Participant, Refused> {
    let leg = conversation.participant(participant).ok_or(Refused::UnknownParticipant)?;
    if leg.purpose.is_outside() {
        return Err(Refused::CustomerLeg);
    }
    if !leg.is_open() {
        return Err(Refused::LegEnded);
    }
    room_for_a_leg(conversation)?;
    Ok(leg)
}

/// Whether one more leg may join.
pub(super) fn room_for_a_leg(conversation: &Conversation) -> Result<(), Refused> {
    if conversation.participants.len() >= MAX_PARTICIPANTS {
        return Err(Refused::Full("1000 participants in a conversation"));
    }
    Ok(())
}

/// Ends a leg and its sessions; a leg that ended already stays as it is.
pub(super) fn end_leg(leg: &mut Participant, how: Disconnect, now: Timestamp) {
    if leg.ended.is_some() {
        return;
    }
    leg.ended = Some(now);
    for session in leg.sessions.iter_mut().filter(|session| !session.state.is_over()) {
        session.state = SessionState::Terminated;
        session.held = false;
        session.disconnect = Some(how);
        session.disconnected = Some(now);
    }
}

fn join_queue(
    conversation: &mut Conversation,
    ids: &IdSource,
    queue: QueueRef,
    routing: Routing,
    now: Timestamp,
) -> Uuid {
    let id = ids.next(now);
    conversation.participants.push(Participant {
        id,
        purpose: Purpose::Acd,
        name: Some(queue.name.clone()),
        queue: Some(queue),
        user: None,
        supervision: None,
        started: now,
        ended: None,
        sessions: vec![super::make::session(ids.next(now), SessionState::Connected, now)],
        routing: Some(routing),
        attributes: BTreeMap::new(),
    });
    id
}

fn remember(
    conversation: &mut Conversation,
    ids: &IdSource,
    order: &ReplaceOrder,
    initiator: Option<Uuid>,
    now: Timestamp,
) {
    conversation.transfers.push_front(Transfer {
        id: ids.next(now),
        issued: order.asked,
        kind: order.kind,
        initiator,
    });
    conversation.transfers.truncate(RECENT_TRANSFERS);
}
