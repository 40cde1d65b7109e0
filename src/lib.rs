//! Moves live Genesys Cloud conversations to another queue: once, and never lost.
//!
//! ```text
//! calls:    http ─→ batch ─→ transfer ─→ (port) genesys ─→ tower stack ─→ Genesys Cloud or the sandbox
//!                                    └─→ (port) store   ─→ SQLite or PostgreSQL
//! imports:  http ─→ batch ─→ transfer ←─ genesys       store ─→ batch, transfer       app ─→ all
//! ```
#![doc = include_str!("architecture.md")]

/// Comes to a named place between two steps of a transfer; see `crate::failpoint`. Nothing at all
/// without the feature `failpoints`.
#[macro_export]
macro_rules! failpoint {
    ($point:ident) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reach($crate::failpoint::Point::$point).await;
    };
}

pub mod app;
pub mod auth;
pub mod batch;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
#[cfg(feature = "failpoints")]
pub mod failpoint;
pub mod genesys;
pub mod http;
pub mod metrics;
mod names;
pub mod outgoing;
pub mod problem;
pub mod sandbox;
pub mod store;
mod support;
pub mod telemetry;
pub mod trace;
pub mod transfer;
