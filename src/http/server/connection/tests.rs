use axum::routing::get;
use futures_util::stream;
use tokio::{net::TcpSocket, sync::mpsc};

use super::*;
use crate::http::tests::request_ids;

/// What event streams write, byte by byte far more than a peer with a small buffer takes, and far
/// less than the buffers on the way to it.
const EVENTS: usize = 256 * 1024;

/// Tells when it is dropped.
struct Told(mpsc::UnboundedSender<&'static str>, &'static str);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

/// A stream of [`EVENTS`] bytes that then stays open with nothing to say.
fn watched(told: Told) -> Body {
    let begun = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; EVENTS]))]);
    let rest = stream::once(async move {
        let _open = told;
        pending().await
    });
    Body::from_stream(futures_util::StreamExt::chain(begun, rest))
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_ended_also_when_buffers_take_it_all() {
    let (ends, mut ended) = mpsc::unbounded_channel();
    let unread = ends.clone();
    let router = Router::new()
        .route("/unread", get(async move || watched(Told(unread, "unread"))))
        .route("/read", get(async move || watched(Told(ends, "read"))));
    let all = Connections::new(router, None, request_ids(), &Shutdown::default(), Arc::default());
    let all = Arc::new(Connections { stall: Duration::from_millis(300), ..all });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut open = Vec::new();
    for path in ["read", "unread"] {
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let mut client = client.connect(address).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let all = Arc::clone(&all);
        let activity = Activity::new(address.ip(), Duration::from_mins(1), Instant::now());
        tokio::spawn(async move { all.serve(accepted, &activity).await });
        let head = format!("GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        if path == "read" {
            let mut all = Vec::new();
            while all.len() < EVENTS {
                assert_ne!(client.read_buf(&mut all).await.unwrap(), 0);
            }
        }
        open.push(client);
    }

    let first = tokio::time::timeout(Duration::from_secs(20), ended.recv()).await;

    assert_eq!(first.expect("one of them ends"), Some("unread"));
    assert!(ended.try_recv().is_err(), "the one that was read goes on");
}

/// Whether one is found in `text` that comes in pieces of `size` bytes.
fn found(text: &str, size: usize) -> bool {
    let mut head = HeadLines::default();
    text.as_bytes().chunks(size).any(|piece| head.has_bare_line_feed(piece))
}

#[test]
fn a_bare_line_feed_in_a_head_is_found() {
    for text in [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\nb: c\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\n",
        "GET / HTTP/1.1\r\nhost: a\r\r\nb: c\n\r\n",
        "\nGET / HTTP/1.1\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\n\r\n",
    ] {
        for size in 1..=text.len() {
            assert!(found(text, size), "{text:?} in pieces of {size}");
        }
    }
}

#[test]
fn whole_line_ends_and_bodies_are_left_alone() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n";
    for text in [head.to_owned(), format!("\r\n{head}"), format!("{head}\n\r\n\n")] {
        for size in 1..=text.len() {
            assert!(!found(&text, size), "{text:?} in pieces of {size}");
        }
    }
}
