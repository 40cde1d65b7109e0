//! Which address a request comes from: the connection's, and what trusted proxies say.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

#[cfg(test)]
mod tests;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address at the other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerAddress(pub(super) IpAddr);

/// The client that a request was forwarded for, as `X-Forwarded-For` or `Forwarded` (RFC 7239) say:
/// the last address that is not a trusted proxy's. `None` when `peer` is not among the `trusted`
/// proxies, when the address cannot be told, and when both headers are there and disagree: a proxy
/// that writes one passes on what the client wrote into the other.
pub(super) fn forwarded_for(
    headers: &HeaderMap,
    peer: IpAddr,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    if !is_trusted(peer) {
        return None;
    }
    let said = |name: HeaderName, node: fn(&str) -> &str| {
        let values = headers.get_all(&name).iter().map(|value| value.to_str().unwrap_or_default());
        let hops = values.flat_map(|value| value.split(',')).map(|hop| address(node(hop))).rev();
        let mut all_trusted = None;
        for hop in hops {
            match hop {
                Some(proxy) if is_trusted(proxy) => all_trusted = Some(Some(proxy)),
                client => return Some(client),
            }
        }
        all_trusted
    };
    match (said(X_FORWARDED_FOR, |hop| hop), said(header::FORWARDED, node)) {
        (Some(client), None) | (None, Some(client)) => client,
        (Some(client), Some(same)) if client == same => client,
        _ => None,
    }
}

/// The value of `for` in an element of `Forwarded`.
fn node(element: &str) -> &str {
    let mut parameters = element.split(';').filter_map(|pair| pair.split_once('='));
    let found = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    found.map_or("", |(_, value)| value.trim().trim_matches('"'))
}

/// The address in `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    Some(bare.parse().ok().or_else(with_port)?.to_canonical())
}
