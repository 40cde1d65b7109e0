//! Dies at every named place between two steps of a transfer, starts again, and holds what is then
//! said against the sandbox's ledger. Built with the feature `failpoints` (see `tests/run`).
#![cfg(feature = "failpoints")]

use std::{collections::BTreeSet, os::unix::process::ExitStatusExt as _, sync::Arc};

use genesys_transfer::{
    clock::{Clock as _, SystemClock},
    failpoint::{Point, VARIABLE},
    sandbox::{
        faults::{Fault, MAX_MS, StatusAnswer, When},
        seed,
    },
};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{
    books::{broken_promises, quiet, uuid},
    caller::{fixed, insist},
    process::{Ended, Process, Site, until},
    service::plain,
};

/// What happens besides the death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Plain,
    /// `Prefer: respond-async`
    Async,
    /// `Prefer: wait=5`
    Wait,
    /// The command's connection breaks, and the command takes effect after the death.
    Late,
    /// The command is answered 503 and not carried out.
    Refused,
    /// Priority is to be set after the move.
    Priority,
    /// The first process dies with the command on its way; the place is in the second one's life.
    Second,
}

/// Where it dies, the story, and what is known in the end: the status and the commands sent.
type Row = (Point, Story, &'static str, usize);

const ROWS: &[Row] = &[
    (Point::BeforeInsert, Story::Async, "accepted", 1),
    (Point::AfterInsert, Story::Async, "accepted", 1),
    (Point::AfterAnswer, Story::Async, "accepted", 1),
    (Point::AfterLook, Story::Plain, "accepted", 1),
    (Point::BeforeDispatching, Story::Plain, "accepted", 1),
    (Point::AfterDispatching, Story::Plain, "unknown", 0),
    (Point::BeforeSend, Story::Plain, "unknown", 0),
    (Point::AfterSend, Story::Plain, "accepted", 1),
    (Point::AfterVainLook, Story::Late, "accepted", 1),
    (Point::BeforeSendAgain, Story::Refused, "unknown", 1),
    (Point::AfterSendAgainRecorded, Story::Refused, "unknown", 1),
    (Point::BeforeRouting, Story::Priority, "accepted", 1),
    (Point::AfterRouting, Story::Priority, "accepted", 1),
    (Point::BeforeOutcome, Story::Plain, "accepted", 1),
    (Point::AfterOutcome, Story::Plain, "accepted", 1),
    (Point::BeforeConfirming, Story::Wait, "accepted", 1),
    (Point::BeforeConfirmed, Story::Wait, "accepted", 1),
    (Point::AfterAdopting, Story::Second, "accepted", 1),
    (Point::AfterUnknown, Story::Second, "accepted", 1),
    (Point::BeforeSettling, Story::Second, "accepted", 1),
    (Point::AfterSettling, Story::Second, "accepted", 1),
];

impl Story {
    fn headers(self) -> Vec<(&'static str, &'static str)> {
        let mut headers = vec![("Idempotency-Key", "k-1")];
        match self {
            Self::Async => headers.push(("Prefer", "respond-async")),
            Self::Wait => headers.push(("Prefer", "wait=5")),
            _ => {}
        }
        headers
    }

    fn body(self, call: Uuid) -> Value {
        let mut body = plain(call, "Support Tier 2");
        if self == Self::Priority {
            body["priority"] = json!(40);
        }
        body
    }

    fn fault(self) -> Option<Fault> {
        match self {
            Self::Late => Some(Fault::Drop { when: When::Late { ms: MAX_MS }, reset: true }),
            Self::Refused => Some(Fault::Status(StatusAnswer::new(503))),
            _ => None,
        }
    }
}

/// Starts a process that dies at `point`, gives it the request, and sees it die.
async fn die_at(site: &Site, point: Point, body: &Value, story: Story) -> Ended {
    let order = format!("{}=abort", point.name());
    let ended = match site.try_start(&[(VARIABLE, &order)]).await {
        Ok(process) => {
            process.submit(body, &story.headers()).await;
            process.end().await
        }
        Err(ended) => ended,
    };
    site.leases_end().await;
    ended
}

/// Plays one row and answers what broke.
async fn play(site: Site, (point, story, status, commands): Row) -> Vec<String> {
    let call = site.call();
    let body = story.body(call);
    if let Some(fault) = story.fault() {
        site.spoil(1, fault);
    }
    if story == Story::Second {
        die_at(&site, Point::AfterSend, &body, story).await;
    }
    let ended = die_at(&site, point, &body, story).await;
    if ended.status.signal() != Some(6) {
        return vec![format!("it did not die there: {ended:?}")];
    }
    site.sandbox.with(|state| state.faults.clear());
    let process = site.start().await;
    let patience = if status == "unknown" { 20 } else { u32::MAX };
    let mut place = fixed(process.address);
    let heard = insist(&site, &mut place, &body, &story.headers(), patience).await;
    let transfers = settled(&process).await;
    quiet(&site.sandbox).await;
    let mut broken = broken_promises(&site.sandbox, &transfers, &heard.named);
    let told: Vec<_> = transfers.iter().map(|one| one["status"].as_str().unwrap()).collect();
    let sent = site.sandbox.commands().len();
    if told != [status] || sent != commands {
        broken.push(format!("{told:?} after {sent} commands"));
    }
    if story == Story::Priority && priority(&site, call) != Some(40) {
        broken.push("the priority was not set".to_owned());
    }
    broken
}

/// All transfers, once none of them is pending.
async fn settled(process: &Process) -> Vec<Value> {
    until(|| async {
        let transfers = process.transfers().await;
        transfers.iter().all(|one| one["status"] != "pending").then_some(transfers)
    })
    .await
}

fn priority(site: &Site, call: Uuid) -> Option<i64> {
    site.sandbox.with(|state| {
        let leg = state.world.conversation(call)?.participants.last()?;
        assert_eq!(leg.queue.as_ref()?.id, seed::SUPPORT_TIER_2);
        Some(leg.routing.as_ref()?.priority)
    })
}

/// Plays every row, a few side by side.
async fn play_all(make: impl AsyncFn() -> Site) {
    let mut broken = Vec::new();
    for rows in ROWS.chunks(4) {
        let plays = rows.iter().map(|row| async {
            let lines = play(make().await, *row).await;
            (row.0.name(), lines)
        });
        broken.extend(futures_util::future::join_all(plays).await);
    }
    broken.retain(|(_, lines)| !lines.is_empty());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_any_place_breaks_no_promise_on_sqlite() {
    play_all(Site::sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn death_at_any_place_breaks_no_promise_on_postgresql() {
    play_all(Site::postgres).await;
}

/// Where a process may die while it works through a batch.
const BATCH: [Point; 5] = [
    Point::BeforeBatch,
    Point::AfterBatch,
    Point::BeforeItem,
    Point::AfterItem,
    Point::BeforeBatchEnd,
];

/// Orders a batch from a process that dies at `point`, and again from the next one: what broke.
async fn play_batch(site: Site, point: Point) -> Vec<String> {
    let items: Vec<_> = (0..3).map(|_| plain(site.call(), "Support Tier 2")).collect();
    let body = json!({ "transfers": items });
    let order = |process: &Process| {
        let request = site.http().post(format!("http://{}/batches", process.address));
        site.ask(request.header("Idempotency-Key", "b-1").json(&body))
    };
    let dies = format!("{}=abort", point.name());
    let process = site.try_start(&[(VARIABLE, &dies)]).await.unwrap();
    order(&process).await;
    let ended = process.end().await;
    if ended.status.signal() != Some(6) {
        return vec![format!("it did not die there: {ended:?}")];
    }
    let process = site.start().await;
    let id = order(&process).await.unwrap().json()["id"].as_str().unwrap().to_owned();
    let batch = until(|| async {
        let batch = process.get(&format!("/batches/{id}")).await.json();
        (!batch["finishedAt"].is_null()).then_some(batch)
    });
    let batch = batch.await;
    let transfers = settled(&process).await;
    quiet(&site.sandbox).await;
    let mut broken = broken_promises(&site.sandbox, &transfers, &BTreeSet::new());
    if batch["counts"]["accepted"] != 3 || site.sandbox.commands().len() != 3 {
        broken.push(format!("{batch} after {} commands", site.sandbox.commands().len()));
    }
    broken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_on_wherever_its_process_died() {
    let mut broken = Vec::new();
    for point in BATCH {
        let lines = play_batch(Site::sqlite().await, point).await;
        broken.extend(lines.into_iter().map(|line| (point.name(), line)));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_place_is_died_at() {
    let died: Vec<Point> = ROWS.iter().map(|row| row.0).chain(BATCH).collect();
    assert!(Point::ALL.iter().all(|point| died.contains(point)));
}

/// Statuses that may be told in the end, each with the commands sent.
type Ends = &'static [(&'static str, usize)];

/// Where a replica sleeps past its lease while another takes over, with which request, and what
/// may be known in the end: the status and the commands sent.
const SLEEPS: &[(Point, Story, Ends)] = &[
    // The other one carries the transfer out.
    (Point::AfterInsert, Story::Async, &[("accepted", 1)]),
    // Given up by the other one, so the sleeper must not send any more.
    (Point::AfterDispatching, Story::Plain, &[("failed", 0)]),
    // Too late to notice: it sends, for the first time, and its word counts.
    (Point::BeforeSend, Story::Plain, &[("accepted", 1)]),
    // The other one saw the call arrive.
    (Point::AfterSend, Story::Plain, &[("accepted", 1)]),
];

/// Seconds. Long enough for the one that is awake to be heard of, however busy the machine is.
const LEASE: i64 = 6;

/// When a replica was heard of last, in microseconds.
async fn last_beat(store: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT max(heartbeat) FROM instances").fetch_one(store).await.unwrap()
}

async fn sleep_at(point: Point, story: Story, ends: Ends) -> Vec<String> {
    let site = Site::postgres().await.set("STORE_LEASE", &format!("{LEASE}s"));
    let store = PgPool::connect(&site.settings()["STORE_URL"]).await.unwrap();
    let stop = format!("{}=stop", point.name());
    let sleeper = Arc::new(site.try_start(&[(VARIABLE, &stop)]).await.unwrap());
    let other = site.start().await;
    let body = plain(site.call(), "Support Tier 2");
    let asleep = Arc::clone(&sleeper);
    let answer = tokio::spawn(async move { asleep.submit(&body, &story.headers()).await });
    sleeper.says("stopped at a failpoint").await;
    // Its last beat may be older than that.
    let stopped = SystemClock.now().as_microsecond();
    settled(&other).await;
    // By its own clock, too, it must have slept long enough to see that.
    let woken = stopped + LEASE * 1_000_000;
    until(|| async { (last_beat(&store).await > woken).then_some(()) }).await;
    sleeper.signal("CONT").await;
    let answer = answer.await.unwrap().unwrap().json();
    let transfers = settled(&other).await;
    let named = [&answer["id"], &answer["transferId"]];
    let named = named.into_iter().filter(|id| id.is_string()).map(uuid).collect();
    quiet(&site.sandbox).await;
    let mut broken = broken_promises(&site.sandbox, &transfers, &named);
    let told: Vec<_> = transfers.iter().map(|one| one["status"].as_str().unwrap()).collect();
    let sent = site.sandbox.commands().len();
    if !ends.iter().any(|(status, commands)| told == [*status] && sent == *commands) {
        broken.push(format!("{point:?}: {told:?} after {sent} commands, {answer}"));
    }
    broken
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_sleeps_past_its_lease_sends_nothing_twice_and_tells_no_lie() {
    let sleeps = SLEEPS.iter().map(|(point, story, ends)| sleep_at(*point, *story, ends));
    let broken = futures_util::future::join_all(sleeps).await.concat();
    assert!(broken.is_empty(), "{broken:#?}");
}
