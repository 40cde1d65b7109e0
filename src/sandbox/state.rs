//! All that one sandbox knows, behind one lock that is held briefly and never across an await.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::Access,
    faults::Faults,
    ledger::{Effect, Ledger, Move, Totals},
    world::{ReplaceOrder, World},
};
use crate::clock::Clock;

/// How the pretended Genesys Cloud behaves; can be changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Behaviour {
    /// Milliseconds between the answer to a replace command and its effect; 0 means the effect is
    /// there before the answer.
    pub effect_delay_ms: u64,
    /// Requests a minute and token.
    pub requests_per_minute: u32,
    /// Seconds the minute of a limit lasts, to rehearse a long drain in a short time.
    pub rate_window_seconds: u32,
    /// Lifetime of new tokens in seconds.
    pub token_lifetime_seconds: u32,
    /// Queues a page holds at most; larger wishes are silently cut.
    pub max_page_size: u32,
    /// Whether a blind transfer loses the skills.
    pub remove_skills_from_blind_transfer: bool,
    /// Milliseconds the waiting-calls query still shows a conversation that left the queue.
    pub observation_lag_ms: u64,
    /// Every n-th conversation that leaves a queue is shown for ever; 0 means none.
    pub ghost_every: u64,
    /// Status for commands on an ended conversation: 404 or 409.
    pub ended_status: u16,
    /// What the waiting-calls query says of a queue in which nothing waits.
    pub empty_queue: EmptyQueue,
}

/// What the waiting-calls query says of a queue in which nothing waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyQueue {
    /// A count of 0.
    #[default]
    Counted,
    /// A group whose `data` has no such metric.
    WithoutMetric,
    /// A group without `data`.
    WithoutData,
    /// Nothing.
    Unmentioned,
}

/// Everything behind the lock.
#[derive(Debug)]
pub struct State {
    /// Queues and conversations.
    pub world: World,
    /// Clients and tokens.
    pub access: Access,
    /// Requests and moves.
    pub ledger: Ledger,
    /// Orders to misbehave.
    pub faults: Faults,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// Counts the resets, so that an effect ordered before one does not hit the world after it.
    pub(super) epoch: u64,
}

impl State {
    /// Goes back to `fresh`, but keeps clients, their tokens and the numbering of the ledger.
    pub(super) fn reset(&mut self, fresh: Self) {
        self.world = fresh.world;
        self.behaviour = fresh.behaviour;
        self.faults.clear();
        self.ledger.clear();
        self.access.forgive();
        self.epoch += 1;
    }

    /// Carries a replace command out and writes down what became of it.
    pub(super) fn apply(&mut self, order: &ReplaceOrder, request: u64, now: Timestamp) -> Effect {
        let strip = self.behaviour.remove_skills_from_blind_transfer;
        let effect = match self.world.carry_out(order, strip, now) {
            Ok(moved) => {
                self.moved(&moved, request, now);
                Effect::Applied
            }
            Err(_) => Effect::Dropped,
        };
        self.ledger.amend(request, |entry| entry.effect = effect);
        effect
    }

    /// Writes a move down.
    pub(super) fn moved(&mut self, moved: &super::world::Moved, request: u64, now: Timestamp) {
        self.ledger.moved(Move {
            seq: 0,
            conversation_id: moved.conversation,
            participant_id: moved.replaced,
            new_participant_id: moved.joined,
            from_queue_id: moved.from,
            to_queue_id: moved.to,
            applied_at: now,
            request,
        });
    }
}

/// What every connection and task of one sandbox shares.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) clock: Arc<dyn Clock>,
    /// The address it listens on.
    pub(super) bind: IpAddr,
    pub(super) base_url: String,
    pub(super) client_key: Option<String>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Ends the scenario that runs, if one does.
    pub(super) scenario: Mutex<CancellationToken>,
    pub(super) changes: watch::Sender<Totals>,
    /// Rebuilds the state `reset` goes back to.
    pub(super) fresh: Box<dyn Fn(Timestamp) -> State + Send + Sync>,
}

impl Shared {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        address: SocketAddr,
        client_key: Option<String>,
        stop: CancellationToken,
        fresh: Box<dyn Fn(Timestamp) -> State + Send + Sync>,
    ) -> Self {
        Self {
            state: Mutex::new(fresh(clock.now())),
            clock,
            bind: address.ip(),
            base_url: format!("http://{address}"),
            client_key,
            scenario: Mutex::new(stop.child_token()),
            stop,
            tasks: TaskTracker::new(),
            changes: watch::Sender::new(Totals::default()),
            fresh,
        }
    }

    /// Works on the state and tells the watchers when the ledger grew.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let (outcome, totals) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = work(&mut state);
            (outcome, state.ledger.totals())
        };
        // Another thread may have told of a later change already.
        self.changes.send_if_modified(|seen| {
            let newer = totals.changes > seen.changes;
            if newer {
                *seen = totals;
            }
            newer
        });
        outcome
    }

    /// Looks at the state without changing it, so that no watcher is told.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Carries a replace command out after `delay`, unless the sandbox stops first.
    pub(super) fn apply_later(
        self: &Arc<Self>,
        order: ReplaceOrder,
        seq: u64,
        epoch: u64,
        delay: Duration,
    ) {
        let shared = Arc::clone(self);
        // Not when the timer happens to fire: two commands take effect in their order.
        let wait = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        let due = self.clock.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
        self.tasks.spawn(async move {
            tokio::select! {
                () = shared.stop.cancelled() => {}
                () = tokio::time::sleep(delay) => {
                    shared.with(|state| {
                        if state.epoch == epoch {
                            state.apply(&order, seq, due);
                        }
                    });
                }
            }
        });
    }

    /// Ends the scenario that runs and hands out the token of the next one.
    pub(super) fn next_scenario(&self) -> CancellationToken {
        let mut running = self.scenario.lock().unwrap_or_else(PoisonError::into_inner);
        running.cancel();
        *running = self.stop.child_token();
        running.clone()
    }
}
