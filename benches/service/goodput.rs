//! How much of what Genesys allows is used for transfers, and how often it had to refuse.

use hyper::{Method, StatusCode};
use tokio::time::Instant;

use futures_util::future::try_join_all;

use super::{
    Outcome,
    client::{Caller, look},
    load::{fresh_call, wish},
    process::Site,
    scale::Scale,
    table::{Table, number},
};

/// Callers that send all the time; one that is told to come back later sends again at once.
const CALLERS: usize = 16;

/// Requests of a transfer by name.
const REQUESTS: u32 = 2;

pub(crate) async fn run(scale: &Scale) -> Outcome {
    let mut site = Site::with_limit(100, scale.limit).await?;
    site.set("GENESYS_REQUESTS_PER_MINUTE", &scale.limit.to_string());
    let (service, _) = site.start().await?;
    let end = Instant::now() + scale.goodput;
    let one = async || {
        let mut caller = Caller::connect(service.address).await?;
        let mut moved = 0_u32;
        while Instant::now() < end {
            let body = wish(&fresh_call());
            let asked =
                tokio::time::timeout_at(end, caller.ask(Method::POST, "/transfers", &[], body));
            match asked.await {
                Ok(answer) => moved += u32::from(answer?.0 == StatusCode::CREATED),
                Err(_) => break,
            }
        }
        Outcome::Ok(moved)
    };
    let moved: u32 = try_join_all((0..CALLERS).map(|_| one())).await?.iter().sum();
    let stats = look(site.upstream.address, "/stats").await?;
    let minutes = scale.goodput.as_secs_f64() / 60.0;
    // The token, the queue list and the settings of the start are requests, too.
    let most = f64::from(scale.limit / REQUESTS) * minutes.max(1.0);
    let mut table = Table::new(&["limit", "time", "moved", "most that could be", "share", "429s"]);
    table.row(&[
        format!("{} a minute", scale.limit),
        format!("{minutes:.1} min"),
        number(moved.into()),
        format!("{most:.0}"),
        format!("{:.1} %", f64::from(moved) / most * 100.0),
        stats.get("refused").map(ToString::to_string).unwrap_or_default(),
    ]);
    table.print();
    Ok(())
}
