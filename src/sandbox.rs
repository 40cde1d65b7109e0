//! An in-process stand-in for Genesys Cloud: the API and the login it pretends to be, and the
//! operating interface under `/sandbox/` (start at `GET /sandbox/`). Imports nothing of this
//! crate but [`crate::clock`], so that service and sandbox cannot share a mistake.
//!
//! A connection (`serve`) brings requests to the router (`routes`, the table of endpoints), through
//! the `layers` to the handlers: `api` for Genesys, `control` for operators. Handlers work on the
//! [`State`]: the [`world`], clients and tokens ([`access`]), [`faults`] and the [`ledger`]. `wire`
//! makes the JSON of the answers.
#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "only tests of this repository use what is below `Sandbox`; names say what a member is"
)]

use std::{io, net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::clock::Clock;

pub mod access;
mod api;
mod control;
pub mod faults;
mod foreign;
mod handler;
mod layers;
pub mod ledger;
mod misbehave;
mod routes;
mod scenarios;
pub mod seed;
mod serve;
mod state;
mod wire;
pub mod world;

pub use scenarios::Scenario;
pub use state::{Behaviour, EmptyQueue, Options, State};

use faults::FaultOrder;
use ledger::{Move, Request, Totals};
use state::SandboxCore;
use world::{Act, NewConversation, WorldError};

/// A running sandbox. Dropping the handle stops it; [`Sandbox::stop`] also waits for the end.
pub struct Sandbox {
    core: Arc<SandboxCore>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.core.address).finish_non_exhaustive()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.core.stop.cancel();
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
        let endpoints = routes::endpoints();
        let rules = endpoints.iter().map(|endpoint| endpoint.rule.clone()).collect();
        let core = Arc::new(SandboxCore::new(clock, address, options, rules));
        let router = routes::router(&core, endpoints);
        core.tasks.spawn(serve::run(listener, Arc::clone(&core), router));
        Ok(Self { core })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.core.address
    }

    /// `http://address`, without a slash at the end: the host of both API and login.
    pub fn base_url(&self) -> &str {
        &self.core.base_url
    }

    /// Stops listening, drops effects that have not come yet, and waits until every connection
    /// is closed (at most about two seconds).
    pub async fn stop(&self) {
        self.core.stop.cancel();
        self.core.tasks.close();
        self.core.tasks.wait().await;
    }

    /// Works on everything the sandbox knows. The lock is held meanwhile: do not block.
    pub fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        self.core.with(work)
    }

    /// The time as the sandbox sees it.
    pub fn now(&self) -> Timestamp {
        self.core.clock.now()
    }

    /// Makes a queue in the home division.
    pub fn add_queue(&self, name: &str) -> Result<Uuid, WorldError> {
        let now = self.now();
        self.with(|state| {
            let home = state.world.division(None, now)?;
            state.world.add_queue(None, name, home, 1, now)
        })
    }

    /// Makes a conversation.
    pub fn add_conversation(&self, new: NewConversation) -> Result<Uuid, WorldError> {
        let now = self.now();
        self.with(|state| state.world.add_conversation(new, now))
    }

    /// Lets something happen to a conversation.
    pub fn act(&self, conversation: Uuid, act: Act) -> Result<(), WorldError> {
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
    pub fn revoke_tokens(&self) -> usize {
        self.with(|state| state.access.revoke_all())
    }

    /// Brings a ready-made situation about. Must be called inside a tokio runtime.
    pub fn play(&self, scenario: Scenario) -> Result<(), WorldError> {
        self.with(|state| scenarios::play(&self.core, state, scenario))
    }

    /// Every request the ledger remembers, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.with(|state| state.ledger.requests().cloned().collect())
    }

    /// The requests that asked for a move, by either API, oldest first.
    pub fn commands(&self) -> Vec<Request> {
        self.with(|state| {
            state.ledger.requests().filter(|request| request.is_command()).cloned().collect()
        })
    }

    /// Every move the ledger remembers, oldest first.
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
        self.ledger_reaches(|_| self.core.peek(&holds)).await;
    }

    /// Waits until the ledger's totals are as wanted.
    pub async fn ledger_reaches(&self, wanted: impl FnMut(&Totals) -> bool) {
        let mut changes = self.core.changes.subscribe();
        // The sender lives as long as the handle, so the wait cannot fail.
        let _ = changes.wait_for(wanted).await;
    }
}

#[cfg(test)]
mod tests;
