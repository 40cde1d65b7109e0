use super::*;

const PROXY: &str = "10.0.0.7";

fn told(peer: &str, headers: &[(&'static str, &str)]) -> Option<String> {
    let trusted = ["10.0.0.0/24".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    forwarded_for(&map, peer.parse().unwrap(), &trusted).map(|client| client.to_string())
}

#[test]
fn the_last_address_that_is_no_proxy_of_ours_is_the_client() {
    let xff = "x-forwarded-for";
    for (headers, client) in [
        (vec![(xff, "203.0.113.7")], Some("203.0.113.7")),
        (vec![(xff, "198.51.100.1, 203.0.113.7")], Some("203.0.113.7")),
        (vec![(xff, "198.51.100.1,203.0.113.7 , 10.0.0.9")], Some("203.0.113.7")),
        (vec![(xff, "198.51.100.1"), (xff, "203.0.113.7"), (xff, "fd00::1")], Some("203.0.113.7")),
        (vec![(xff, "::ffff:203.0.113.7")], Some("203.0.113.7")),
        (vec![(xff, "203.0.113.7:4711")], Some("203.0.113.7")),
        (vec![(xff, "[2001:db8::1]:4711")], Some("2001:db8::1")),
        (vec![(xff, "10.0.0.8, 10.0.0.9")], Some("10.0.0.8")),
        (vec![(xff, "203.0.113.7, unknown")], None),
        (vec![(xff, "")], None),
        (vec![], None),
        (
            vec![("forwarded", "for=198.51.100.1, For=\"[2001:db8::1]:1\";proto=https")],
            Some("2001:db8::1"),
        ),
        (vec![("forwarded", "proto=https;for=203.0.113.7;by=10.0.0.7")], Some("203.0.113.7")),
        (vec![("forwarded", "for=_hidden")], None),
        (vec![("forwarded", "by=203.0.113.7")], None),
        (vec![("forwarded", "for=203.0.113.7"), (xff, "203.0.113.7")], Some("203.0.113.7")),
        (vec![("forwarded", "for=203.0.113.8"), (xff, "203.0.113.7")], None),
    ] {
        assert_eq!(told(PROXY, &headers).as_deref(), client, "{headers:?}");
    }
}

#[test]
fn what_others_say_is_not_believed() {
    for peer in ["127.0.0.1", "10.0.1.7", "::1"] {
        assert_eq!(told(peer, &[("x-forwarded-for", "203.0.113.7")]), None, "{peer}");
    }
}
