//! Many requests at one moment, on one process and on two replicas.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use genesys_transfer::sandbox::faults::{Fault, StatusAnswer, When};
use jiff::SignedDuration;
use serde_json::Value;
use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::support::{
    books::{broken_promises, commands_by_conversation, quiet, uuid},
    caller::{fixed, insist},
    held::{hold_command, let_go},
    process::{Process, Site, until},
    service::{Answer, TOKEN, plain, soon},
};

const ROUNDS: usize = 5;

/// Sends the requests (body and key) at the same moment, to the processes in turn.
fn send_at_once(
    processes: &[Arc<Process>],
    requests: Vec<(Value, String)>,
) -> FuturesUnordered<JoinHandle<Answer>> {
    let start = Arc::new(tokio::sync::Barrier::new(requests.len()));
    let sent = requests.into_iter().zip(processes.iter().cycle()).map(|((body, key), process)| {
        let (start, process) = (Arc::clone(&start), Arc::clone(process));
        tokio::spawn(async move {
            start.wait().await;
            process.submit(&body, &[("Idempotency-Key", &key)]).await.expect("an answer")
        })
    });
    sent.collect()
}

/// The same, and waits for all answers.
async fn at_once(processes: &[Arc<Process>], requests: Vec<(Value, String)>) -> Vec<Answer> {
    send_at_once(processes, requests).map(Result::unwrap).collect().await
}

async fn replicas(site: &Site) -> Vec<Arc<Process>> {
    let (one, other) = tokio::join!(site.start(), site.start());
    vec![Arc::new(one), Arc::new(other)]
}

/// Fifty requests with one key: how many were answered 201, and what speaks against the promise.
async fn fifty_with_one_key(site: Site, processes: Vec<Arc<Process>>) {
    let body = plain(site.call(), "Support Tier 2");
    let answers = at_once(&processes, vec![(body, "k-1".to_owned()); 50]).await;
    let (moved, others): (Vec<&Answer>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 201);
    let first = &moved.first().expect("one is carried out").body;
    assert!(moved.iter().all(|answer| answer.body == *first));
    let fresh = moved.iter().filter(|answer| answer.header("idempotent-replayed").is_none());
    assert_eq!(fresh.count(), 1);
    for answer in others {
        assert_eq!(answer.outcome(), (409, "idempotency_key_in_use".to_owned()));
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(site.sandbox.commands().len(), 1);
}

/// Requests with different keys for one conversation: one goes, the others name it.
async fn many_keys_on_one_conversation(site: Site, processes: Vec<Arc<Process>>) {
    for round in 1..=ROUNDS {
        let held = hold_command(&site.sandbox);
        let body = plain(site.call(), "Support Tier 2");
        let keyed = |n: usize| (body.clone(), format!("k-{round}-{n}"));
        let mut answers = send_at_once(&processes, (0..8).map(keyed).collect());
        // The command of the one is held back until all others are answered.
        let mut named = BTreeSet::new();
        for _ in 1..8 {
            let answer = answers.next().await.unwrap().unwrap();
            assert_eq!(answer.outcome(), (409, "transfer_in_progress".to_owned()));
            named.insert(answer.json()["transferId"].to_string());
        }
        until(|| async { (site.sandbox.commands().len() == round).then_some(()) }).await;
        let_go(&site.sandbox, held);
        let moved = answers.next().await.unwrap().unwrap();
        assert_eq!((moved.status.as_u16(), site.sandbox.commands().len()), (201, round));
        assert_eq!(named, [moved.json()["id"].to_string()].into());
    }
}

/// The same request twice at one moment.
async fn same_key_and_conversation(site: Site, processes: Vec<Arc<Process>>) {
    for round in 1..=ROUNDS {
        let body = plain(site.call(), "Support Tier 2");
        let answers = at_once(&processes, vec![(body, format!("k-{round}")); 2]).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        statuses.sort_unstable();
        assert!(statuses == [201, 409] || statuses == [201, 201], "{statuses:?}");
        assert_eq!(site.sandbox.commands().len(), round);
    }
}

/// One request after the other, with the same key.
async fn repeated(site: Site, processes: Vec<Arc<Process>>) {
    let body = plain(site.call(), "Support Tier 2");
    let headers = [("Idempotency-Key", "k-1")];
    let first = processes[0].submit(&body, &headers).await.unwrap();
    let again = processes.last().unwrap().submit(&body, &headers).await.unwrap();
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(site.sandbox.commands().len(), 1);
}

/// What may happen to a command, and how many there must be in the end.
fn unclear_commands() -> [(Fault, usize); 6] {
    let status = |status, apply| Fault::Status(StatusAnswer { apply, ..StatusAnswer::new(status) });
    [
        (Fault::Drop { when: When::After, reset: true }, 1),
        (Fault::Drop { when: When::Late { ms: 1_500 }, reset: false }, 1),
        (status(500, true), 1),
        (status(503, true), 1),
        (status(503, false), 2),
        (status(500, false), 2),
    ]
}

/// Two callers insist with one key while the outcome of the command is unknown.
async fn insisting_on_one_key(site: Site, processes: Vec<Arc<Process>>) {
    // One after the other: failures in a row would keep later commands back.
    for (fault, commands) in unclear_commands() {
        let call = site.call();
        site.spoil(1, fault.clone());
        let (body, key) = (plain(call, "Support Tier 2"), call.to_string());
        let headers = [("Idempotency-Key", key.as_str())];
        let (mut one, mut other) =
            (fixed(processes[0].address), fixed(processes.last().unwrap().address));
        let (one, other) = tokio::join!(
            insist(&site, &mut one, &body, &headers, u32::MAX),
            insist(&site, &mut other, &body, &headers, u32::MAX)
        );
        let (one, other) = (one.last.unwrap(), other.last.unwrap());
        assert_eq!(one.outcome(), (201, String::new()), "{fault:?}: {}", one.json());
        assert_eq!(one.json(), other.json(), "{fault:?}");
        assert_eq!(commands_by_conversation(&site.sandbox)[&call].len(), commands, "{fault:?}");
    }
    quiet(&site.sandbox).await;
    let transfers = processes[0].transfers().await;
    assert_eq!(broken_promises(&site.sandbox, &transfers, &BTreeSet::new()), Vec::<String>::new());
}

/// Makes each race a test on one process with SQLite, on one with PostgreSQL, and on two replicas.
macro_rules! on_one_process_and_on_two_replicas {
    ($($name:ident),+ $(,)?) => {
        mod one_process_on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let site = super::Site::sqlite().await;
                    let process = site.start().await;
                    super::$name(site, vec![process.into()]).await;
                }
            )+
        }

        mod one_process_on_postgresql {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let site = super::Site::postgres().await;
                    let process = site.start().await;
                    super::$name(site, vec![process.into()]).await;
                }
            )+
        }

        mod two_replicas_on_postgresql {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let site = super::Site::postgres().await;
                    let replicas = super::replicas(&site).await;
                    super::$name(site, replicas).await;
                }
            )+
        }
    };
}

on_one_process_and_on_two_replicas!(
    fifty_with_one_key,
    many_keys_on_one_conversation,
    same_key_and_conversation,
    repeated,
    insisting_on_one_key,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_stopped_past_its_lease_with_its_command_on_the_way_breaks_no_promise() {
    let site = Site::postgres().await.set("STORE_LEASE", "2s");
    let replicas = replicas(&site).await;
    let held = hold_command(&site.sandbox);
    let (sleeper, body) = (Arc::clone(&replicas[0]), plain(site.call(), "Support Tier 2"));
    let answer = tokio::spawn(async move { sleeper.submit(&body, &[]).await.unwrap().json() });
    until(|| async { (!site.sandbox.commands().is_empty()).then_some(()) }).await;
    replicas[0].signal("STOP").await;
    let_go(&site.sandbox, held);
    let settled = || async {
        let transfers = replicas[1].transfers().await;
        transfers.iter().any(|one| one["status"] == "accepted").then_some(())
    };
    until(settled).await;
    replicas[0].signal("CONT").await;
    let named = BTreeSet::from([uuid(&answer.await.unwrap()["id"])]);
    let transfers = replicas[0].transfers().await;
    assert_eq!(broken_promises(&site.sandbox, &transfers, &named), Vec::<String>::new());
    assert_eq!((site.sandbox.commands().len(), transfers.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_one_sqlite_file_refuses_to_start_and_names_the_first() {
    let site = Site::sqlite().await;
    let first = site.start().await;
    let ended = site.try_start(&[]).await.err().expect("the second one ends");
    assert_eq!(ended.status.code(), Some(1));
    let line = ended.log.last().unwrap();
    let pid = format!("(pid {})", first.id());
    assert!(line.contains("transfers.db is in use by another process") && line.contains(&pid));
    let answer = first.submit(&plain(site.call(), "Support Tier 2"), &[]).await.unwrap();
    assert_eq!(answer.status, 201);
}

/// What each replica has sent within the last minute, and when it told the other so.
async fn told(store: &PgPool) -> Vec<(i64, i64)> {
    let text = "SELECT coalesce(spent, 0), coalesce(spent_at, 0) FROM instances ORDER BY owner";
    sqlx::query_as(text).fetch_all(store).await.unwrap()
}

fn sum(told: &[(i64, i64)]) -> i64 {
    told.iter().map(|(spent, _)| spent).sum()
}

/// Waits until nothing is left of the minute: both told each other twice and sent nothing between.
async fn used_up(store: &PgPool) {
    let mut before = told(store).await;
    loop {
        let now = until(|| async {
            let now = told(store).await;
            let later = |now: &(i64, i64), before: &(i64, i64)| now.1 >= before.1 + 2_000_000;
            now.iter().zip(&before).all(|(now, before)| later(now, before)).then_some(now)
        })
        .await;
        if sum(&now) == sum(&before) {
            return;
        }
        before = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_keep_to_one_limit_together() {
    let site = Site::postgres().await.set("GENESYS_REQUESTS_PER_MINUTE", "60");
    let site = site.set("SERVER_DEADLINE", "10m");
    let store = PgPool::connect(&site.settings()["STORE_URL"]).await.unwrap();
    let replicas = replicas(&site).await;
    // Two requests for each of 80 transfers are asked for, and no caller gives up.
    let bodies = (0..80).map(|n| (plain(site.call(), "Support Tier 2"), format!("k-{n}")));
    let answers = send_at_once(&replicas, bodies.collect());
    // Two that kept to what is theirs at first, a quarter each, would send 30 in a minute at most.
    until(|| async { (sum(&told(&store).await) > 30).then_some(()) }).await;
    used_up(&store).await;
    for replica in &replicas {
        replica.signal("TERM").await;
    }
    let answers: Vec<_> = answers.map(Result::unwrap).collect().await;
    let (taken, others): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 201);
    for answer in others {
        assert_eq!(answer.outcome(), (503, "shutting_down".to_owned()));
    }
    quiet(&site.sandbox).await;
    soon("the moves", site.sandbox.moves_reach(taken.len() as u64)).await;
    assert_eq!(site.sandbox.moves().len(), taken.len(), "moves, and answers that say so");
    let api = site.sandbox.requests().into_iter().filter(|request| request.path != TOKEN);
    let times: Vec<_> = api.map(|request| request.time).collect();
    for (n, first) in times.iter().enumerate() {
        let minute = *first + SignedDuration::from_mins(1);
        let sent = times[n..].iter().take_while(|time| **time < minute).count();
        assert!(sent <= 60, "{sent} requests in the minute from {first} on");
    }
}
