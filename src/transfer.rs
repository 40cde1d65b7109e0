//! The transfer domain: what may move, when a command may leave, what is known afterwards.
//!
//! Knows neither HTTP nor SQL. Genesys is behind [`gateway::CallGateway`], the durable record
//! behind [`store::TransferStore`]; both ports speak the words of this module.

pub mod conversation;
pub mod gateway;
pub mod ids;
pub mod model;
pub mod service;
pub mod store;
