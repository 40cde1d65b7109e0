//! What browsers must not do here: operating the sandbox needs no credentials, so a page of another
//! site could do it through the browser of a user on the same machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderValue, StatusCode, header, request::Parts};

/// Checks a request to a sandbox that listens on `bind`. On loopback it must name this machine; on
/// other addresses the sandbox has names that it does not know. Nowhere may another site's page have
/// sent it. A refusal is a status and a sentence.
pub fn check(head: &Parts, bind: IpAddr) -> Result<(), (StatusCode, &'static str)> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_ascii_lowercase();
    let header = |name| head.headers.get(name).map(text);
    let authority = head.uri.authority().map(|it| it.as_str().to_ascii_lowercase());
    let host = authority.or_else(|| header("host"));
    if bind.is_loopback() && host.as_deref().is_some_and(|host| !is_ours(host, bind)) {
        let why = "the sandbox answers only to localhost, 127.0.0.1 and [::1]";
        return Err((StatusCode::MISDIRECTED_REQUEST, why));
    }
    let mut origins = head.headers.get_all(header::ORIGIN).iter().map(text);
    let foreign = origins.any(|origin| {
        let from = origin.split_once("://").map(|(_, from)| from);
        from.is_none() || from != host.as_deref()
    });
    if foreign || header("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err((StatusCode::FORBIDDEN, "requests from another site's page are refused"));
    }
    Ok(())
}

fn is_ours(host: &str, bind: IpAddr) -> bool {
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = port.map_or(host, |(name, _)| name);
    let own = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), bind];
    name == "localhost"
        || own.into_iter().any(|address| match address {
            IpAddr::V4(address) => name == address.to_string(),
            IpAddr::V6(address) => name == format!("[{address}]"),
        })
}
