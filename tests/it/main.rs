//! Tests of the whole service and of its parts that need a real neighbour.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod failpoints;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod history;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod legs;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod patch_api;
#[cfg(test)]
mod prefer;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod races;
#[cfg(test)]
mod store_contract;
#[cfg(test)]
mod store_postgres;
#[cfg(test)]
mod store_sqlite;
#[cfg(test)]
mod support;
#[cfg(test)]
mod token;
#[cfg(test)]
mod transfers;
