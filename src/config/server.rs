//! `[server]`: the HTTP server.

use std::{net::SocketAddr, time::Duration};

use super::{
    reader::Reader,
    tls::{self, Tls},
    units::{milliseconds, minutes, seconds},
};

/// `[server]`
#[derive(Debug, Clone)]
pub struct Server {
    /// Listen address.
    pub bind: SocketAddr,
    /// Longest a request may take.
    pub deadline: Duration,
    /// Time for work in hand after SIGTERM.
    pub shutdown_grace: Duration,
    /// Longest a connection may take to send its headers.
    pub header_timeout: Duration,
    /// Longest a body may take to arrive.
    pub body_timeout: Duration,
    /// Connections open at once; more wait to be accepted.
    pub max_connections: usize,
    /// Requests worked on at once; more are answered `overloaded`.
    pub max_in_flight: usize,
    /// Certificate and key; `None` serves plain HTTP.
    pub tls: Option<Tls>,
}

impl Server {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            bind: from.address("server.bind"),
            deadline: from.duration("server.deadline", seconds(1)..=minutes(10)),
            shutdown_grace: from.duration("server.shutdown_grace", seconds(0)..=minutes(10)),
            header_timeout: from.duration("server.header_timeout", milliseconds(100)..=minutes(5)),
            body_timeout: from.duration("server.body_timeout", milliseconds(100)..=minutes(10)),
            max_connections: from.integer("server.max_connections", 1..=1_000_000),
            max_in_flight: from.integer("server.max_in_flight", 1..=100_000),
            tls: tls::read_from(from),
        }
    }
}
