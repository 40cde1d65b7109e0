//! Batches over HTTP, with the whole service and its sandbox.

mod costs;
mod crowds;
mod drains;
mod keys;
mod lists;
mod lives;
mod pace;
mod plans;
mod sights;
mod storms;
mod watching;
