//! All that one sandbox knows, behind one lock that is held briefly and never across an await.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    access::{self, Access, EndpointRule},
    faults::Faults,
    ledger::{Effect, Ledger, Totals},
    seed,
    world::{Move, ReplaceOrder, World},
};
use crate::clock::Clock;

/// Largest page of queues, unless changed while it runs; Genesys cuts larger wishes silently.
const MAX_PAGE_SIZE: u32 = 500;

/// How a sandbox starts. Holds a secret, so it has no `Debug`.
#[derive(Clone)]
pub struct Options {
    /// The OAuth client it knows.
    pub client_id: String,
    /// That client's secret.
    pub client_secret: String,
    /// PEM of the public key that must have signed client assertions; without one any signature
    /// is taken.
    pub client_key: Option<String>,
    /// Time between the answer to a replace command and its effect; zero means the effect is
    /// there before the answer.
    pub effect_delay: Duration,
    /// Whether it starts with [`seed::world`], else with nothing.
    pub seed: bool,
    /// Requests a minute and token.
    pub requests_per_minute: u32,
    /// Lifetime of tokens.
    pub token_lifetime: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_id: "sandbox".to_owned(),
            client_secret: "sandbox".to_owned(),
            client_key: None,
            effect_delay: Duration::ZERO,
            seed: true,
            requests_per_minute: 300,
            token_lifetime: Duration::from_hours(24),
        }
    }
}

impl Options {
    /// The state a sandbox with these options starts with and goes back to.
    pub(super) fn fresh(&self, now: Timestamp) -> State {
        let world = if self.seed { seed::world(now).ok() } else { None };
        let mut access = Access::default();
        // One client always fits.
        let _ = access.put_client(&self.client_id, &self.client_secret);
        State {
            world: world.unwrap_or_else(seed::empty),
            access,
            ledger: Ledger::default(),
            faults: Faults::default(),
            behaviour: Behaviour {
                effect_delay_ms: u64::try_from(self.effect_delay.as_millis()).unwrap_or(u64::MAX),
                requests_per_minute: self.requests_per_minute,
                rate_window_seconds: access::WINDOW,
                token_lifetime_seconds: u32::try_from(self.token_lifetime.as_secs())
                    .unwrap_or(u32::MAX),
                max_page_size: MAX_PAGE_SIZE,
                remove_skills_from_blind_transfer: false,
                observation_lag_ms: 0,
                ghost_every: 0,
                details_lag_ms: 0,
                details_missing_every: 0,
                ended_status: 404,
                empty_queue: EmptyQueue::Counted,
            },
            epoch: 0,
        }
    }
}

/// How the pretended Genesys Cloud behaves; can be changed while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
    /// Milliseconds by which the conversation details are behind.
    pub details_lag_ms: u64,
    /// Every n-th conversation of a request is missing in the conversation details; 0 means none.
    pub details_missing_every: u64,
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
pub struct State {
    pub world: World,
    pub access: Access,
    pub ledger: Ledger,
    pub faults: Faults,
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
    pub(super) fn apply(&mut self, order: &ReplaceOrder, request: u64, now: Timestamp) {
        let strip = self.behaviour.remove_skills_from_blind_transfer;
        let effect = match self.world.carry_out(order, strip, now) {
            Ok(moved) => {
                self.ledger.moved(Move { request, ..moved });
                Effect::Applied
            }
            Err(_) => Effect::Dropped,
        };
        self.ledger.amend(request, |entry| entry.effect = effect);
    }
}

/// What every connection and task of one sandbox shares.
pub(super) struct SandboxCore {
    state: Mutex<State>,
    pub(super) options: Options,
    pub(super) clock: Arc<dyn Clock>,
    /// The address it listens on.
    pub(super) address: SocketAddr,
    pub(super) base_url: String,
    /// The table of endpoints, in the order of the index page.
    pub(super) rules: Vec<EndpointRule>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Ends the scenario that runs, if one does.
    scenario: Mutex<CancellationToken>,
    pub(super) changes: watch::Sender<Totals>,
}

impl SandboxCore {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        address: SocketAddr,
        options: Options,
        rules: Vec<EndpointRule>,
    ) -> Self {
        let stop = CancellationToken::new();
        Self {
            state: Mutex::new(options.fresh(clock.now())),
            options,
            clock,
            address,
            base_url: format!("http://{address}"),
            rules,
            scenario: Mutex::new(stop.child_token()),
            stop,
            tasks: TaskTracker::new(),
            changes: watch::Sender::new(Totals::default()),
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

    /// Carries a replace command out after `delay`, unless the sandbox stops or is reset first.
    pub(super) fn apply_later(
        self: &Arc<Self>,
        order: ReplaceOrder,
        request: u64,
        epoch: u64,
        delay: Duration,
    ) {
        let core = Arc::clone(self);
        // Not when the timer happens to fire: two commands take effect in their order.
        let wait = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        let due = self.clock.now().saturating_add(wait).unwrap_or(Timestamp::MAX);
        self.tasks.spawn(async move {
            let in_time = core.stop.run_until_cancelled(tokio::time::sleep(delay)).await;
            if in_time.is_some() {
                core.with(|state| {
                    if state.epoch == epoch {
                        state.apply(&order, request, due);
                    }
                });
            }
        });
    }

    /// Lets something happen every so often, until the sandbox stops or is reset.
    pub(super) fn repeat(
        self: &Arc<Self>,
        epoch: u64,
        (every, times): (Duration, usize),
        event: impl Fn(&mut State, Timestamp) + Send + 'static,
    ) {
        let core = Arc::clone(self);
        self.tasks.spawn(async move {
            for _ in 0..times {
                let in_time = core.stop.run_until_cancelled(tokio::time::sleep(every)).await;
                let now = core.clock.now();
                let goes_on = core.with(|state| {
                    let same = in_time.is_some() && state.epoch == epoch;
                    if same {
                        event(state, now);
                    }
                    same
                });
                if !goes_on {
                    return;
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
