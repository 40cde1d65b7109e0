//! The commands that call a running service, as they are typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::clock::{Clock as _, SystemClock};

/// A command that calls a running service.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
#[expect(missing_docs, reason = "groups of options are described at their types")]
pub enum ClientCommand {
    /// Move one call to a queue
    Move {
        /// Id of the conversation
        conversation: String,
        /// Name or id of the queue
        #[arg(long, value_name = "QUEUE")]
        to: String,
        #[command(flatten)]
        options: MoveOptions,
        #[command(flatten)]
        ask: Confirmation,
        #[command(flatten)]
        server: ServiceOptions,
    },
    /// Move all calls that wait in a queue: shows the plan, asks, then shows the progress
    Drain {
        /// Name or id of the queue to empty
        from: String,
        /// Name or id of the queue the calls go to
        #[arg(long, value_name = "QUEUE")]
        to: String,
        #[command(flatten)]
        options: DrainOptions,
        #[command(flatten)]
        ask: Confirmation,
        #[command(flatten)]
        server: ServiceOptions,
    },
    /// Show the progress of a batch until it ends
    Watch {
        /// Id of the batch
        batch: String,
        #[command(flatten)]
        server: ServiceOptions,
    },
    /// Stop a batch: calls not yet sent stay where they are
    Stop {
        /// Id of the batch
        batch: String,
        #[command(flatten)]
        server: ServiceOptions,
    },
    /// Put the call of a transfer, or all calls of a batch, back where they were
    Undo {
        /// Id of the transfer or batch
        id: String,
        #[command(flatten)]
        ask: Confirmation,
        #[command(flatten)]
        server: ServiceOptions,
    },
    /// List queues with the number of calls waiting and agents on queue
    Queues {
        /// Part of the name, in any case
        name: Option<String>,
        #[command(flatten)]
        server: ServiceOptions,
    },
    /// Find transfers by reference or conversation, newest first
    Find {
        /// A reference, or the id of a conversation
        what: String,
        #[command(flatten)]
        server: ServiceOptions,
    },
    /// Say whether a call can be moved and which leg would be replaced; nothing is moved
    Explain {
        /// Id of the conversation
        conversation: String,
        /// Name or id of the queue
        #[arg(long, value_name = "QUEUE")]
        to: Option<String>,
        #[command(flatten)]
        server: ServiceOptions,
    },
}

impl ClientCommand {
    /// Which service it calls.
    pub(super) const fn server(&self) -> &ServiceOptions {
        match self {
            Self::Move { server, .. }
            | Self::Drain { server, .. }
            | Self::Watch { server, .. }
            | Self::Stop { server, .. }
            | Self::Undo { server, .. }
            | Self::Queues { server, .. }
            | Self::Find { server, .. }
            | Self::Explain { server, .. } => server,
        }
    }
}

/// Which service is called, and how it answers.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceOptions {
    /// Address of the service [env: `GENESYS_TRANSFER_URL`] [default: `http://127.0.0.1:8080`]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// File with the API key [env: `GENESYS_TRANSFER_KEY_FILE`,
    /// or the key in `GENESYS_TRANSFER_KEY`]
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// PEM file of the issuer of the service's certificate [env: `GENESYS_TRANSFER_CA_FILE`]
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Print the service's answers as JSON, one document a line
    #[arg(long)]
    pub(super) json: bool,
}

/// Whether a person is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct Confirmation {
    /// Do not ask; needed where the input or output is no terminal
    #[arg(long)]
    pub(super) yes: bool,
}

/// How a call is moved, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveOptions {
    /// Keep the time already waited
    #[arg(long)]
    keep_place: bool,
    #[command(flatten)]
    #[serde(flatten)]
    common: CommonOptions,
}

/// Which calls a drain moves, and how, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DrainOptions {
    /// Go on until then: RFC 3339, or a time from now such as 90m or 2h; at most 24 h
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// With --until: always, or only while no agent is on queue in the source
    #[arg(long, value_parser = ["always", "nobody_on_queue"])]
    when: Option<String>,
    /// How calls keep their place: true, false, or order (one request less a call)
    #[arg(long, value_parser = keep_place)]
    keep_place: Option<Value>,
    /// Move at most so many calls
    #[arg(long)]
    limit: Option<u32>,
    /// Only calls that have waited so many minutes
    #[arg(long)]
    min_waited_minutes: Option<u32>,
    #[command(flatten)]
    #[serde(flatten)]
    common: CommonOptions,
}

/// Options of both.
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize)]
pub struct CommonOptions {
    /// Priority in the target queue; one point is one minute of waiting
    #[arg(long, allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Why; kept with the record
    #[arg(long)]
    reason: Option<String>,
    /// Ticket number or the like; can be searched with `find`
    #[arg(long)]
    reference: Option<String>,
}

/// A time as it is typed: RFC 3339, or how long from now.
fn time(text: &str) -> Result<Timestamp, &'static str> {
    time_after(SystemClock.now(), text)
        .ok_or("--until: expected a time such as 2026-01-31T18:00:00Z, or 90m")
}

fn time_after(now: Timestamp, text: &str) -> Option<Timestamp> {
    let from_now = || now.checked_add(text.parse::<SignedDuration>().ok()?).ok();
    text.parse().ok().or_else(from_now)
}

fn keep_place(word: &str) -> Result<Value, &'static str> {
    match word {
        "true" | "false" => Ok(Value::Bool(word == "true")),
        "order" => Ok(Value::from(word)),
        _ => Err("--keep-place: expected true, false or order"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_or_from_now() {
        let now: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-01-01T12:30:00+01:00", Some("2026-01-01T11:30:00Z")),
            ("90m", Some("2026-01-01T11:30:00Z")),
            ("2h", Some("2026-01-01T12:00:00Z")),
            ("tomorrow", None),
        ] {
            let read = time_after(now, text).map(|time| time.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
