//! How conversations come into being and change: moves, routing, and what agents and callers do.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Blocked, LegPurpose, MAX_PARTICIPANTS, Move, NamedQueue, TransferKind, World,
    WorldConversation, WorldError, WorldQueue,
    model::{
        Disconnect, LegRouting, LegSession, RECENT_TRANSFERS, RecentTransfer, SessionState,
        SupervisorMode, WorldLeg,
    },
    shape::{LegSpec, LegTimes, NewConversation, addresses, name_of},
};
use crate::clock::IdSource;

/// How a command names its target queue.
#[derive(Debug, Clone)]
pub enum QueueChoice {
    Id(Uuid),
    /// By its exact name.
    Name(String),
}

/// A replace command that was checked and waits to take effect.
#[derive(Debug, Clone)]
pub struct ReplaceOrder {
    pub conversation: Uuid,
    /// The leg to replace.
    pub participant: Uuid,
    pub queue: NamedQueue,
    pub kind: TransferKind,
    pub ordered: Timestamp,
}

/// Absolute values of a routing change; `None` leaves a value alone, an inner `None` clears it.
#[derive(Debug, Clone, Default)]
pub struct RoutingEdit {
    /// 0 resets it.
    pub priority: Option<i64>,
    /// An empty list clears them.
    pub skills: Option<Vec<Uuid>>,
    pub language: Option<Option<Uuid>>,
    pub label: Option<Option<Uuid>>,
    pub skill_expression: Option<Option<String>>,
}

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
    /// Makes a conversation.
    pub fn add_conversation(
        &mut self,
        new: NewConversation,
        now: Timestamp,
    ) -> Result<Uuid, WorldError> {
        let needs_queue = new.legs.is_none() && new.shape.needs_queue();
        let queue = new.queue.map(|id| self.queue_ref(id)).transpose()?;
        if needs_queue && queue.is_none() {
            return Err(WorldError::DoesNotFit("this shape needs a queue"));
        }
        let division = queue
            .as_ref()
            .and_then(|queue| self.queue(queue.id))
            .map_or_else(|| self.home.clone(), |queue| queue.division.clone());
        let specs = new.legs.clone().unwrap_or_else(|| new.shape.legs());
        let times = LegTimes::new(new.age, &specs, now);
        let mut participants = Vec::with_capacity(specs.len());
        for (position, spec) in specs.iter().enumerate() {
            let id = spec.id.or_else(|| new.leg_ids.get(position).copied());
            participants.push(self.leg(&new, spec, id, queue.as_ref(), &times)?);
        }
        let over = participants.iter().all(|leg| leg.ended.is_some());
        let id = new.id.unwrap_or_else(|| self.new_id(now));
        let (ani, dnis) = addresses(new.media, id);
        self.insert(WorldConversation {
            id,
            media: new.media,
            started: times.began,
            ended: over.then_some(times.since),
            ani: new.ani.unwrap_or(ani),
            dnis: new.dnis.unwrap_or(dnis),
            participants,
            transfers: VecDeque::new(),
            blocked: None,
            division,
        })
    }

    fn leg(
        &self,
        new: &NewConversation,
        spec: &LegSpec,
        id: Option<Uuid>,
        queue: Option<&NamedQueue>,
        times: &LegTimes,
    ) -> Result<WorldLeg, WorldError> {
        let (started, now) = (times.start(spec), times.now);
        let through_queue = matches!(spec.purpose, LegPurpose::Acd | LegPurpose::Agent);
        let queue = match spec.queue_id {
            Some(id) => Some(self.queue_ref(id)?),
            None => queue.filter(|_| through_queue).cloned(),
        };
        let routing = (through_queue && queue.is_some()).then(|| LegRouting {
            priority: new.priority,
            skills: new.skills.clone(),
            language: new.language,
            ..LegRouting::default()
        });
        let session = |state, at| LegSession::new(self.new_id(now), state, at);
        let mut first = session(spec.state, started);
        first.held = spec.held;
        first.held_since = spec.held.then_some(times.since);
        let outside = spec.purpose.is_outside();
        let id = id.unwrap_or_else(|| self.new_id(now));
        let mut leg = WorldLeg {
            name: name_of(spec.purpose, queue.as_ref()),
            queue,
            user: spec.purpose.is_staff().then(|| self.new_id(now)),
            supervision: spec.supervision,
            routing,
            attributes: if outside { new.attributes.clone() } else { BTreeMap::new() },
            ..WorldLeg::new(id, spec.purpose, started, first)
        };
        leg.sessions.extend(spec.second_call.map(|state| session(state, times.since)));
        if spec.ended {
            let how = match spec.purpose {
                _ if outside => Disconnect::Endpoint,
                LegPurpose::Agent | LegPurpose::User => Disconnect::Peer,
                _ => Disconnect::Transfer,
            };
            leg.end(how, times.end(spec));
        }
        Ok(leg)
    }

    /// Checks a replace command as Genesys does before it answers 202.
    pub fn plan_replace(
        &self,
        conversation: Uuid,
        participant: Uuid,
        target: &QueueChoice,
        kind: TransferKind,
        now: Timestamp,
    ) -> Result<ReplaceOrder, WorldError> {
        let found = self.conversation(conversation).ok_or(WorldError::UnknownConversation)?;
        if found.ended.is_some() {
            return Err(WorldError::ConversationEnded);
        }
        let queue = self.choose_queue(target)?;
        replaceable(found, participant)?;
        Ok(ReplaceOrder { conversation, participant, queue, kind, ordered: now })
    }

    /// Carries a checked replace command out. Checks again: the conversation may have changed
    /// between the answer and the effect.
    pub fn carry_out(
        &mut self,
        order: &ReplaceOrder,
        strip_skills: bool,
        now: Timestamp,
    ) -> Result<Move, WorldError> {
        self.edit_open(order.conversation, now, |conversation, ids| {
            let leg = replaceable(conversation, order.participant)?;
            let (from, initiator) = (leg.queue_id(), leg.user);
            let routing = leg.routing.as_ref().or_else(|| conversation.routing());
            let mut routing = routing.cloned().unwrap_or_default();
            if strip_skills && order.kind == TransferKind::Unattended {
                routing.skills.clear();
            }
            let waited = leg.purpose == LegPurpose::Acd;
            for leg in &mut conversation.participants {
                let goes_too = leg.purpose == LegPurpose::Acd || (waited && leg.is_ringing());
                if leg.id == order.participant {
                    leg.end(Disconnect::Transfer, now);
                } else if goes_too && !leg.purpose.is_outside() {
                    leg.end(Disconnect::Peer, now);
                }
            }
            let moved = join_queue(conversation, ids, order.queue.clone(), routing, now);
            conversation.transfers.push_front(RecentTransfer {
                id: ids.next(now),
                issued: order.ordered,
                kind: order.kind,
                initiator,
            });
            conversation.transfers.truncate(RECENT_TRANSFERS);
            Ok(Move { participant_id: Some(order.participant), from_queue_id: from, ..moved })
        })
    }

    /// Moves a conversation the way the conversation-patch API does: every inside leg ends, and
    /// it waits in the target queue with exactly these values.
    pub fn patch_move(
        &mut self,
        conversation: Uuid,
        queue: Uuid,
        priority: i64,
        skills: Vec<Uuid>,
        now: Timestamp,
    ) -> Result<Move, WorldError> {
        let target = self.queue_ref(queue)?;
        self.edit_open(conversation, now, |conversation, ids| {
            if conversation.blocked.is_some() {
                return Err(WorldError::Blocked);
            }
            room_for_a_leg(conversation)?;
            let agent_talks = conversation.any(|leg| leg.is_agent() && leg.is_connected());
            if conversation.is_ringing() && !agent_talks {
                return Err(WorldError::Ringing);
            }
            let from = conversation
                .participants
                .iter()
                .rev()
                .filter(|leg| leg.is_open() && !leg.purpose.is_outside())
                .find_map(WorldLeg::queue_id);
            let waits = conversation.waiting_leg();
            if waits.is_some_and(|leg| {
                leg.queue_id() == Some(target.id)
                    && leg.routing.as_ref().is_some_and(|routing| routing.priority == priority)
            }) {
                return Err(WorldError::AlreadyThere);
            }
            for leg in &mut conversation.participants {
                if !leg.purpose.is_outside() {
                    leg.end(Disconnect::Transfer, now);
                }
            }
            let language = conversation.routing().and_then(|routing| routing.language);
            let routing = LegRouting { priority, skills, language, ..LegRouting::default() };
            let moved = join_queue(conversation, ids, target, routing, now);
            Ok(Move { from_queue_id: from, ..moved })
        })
    }

    /// Sets absolute routing values on a conversation that waits, and answers what now holds.
    pub fn set_routing(
        &mut self,
        conversation: Uuid,
        edit: RoutingEdit,
        now: Timestamp,
    ) -> Result<LegRouting, WorldError> {
        self.edit_open(conversation, now, |conversation, _| {
            let waiting = conversation.waiting_leg().map(|leg| leg.id);
            let mut legs = conversation.participants.iter_mut();
            let leg = legs.find(|leg| Some(leg.id) == waiting).ok_or(WorldError::NotWaiting)?;
            let routing = leg.routing.get_or_insert_default();
            set(&mut routing.priority, edit.priority);
            set(&mut routing.skills, edit.skills);
            set(&mut routing.language, edit.language);
            set(&mut routing.label, edit.label);
            set(&mut routing.skill_expression, edit.skill_expression);
            Ok(routing.clone())
        })
    }

    fn choose_queue(&self, choice: &QueueChoice) -> Result<NamedQueue, WorldError> {
        let id = match choice {
            QueueChoice::Id(id) => *id,
            QueueChoice::Name(name) => only(self.queues_named(name).filter(|it| it.name == *name))?,
        };
        self.queue_ref(id)
    }

    /// Lets something happen.
    pub fn act(&mut self, id: Uuid, act: Act, now: Timestamp) -> Result<(), WorldError> {
        self.edit_open(id, now, |conversation, ids| match act {
            Act::Ring => add_agent(conversation, ids, SessionState::Alerting, now),
            Act::Join => add_agent(conversation, ids, SessionState::Connected, now),
            Act::Monitor => {
                add_agent(conversation, ids, SessionState::Connected, now)?;
                if let Some(leg) = conversation.participants.last_mut() {
                    leg.supervision = Some(SupervisorMode::Monitor);
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
                end_where(conversation, Disconnect::Endpoint, now, |leg| leg.purpose.is_outside());
                close_when_empty(conversation, now);
                Ok(())
            }
            Act::AgentsLeave => {
                end_where(conversation, Disconnect::Client, now, |leg| leg.purpose.is_staff());
                end_when_left(conversation, now);
                Ok(())
            }
        })
    }

    /// Sets or clears a state that only the conversation-patch API knows.
    pub fn block(
        &mut self,
        id: Uuid,
        state: Option<Blocked>,
        now: Timestamp,
    ) -> Result<(), WorldError> {
        self.edit(id, now, |conversation, _| {
            conversation.blocked = state;
            Ok(())
        })
    }
}

/// The id of the one queue there is.
pub fn only<'a>(mut queues: impl Iterator<Item = &'a WorldQueue>) -> Result<Uuid, WorldError> {
    let first = queues.next().ok_or(WorldError::UnknownQueue)?;
    queues.next().map_or(Ok(first.id), |_| Err(WorldError::AmbiguousQueue))
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn replaceable(
    conversation: &WorldConversation,
    participant: Uuid,
) -> Result<&WorldLeg, WorldError> {
    let leg = conversation.participant(participant).ok_or(WorldError::UnknownParticipant)?;
    if leg.purpose.is_outside() {
        return Err(WorldError::CustomerLeg);
    }
    if !leg.is_open() {
        return Err(WorldError::LegEnded);
    }
    room_for_a_leg(conversation)?;
    Ok(leg)
}

/// Whether one more leg may join.
pub(super) fn room_for_a_leg(conversation: &WorldConversation) -> Result<(), WorldError> {
    if conversation.participants.len() >= MAX_PARTICIPANTS {
        return Err(WorldError::Full("1000 participants in a conversation"));
    }
    Ok(())
}

fn join_queue(
    conversation: &mut WorldConversation,
    ids: &IdSource,
    queue: NamedQueue,
    routing: LegRouting,
    now: Timestamp,
) -> Move {
    let (id, to) = (ids.next(now), queue.id);
    let session = LegSession::new(ids.next(now), SessionState::Connected, now);
    conversation.participants.push(WorldLeg {
        name: Some(queue.name.clone()),
        queue: Some(queue),
        routing: Some(routing),
        ..WorldLeg::new(id, LegPurpose::Acd, now, session)
    });
    Move {
        seq: 0,
        conversation_id: conversation.id,
        participant_id: None,
        new_participant_id: id,
        from_queue_id: None,
        to_queue_id: to,
        applied_at: now,
        request: 0,
    }
}

fn add_agent(
    conversation: &mut WorldConversation,
    ids: &IdSource,
    state: SessionState,
    now: Timestamp,
) -> Result<(), WorldError> {
    room_for_a_leg(conversation)?;
    let mut open = conversation.participants.iter().rev().filter(|leg| leg.is_open());
    let queue = open.find_map(|leg| leg.queue.clone());
    let purpose = if queue.is_some() { LegPurpose::Agent } else { LegPurpose::User };
    let routing = queue.as_ref().and_then(|_| conversation.routing().cloned());
    let (id, user) = (ids.next(now), ids.next(now));
    let session = LegSession::new(ids.next(now), state, now);
    let name = name_of(purpose, None);
    conversation.participants.push(WorldLeg {
        name,
        routing,
        queue,
        user: Some(user),
        ..WorldLeg::new(id, purpose, now, session)
    });
    Ok(())
}

fn answer(
    conversation: &mut WorldConversation,
    ids: &IdSource,
    now: Timestamp,
) -> Result<(), WorldError> {
    if !conversation.is_ringing() {
        if conversation.queue_leg().is_none() {
            return Err(WorldError::DoesNotFit("it neither rings nor waits in a queue"));
        }
        add_agent(conversation, ids, SessionState::Alerting, now)?;
    }
    let rings = |leg: &&mut WorldLeg| leg.is_agent() && leg.is_ringing();
    if let Some(leg) = conversation.participants.iter_mut().find(rings) {
        for session in leg.sessions.iter_mut().filter(|session| session.state.is_ringing()) {
            session.state = SessionState::Connected;
            session.connected = Some(now);
        }
    }
    // Genesys ends an answered queue leg with the same word as a moved one.
    end_where(conversation, Disconnect::Transfer, now, |leg| leg.purpose == LegPurpose::Acd);
    Ok(())
}

fn ring_out(conversation: &mut WorldConversation, now: Timestamp) -> Result<(), WorldError> {
    if !conversation.is_ringing() {
        return Err(WorldError::DoesNotFit("it does not ring"));
    }
    end_where(conversation, Disconnect::TransferNoAnswer, now, |leg| {
        leg.is_agent() && leg.is_ringing()
    });
    end_when_left(conversation, now);
    Ok(())
}

/// Ends a conversation that no leg of the organisation holds.
fn end_when_left(conversation: &mut WorldConversation, now: Timestamp) {
    if !conversation.any(|leg| leg.is_open() && !leg.purpose.is_outside()) {
        hang_up(conversation, now);
    }
}

fn hold(
    conversation: &mut WorldConversation,
    held: bool,
    now: Timestamp,
) -> Result<(), WorldError> {
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
    if any { Ok(()) } else { Err(WorldError::DoesNotFit("no agent is connected")) }
}

fn hang_up(conversation: &mut WorldConversation, now: Timestamp) {
    end_where(conversation, Disconnect::Endpoint, now, |leg| leg.purpose.is_outside());
    end_where(conversation, Disconnect::Peer, now, |_| true);
    close_when_empty(conversation, now);
}

fn close_when_empty(conversation: &mut WorldConversation, now: Timestamp) {
    if conversation.participants.iter().all(|leg| leg.ended.is_some()) {
        conversation.ended = Some(now);
    }
}

fn end_where(
    conversation: &mut WorldConversation,
    how: Disconnect,
    now: Timestamp,
    which: impl Fn(&WorldLeg) -> bool,
) {
    for leg in conversation.participants.iter_mut().filter(|leg| which(leg)) {
        leg.end(how, now);
    }
}
