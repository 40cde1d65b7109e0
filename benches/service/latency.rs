//! What the service adds to a transfer: beside each transfer through it, the two requests that it
//! sends are made directly, by the same caller, in the same run.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::{
    Outcome,
    client::{Caller, expect},
    load::{fresh_call, transfer},
    process::Site,
    scale::Scale,
    table::{Table, ms, percentile},
    upstream::LEG,
};

/// How many of one kind follow each other.
const TURN: usize = 100;

pub(crate) async fn run(scale: &Scale) -> Outcome {
    let site = Site::new(100).await?;
    let (service, _) = site.start().await?;
    let mut through = Caller::connect(service.address).await?;
    let mut direct = Caller::connect(site.upstream.address).await?;
    let (mut added, mut bare) = (Vec::new(), Vec::new());
    // The first turn warms both up and is left out.
    for turn in 0..=scale.pairs.div_ceil(TURN) {
        let length = TURN.min(scale.pairs);
        let direct_times = times(length, async || transfer_directly(&mut direct).await).await?;
        let through_times = times(length, async || transfer(&mut through).await).await?;
        if turn > 0 {
            bare.extend(direct_times);
            added.extend(through_times);
        }
    }
    let mut table = Table::new(&["one caller", "direct", "through the service", "added", "ratio"]);
    for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99)] {
        let bare = percentile(&mut bare, percent);
        let full = percentile(&mut added, percent);
        table.row(&[
            name.to_owned(),
            ms(bare),
            ms(full),
            ms(full.saturating_sub(bare)),
            format!("{:.1}", full.as_secs_f64() / bare.as_secs_f64()),
        ]);
    }
    table.print();
    Ok(())
}

async fn times(count: usize, mut act: impl AsyncFnMut() -> Outcome) -> Outcome<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        act().await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// The two requests of a transfer by name, as a client of Genesys would make them that knows the
/// queue's id.
async fn transfer_directly(caller: &mut Caller) -> Outcome {
    let token = [("authorization", "Bearer token")];
    let path = format!("/api/v2/conversations/{}", fresh_call());
    let read = caller.ask(Method::GET, &path, &token, String::new()).await?;
    expect(read, StatusCode::OK)?;
    let command = format!("{path}/participants/{LEG}/replace/queue");
    let body = json!({"queueId": "a1000000-0000-4000-8000-000000000000",
        "transferType": "UNATTENDED"});
    let sent = caller.ask(Method::POST, &command, &token, body.to_string()).await?;
    expect(sent, StatusCode::ACCEPTED).map(drop)
}
