//! The transfer domain: what may move, when a command may leave, what is known afterwards.
//!
//! Knows neither HTTP nor SQL. Genesys is behind [`gateway::CallGateway`], the durable record
//! behind [`store::TransferStore`]; both ports speak the words of this module.

mod arrival;
mod audit;
pub mod batch;
mod caller;
pub mod class;
pub mod clock_offset;
pub mod conversation;
mod engine;
pub mod evidence;
mod fingerprint;
pub mod gateway;
pub mod ids;
pub mod legs;
pub mod model;
mod permission;
pub mod plan;
mod problems;
mod progress;
mod questions;
pub mod rate;
mod readiness;
mod records;
mod recovery;
pub mod service;
mod settle;
mod stage;
pub mod store;
mod submit;
#[cfg(test)]
mod testing;
mod waiting;
mod watch;

pub use problems::from_gateway as describe;
pub use readiness::Readiness;
pub use recovery::Retention;
