//! HTTPS: what is served over it, how certificates are replaced, who cannot hold it up.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use genesys_transfer::sandbox::seed;
use reqwest::Version;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    frozen::Frozen,
    service::{TestApp, plain, send, soon},
    tls::Identity,
};

async fn start(identity: &Identity, settings: &[(&str, &str)]) -> TestApp {
    let [cert, key] = identity.settings();
    let tls = [(cert.0, cert.1.as_str()), (key.0, key.1.as_str())];
    TestApp::with(&[&tls, settings].concat()).await
}

#[tokio::test]
async fn https_is_served_over_http_1_and_http_2() {
    let identity = Identity::new();
    let app = start(&identity, &[]).await;
    for (client, version) in [
        (identity.client(), Version::HTTP_2),
        (identity.client().http1_only(), Version::HTTP_11),
        (identity.client().http2_prior_knowledge(), Version::HTTP_2),
    ] {
        let client = client.build().unwrap();
        let answer = client.get(app.url("/health/live")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
}

#[tokio::test]
async fn a_call_is_moved_over_https() {
    let identity = Identity::new();
    let app = start(&identity, &[]).await;
    let client = identity.client().build().unwrap();
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let answer = send(client.post(app.url("/transfers")).json(&body)).await;
    assert_eq!((answer.status.as_u16(), app.moves()), (201, 1));
}

/// How soon connections to `address` show the certificate of `identity`.
async fn shows(identity: &Identity, address: SocketAddr) {
    while identity.connect(address).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_new_certificate_is_served_within_five_seconds_and_old_connections_stay() {
    let mut identity = Identity::new();
    let app = start(&identity, &[]).await;
    let address = app.app().address();
    let mut before = identity.connect(address).await.unwrap();
    assert_eq!(before.status("/health/live").await, Some(200));

    let clock = Frozen::now();
    identity.renew();
    clock.passes(Duration::from_secs(5)).await;

    soon("the new certificate", shows(&identity, address)).await;
    assert_eq!(before.status("/health/live").await, Some(200));
}

#[tokio::test]
async fn plain_http_to_the_tls_port_is_told_so() {
    let app = start(&Identity::new(), &[]).await;
    let mut socket = TcpStream::connect(app.app().address()).await.unwrap();
    socket.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();

    let mut said = String::new();
    soon("the end", socket.read_to_string(&mut said)).await.unwrap();

    assert!(said.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{said}");
    assert!(said.contains("\"code\":\"invalid_header\"") && said.contains("https://"), "{said}");
}

/// The beginning of a handshake, or nothing of it.
const UNFINISHED: [&[u8]; 4] =
    [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x80"];

#[tokio::test]
async fn a_handshake_that_stalls_ends_with_the_header_timeout_and_gives_its_place_back() {
    let narrow = [("SERVER_HEADER_TIMEOUT", "1s"), ("SERVER_MAX_CONNECTIONS", "1")];
    let identity = &Identity::new();
    let each = UNFINISHED.map(async |begun| {
        let app = start(identity, &narrow).await;
        let mut stalled = TcpStream::connect(app.app().address()).await.unwrap();
        stalled.write_all(begun).await.unwrap();

        soon("an answer to the next", served(identity, app.app().address())).await;

        let mut rest = Vec::new();
        // Closed by the server; perhaps with a reset, as something was never read.
        let _ = soon("the end", stalled.read_to_end(&mut rest)).await;
    });
    join_all(each).await;
}

/// Until a connection to `address` is made and a request answered; who is slow has to try again.
async fn served(identity: &Identity, address: SocketAddr) {
    loop {
        if let Ok(mut connection) = identity.connect(address).await
            && connection.status("/health/live").await == Some(200)
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_head_that_stalls_inside_tls_is_answered_408() {
    let identity = Identity::new();
    let app = start(&identity, &[("SERVER_HEADER_TIMEOUT", "300ms")]).await;
    let clock = Frozen::now();
    let mut connection = identity.connect(app.app().address()).await.unwrap().0;
    connection.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nx").await.unwrap();

    let mut said = String::new();
    let end = soon("the end", connection.read_to_string(&mut said));
    clock.passes_until(Duration::from_millis(300), end).await.unwrap();

    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
}

#[tokio::test]
async fn rubbish_and_old_versions_get_no_further_than_the_handshake() {
    let identity = Identity::new();
    let app = start(&identity, &[]).await;
    // A record of TLS 1.0 with rubbish inside, and one that announces more than may be.
    for bytes in [&b"\x16\x03\x01\x00\x05hello"[..], b"\x16\x03\x03\xff\xff\x00"] {
        let mut socket = TcpStream::connect(app.app().address()).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut said = Vec::new();
        let _ = soon("the end", socket.read_to_end(&mut said)).await;
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
    assert_eq!(app.get("/health/live").await.status, 200);
}

#[tokio::test]
async fn a_service_over_tls_stops_in_order() {
    let identity = Identity::new();
    let app = start(&identity, &[]).await;
    let mut idle = identity.connect(app.app().address()).await.unwrap();
    assert_eq!(idle.status("/health/live").await, Some(200));

    soon("the end", app.shut_down()).await;

    let mut rest = Vec::new();
    assert_eq!(idle.0.read_to_end(&mut rest).await.unwrap(), 0, "closed with a close_notify");
}
