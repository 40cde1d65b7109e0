//! `kill -9` at random moments, again and again, under callers who insist and a Genesys that
//! misbehaves. `KILL_CYCLES` in the environment sets how many kills there are on each store.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::stream::{self, StreamExt as _};
use genesys_transfer::sandbox::{
    faults::{Fault, FaultOrder, StatusAnswer, When},
    world::Act,
};
use serde_json::Value;
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use crate::support::{
    books::{broken_promises, quiet, uuid},
    caller::{Heard, Place, insist},
    process::{Site, until},
    service::{REPLACE, plain, soon},
};

/// Kills when the environment names no number.
const CYCLES_ON_SQLITE: usize = 100;
const CYCLES_ON_POSTGRESQL: usize = 50;

/// Kills until the books are closed and a fresh site is begun: the ledger is not endless.
const ROUND: usize = 25;

/// Rounds side by side, each with processes of its own.
const ROUNDS_AT_ONCE: usize = 4;

/// Callers at once.
const CALLERS: usize = 12;

/// Longest life of a process, in milliseconds; a quarter of them may live four times as long,
/// so that some of what was left is settled, too.
const LIFE: u64 = 250;

/// Longest time in which everything is settled after the last kill.
const SETTLING: Duration = Duration::from_mins(10);

/// One conversation and what its caller heard in the end.
type Story = (Uuid, Heard);

fn cycles(usual: usize) -> usize {
    let wanted = std::env::var("KILL_CYCLES").ok();
    wanted.map_or(usual, |text| text.parse().expect("KILL_CYCLES is a number"))
}

/// Every so manieth command meets something; the numbers share no factor.
fn misbehave(site: &Site) {
    let status = |status, apply, retry_after: Option<&str>| {
        let retry_after = retry_after.map(str::to_owned);
        Fault::Status(StatusAnswer { apply, retry_after, ..StatusAnswer::new(status) })
    };
    for (every, fault) in [
        (4, Fault::Delay { ms: 60 }),
        (7, Fault::Drop { when: When::After, reset: true }),
        (9, Fault::Drop { when: When::Before, reset: false }),
        (11, status(429, false, Some("0"))),
        (13, status(503, false, None)),
        (17, status(500, true, None)),
        (19, Fault::Drop { when: When::Late { ms: 400 }, reset: false }),
    ] {
        let order = FaultOrder::next("POST", REPLACE, fault).every(every).forever();
        site.sandbox.order(order).unwrap();
    }
}

/// Moves one call after the other until told to stop, and knows the end of each.
async fn call_after_call(
    site: Arc<Site>,
    mut place: Place,
    stopped: watch::Receiver<bool>,
) -> Vec<Story> {
    let mut stories = Vec::new();
    while !*stopped.borrow() {
        let call = site.call();
        let key = call.to_string();
        let headers = [("Idempotency-Key", key.as_str())];
        let body = plain(call, "Support Tier 2");
        let mut heard = insist(&site, &mut place, &body, &headers, 8).await;
        if heard.last.as_ref().unwrap().status == 504 {
            // The outcome is unknown, and the customer hangs up: now it can be known.
            site.sandbox.act(call, Act::HangUp).unwrap();
            let end = insist(&site, &mut place, &body, &headers, u32::MAX).await;
            heard.named.extend(end.named);
            heard.last = end.last;
        }
        stories.push((call, heard));
    }
    stories
}

/// Kills as often as said, then lets everything settle and closes the books.
async fn round(site: Site, kills: usize) -> (usize, Vec<String>) {
    let site = Arc::new(site);
    misbehave(&site);
    let mut process = site.start().await;
    let (moved, place) = watch::channel(process.address);
    let (stop, stopped) = watch::channel(false);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(call_after_call(Arc::clone(&site), place.clone(), stopped.clone())))
        .collect();
    for _ in 0..kills {
        let life = fastrand::u64(0..LIFE) * if fastrand::u8(0..4) == 0 { 4 } else { 1 };
        let seen = site.sandbox.requests().last().map_or(0, |request| request.seq);
        if fastrand::bool() {
            soon("a request", site.sandbox.requests_reach(seen + 1)).await;
        }
        // The end comes right after a request arrived, or at any other moment.
        let request = site.sandbox.requests_reach(seen + fastrand::u64(1..40));
        let _ = timeout(Duration::from_millis(life), request).await;
        process.kill().await;
        site.leases_end().await;
        process = site.start().await;
        moved.send_replace(process.address);
    }
    stop.send_replace(true);
    let stories = timeout(SETTLING, futures_util::future::join_all(callers)).await;
    let stories: Vec<Story> =
        stories.expect("every caller is answered").into_iter().flat_map(Result::unwrap).collect();
    quiet(&site.sandbox).await;
    let transfers = until(|| async {
        let transfers = process.transfers().await;
        let open = |one: &Value| one["status"] == "pending" || one["status"] == "unknown";
        (!transfers.iter().any(open)).then_some(transfers)
    })
    .await;
    let named: BTreeSet<Uuid> = stories.iter().flat_map(|story| story.1.named.clone()).collect();
    let mut broken = broken_promises(&site.sandbox, &transfers, &named);
    broken.extend(stories.iter().filter_map(|story| contradiction(story, &transfers)));
    (stories.len(), broken)
}

/// What the caller heard last must be what the record says in the end.
fn contradiction((call, heard): &Story, transfers: &[Value]) -> Option<String> {
    let answer = heard.last.as_ref()?.json();
    let (id, status) = match answer["id"].as_str() {
        Some(_) => (uuid(&answer["id"]), answer["status"].as_str()?),
        None => (answer["transferId"].as_str()?.parse().unwrap(), "failed"),
    };
    let record = transfers.iter().find(|one| uuid(&one["id"]) == id)?;
    let fits = record["status"] == status && uuid(&record["conversationId"]) == *call;
    (!fits).then(|| format!("false: {call} heard {answer}, recorded {record}"))
}

async fn kill(kills: usize, site: impl AsyncFn() -> Site) {
    let rounds = (0..kills).step_by(ROUND).map(|before| ROUND.min(kills - before));
    let rounds = stream::iter(rounds).map(async |kills| round(site().await, kills).await);
    let ends: Vec<_> = rounds.buffer_unordered(ROUNDS_AT_ONCE).collect().await;
    let calls: usize = ends.iter().map(|(calls, _)| calls).sum();
    let broken: Vec<String> = ends.into_iter().flat_map(|(_, lines)| lines).collect();
    let count = |word: &str| broken.iter().filter(|line| line.starts_with(word)).count();
    println!(
        "{kills} kills, {calls} calls: {} duplicates, {} lost, {} false",
        count("duplicate"),
        count("lost"),
        count("false"),
    );
    assert!(broken.is_empty(), "{calls} calls, {broken:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_any_moment_breaks_no_promise_on_sqlite() {
    kill(cycles(CYCLES_ON_SQLITE), Site::sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_any_moment_breaks_no_promise_on_postgresql() {
    kill(cycles(CYCLES_ON_POSTGRESQL), Site::postgres).await;
}
