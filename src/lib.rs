//! Moves live Genesys Cloud conversations to another queue: once, and never lost.

pub mod clock;
pub mod config;
pub mod genesys;
pub mod problem;
pub mod transfer;
