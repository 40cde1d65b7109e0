//! A thousand callers who send their headers slowly, and one who does not.

use std::{io::ErrorKind, net::SocketAddr};

use futures_util::future::join_all;
use genesys_transfer::sandbox::seed;
use reqwest::{Client, Method};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    child::Child,
    service::{plain, send},
    tls::Identity,
};

const SLOW: usize = 1_000;

/// As long as it may be: no caller is turned away meanwhile.
const HEADER_TIMEOUT: (&str, &str) = ("SERVER_HEADER_TIMEOUT", "5m");

/// Both ends of this test need a file for each connection; the usual limit is 1024.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// Connections that begin with `bytes` and then say no more.
async fn slow_callers(address: SocketAddr, bytes: &'static [u8]) -> Vec<TcpStream> {
    allow_many_files();
    let all = (0..SLOW).map(|_| async move {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket
    });
    join_all(all).await
}

/// Moves the call and asks for it, on connections of their own.
async fn honest_caller(child: &Child, client: Client) {
    let body = plain(seed::CONNECTED_CALL, "Support Tier 2");
    let made = send(child.request_with(&client, Method::POST, "/transfers").json(&body)).await;
    let path = made.header("location").unwrap().to_owned();
    let found = send(child.request_with(&client, Method::GET, &path)).await;
    assert_eq!((made.status.as_u16(), found.status.as_u16()), (201, 200));
}

/// How many of them the service has not closed.
fn kept(callers: &[TcpStream]) -> usize {
    let is_open = |caller: &&TcpStream| {
        let read = caller.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    callers.iter().filter(is_open).count()
}

fn fresh_connections(client: reqwest::ClientBuilder) -> Client {
    client.no_proxy().pool_max_idle_per_host(0).http1_only().build().unwrap()
}

async fn service(settings: &[(&str, &str)]) -> (TempDir, Child) {
    let store = tempfile::tempdir().unwrap();
    let child = Child::start(None, &store, settings).await;
    (store, child)
}

#[tokio::test]
async fn a_thousand_slow_headers_do_not_keep_an_honest_caller_waiting() {
    let (_store, child) = service(&[HEADER_TIMEOUT]).await;
    let slow =
        slow_callers(child.address(), b"GET /transfers HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
            .await;
    honest_caller(&child, fresh_connections(Client::builder())).await;
    assert_eq!(kept(&slow), SLOW, "it waited for none of them to end");
}

#[tokio::test]
async fn a_thousand_slow_handshakes_do_not_keep_an_honest_caller_waiting() {
    let identity = Identity::new();
    let [cert, key] = identity.settings();
    let (_store, child) = service(&[(cert.0, &cert.1), (key.0, &key.1), HEADER_TIMEOUT]).await;
    let slow = slow_callers(child.address(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    honest_caller(&child, fresh_connections(identity.client())).await;
    assert_eq!(kept(&slow), SLOW, "it waited for none of them to end");
}
