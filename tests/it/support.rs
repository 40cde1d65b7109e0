//! What several tests need.

pub(crate) mod child;
pub(crate) mod postgres;
pub(crate) mod records;
pub(crate) mod service;
pub(crate) mod store;
