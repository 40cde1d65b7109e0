//! What a service without credentials asks for instead. A page in a browser must not be able to use
//! it: neither through a name of the page's own that resolves to loopback (DNS rebinding), nor by
//! sending to the service's address what browsers let any page send.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, header},
};

use super::answer::Failure;
use crate::problem::Code;

#[cfg(test)]
mod tests;

/// What a browser says of the page that sent a request (W3C Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The names of this machine by which the service may be called: `localhost`, `127.0.0.1`, `[::1]`
/// and the address it listens on, with any port.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnNames {
    bind: IpAddr,
}

impl OwnNames {
    /// The names of a service that listens on `bind`.
    pub(super) const fn new(bind: IpAddr) -> Self {
        Self { bind }
    }

    /// Checks which host `request` is addressed to and that no page of another site sent it. Of the host
    /// in the target and the `Host` header the former counts (RFC 9112, section 3.2.2). Only
    /// HTTP/1.0 has neither, which no browser speaks.
    ///
    /// # Errors
    /// `invalid_host`, `not_permitted`.
    pub(super) fn check(self, request: &Request) -> Result<(), Failure> {
        let headers = request.headers();
        let host = match (request.uri().authority(), headers.get(header::HOST)) {
            (Some(authority), _) => authority.as_str(),
            (None, Some(value)) => value.to_str().unwrap_or_default(),
            (None, None) => return Ok(()),
        };
        if !self.has(without_port(host)) {
            let detail = "Without credentials this service answers only to localhost, 127.0.0.1, \
                          [::1] and the address it listens on.";
            return Err(Failure::new(Code::InvalidHost, detail));
        }
        if is_foreign(headers, host) {
            let detail = "A page of another site sent this request.";
            return Err(Failure::new(Code::NotPermitted, detail));
        }
        Ok(())
    }

    fn has(self, name: &str) -> bool {
        let v6 = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address: Option<IpAddr> = match v6 {
            Some(v6) => v6.parse().ok().map(IpAddr::V6),
            None => name.parse().ok().map(IpAddr::V4),
        };
        let own = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), self.bind];
        name.eq_ignore_ascii_case("localhost") || address.is_some_and(|it| own.contains(&it))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a browser sent it for a page that did not come from `host`.
fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    let own = |origin: &str| {
        let (scheme, from) = origin.split_once("://").unwrap_or_default();
        // A proxy in front may speak HTTPS.
        matches!(scheme, "http" | "https") && from.eq_ignore_ascii_case(host)
    };
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.any(|origin| !origin.to_str().is_ok_and(own))
        || headers.get_all(SEC_FETCH_SITE).iter().any(|site| site == "cross-site")
}
