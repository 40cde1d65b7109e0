//! A call floor in memory: queues with calls in them, a window of a hundred rows, rows that lag.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::{
    clock::Clock,
    problem::{FieldError, UpstreamAnswer},
    transfer::{
        conversation::{Conversation, Leg, LegState, Routing, samples::*},
        gateway::*,
        ids::{ConversationId, QueueId},
        model::{Priority, Queue, QueueRef, TransferRequest},
        rate::{RateShare, RateUse},
        testing::Callers,
    },
};

use super::clock::{FloorClock, noon};

/// Rows of one look.
const WINDOW: usize = 100;

/// How a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    Waiting { queue: QueueId, since: Timestamp, priority: i64 },
    Ringing { queue: QueueId, since: Timestamp, priority: i64 },
    Answered,
    Ended,
}

#[derive(Debug, Clone)]
struct Call {
    stand: Stand,
    /// Queues it was moved out of.
    left: Vec<QueueId>,
}

/// What it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub looks: u32,
    pub pictures: u32,
    pub activities: u32,
    pub reads: u32,
    pub commands: u32,
    pub patches: u32,
}

#[derive(Default)]
struct State {
    calls: BTreeMap<ConversationId, Call>,
    /// Rows of calls that left: until when they are shown.
    ghosts: Vec<(QueueId, WaitingCall, Instant)>,
    commands: HashMap<ConversationId, u32>,
    moves: Vec<ConversationId>,
    cost: Cost,
}

/// See the module's text.
#[derive(Default)]
pub(crate) struct Floor {
    pub callers: Callers,
    pub clock: Arc<FloorClock>,
    state: Mutex<State>,
    /// How long a row is shown after its call left; every n-th for ever.
    pub lag: Mutex<Duration>,
    pub ghost_every: Mutex<usize>,
    /// How long a command takes.
    pub latency: Mutex<Duration>,
    /// Errors for the next reads of a conversation.
    pub failing_reads: Mutex<VecDeque<GatewayError>>,
    /// Errors for all reads of one conversation.
    pub broken: Mutex<HashMap<ConversationId, GatewayError>>,
    /// Errors for the next looks at a queue.
    pub failing_looks: Mutex<VecDeque<GatewayError>>,
    /// So many of the next looks show no call.
    pub empty_looks: Mutex<u32>,
    /// Looks at this queue show no call.
    pub empty_looks_at: Mutex<Option<QueueId>>,
    /// Calls whose rows cannot be read.
    pub unreadable: Mutex<HashSet<ConversationId>>,
    /// Answers to the next commands, which are then not carried out.
    pub failing_commands: Mutex<VecDeque<Sent>>,
    /// Answers to all commands of one conversation, which are then not carried out.
    pub refused: Mutex<HashMap<ConversationId, Sent>>,
    /// Conversations whose priority cannot be changed, and why.
    pub stuck_patches: Mutex<HashMap<ConversationId, GatewayError>>,
    /// Errors for the next changes of priority.
    pub failing_patches: Mutex<VecDeque<GatewayError>>,
    /// Agents on every queue.
    pub members: Mutex<Option<u64>>,
    /// Whether looks show all that wait, and one many calls.
    pub bulk: Mutex<bool>,
    /// Calls that a look at many leaves out.
    pub left_out: Mutex<HashSet<ConversationId>>,
    /// What a look at many showed first is shown for ever.
    pub stale: Mutex<Option<HashMap<ConversationId, Conversation>>>,
}

pub(crate) fn call(number: u32) -> ConversationId {
    format!("00000000-0000-4000-a000-0000000{number:05}").parse().unwrap()
}

pub(crate) fn from() -> QueueId {
    queue(1)
}

pub(crate) fn to() -> QueueId {
    queue(2)
}

/// Every queue there is.
fn known() -> impl Iterator<Item = Queue> {
    (1..=9).map(|n| Queue { id: queue(n), name: format!("Queue {n}"), division: None })
}

fn answer(status: u16) -> UpstreamAnswer {
    UpstreamAnswer { status, ..UpstreamAnswer::default() }
}

impl Floor {
    /// `count` calls wait in [`from`], the first the longest, `apart` from each other.
    pub(crate) fn with(count: u32, apart: Duration) -> Arc<Self> {
        let floor = Self::default();
        for number in 0..count {
            let age = apart * (count - number);
            let since = noon() - SignedDuration::try_from(age).unwrap();
            floor.put(call(number), Stand::Waiting { queue: from(), since, priority: 0 });
        }
        Arc::new(floor)
    }

    pub(crate) fn put(&self, id: ConversationId, stand: Stand) {
        self.state.lock().unwrap().calls.insert(id, Call { stand, left: Vec::new() });
    }

    /// A call comes to a new stand.
    pub(crate) fn becomes(&self, id: ConversationId, stand: Stand) {
        let mut state = self.state.lock().unwrap();
        self.leave(&mut state, id);
        state.calls.get_mut(&id).unwrap().stand = stand;
    }

    pub(crate) fn stand(&self, id: ConversationId) -> Stand {
        self.state.lock().unwrap().calls[&id].stand
    }

    /// A waiting call rings, or a ringing one waits again.
    pub(crate) fn rings(&self, id: ConversationId, rings: bool) {
        let stand = match self.stand(id) {
            Stand::Waiting { queue, since, priority } if rings => {
                Stand::Ringing { queue, since, priority }
            }
            Stand::Ringing { queue, since, priority } if !rings => {
                Stand::Waiting { queue, since, priority }
            }
            other => other,
        };
        self.state.lock().unwrap().calls.get_mut(&id).unwrap().stand = stand;
    }

    pub(crate) fn cost(&self) -> Cost {
        self.state.lock().unwrap().cost
    }

    /// What a look at these calls shows now.
    pub(crate) fn pictures_of(
        &self,
        ids: impl Iterator<Item = ConversationId>,
    ) -> HashMap<ConversationId, Conversation> {
        ids.map(|id| (id, Conversation { bulk: true, ..self.read(id).unwrap() })).collect()
    }

    /// How often each call was commanded.
    pub(crate) fn commands(&self) -> HashMap<ConversationId, u32> {
        self.state.lock().unwrap().commands.clone()
    }

    /// The calls in the order they were moved.
    pub(crate) fn moves(&self) -> Vec<ConversationId> {
        self.state.lock().unwrap().moves.clone()
    }

    /// Who waits in a queue, in the order they are served.
    pub(crate) fn line(&self, wanted: QueueId) -> Vec<ConversationId> {
        let state = self.state.lock().unwrap();
        let mut line: Vec<(i64, ConversationId)> = Vec::new();
        for (id, call) in &state.calls {
            if let Stand::Waiting { queue, since, priority } = call.stand
                && queue == wanted
            {
                line.push((since.as_millisecond() - priority * 60_000, *id));
            }
        }
        line.sort_unstable();
        line.into_iter().map(|(_, id)| id).collect()
    }

    fn leave(&self, state: &mut State, id: ConversationId) {
        let Stand::Waiting { queue, since, priority } = state.calls[&id].stand else { return };
        let nth = state.ghosts.len() + 1;
        let every = *self.ghost_every.lock().unwrap();
        let for_ever = every > 0 && nth.is_multiple_of(every);
        let lag = if for_ever { Duration::from_hours(24) } else { *self.lag.lock().unwrap() };
        let row = waiting_row(id, since, priority);
        state.ghosts.push((queue, row, Instant::now() + lag));
    }

    fn look(&self, wanted: QueueId) -> WaitingCalls {
        let state = self.state.lock().unwrap();
        let mut rows: Vec<WaitingCall> = Vec::new();
        for (id, call) in &state.calls {
            if let Stand::Waiting { queue, since, priority } = call.stand
                && queue == wanted
            {
                rows.push(waiting_row(*id, since, priority));
            }
        }
        let shown = |ghost: &&(QueueId, WaitingCall, Instant)| {
            ghost.0 == wanted && Instant::now() < ghost.2
        };
        rows.extend(state.ghosts.iter().filter(shown).map(|(_, row, _)| row.clone()));
        rows.sort_by_key(|row| (row.since, row.conversation_id));
        let count = u64::try_from(rows.len()).unwrap();
        let truncated = rows.len() > WINDOW && !*self.bulk.lock().unwrap();
        if truncated {
            rows.drain(WINDOW / 2..rows.len() - WINDOW / 2);
        }
        let unreadable = self.unreadable.lock().unwrap();
        rows.retain(|row| !unreadable.contains(&row.conversation_id));
        WaitingCalls { count, truncated, rows, ..WaitingCalls::default() }
    }

    fn read(&self, id: ConversationId) -> Result<Conversation, GatewayError> {
        let state = self.state.lock().unwrap();
        let call = state.calls.get(&id).ok_or_else(|| GatewayError::NotFound(answer(404)))?;
        let mut legs = vec![customer()];
        let mut number = 2;
        for queue in &call.left {
            let leg = ended(waiting(number, *queue));
            legs.push(Leg { disconnect_type: Some("transfer".to_owned()), ..leg });
            number += 1;
        }
        match call.stand {
            Stand::Waiting { queue, since, priority }
            | Stand::Ringing { queue, since, priority } => {
                let routing = Routing { priority: Some(priority), ..Routing::default() };
                legs.push(Leg { since: Some(since), routing, ..waiting(number, queue) });
                if matches!(call.stand, Stand::Ringing { .. }) {
                    legs.push(agent(number + 1, LegState::Ringing));
                }
            }
            Stand::Answered => {
                legs.push(ended(waiting(number, from())));
                legs.push(agent(number + 1, LegState::Connected));
            }
            Stand::Ended => legs = vec![ended(customer())],
        }
        let recent = (0..call.left.len()).map(|n| n.to_string()).collect();
        Ok(Conversation { id, recent_transfers: recent, ..conversation(legs) })
    }

    fn carry_out(&self, command: &MoveCommand) -> Sent {
        let id = command.conversation_id;
        let mut state = self.state.lock().unwrap();
        state.cost.commands += 1;
        *state.commands.entry(id).or_default() += 1;
        if let Some(sent) = self.failing_commands.lock().unwrap().pop_front() {
            return sent;
        }
        if let Some(sent) = self.refused.lock().unwrap().get(&id) {
            return sent.clone();
        }
        let call = &state.calls[&id];
        let Stand::Waiting { queue, priority, .. } = call.stand else {
            return Sent::Refused(GatewayError::Conflict(answer(409)));
        };
        if command.participant_id != Some(participant(2 + u32::try_from(call.left.len()).unwrap()))
        {
            return Sent::Refused(GatewayError::NotFound(answer(404)));
        }
        self.leave(&mut state, id);
        let call = state.calls.get_mut(&id).unwrap();
        call.left.push(queue);
        call.stand = Stand::Waiting { queue: command.queue.id, since: self.clock.now(), priority };
        state.moves.push(id);
        Sent::Taken(answer(202))
    }
}

#[derive(Debug)]
struct Unlimited;

impl Reservation for Unlimited {}

fn waiting_row(conversation_id: ConversationId, since: Timestamp, priority: i64) -> WaitingCall {
    let priority = Some(priority);
    WaitingCall { conversation_id, since, priority, skill_ids: None, language_id: None }
}

#[async_trait]
impl CallGateway for Floor {
    fn rate_use(&self) -> RateUse {
        RateUse { limit: 300, spent: 0 }
    }

    fn keep_to(&self, _: Option<RateShare>) {}

    fn unsupported(&self, _: &TransferRequest) -> Vec<FieldError> {
        Vec::new()
    }

    fn command_carries_routing(&self) -> bool {
        false
    }

    fn takes_priority(&self, _: Priority) -> bool {
        true
    }

    async fn admit(&self, ctx: &CallContext, _: u32) -> Result<Arc<dyn Reservation>, GatewayError> {
        self.callers.note(ctx);
        Ok(Arc::new(Unlimited))
    }

    async fn queue(&self, _: &CallContext, asked: &QueueRef) -> Result<Queue, QueueError> {
        let fits = |found: &Queue| match asked {
            QueueRef::Id(id) => found.id == *id,
            QueueRef::Name(name) => found.name == name.as_str(),
        };
        known().find(fits).ok_or(QueueError::NotFound { closest: Vec::new() })
    }

    fn known_queue(&self, id: QueueId) -> Option<Queue> {
        known().find(|queue| queue.id == id)
    }

    async fn search_queues(&self, _: &CallContext, _: &str) -> Result<QueueListing, GatewayError> {
        Ok(QueueListing { items: Vec::new(), loaded_at: noon() })
    }

    async fn refresh_queues(&self, _: &CallContext) -> Result<QueueListing, GatewayError> {
        Ok(QueueListing { items: Vec::new(), loaded_at: noon() })
    }

    async fn conversation(
        &self,
        ctx: &CallContext,
        id: ConversationId,
    ) -> Result<Conversation, GatewayError> {
        self.callers.note(ctx);
        self.state.lock().unwrap().cost.reads += 1;
        let latency = *self.latency.lock().unwrap();
        tokio::time::sleep(latency).await;
        if let Some(error) = self.failing_reads.lock().unwrap().pop_front() {
            return Err(error);
        }
        if let Some(error) = self.broken.lock().unwrap().get(&id) {
            return Err(error.clone());
        }
        self.read(id)
    }

    async fn send(&self, ctx: &CallContext, command: &MoveCommand, _: u32) -> Tried {
        self.callers.note(ctx);
        let latency = *self.latency.lock().unwrap();
        tokio::time::sleep(latency).await;
        self.carry_out(command).into()
    }

    async fn set_routing(
        &self,
        ctx: &CallContext,
        id: ConversationId,
        change: &RoutingChange,
    ) -> Result<(), GatewayError> {
        self.callers.note(ctx);
        let mut state = self.state.lock().unwrap();
        state.cost.patches += 1;
        if let Some(error) = self.failing_patches.lock().unwrap().pop_front() {
            return Err(error);
        }
        if let Some(error) = self.stuck_patches.lock().unwrap().get(&id) {
            return Err(error.clone());
        }
        match &mut state.calls.get_mut(&id).unwrap().stand {
            Stand::Waiting { priority, .. } => {
                *priority = change.priority.map_or(*priority, |new| i64::from(new.get()));
                Ok(())
            }
            _ => Err(GatewayError::Conflict(answer(409))),
        }
    }

    async fn strips_skills(&self, _: &CallContext) -> Result<bool, GatewayError> {
        Ok(false)
    }

    async fn waiting(
        &self,
        ctx: &CallContext,
        queue: QueueId,
    ) -> Result<WaitingCalls, GatewayError> {
        self.callers.note(ctx);
        self.state.lock().unwrap().cost.looks += 1;
        if let Some(error) = self.failing_looks.lock().unwrap().pop_front() {
            return Err(error);
        }
        let mut empty = self.empty_looks.lock().unwrap();
        if *empty > 0 || *self.empty_looks_at.lock().unwrap() == Some(queue) {
            *empty = empty.saturating_sub(1);
            return Ok(WaitingCalls::default());
        }
        Ok(self.look(queue))
    }

    async fn bulk_look(
        &self,
        ctx: &CallContext,
        from: QueueId,
        ids: &[ConversationId],
    ) -> HashMap<ConversationId, Conversation> {
        self.callers.note(ctx);
        if !*self.bulk.lock().unwrap() {
            return HashMap::new();
        }
        self.state.lock().unwrap().cost.pictures += 1;
        let mut pictures = HashMap::new();
        for id in ids {
            let waits = matches!(self.stand(*id), Stand::Waiting { queue, .. } if queue == from);
            if waits && !self.left_out.lock().unwrap().contains(id) {
                let mut picture = self.read(*id).unwrap();
                picture.legs.iter_mut().for_each(|leg| leg.routing.priority = None);
                pictures.insert(*id, Conversation { bulk: true, ..picture });
            }
        }
        self.stale.lock().unwrap().clone().unwrap_or(pictures)
    }

    async fn queue_activity(
        &self,
        ctx: &CallContext,
        ids: &[QueueId],
    ) -> Result<HashMap<QueueId, QueueActivity>, GatewayError> {
        self.callers.note(ctx);
        self.state.lock().unwrap().cost.activities += 1;
        let activity = |id: &QueueId| QueueActivity {
            waiting: Some(self.line(*id).len() as u64),
            longest_wait_seconds: None,
            interacting: None,
            on_queue: *self.members.lock().unwrap(),
            idle: None,
            as_of: self.clock.now(),
        };
        Ok(ids.iter().map(|id| (*id, activity(id))).collect())
    }

    fn looks_in_bulk(&self) -> bool {
        *self.bulk.lock().unwrap()
    }

    async fn members(&self, _: &CallContext, _: QueueId) -> Result<Option<u64>, GatewayError> {
        Ok(*self.members.lock().unwrap())
    }

    fn batch_allowance(&self) -> u32 {
        210
    }

    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }
}
