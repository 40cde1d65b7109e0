//! A stand-in for Genesys Cloud that does what it is told, down to the byte.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub head: String,
    pub body: String,
    /// How many requests of the same method and path came before.
    pub before: usize,
}

impl Seen {
    pub(super) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned())
    }
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// These bytes, then go on with the connection.
    Send(Vec<u8>),
    /// These bytes, then close.
    SendAndClose(Vec<u8>),
    /// Nothing, for ever.
    Hang,
}

impl Act {
    pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            text = format!("{text}{name}: {value}\r\n");
        }
        Self::Send(format!("{text}\r\n{body}").into_bytes())
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        let headers = [("content-type", "application/json"), ("inin-correlation-id", "c-1")];
        Self::answer(status, &headers, &body.to_string())
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::answer(status, &[("inin-correlation-id", "c-1")], "")
    }

    /// An answer that promises more than it sends.
    pub(super) fn cut(status: u16, content_type: &str, body: &str) -> Self {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\n");
        Self::SendAndClose(format!("{head}content-length: 9999\r\n\r\n{body}").into_bytes())
    }
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;

/// The stand-in.
pub(super) struct Scripted {
    pub url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicU32>,
    /// Told each time the stand-in has closed a connection.
    pub closed: Arc<tokio::sync::Notify>,
}

impl Scripted {
    pub(super) async fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let scripted =
            Self { url, seen: Arc::default(), connections: Arc::default(), closed: Arc::default() };
        let script: Arc<Script> = Arc::new(script);
        let (seen, connections) = (Arc::clone(&scripted.seen), Arc::clone(&scripted.connections));
        let closed = Arc::clone(&scripted.closed);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, script, closed) =
                    (Arc::clone(&seen), Arc::clone(&script), Arc::clone(&closed));
                tokio::spawn(async move {
                    serve(stream, &seen, &script).await;
                    closed.notify_one();
                });
            }
        });
        scripted
    }

    /// All requests so far.
    pub(super) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests of this method had this in their path.
    pub(super) fn count(&self, method: &str, part: &str) -> usize {
        self.all().iter().filter(|seen| seen.is(method, part)).count()
    }

    pub(super) fn connections(&self) -> u32 {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Seen>>, script: &Arc<Script>) {
    let mut buffer = Vec::new();
    while let Some(request) = receive(&mut stream, &mut buffer, seen).await {
        let act = script(&request);
        match act {
            Act::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::SendAndClose(bytes) => {
                // The client may have left already; either way the connection ends here.
                drop(stream.write_all(&bytes).await);
                return;
            }
            Act::Hang => std::future::pending().await,
        }
    }
}

async fn receive(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    seen: &Mutex<Vec<Seen>>,
) -> Option<Seen> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            break String::from_utf8(std::mem::replace(buffer, rest)).unwrap();
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let mut words = head.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request = Seen {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        head,
        body: String::new(),
        before: 0,
    };
    let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    while buffer.len() < length {
        stream.read_buf(buffer).await.ok()?;
    }
    let rest = buffer.split_off(length);
    request.body = String::from_utf8(std::mem::replace(buffer, rest)).unwrap();
    let mut seen = seen.lock().unwrap();
    let same = |other: &&Seen| other.method == request.method && other.path == request.path;
    request.before = seen.iter().filter(same).count();
    seen.push(request.clone());
    Some(request)
}
