//! Moves live Genesys Cloud conversations to another queue: once, and never lost.

pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod problem;
pub mod telemetry;
pub mod transfer;
