//! The outbound stack. What a layer does is in its own file; why it sits where it sits is here.

use std::sync::Arc;

use futures_util::FutureExt;
use reqwest::{Client, Response};
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;

use super::{
    auth::authorize,
    breaker::{Breaker, guard},
    call::Call,
    layer::{Next, around},
    pacing::{Pacer, pace},
    recheck::recheck,
    report::report,
    retry::RetryPolicy,
    token::TokenCache,
    transport::{Limits, Wire, bounded},
};
use crate::metrics::Metrics;

/// What the stack to one host is made of.
pub(super) struct Parts {
    /// Whether a call is sent again.
    pub retry: RetryPolicy,
    /// This host's breaker.
    pub breaker: Breaker,
    /// The rate budget; the login host has none.
    pub pacer: Option<Pacer>,
    /// The shared token; the login host is where it comes from.
    pub tokens: Option<TokenCache>,
    /// Timeouts.
    pub limits: Limits,
    /// This host's connections.
    pub client: Client,
    /// Ends pauses early.
    pub shutdown: CancellationToken,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
}

/// Puts the layers together, outermost first.
pub(super) fn stack(parts: Parts) -> Next {
    let Parts { retry, breaker, pacer, tokens, limits, client, shutdown, metrics } = parts;
    let probe = breaker.clone();
    let service = ServiceBuilder::new()
        // Outermost: each repeat passes everything below again, so that it is paced, carries the
        // newest token, and is counted by the breaker.
        .retry(retry)
        // Inside retry, because it is about repeats; outside the breaker, because its look at the
        // conversation is a call of its own that may be the breaker's probe.
        .layer(around(move |call: Call, next: Next| {
            recheck(probe.clone(), shutdown.clone(), call, next).boxed()
        }))
        // Before pacing: a host that is down must not use up the rate budget, nor the patience of
        // those who wait for it.
        .layer(around(move |call: Call, next: Next| guard(breaker.clone(), call, next).boxed()))
        // Before auth: the token is asked for when the call may really go, so it does not get old
        // while waiting.
        .option_layer(pacer.map(|pacer| {
            around(move |call: Call, next: Next| pace(pacer.clone(), call, next).boxed())
        }))
        // Outside the timeout: waiting for a token is not the API host's slowness.
        .option_layer(tokens.map(|tokens| {
            around(move |call: Call, next: Next| authorize(tokens.clone(), call, next).boxed())
        }))
        // One try's time and size. Above report, so that a try cut off here is still reported by
        // the layer below up to that moment, and an answer is reported when its head arrives.
        .layer(around(move |call: Call, next: Next<Response>| {
            bounded(limits.clone(), call, next).boxed()
        }))
        // Innermost: exactly the requests that go out are counted and reported.
        .layer(around(move |call: Call, next: Next<Response>| {
            report(Arc::clone(&metrics), call, next).boxed()
        }))
        .service(Wire(client));
    Next::new(service)
}
