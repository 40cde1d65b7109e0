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
    let refusals = Refusals::new(request_ids(), Arc::default());
    let (timeout, stop) = (Duration::from_mins(1), CancellationToken::new());
    let host = ConnectionContext::new(router, None, refusals, timeout, stop.clone(), stop);
    let host = Arc::new(ConnectionContext { stall: Duration::from_millis(300), ..host });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut open = Vec::new();
    for path in ["read", "unread"] {
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let mut client = client.connect(address).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let host = Arc::clone(&host);
        let activity = Activity::new(timeout, Instant::now());
        tokio::spawn(async move { host.talk(accepted, &activity).await });
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
