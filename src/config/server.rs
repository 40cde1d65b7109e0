//! `[server]`: the HTTP server.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    reader::Reader,
    tls::{self, Tls},
    units::{milliseconds, minutes, seconds},
};

const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;

/// This machine's own addresses.
const LOOPBACK: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
];

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
    /// Connections open at once; the idlest gives way to the next, else that one waits.
    pub max_connections: usize,
    /// The same for one address.
    pub max_connections_per_address: usize,
    /// Addresses without a limit of their own: loopback and `server.trusted_proxies`.
    pub unlimited_addresses: Vec<IpNet>,
    /// Requests worked on at once; more are answered `overloaded`.
    pub max_in_flight: usize,
    /// Event streams one caller may have open at once.
    pub max_streams_per_caller: usize,
    /// Certificate and key; `None` serves plain HTTP.
    pub tls: Option<Tls>,
}

impl Server {
    pub(super) fn read(from: &mut Reader) -> Self {
        let max_connections = from.integer("server.max_connections", CONNECTIONS);
        let per_address = from.optional_integer("server.max_connections_per_address", CONNECTIONS);
        let mut unlimited_addresses = from.networks("server.trusted_proxies");
        unlimited_addresses.extend(LOOPBACK);
        Self {
            bind: from.address("server.bind"),
            deadline: from.duration("server.deadline", seconds(1)..=minutes(10)),
            shutdown_grace: from.duration("server.shutdown_grace", seconds(0)..=minutes(10)),
            header_timeout: from.duration("server.header_timeout", milliseconds(100)..=minutes(5)),
            body_timeout: from.duration("server.body_timeout", milliseconds(100)..=minutes(10)),
            max_connections,
            max_connections_per_address: per_address.unwrap_or((max_connections / 4).max(1)),
            unlimited_addresses,
            max_in_flight: from.integer("server.max_in_flight", 1..=100_000),
            max_streams_per_caller: from.integer("server.max_streams_per_caller", 1..=64),
            tls: tls::read_from(from),
        }
    }
}
