//! What a stop does to connections, on a clock that moves only while everything waits for it.

use tokio::time::Instant;

use super::*;

/// So long after its beginning, a stop has closed what has nothing in hand.
const AT_ONCE: Duration = Duration::from_millis(100);

const HALF_HEAD: &str = "GET /health/live HTTP/1.1\r\nhost: localhost\r\nx";
const HALF_BODY: &str = "POST /transfers HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                         content-length: 100000\r\n\r\n{\"";

/// The preface and empty settings.
const HTTP_2: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A service and a connection that has sent `bytes`, which have been read.
async fn after(bytes: &str) -> (Running, TcpStream) {
    let shutdown = Shutdown::default();
    let router = crate::http::router(&stopped_by(&settings(), &shutdown));
    let server = start_with(settings(), router, shutdown).await;
    let mut socket = connect(&server).await;
    socket.write_all(bytes.as_bytes()).await.unwrap();
    all_wait().await;
    (server, socket)
}

/// On a clock that stands still this ends when every task waits.
async fn all_wait() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// All that comes until the server closes.
async fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    timeout_in(socket.read_to_end(&mut all)).await.expect("closed in order");
    all
}

#[tokio::test(start_paused = true)]
async fn connections_with_nothing_in_hand_are_closed_at_once_whoever_keeps_his_side_open() {
    let pipelined = format!("{}{HALF_HEAD}", str::from_utf8(LIVE).unwrap());
    let answered = str::from_utf8(LIVE).unwrap();
    for begun in ["", "G", "PRI * HTTP/2.0\r\n", HALF_HEAD, HTTP_2, answered, &pipelined] {
        let (server, mut socket) = after(begun).await;
        let began = Instant::now();

        server.shutdown.graceful.cancel();

        rest(&mut socket).await;
        let finished = timeout_in(server.done).await.unwrap();
        assert_eq!(finished, Finished { cut: 0 }, "{begun:?}");
        assert!(began.elapsed() <= AT_ONCE, "{begun:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_body_is_answered_and_closed_at_once() {
    let (server, mut socket) = after(HALF_BODY).await;
    let began = Instant::now();

    server.shutdown.graceful.cancel();

    let answer = String::from_utf8(rest(&mut socket).await).unwrap();
    assert_eq!(timeout_in(server.done).await.unwrap(), Finished { cut: 0 });
    assert!(began.elapsed() <= AT_ONCE, "{:?}", began.elapsed());
    let reply = Reply::parse(&answer).unwrap();
    reply.is_problem(Code::ShuttingDown);
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_half_a_body_reaches_a_caller_who_still_sends() {
    let (server, mut socket) = after(HALF_BODY).await;

    server.shutdown.graceful.cancel();

    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        socket.write_all(b"more").await.unwrap();
    }
    let answer = String::from_utf8(rest(&mut socket).await).unwrap();
    Reply::parse(&answer).unwrap().is_problem(Code::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_on_its_way_does_not_hold_up_a_stop() {
    let (server, mut socket) = after("").await;
    socket.write_all(b"garbage\r\n\r\n").await.unwrap();
    all_wait().await;
    let began = Instant::now();

    server.shutdown.graceful.cancel();

    assert_eq!(timeout_in(server.done).await.unwrap(), Finished { cut: 0 });
    assert!(began.elapsed() <= AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_whole_is_still_answered_beside_those_that_are_closed() {
    let (server, gate) = gated(settings()).await;
    let (mut busy, mut half) = (connect(&server).await, connect(&server).await);
    busy.write_all(WAIT).await.unwrap();
    half.write_all(HALF_HEAD.as_bytes()).await.unwrap();
    gate.arrived.notified().await;
    all_wait().await;

    server.shutdown.graceful.cancel();

    assert_eq!(rest(&mut half).await, b"");
    assert_eq!(gate.answered.load(Ordering::SeqCst), 0, "the other one is still in hand");
    gate.go_on.notify_one();
    let answer = String::from_utf8(rest(&mut busy).await).unwrap();
    assert_eq!(Reply::parse(&answer).unwrap().status, 200);
    assert_eq!(timeout_in(server.done).await.unwrap(), Finished { cut: 0 });
}
