//! The server's own duties, over real sockets.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{
    Extension,
    extract::State,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use super::*;
use crate::http::{
    layers::around,
    tests::{
        PATIENCE, Reply, Running, exchange, read_one, read_to_end, settings, start, start_service,
        start_with, stopped_by,
    },
};
use crate::problem::Code;

mod stop;

const LIVE: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HOUR: Duration = Duration::from_hours(1);
const NOTHING: &[u8] = b"GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A handler that waits to be told to answer.
#[derive(Clone, Default)]
struct Gate {
    arrived: Arc<Notify>,
    go_on: Arc<Notify>,
    answered: Arc<AtomicUsize>,
}

async fn wait(State(gate): State<Gate>) -> &'static str {
    gate.arrived.notify_one();
    gate.go_on.notified().await;
    gate.answered.fetch_add(1, Ordering::SeqCst);
    "done"
}

async fn hang(Extension(gate): Extension<Gate>) -> &'static str {
    gate.arrived.notify_one();
    std::future::pending().await
}

async fn gated(settings: config::Server) -> (Running, Gate) {
    let gate = Gate::default();
    let router = Router::new().route("/wait", get(wait)).with_state(gate.clone());
    (start(settings, router).await, gate)
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

#[tokio::test]
async fn headers_that_stall_are_answered_408() {
    let hasty = config::Server { header_timeout: Duration::from_millis(50), ..settings() };
    let server = start_service(hasty).await;
    for part in
        ["G", "P", "PRI * HTTP/2.0\r\n", "GET /health/live HTTP/1.1\r\nhost: localhost\r\nx"]
    {
        let text = exchange(server.address, part).await;

        let reply = Reply::parse(&text).unwrap();
        reply.is_problem(Code::RequestTimeout);
        assert_eq!(reply.header("connection"), Some("close"), "{part}");
    }
}

#[tokio::test]
async fn the_second_head_of_a_connection_has_its_own_time() {
    let hasty = config::Server { header_timeout: Duration::from_millis(50), ..settings() };
    let server = start_service(hasty).await;
    let mut socket = connect(&server).await;
    socket.write_all(LIVE).await.unwrap();
    assert_eq!(read_one(&mut socket).await.status, 200);

    socket.write_all(b"GET /heal").await.unwrap();

    let text = read_to_end(&mut socket).await;
    Reply::parse(&text).unwrap().is_problem(Code::RequestTimeout);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let hasty = config::Server { header_timeout: Duration::from_millis(50), ..settings() };
    let server = start_service(hasty).await;

    assert_eq!(read_to_end(&mut connect(&server).await).await, "");
}

#[tokio::test]
async fn an_http_2_connection_without_requests_is_closed() {
    let hasty = config::Server { header_timeout: Duration::from_millis(50), ..settings() };
    let server = start_service(hasty).await;
    let mut socket = connect(&server).await;
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();

    let mut all = Vec::new();

    timeout_in(socket.read_to_end(&mut all)).await.unwrap();
}

async fn timeout_in<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes about")
}

#[tokio::test]
async fn a_refusal_reaches_a_caller_who_is_still_sending() {
    let server = start_service(settings()).await;
    let body = "x".repeat(2 * 1024 * 1024);
    let head = format!(
        "POST /transfers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );

    let text = exchange(server.address, head + &body).await;

    Reply::parse(&text).unwrap().is_problem(Code::BodyTooLarge);
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_a_place_while_none_is_idle() {
    let (server, gate) = gated(config::Server { max_connections: 1, ..settings() }).await;
    let mut first = connect(&server).await;
    first.write_all(WAIT).await.unwrap();
    gate.arrived.notified().await;
    let mut second = connect(&server).await;
    second.write_all(WAIT).await.unwrap();
    let mut byte = [0];
    let early =
        tokio::time::timeout(Duration::from_millis(50), second.peek(&mut byte)).await.is_ok();

    gate.go_on.notify_one();
    assert_eq!(read_to_status(&mut first).await, 200);
    drop(first);
    gate.arrived.notified().await;
    gate.go_on.notify_one();

    assert!(!early, "the second connection was served while the first held the only place");
    assert_eq!(read_to_status(&mut second).await, 200);
}

async fn read_to_status(socket: &mut TcpStream) -> u16 {
    read_one(socket).await.status
}

#[tokio::test]
async fn the_connection_that_is_idle_longest_gives_way_to_the_next() {
    let server = start_service(config::Server { max_connections: 3, ..settings() }).await;
    let mut idle = [connect(&server).await, connect(&server).await, connect(&server).await];
    for socket in &mut idle {
        socket.write_all(LIVE).await.unwrap();
        assert_eq!(read_one(socket).await.status, 200);
    }
    let [oldest, middle, newest] = &mut idle;
    oldest.write_all(LIVE).await.unwrap();
    assert_eq!(read_one(oldest).await.status, 200);

    let mut next = connect(&server).await;
    next.write_all(LIVE).await.unwrap();

    assert_eq!(read_one(&mut next).await.status, 200);
    assert_eq!(read_to_end(middle).await, "", "it was closed");
    for socket in [oldest, newest] {
        socket.write_all(LIVE).await.unwrap();
        assert_eq!(read_one(socket).await.status, 200);
    }
}

#[tokio::test]
async fn half_a_head_gives_way_too() {
    // It is not the time for the head that ends it.
    let one = config::Server { max_connections: 1, header_timeout: HOUR, ..settings() };
    let server = start_service(one).await;
    let mut slow = connect(&server).await;
    slow.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nx").await.unwrap();

    let mut next = connect(&server).await;
    next.write_all(LIVE).await.unwrap();

    assert_eq!(read_one(&mut next).await.status, 200);
    drop(slow);
}

#[tokio::test]
async fn one_address_has_only_its_share_of_the_places() {
    let narrow = config::Server { max_connections_per_address: 1, ..settings() };
    let loopback = vec!["127.0.0.0/8".parse().unwrap()];
    for (unlimited_addresses, served) in [(Vec::new(), false), (loopback, true)] {
        let settings = config::Server { unlimited_addresses, ..narrow.clone() };
        let (server, gate) = gated(settings).await;
        let mut first = connect(&server).await;
        first.write_all(WAIT).await.unwrap();
        gate.arrived.notified().await;

        let mut second = connect(&server).await;

        if served {
            second.write_all(WAIT).await.unwrap();
            gate.arrived.notified().await;
        } else {
            // It may be closed while this is sent.
            let _ = second.write_all(NOTHING).await;
            let mut answer = Vec::new();
            // An end or a reset: both are no answer.
            let _ = timeout_in(second.read_to_end(&mut answer)).await;
            assert_eq!(String::from_utf8_lossy(&answer), "", "closed without an answer");
        }
    }
}

#[tokio::test]
async fn a_graceful_end_finishes_what_is_in_hand() {
    let (server, gate) = gated(settings()).await;
    let mut busy = connect(&server).await;
    busy.write_all(WAIT).await.unwrap();
    gate.arrived.notified().await;

    server.shutdown.graceful.cancel();
    // Refused once the listener is gone.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.go_on.notify_one();

    let reply = Reply::parse(&read_to_end(&mut busy).await).unwrap();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(timeout_in(server.done).await.unwrap(), Finished { cut: 0 });
}

#[tokio::test]
async fn a_graceful_end_closes_idle_connections_at_once() {
    let server = start_service(settings()).await;
    let (mut used, mut fresh) = (connect(&server).await, connect(&server).await);
    used.write_all(LIVE).await.unwrap();
    assert_eq!(read_one(&mut used).await.status, 200);

    server.shutdown.graceful.cancel();

    assert_eq!(read_to_end(&mut used).await, "");
    assert_eq!(read_to_end(&mut fresh).await, "");
    drop((used, fresh));
    assert_eq!(timeout_in(server.done).await.unwrap(), Finished { cut: 0 });
}

#[tokio::test]
async fn whoever_is_in_hand_when_the_grace_ends_is_answered() {
    let shutdown = Shutdown::default();
    let gate = Gate::default();
    let closed = Router::new().route("/transfers", post(hang).get(hang));
    let router = around(Router::new(), closed, &stopped_by(&settings(), &shutdown))
        .layer(Extension(gate.clone()));
    let server = start_with(settings(), router, shutdown).await;
    let (mut command, mut question) = (connect(&server).await, connect(&server).await);
    for (socket, method) in [(&mut command, "POST"), (&mut question, "GET")] {
        let head = format!("{method} /transfers HTTP/1.1\r\nhost: localhost\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        gate.arrived.notified().await;
    }

    server.shutdown.graceful.cancel();
    server.shutdown.grace_over.cancel();

    let answers = [read_to_end(&mut command).await, read_to_end(&mut question).await];
    drop((command, question));
    let [command, question] = answers.map(|text| Reply::parse(&text).unwrap());
    // Nothing of it reached the domain.
    command.is_problem(Code::ShuttingDown);
    question.is_problem(Code::ShuttingDown);
    assert_eq!(timeout_in(server.done).await.unwrap(), Finished { cut: 0 });
}

#[tokio::test]
async fn a_second_order_cuts_at_once() {
    let (server, gate) = gated(settings()).await;
    let mut busy = connect(&server).await;
    busy.write_all(WAIT).await.unwrap();
    gate.arrived.notified().await;
    server.shutdown.graceful.cancel();

    server.shutdown.now.cancel();

    assert_eq!(timeout_in(server.done).await.unwrap(), Finished { cut: 1 });
}
