//! The layers that come before pacing, over a host in memory.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::json;
use tower::{ServiceBuilder, service_fn};
use url::Url;

use super::*;
use crate::{
    genesys::{breaker::guard, layer::around, participant_replace, reading, wire},
    metrics,
    problem::UpstreamAnswer,
    transfer::{
        clock_offset::ClockOffset,
        gateway::{Lane, RoutingChange, Sent},
        model::{Queue, TransferType},
    },
};

const ID: &str = "11111111-1111-4111-8111-111111111111";

/// A host that fails for the first `failing` requests; counts reads and commands.
#[derive(Default)]
struct Host {
    failing: AtomicU32,
    reads: AtomicU32,
    commands: AtomicU32,
}

impl Host {
    fn answer(&self, call: &Call) -> Result<Answer, Failure> {
        let count =
            if call.operation.method() == Method::GET { &self.reads } else { &self.commands };
        count.fetch_add(1, Ordering::SeqCst);
        let less = |failing: u32| failing.checked_sub(1);
        if self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Err(Failure::Broken("down".to_owned()));
        }
        let body = json!({"id": ID, "participants": []}).to_string();
        let decoded = reading::decode::<wire::Conversation>(body.as_bytes());
        let decoded = decoded.ok().map(|(decoded, _)| decoded);
        let upstream = UpstreamAnswer { status: 200, ..UpstreamAnswer::default() };
        Ok(Answer {
            upstream,
            complete: true,
            decoded,
            clock: ClockOffset::default(),
            rate: None,
            throttle: None,
            replay: false,
        })
    }

    fn counts(&self) -> (u32, u32) {
        (self.reads.load(Ordering::SeqCst), self.commands.load(Ordering::SeqCst))
    }
}

fn upstream(host: &Arc<Host>) -> Upstream {
    let breaker = Breaker::new(metrics::Host::Api, Arc::default());
    let probe = breaker.clone();
    let host = Arc::clone(host);
    let service = ServiceBuilder::new()
        .layer(around(move |call: Call, next: Next| {
            recheck(probe.clone(), CancellationToken::new(), call, next).boxed()
        }))
        .layer(around(move |call: Call, next: Next| guard(breaker.clone(), call, next).boxed()))
        .service(service_fn(move |call: Call| std::future::ready(host.answer(&call))));
    let base = Url::parse("http://host/").unwrap();
    Upstream::new(Next::new(service), base, CancellationToken::new())
}

async fn send(upstream: &Upstream) -> Sent {
    let ctx = CallContext::new(Instant::now() + Duration::from_secs(20), Lane::Command);
    let command = MoveCommand {
        conversation_id: ID.parse().unwrap(),
        participant_id: Some(ID.parse().unwrap()),
        queue: Queue { id: ID.parse().unwrap(), name: String::new(), division: None },
        transfer_type: TransferType::Unattended,
        routing: RoutingChange::default(),
        still_fits: Arc::new(|_| Ok(())),
    };
    participant_replace::send(upstream, &ctx, &command).await
}

/// A host behind a breaker that five lost commands have opened.
async fn opened(still_failing: u32) -> (Arc<Host>, Upstream) {
    let host = Arc::new(Host { failing: AtomicU32::new(5 + still_failing), ..Host::default() });
    let upstream = upstream(&host);
    for _ in 0..5 {
        assert!(matches!(send(&upstream).await, Sent::Uncertain { .. }));
    }
    assert_eq!(host.counts(), (0, 5));
    (host, upstream)
}

#[tokio::test(start_paused = true)]
async fn while_the_breaker_is_open_no_command_leaves() {
    let (host, upstream) = opened(0).await;
    let sent = send(&upstream).await;
    assert!(matches!(sent, Sent::NotSent(GatewayError::Unavailable { .. })), "{sent:?}");
    assert_eq!(host.counts(), (0, 5));
}

#[tokio::test(start_paused = true)]
async fn the_first_command_after_the_rest_is_preceded_by_a_read_as_probe() {
    let (host, upstream) = opened(0).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(matches!(send(&upstream).await, Sent::Taken(_)));
    assert_eq!(host.counts(), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_keeps_the_command_back() {
    let (host, upstream) = opened(1).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    let sent = send(&upstream).await;
    assert!(matches!(sent, Sent::NotSent(GatewayError::Unavailable { .. })), "{sent:?}");
    assert_eq!(host.counts(), (1, 5));
}
