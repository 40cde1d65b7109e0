//! A Genesys with one call in it, which does what a test's script says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::{
    clock::{Clock, SystemClock},
    problem::FieldError,
    transfer::{
        conversation::{Conversation, Leg, LegState, samples::*},
        gateway::*,
        ids::{ConversationId, QueueId},
        model::{Priority, Queue, QueueRef, TransferRequest},
        rate::{RateShare, RateUse},
        testing::Callers,
    },
};

/// When a command takes effect.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect {
    Never,
    After(Duration),
    /// Another party moves the call to another queue instead.
    ElsewhereAfter(Duration),
    /// The customer hangs up instead.
    HangUpAfter(Duration),
}

#[derive(Default)]
pub(crate) struct ScriptedGateway {
    pub callers: Callers,
    pub script: Mutex<VecDeque<(Sent, Effect)>>,
    pub sent: Mutex<u32>,
    pub routing_set: Mutex<Vec<RoutingChange>>,
    /// Errors for the next reads of the conversation.
    pub failing_reads: Mutex<VecDeque<GatewayError>>,
    /// Errors for the next routing changes.
    pub failing_routing: Mutex<VecDeque<GatewayError>>,
    /// How long a command takes to be answered.
    pub latency: Mutex<Duration>,
    effect: Mutex<Option<(Instant, Effect)>>,
    found: Mutex<Option<Result<Queue, QueueError>>>,
    listing: Mutex<Vec<Queue>>,
    /// For how long the call has waited in a queue before an agent takes it; else it is with one.
    waiting: Mutex<Option<SignedDuration>>,
}

#[derive(Debug)]
struct Unlimited;

impl Reservation for Unlimited {}

impl ScriptedGateway {
    /// The next command is answered so, with this effect.
    pub(crate) fn next(&self, sent: Sent, effect: Effect) {
        self.script.lock().unwrap().push_back((sent, effect));
    }

    pub(crate) fn commands(&self) -> u32 {
        *self.sent.lock().unwrap()
    }

    /// Something that happens by itself.
    pub(crate) fn happens(&self, effect: Effect) {
        *self.effect.lock().unwrap() = Some((Instant::now(), effect));
    }

    /// Every look for a queue ends so.
    pub(crate) fn finds(&self, found: Result<Queue, QueueError>) {
        *self.found.lock().unwrap() = Some(found);
    }

    /// The queue map.
    pub(crate) fn lists(&self, queues: Vec<Queue>) {
        *self.listing.lock().unwrap() = queues;
    }

    /// The call has waited in a queue for `time`, instead of being with an agent.
    pub(crate) fn waits_since(&self, time: SignedDuration) {
        *self.waiting.lock().unwrap() = Some(time);
    }

    fn listing(&self) -> QueueListing {
        let items = self.listing.lock().unwrap().clone();
        QueueListing { items, loaded_at: Timestamp::UNIX_EPOCH }
    }

    fn state(&self) -> Conversation {
        let agent = match *self.waiting.lock().unwrap() {
            Some(time) => {
                let since = Some(SystemClock.now() - time);
                Leg { since, ..waiting(2, queue(5)) }
            }
            None => agent(2, LegState::Connected),
        };
        let effect = *self.effect.lock().unwrap();
        let happened = |since: Instant, after: Duration| since.elapsed() >= after;
        let gone = || Leg { disconnect_type: Some("transfer".to_owned()), ..ended(agent.clone()) };
        match effect {
            Some((since, Effect::After(after))) if happened(since, after) => Conversation {
                recent_transfers: vec!["t".to_owned()],
                ..conversation(vec![customer(), gone(), waiting(3, queue(9))])
            },
            Some((since, Effect::ElsewhereAfter(after))) if happened(since, after) => {
                Conversation {
                    recent_transfers: vec!["t".to_owned()],
                    ..conversation(vec![customer(), gone(), waiting(3, queue(5))])
                }
            }
            Some((since, Effect::HangUpAfter(after))) if happened(since, after) => {
                conversation(vec![ended(customer()), ended(agent)])
            }
            _ => conversation(vec![customer(), agent]),
        }
    }
}

#[async_trait]
impl CallGateway for ScriptedGateway {
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

    async fn queue(&self, _: &CallContext, _: &QueueRef) -> Result<Queue, QueueError> {
        let support = Queue { id: queue(9), name: "Support".to_owned(), division: None };
        self.found.lock().unwrap().clone().unwrap_or(Ok(support))
    }

    fn known_queue(&self, id: QueueId) -> Option<Queue> {
        self.listing.lock().unwrap().iter().find(|queue| queue.id == id).cloned()
    }

    async fn search_queues(&self, _: &CallContext, _: &str) -> Result<QueueListing, GatewayError> {
        Ok(self.listing())
    }

    async fn refresh_queues(&self, _: &CallContext) -> Result<QueueListing, GatewayError> {
        Ok(self.listing())
    }

    async fn conversation(
        &self,
        ctx: &CallContext,
        _: ConversationId,
    ) -> Result<Conversation, GatewayError> {
        self.callers.note(ctx);
        if let Some(error) = self.failing_reads.lock().unwrap().pop_front() {
            return Err(error);
        }
        Ok(self.state())
    }

    async fn send(&self, ctx: &CallContext, _: &MoveCommand, _: u32) -> Tried {
        self.callers.note(ctx);
        if ctx.departure.leave().is_err() {
            return Sent::NotSent(GatewayError::ShuttingDown).into();
        }
        *self.sent.lock().unwrap() += 1;
        let (sent, effect) = self.script.lock().unwrap().pop_front().expect("a scripted answer");
        if !matches!(effect, Effect::Never) {
            self.happens(effect);
        }
        let latency = *self.latency.lock().unwrap();
        tokio::time::sleep(latency).await;
        sent.into()
    }

    async fn set_routing(
        &self,
        ctx: &CallContext,
        _: ConversationId,
        change: &RoutingChange,
    ) -> Result<(), GatewayError> {
        self.callers.note(ctx);
        if let Some(error) = self.failing_routing.lock().unwrap().pop_front() {
            return Err(error);
        }
        self.routing_set.lock().unwrap().push(change.clone());
        Ok(())
    }

    async fn strips_skills(&self, _: &CallContext) -> Result<bool, GatewayError> {
        Ok(false)
    }

    fn rate_use(&self) -> RateUse {
        RateUse { limit: 300, spent: 0 }
    }

    fn keep_to(&self, _: Option<RateShare>) {}
    async fn waiting(&self, _: &CallContext, _: QueueId) -> Result<WaitingCalls, GatewayError> {
        Ok(WaitingCalls::default())
    }

    async fn members(&self, _: &CallContext, _: QueueId) -> Result<Option<u64>, GatewayError> {
        Ok(None)
    }

    fn batch_allowance(&self) -> u32 {
        u32::MAX
    }

    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }
}
