//! The sandbox over a real socket.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::*;
use crate::clock::{ManualClock, testing::Frozen};

mod api;
mod login;
mod misbehaviour;
mod operate;
mod places;
mod shapes;

/// A sandbox on a port of its own, a clock that is moved by hand, and a client with a token.
struct Bench {
    sandbox: Sandbox,
    clock: Arc<ManualClock>,
    client: Client,
    token: String,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        Self::at("127.0.0.1:0", options).await
    }

    /// The same on an address of which the sandbox does not know all names.
    async fn beyond_loopback(options: Options) -> Self {
        Self::at("0.0.0.0:0", options).await
    }

    async fn at(address: &str, options: Options) -> Self {
        Self::on(TcpListener::bind(address).await.unwrap(), options).await
    }

    async fn on(listener: TcpListener, options: Options) -> Self {
        let start = "2026-11-22T12:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(start));
        let sandbox = Sandbox::start(listener, options, Arc::<ManualClock>::clone(&clock)).unwrap();
        let client = Client::builder()
            .no_proxy()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let mut bench = Self { sandbox, clock, client, token: String::new() };
        bench.token = bench.fresh_token().await;
        bench
    }

    async fn fresh_token(&self) -> String {
        let form = [("grant_type", "client_credentials")];
        let answer = self.login().basic_auth("sandbox", Some("sandbox")).form(&form);
        let body: Value = answer.send().await.unwrap().json().await.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    fn login(&self) -> RequestBuilder {
        self.client.post(self.url("/oauth/token"))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.sandbox.base_url())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        self.request(method, path).json(body).send().await.unwrap()
    }

    fn replace(&self, call: Uuid, position: u8) -> RequestBuilder {
        let leg = seed::leg(call, position);
        let path = format!("/api/v2/conversations/{call}/participants/{leg}/replace/queue");
        self.request(Method::POST, &path).json(&json!({"queueId": seed::SUPPORT_TIER_2}))
    }

    /// How many moves took effect.
    fn moved(&self) -> usize {
        self.sandbox.moves().len()
    }

    fn order(&self, order: FaultOrder) {
        self.sandbox.order(order).unwrap();
    }

    fn last_request(&self) -> Request {
        self.sandbox.requests().pop().unwrap()
    }
}

async fn body(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    (status, response.json().await.unwrap())
}

/// The status and Genesys' error code.
async fn error(response: Response) -> (u16, String) {
    let (status, body) = body(response).await;
    assert_eq!(body["status"], status.as_u16());
    assert!(body["contextId"].is_string());
    (status.as_u16(), body["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn stopped_sandbox_closes_its_connections_and_its_port() {
    // Two sockets of one port, so that no other process gets it when the one that listens is closed.
    let [kept, listening] = [(); 2].map(|()| TcpSocket::new_v4().unwrap());
    for socket in [&kept, &listening] {
        socket.set_reuseport(true).unwrap();
    }
    kept.bind(([127, 0, 0, 1], 0).into()).unwrap();
    listening.bind(kept.local_addr().unwrap()).unwrap();
    let bench = Bench::on(listening.listen(8).unwrap(), Options::default()).await;
    bench.get("/api/v2/routing/queues").await;

    bench.sandbox.stop().await;

    assert!(bench.client.get(bench.url("/sandbox/")).send().await.is_err());
}

#[tokio::test]
async fn stopping_releases_a_caller_that_hangs() {
    let bench = Bench::new().await;
    bench.order(FaultOrder::next("GET", "*", faults::Fault::Hang { apply: false }));
    let hanging = bench.request(Method::GET, "/api/v2/routing/queues").send();
    let hanging = tokio::spawn(hanging);
    bench.sandbox.requests_reach(2).await;

    bench.sandbox.stop().await;

    assert!(hanging.await.unwrap().is_err());
}
