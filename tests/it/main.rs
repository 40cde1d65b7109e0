//! Tests of the whole service and of its parts that need a real neighbour.

#[cfg(test)]
mod access_tokens;
#[cfg(test)]
mod activity;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod bad_entries;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod confirms;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod empty_queues;
#[cfg(test)]
mod failpoints;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod full_files;
#[cfg(test)]
mod genesys_clock;
#[cfg(test)]
mod hidden_queues;
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
mod listeners;
#[cfg(test)]
mod log_level;
#[cfg(test)]
mod log_lines;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod ops;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod own_names;
#[cfg(test)]
mod patch_api;
#[cfg(test)]
mod prefer;
#[cfg(test)]
mod previews;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod queue_look_ups;
#[cfg(test)]
mod queue_names;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod races;
#[cfg(test)]
mod readiness;
#[cfg(test)]
mod refusing_endpoint;
#[cfg(test)]
mod set_up;
#[cfg(test)]
mod slow_callers;
#[cfg(test)]
mod standing_drains;
#[cfg(test)]
mod stops;
#[cfg(test)]
mod store_contract;
#[cfg(test)]
mod store_postgres;
#[cfg(test)]
mod store_sqlite;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod token;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod transfers;
#[cfg(test)]
mod undo;
#[cfg(test)]
mod unknown;
#[cfg(test)]
mod unread_log;
#[cfg(test)]
mod unwritten;
#[cfg(test)]
mod volume;
#[cfg(test)]
mod whoami;
