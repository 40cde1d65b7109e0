//! One line for each transfer that is settled, whatever settled it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    problem::UpstreamAnswer,
    transfer::{
        Caller, Verdict, Wait,
        gateway::Sent,
        ids::TransferId,
        model::{CallerName, Stage, Transfer},
        records::Records,
        store::{Durability, TransferStore as _},
        testing::*,
    },
};

const SOON: Effect = Effect::After(Duration::from_millis(50));

fn taken() -> Sent {
    Sent::Taken(UpstreamAnswer { status: 202, ..UpstreamAnswer::default() })
}

fn refused() -> Sent {
    use crate::transfer::gateway::GatewayError::Rejected;
    Sent::Refused(Rejected(UpstreamAnswer { status: 400, ..UpstreamAnswer::default() }))
}

fn uncertain() -> Sent {
    Sent::Uncertain { detail: "the connection broke".to_owned(), answer: None }
}

#[tokio::test(start_paused = true)]
async fn a_line_says_who_what_from_to_why_and_what_became_of_it() {
    let (log, bench) = (AuditLog::new(), Bench::new().await);
    bench.gateway.next(taken(), SOON);
    let mut asked = submission(None, Wait::Outcome);
    asked.request.reason = Some("line one\nline two".to_owned());
    asked.request.reference = Some("CASE-4711".to_owned());
    bench.transfers.submit(asked).await.unwrap();
    let transfer = bench.only_transfer().await;
    let [line] = log.lines().try_into().unwrap();
    let previous = transfer.previous.unwrap();
    for (field, value) in [
        ("transfer_id", transfer.id.to_string()),
        ("caller", "crm".to_owned()),
        ("conversation_id", transfer.request.conversation_id.to_string()),
        ("participant_id", transfer.participant_id.unwrap().to_string()),
        ("from_leg", previous.purpose.as_str().to_owned()),
        ("to_queue_id", transfer.queue.id.to_string()),
        ("to_queue", transfer.queue.name),
        ("reason", "line one\nline two".to_owned()),
        ("reference", "CASE-4711".to_owned()),
        ("outcome", "accepted".to_owned()),
        ("request_id", "r-1".to_owned()),
    ] {
        assert_eq!(line.get(field), Some(&value), "{field}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_transfer_is_told_of_with_its_code() {
    let (log, bench) = (AuditLog::new(), Bench::new().await);
    bench.gateway.next(refused(), Effect::Never);
    bench.outcome().await;
    assert_eq!(log.values("outcome"), ["failed"]);
    assert_eq!(log.values("code"), ["rejected_by_genesys"]);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_transfer_is_told_of_once_with_its_last_word() {
    let (log, bench) = (AuditLog::new(), Bench::new().await);
    bench.gateway.next(taken(), Effect::After(Duration::from_secs(2)));
    bench.submit(None, Wait::Confirmation(Duration::from_secs(10))).await.unwrap();
    assert_eq!(log.values("outcome"), ["confirmed"]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_transfer_is_told_of_when_it_is_settled_in_the_background() {
    let (log, bench) = (AuditLog::new(), Bench::new().await);
    bench.gateway.next(uncertain(), Effect::After(Duration::from_mins(1)));
    bench.outcome().await;
    assert_eq!(log.lines().len(), 0);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(log.values("outcome"), ["accepted"]);
}

#[tokio::test(start_paused = true)]
async fn one_settled_by_hand_names_who_did_and_is_not_told_of_again() {
    let (log, bench) = (AuditLog::new(), Bench::new().await);
    bench.gateway.next(uncertain(), Effect::After(Duration::from_mins(5)));
    let id = bench.submit(None, Wait::Outcome).await.unwrap().transfer_id.unwrap();
    let ops = Caller { admin: true, ..Caller::unlimited(CallerName::new("ops")) };
    let why = Some("seen in the queue".to_owned());
    bench.transfers.settle(&ops, id, Verdict::Moved, why, None).await.unwrap();
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(log.values("caller"), ["crm"]);
    assert_eq!(log.values("settled_by"), ["ops"]);
    assert_eq!(log.values("settled_because"), ["seen in the queue"]);
    assert_eq!(log.values("outcome"), ["confirmed"]);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_kept_in_memory_is_told_of_once_when_it_is_written() {
    for unheard in [0, 1] {
        let (log, bench) = (AuditLog::new(), Bench::new().await);
        bench.gateway.next(taken(), SOON);
        *bench.gateway.latency.lock().unwrap() = Duration::from_secs(1);
        let breaking = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            bench.store.unheard.store(unheard, Ordering::SeqCst);
            bench.store.broken.store(unheard == 0, Ordering::SeqCst);
        };
        let (reply, ()) = tokio::join!(bench.submit(None, Wait::Outcome), breaking);
        assert_eq!(reply.unwrap().response.status, 201);
        assert!(unheard == 1 || log.lines().is_empty());
        bench.store.broken.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(log.values("outcome"), ["accepted"], "unheard: {unheard}");
    }
}

/// The log of a service that starts on a row left by a process that died, `age` ago.
async fn log_after_a_crash(stage: Stage, age: Duration, effect: Effect) -> Vec<String> {
    let row = {
        let before = Bench::new().await;
        before.gateway.next(uncertain(), Effect::Never);
        before.submit(None, Wait::Nothing).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let row = before.only_transfer().await;
        before.stop.cancel();
        row
    };
    let created_at = row.created_at - age;
    let (gateway, store) = (Arc::<ScriptedGateway>::default(), Arc::<MemoryStore>::default());
    gateway.happens(effect);
    gateway.next(taken(), SOON);
    store.left_behind(Transfer { stage, created_at, ..row });
    let log = AuditLog::new();
    let _bench = Bench::with(gateway, store, true).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    log.values("outcome")
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_left_is_told_of_once_it_is_settled() {
    let (young, old) = (Duration::ZERO, Duration::from_mins(5));
    for (stage, age, effect, told) in [
        (Stage::Received, old, Effect::Never, Some("failed")),
        (Stage::Received, young, Effect::Never, Some("accepted")),
        (Stage::Dispatching, old, SOON, Some("accepted")),
        (Stage::Dispatching, old, Effect::Never, None),
        (Stage::Unknown, old, SOON, Some("accepted")),
        (Stage::Accepted, old, SOON, None),
    ] {
        let outcomes = log_after_a_crash(stage, age, effect).await;
        assert_eq!(outcomes, Vec::from_iter(told), "{stage:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_skipped_transfer_is_told_of_when_it_is_recorded() {
    let (log, bench) = (AuditLog::new(), Bench::new().await);
    bench.gateway.next(taken(), SOON);
    bench.outcome().await;
    let made = bench.only_transfer().await;
    let clock = Arc::new(crate::clock::SystemClock);
    let (store, owner) = (bench.store.clone(), made.uuid());
    let records = Records::new(store, owner, clock, &bench.transfers.completion);
    let id = TransferId::new(crate::clock::IdSource::default().next(made.created_at));
    let skipped = Transfer { id, stage: Stage::Skipped, ..made };
    records.begin(&skipped, None, Durability::Power).await.unwrap();
    assert_eq!(log.values("outcome"), ["accepted", "skipped"]);
}

#[tokio::test(start_paused = true)]
async fn who_lost_the_row_to_another_process_leaves_the_telling_to_it() {
    let (log, bench) = (AuditLog::new(), Bench::new().await);
    bench.gateway.next(uncertain(), Effect::After(Duration::from_mins(1)));
    let id = bench.submit(None, Wait::Outcome).await.unwrap().transfer_id.unwrap();
    bench.store.hand_over(id, Stage::Accepted);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(log.lines().len(), 0);
    assert_eq!(bench.store.get(id).await.unwrap().unwrap().stage, Stage::Accepted);
}
