//! What several tests need.

pub(crate) mod batches;
pub(crate) mod books;
pub(crate) mod caller;
pub(crate) mod child;
pub(crate) mod collector;
pub(crate) mod document;
pub(crate) mod exposition;
pub(crate) mod held;
pub(crate) mod keys;
pub(crate) mod pooler;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod records;
pub(crate) mod service;
pub(crate) mod sqlite;
pub(crate) mod steps;
pub(crate) mod store;
pub(crate) mod tls;

/// As the unit tests have it.
#[path = "../../src/clock/testing.rs"]
pub(crate) mod frozen;
