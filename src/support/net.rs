//! Which addresses are this machine.

use url::{Host, Url};

/// Whether the URL's host can only be this machine, whatever a name server says: plain `http` to it
/// leaks nothing. `localhost` and the loopback addresses, nothing that merely looks like them.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_hosts_are_told_from_others() {
        for (url, expected) in [
            ("http://127.0.0.1:8081/", true),
            ("http://127.9.9.9/", true),
            ("http://2130706433/", true),
            ("http://[::1]:1/", true),
            ("http://localhost:8081/", true),
            ("https://LOCALHOST/", true),
            ("https://api.mypurecloud.com/", false),
            ("https://localhost.example.com/", false),
            ("http://localhost@example.com/", false),
            ("http://example.com/localhost", false),
            // A resolver may ask a name server for these.
            ("http://api.localhost/", false),
            ("http://localhost./", false),
            ("http://notlocalhost/", false),
            ("http://0.0.0.0/", false),
            ("http://10.0.0.1/", false),
            ("http://128.0.0.1/", false),
            ("http://169.254.169.254/", false),
            ("http://[::]/", false),
            ("http://[::ffff:127.0.0.1]/", false),
            ("http://[fe80::1]/", false),
            ("file:///etc/hosts", false),
            ("data:localhost", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
