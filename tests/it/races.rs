//! Many requests at one moment, on one process and on two replicas.

use std::{collections::BTreeSet, sync::Arc};

use genesys_transfer::sandbox::faults::{Fault, StatusAnswer, When};
use serde_json::Value;

use crate::support::{
    books::{broken_promises, quiet, uuid},
    caller::{fixed, insist},
    process::{Process, Site, until},
    service::{Answer, TOKEN, plain},
};

/// Commands that take this long are still on their way when the last request comes.
const SLOW: Fault = Fault::Delay { ms: 1_500 };

const ROUNDS: usize = 5;

/// Sends the requests (body and key) at the same moment, to the processes in turn.
async fn at_once(processes: &[Arc<Process>], requests: Vec<(Value, String)>) -> Vec<Answer> {
    let start = Arc::new(tokio::sync::Barrier::new(requests.len()));
    let sent = requests.into_iter().zip(processes.iter().cycle()).map(|((body, key), process)| {
        let (start, process) = (Arc::clone(&start), Arc::clone(process));
        tokio::spawn(async move {
            start.wait().await;
            process.submit(&body, &[("Idempotency-Key", &key)]).await.expect("an answer")
        })
    });
    let sent: Vec<_> = sent.collect();
    futures_util::future::join_all(sent).await.into_iter().map(Result::unwrap).collect()
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
        site.spoil(1, SLOW);
        let body = plain(site.call(), "Support Tier 2");
        let keyed = |n: usize| (body.clone(), format!("k-{round}-{n}"));
        let answers = at_once(&processes, (0..8).map(keyed).collect()).await;
        let moved: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!((moved.len(), site.sandbox.commands().len()), (1, round));
        let id = &moved[0].json()["id"];
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!(answer.outcome(), (409, "transfer_in_progress".to_owned()));
            assert_eq!(answer.json()["transferId"], *id);
        }
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
        (Fault::Drop { when: When::Late { ms: 6_000 }, reset: false }, 1),
        (status(500, true), 1),
        (status(503, true), 1),
        (status(503, false), 2),
        (status(500, false), 2),
    ]
}

/// Two callers insist with one key while nobody knows what became of the command.
async fn insisting_on_one_key(site: Site, processes: Vec<Arc<Process>>) {
    for (n, (fault, commands)) in unclear_commands().into_iter().enumerate() {
        let before = site.sandbox.commands().len();
        site.spoil(1, fault.clone());
        let (body, key) = (plain(site.call(), "Support Tier 2"), format!("k-{n}"));
        let headers = [("Idempotency-Key", key.as_str())];
        let (mut one, mut other) =
            (fixed(processes[0].address), fixed(processes.last().unwrap().address));
        let (one, other) = tokio::join!(
            insist(&site, &mut one, &body, &headers, u32::MAX),
            insist(&site, &mut other, &body, &headers, u32::MAX)
        );
        let (one, other) = (one.last.unwrap(), other.last.unwrap());
        assert_eq!((one.status.as_u16(), &one.body), (201, &other.body), "{fault:?}");
        assert_eq!(site.sandbox.commands().len() - before, commands, "{fault:?}");
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
    let site = Site::postgres().await;
    let replicas = replicas(&site).await;
    site.spoil(1, Fault::Delay { ms: 1000 });
    let (sleeper, body) = (Arc::clone(&replicas[0]), plain(site.call(), "Support Tier 2"));
    let answer = tokio::spawn(async move { sleeper.submit(&body, &[]).await.unwrap().json() });
    until(|| async { (!site.sandbox.commands().is_empty()).then_some(()) }).await;
    replicas[0].signal("STOP").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn replicas_keep_to_one_limit_together() {
    let site = Site::postgres().await.set("GENESYS_REQUESTS_PER_MINUTE", "60");
    let replicas = replicas(&site).await;
    // Two requests for each of 80 transfers are asked for; there is room for 30 at most.
    let bodies = (0..80).map(|n| (plain(site.call(), "Support Tier 2"), format!("k-{n}")));
    let answers = at_once(&replicas, bodies.collect()).await;
    let (taken, limited): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 201);
    for answer in limited {
        // Or its turn came when too little time was left to send safely.
        let (_, code) = answer.outcome();
        assert!(["genesys_rate_limited", "deadline_exceeded"].contains(&&*code), "{code}");
    }
    site.sandbox.moves_reach(taken.len() as u64).await;
    assert_eq!(site.sandbox.moves().len(), taken.len());
    let api = site.sandbox.requests();
    let sent = api.iter().filter(|request| request.path != TOKEN).count();
    // 56 on a machine at rest; what is left is divided once a second, and a busy one has few rounds
    // before the callers give up. Two that kept to a quarter each would send 30 at most.
    assert!((31..=60).contains(&sent), "{sent}");
}
