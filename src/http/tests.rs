//! The real router over a real socket, as far as requests get without the domain.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::{
    auth::Keyring,
    batch::testing::placeholder,
    clock::{IdSource, ManualClock},
    config,
    problem::Code,
};

mod framework;
mod in_memory;

pub(super) fn settings() -> config::Server {
    config::Server {
        bind: (Ipv4Addr::LOCALHOST, 0).into(),
        deadline: Duration::from_secs(30),
        shutdown_grace: Duration::from_secs(20),
        shutdown_delay: Duration::ZERO,
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(10),
        max_connections: 100,
        max_connections_per_address: 100,
        trusted_proxies: Vec::new(),
        unlimited_addresses: Vec::new(),
        max_in_flight: 100,
        max_streams_per_caller: 8,
        tls: None,
    }
}

pub(super) fn request_ids() -> RequestIds {
    let clock = ManualClock::new(Timestamp::from_second(1_774_600_000).unwrap());
    RequestIds::new(Arc::new(clock), Arc::new(IdSource::default()))
}

pub(super) fn state(settings: &config::Server) -> AppState {
    stopped_by(settings, &Shutdown::default())
}

pub(super) fn stopped_by(settings: &config::Server, shutdown: &Shutdown) -> AppState {
    AppState::new(placeholder(), Keyring::open(), settings, request_ids(), shutdown)
}

/// A server on a port of its own.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) shutdown: Shutdown,
    pub(super) done: JoinHandle<Finished>,
}

pub(super) async fn start(settings: config::Server, router: Router) -> Running {
    start_with(settings, router, Shutdown::default()).await
}

pub(super) async fn start_with(
    settings: config::Server,
    router: Router,
    shutdown: Shutdown,
) -> Running {
    let listener = TcpListener::bind(settings.bind).await.unwrap();
    let address = listener.local_addr().unwrap();
    let orders = shutdown.clone();
    let tls = settings.tls.as_ref().map(|tls| Tls::new(tls).unwrap());
    let done = tokio::spawn(async move {
        serve(listener, tls, router, &settings, request_ids(), orders, Arc::default()).await
    });
    Running { address, shutdown, done }
}

/// The whole service on a port of its own.
pub(super) async fn start_service(settings: config::Server) -> Running {
    let router = router(&state(&settings));
    start(settings, router).await
}

/// Sends `bytes` and reads all that comes until the server closes.
pub(super) async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes.as_ref()).await.unwrap();
    read_to_end(&mut socket).await
}

/// Only a test that fails waits so long.
pub(super) const PATIENCE: Duration = Duration::from_mins(3);

pub(super) async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let read = socket.read_to_end(&mut all);
    timeout(PATIENCE, read).await.expect("the server closes").unwrap();
    String::from_utf8(all).unwrap()
}

/// Reads one answer of a connection that stays open.
pub(super) async fn read_one(socket: &mut TcpStream) -> Reply {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some(reply) = Reply::parse(&text).filter(Reply::is_whole) {
            return reply;
        }
        let read = timeout(PATIENCE, socket.read_buf(&mut all)).await;
        assert_ne!(read.expect("an answer comes").unwrap(), 0, "closed after {text:?}");
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.get(9..12)?.parse().ok()?;
        Some(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    fn is_whole(&self) -> bool {
        let length = self.header("content-length").and_then(|text| text.parse::<usize>().ok());
        length.is_some_and(|length| self.body.len() >= length)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks that this is the problem `code`, in every respect that all problems share.
    #[track_caller]
    pub(super) fn is_problem(&self, code: Code) -> Value {
        assert_eq!(self.status, code.status(), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        let length = self.body.len().to_string();
        assert_eq!(self.header("content-length"), Some(length.as_str()), "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code.as_str(), "{self:?}");
        assert_eq!(body["status"], self.status, "{self:?}");
        assert_eq!(body["requestId"].as_str(), self.header("x-request-id"), "{self:?}");
        body
    }
}
