//! Callers who ask for transfers, each as soon as the one before was answered.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::try_join_all;
use hyper::{Method, StatusCode};
use tokio::time::Instant;

use super::{
    Outcome,
    client::{Caller, expect},
    upstream::QUEUE,
};

/// No call is moved twice, in no part.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A call that no request has named.
pub(crate) fn fresh_call() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("c1000000-0000-4000-8000-{number:012x}")
}

/// The body that asks for `call`.
pub(crate) fn wish(call: &str) -> String {
    format!(
        "{{\"conversationId\":\"{call}\",\"queueName\":\"{QUEUE}\",\"reference\":\"CASE-{call}\"}}"
    )
}

/// One transfer through the service.
pub(crate) async fn transfer(caller: &mut Caller) -> Outcome {
    let answer = caller.ask(Method::POST, "/transfers", &[], wish(&fresh_call())).await?;
    expect(answer, StatusCode::CREATED).map(drop)
}

/// When a load ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Time(Duration),
    Count(usize),
}

/// How long each transfer of a load took, and how long it lasted in all.
pub(crate) struct Load {
    pub times: Vec<Duration>,
    pub lasted: Duration,
}

impl Load {
    /// Transfers a second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.count()) / self.lasted.as_secs_f64()
    }

    /// How many transfers there were.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.times.len()).unwrap_or(u32::MAX)
    }
}

/// `callers` callers ask at the same time, until the load ends.
pub(crate) async fn run(to: SocketAddr, callers: usize, until: Until) -> Outcome<Load> {
    let mut connected = Vec::new();
    for _ in 0..callers {
        connected.push(Caller::connect(to).await?);
    }
    let begun = Instant::now();
    let left = AtomicU64::new(match until {
        Until::Time(_) => u64::MAX,
        Until::Count(count) => u64::try_from(count)?,
    });
    let end = match until {
        Until::Time(time) => Some(begun + time),
        Until::Count(_) => None,
    };
    let one = |mut caller: Caller| {
        let left = &left;
        async move {
            let mut times = Vec::new();
            while end.is_none_or(|end| Instant::now() < end) && take(left) {
                let asked = Instant::now();
                transfer(&mut caller).await?;
                times.push(asked.elapsed());
            }
            Outcome::Ok(times)
        }
    };
    let times = try_join_all(connected.into_iter().map(one)).await?.concat();
    Ok(Load { times, lasted: begun.elapsed() })
}

/// Takes one of what is left.
fn take(left: &AtomicU64) -> bool {
    left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
