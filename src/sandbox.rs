//! An in-process stand-in for Genesys Cloud: the API and the login it pretends to be, and the
//! operating interface under `/sandbox/` (start at `GET /sandbox/`). Imports nothing of this
//! crate but [`crate::clock`], so that service and sandbox cannot share a mistake.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::Clock;

pub mod access;
mod api;
mod exchange;
pub mod faults;
mod foreign;
pub mod ledger;
mod operate;
mod play;
mod scenarios;
pub mod seed;
mod serve;
mod state;
mod wire;
pub mod world;

pub use scenarios::Scenario;
pub use state::{Behaviour, EmptyQueue, State};

use faults::FaultOrder;
use ledger::{Ledger, Move, Request, Totals};
use state::Shared;
use world::{Act, NewConversation, Refused};

/// Largest page of queues, unless changed while it runs; Genesys cuts larger wishes silently.
const MAX_PAGE_SIZE: u32 = 500;

/// How a sandbox starts.
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

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("client_id", &self.client_id)
            .field("effect_delay", &self.effect_delay)
            .field("seed", &self.seed)
            .field("requests_per_minute", &self.requests_per_minute)
            .field("token_lifetime", &self.token_lifetime)
            .finish_non_exhaustive()
    }
}

impl Options {
    fn fresh(&self, now: Timestamp) -> State {
        let world = if self.seed { seed::world(now).ok() } else { None };
        let mut access = access::Access::default();
        // One client always fits.
        let _ = access.put_client(&self.client_id, &self.client_secret);
        State {
            world: world.unwrap_or_else(seed::empty),
            access,
            ledger: Ledger::default(),
            faults: faults::Faults::default(),
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
                ended_status: 404,
                empty_queue: EmptyQueue::Counted,
            },
            epoch: 0,
        }
    }
}

/// A running sandbox. Dropping the handle stops it; [`Sandbox::stop`] also waits for the end.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Sandbox {
    /// Starts serving API, login and operating interface on `listener`. Must be called inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// When the listener's address cannot be read.
    pub fn start(
        listener: TcpListener,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let client_key = options.client_key.clone();
        let fresh = Box::new(move |now| options.fresh(now));
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::new(clock, address, client_key, stop, fresh));
        shared.tasks.spawn(serve::run(listener, Arc::clone(&shared)));
        Ok(Self { shared, address })
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// `http://address`, without a slash at the end: the host of both API and login.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// Stops listening, drops effects that have not come yet, and waits until every connection
    /// is closed (at most about two seconds).
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Works on everything the sandbox knows. The lock is held meanwhile: do not block.
    pub fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        self.shared.with(work)
    }

    /// The time as the sandbox sees it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Makes a queue in the home division.
    ///
    /// # Errors
    /// [`Refused::Full`].
    pub fn add_queue(&self, name: &str) -> Result<Uuid, Refused> {
        let now = self.now();
        self.with(|state| {
            let home = state.world.division(None, now)?;
            state.world.add_queue(None, name, home, 1, now)
        })
    }

    /// Makes a conversation.
    ///
    /// # Errors
    /// As [`world::World::add_conversation`].
    pub fn add_conversation(&self, new: NewConversation) -> Result<Uuid, Refused> {
        let now = self.now();
        self.with(|state| state.world.add_conversation(new, now))
    }

    /// Lets something happen to a conversation.
    ///
    /// # Errors
    /// As [`world::World::act`].
    pub fn act(&self, conversation: Uuid, act: Act) -> Result<(), Refused> {
        let now = self.now();
        self.with(|state| state.world.act(conversation, act, now))
    }

    /// Orders a fault and answers the order's number.
    ///
    /// # Errors
    /// What is wrong with the order, in words.
    pub fn order(&self, order: FaultOrder) -> Result<u64, String> {
        self.with(|state| state.faults.place(order))
    }

    /// Revokes every token and says how many there were.
    #[expect(clippy::must_use_candidate, reason = "the count is a courtesy")]
    pub fn revoke_tokens(&self) -> usize {
        self.with(|state| state.access.revoke_all())
    }

    /// Brings a ready-made situation about. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// None in fact: after a reset there is room for every situation.
    pub fn play(&self, scenario: Scenario) -> Result<(), Refused> {
        scenarios::play(&self.shared, scenario)
    }

    /// Every request the ledger remembers, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.with(|state| state.ledger.requests().cloned().collect())
    }

    /// The requests that asked for a move, by either API, oldest first.
    #[must_use]
    pub fn commands(&self) -> Vec<Request> {
        self.with(|state| {
            state.ledger.requests().filter(|request| request.is_command()).cloned().collect()
        })
    }

    /// Every move the ledger remembers, oldest first.
    #[must_use]
    pub fn moves(&self) -> Vec<Move> {
        self.with(|state| state.ledger.moves().cloned().collect())
    }

    /// Waits until that many moves took effect since the start or the last reset.
    pub async fn moves_reach(&self, count: u64) {
        self.ledger_reaches(|totals| totals.moves >= count).await;
    }

    /// Waits until that many requests arrived since the start or the last reset.
    pub async fn requests_reach(&self, count: u64) {
        self.ledger_reaches(|totals| totals.requests >= count).await;
    }

    /// Waits until `holds`; asked now and whenever the ledger changes.
    pub async fn until(&self, holds: impl Fn(&State) -> bool) {
        self.ledger_reaches(|_| self.shared.peek(&holds)).await;
    }

    /// Waits until the ledger's totals are as wanted.
    pub async fn ledger_reaches(&self, wanted: impl FnMut(&Totals) -> bool) {
        let mut changes = self.shared.changes.subscribe();
        // The sender lives as long as the handle, so the wait cannot fail.
        let _ = changes.wait_for(wanted).await;
    }
}

#[cfg(test)]
mod tests;
