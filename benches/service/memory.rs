//! Memory at rest and with many transfers that wait, each kind in a process of its own.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::{select, try_join_all};
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    Outcome,
    client::{Caller, expect, look},
    load::{fresh_call, transfer, wish},
    process::{Process, Site},
    scale::Scale,
    table::{Table, mib, number},
    upstream::QUEUE,
};

/// Connections made at once; more would wait in the listener's backlog.
const WAVE: usize = 100;

/// Most calls of one list.
const LIST: usize = 1_000;

/// Longest until all of them wait.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) async fn run(scale: &Scale) -> Outcome {
    let waiting = number(u64::try_from(scale.waiting)?);
    let mut table = Table::new(&["memory", "before", "then", "after"]);
    let (before, then, after) = batch(scale.waiting).await?;
    table.row(&[format!("{waiting} calls of batches that wait"), before, then, after]);
    let (before, then, after) = background(scale.waiting).await?;
    table.row(&[format!("{waiting} of `respond-async`"), before, then, after]);
    let (before, then, after) = connections(scale.waiting).await?;
    table.row(&[format!("{waiting} callers connected, idle"), before, then, after]);
    // Each has a connection of its own at both ends of the service: twice as many open files.
    let fewer = scale.waiting / 2;
    let (before, then, after) = callers(fewer).await?;
    let fewer = number(u64::try_from(fewer)?);
    table.row(&[format!("{fewer} callers who wait for Genesys"), before, then, after]);
    table.print();
    Ok(())
}

type Readings = (String, String, String);

/// Wide enough for `waiting` at once, and in no hurry.
async fn wide_site(waiting: usize) -> Outcome<Site> {
    let mut site = Site::new(100).await?;
    let room = (waiting + 100).to_string();
    for (name, value) in [
        ("SERVER_MAX_CONNECTIONS", room.as_str()),
        ("SERVER_MAX_IN_FLIGHT", room.as_str()),
        ("SERVER_DEADLINE", "5m"),
        ("GENESYS_COMMAND_TIMEOUT", "2m"),
    ] {
        site.set(name, value);
    }
    Ok(site)
}

/// A batch that the limit holds back.
async fn batch(waiting: usize) -> Outcome<Readings> {
    let mut site = Site::new(100).await?;
    site.set("GENESYS_REQUESTS_PER_MINUTE", "60");
    let (service, _) = site.start().await?;
    let before = service.resident()?;
    let mut caller = Caller::connect(service.address).await?;
    for _ in 0..waiting.div_ceil(LIST) {
        let calls: Vec<_> = (0..waiting.min(LIST))
            .map(|_| json!({"conversationId": fresh_call(), "queueName": QUEUE}))
            .collect();
        let body = json!({"transfers": calls}).to_string();
        let answer = caller.ask(Method::POST, "/batches", &[], body).await?;
        expect(answer, StatusCode::ACCEPTED)?;
    }
    sleep(Duration::from_secs(2)).await;
    let then = service.resident()?;
    Ok((mib(before), mib(then), "–".to_owned()))
}

/// Transfers that go on after their callers were answered.
async fn background(waiting: usize) -> Outcome<Readings> {
    let site = wide_site(waiting).await?;
    let (service, _) = site.start().await?;
    let before = service.resident()?;
    hold(&site, true).await?;
    let mut caller = Caller::connect(service.address).await?;
    for _ in 0..waiting {
        let prefer = [("prefer", "respond-async")];
        let answer = caller.ask(Method::POST, "/transfers", &prefer, wish(&fresh_call())).await?;
        expect(answer, StatusCode::ACCEPTED)?;
    }
    until_held(&site, waiting).await?;
    let then = service.resident()?;
    hold(&site, false).await?;
    until_held(&site, 0).await?;
    sleep(Duration::from_secs(1)).await;
    Ok((mib(before), mib(then), mib(service.resident()?)))
}

/// Callers who only keep their connections open, after one request each.
async fn connections(waiting: usize) -> Outcome<Readings> {
    let site = wide_site(waiting).await?;
    let (service, _) = site.start().await?;
    let before = service.resident()?;
    let mut callers = connected(service.address, waiting).await?;
    for wave in callers.chunks_mut(WAVE) {
        try_join_all(wave.iter_mut().map(|caller| caller.get("/health/live"))).await?;
    }
    let then = service.resident()?;
    drop(callers);
    sleep(Duration::from_secs(1)).await;
    Ok((mib(before), mib(then), mib(service.resident()?)))
}

/// Callers whose commands Genesys does not answer.
async fn callers(waiting: usize) -> Outcome<Readings> {
    let site = wide_site(waiting).await?;
    let (service, _) = site.start().await?;
    let before = service.resident()?;
    hold(&site, true).await?;
    let callers = connected(service.address, waiting).await?;
    let all = try_join_all(callers.into_iter().map(async |mut caller| transfer(&mut caller).await));
    let then = watched(all, &site, &service, waiting).await?;
    sleep(Duration::from_secs(1)).await;
    Ok((mib(before), mib(then), mib(service.resident()?)))
}

/// Reads the memory once all wait, then lets them go and sees them answered.
async fn watched(
    all: impl Future<Output = Outcome<Vec<()>>>,
    site: &Site,
    service: &Process,
    waiting: usize,
) -> Outcome<u64> {
    let all = std::pin::pin!(all);
    let look = std::pin::pin!(async {
        until_held(site, waiting).await?;
        let then = service.resident()?;
        hold(site, false).await?;
        Outcome::Ok(then)
    });
    match select(all, look).await {
        futures_util::future::Either::Left((ended, _)) => {
            ended?;
            Err("they did not wait".into())
        }
        futures_util::future::Either::Right((then, all)) => {
            let then = then?;
            all.await?;
            Ok(then)
        }
    }
}

async fn connected(to: SocketAddr, count: usize) -> Outcome<Vec<Caller>> {
    let mut callers = Vec::with_capacity(count);
    while callers.len() < count {
        let wave = WAVE.min(count - callers.len());
        callers.extend(try_join_all((0..wave).map(|_| Caller::connect(to))).await?);
    }
    Ok(callers)
}

/// Lets the stand-in keep its answers to commands, or give them.
pub(crate) async fn hold(site: &Site, held: bool) -> Outcome {
    let path = if held { "/hold" } else { "/release" };
    let mut caller = Caller::connect(site.upstream.address).await?;
    let answer = caller.ask(Method::POST, path, &[], String::new()).await?;
    expect(answer, StatusCode::NO_CONTENT).map(drop)
}

/// Returns when that many commands wait for their answers.
pub(crate) async fn until_held(site: &Site, count: usize) -> Outcome {
    let begun = Instant::now();
    let mut held = None;
    while begun.elapsed() < PATIENCE {
        let stats = look(site.upstream.address, "/stats").await?;
        held = stats.get("held").and_then(serde_json::Value::as_u64);
        if held == Some(u64::try_from(count)?) {
            return Ok(());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(format!("{held:?} commands wait, not {count}").into())
}
