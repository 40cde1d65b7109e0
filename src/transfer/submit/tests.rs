//! Answers that are given before the work has ended: true then, and from then on.

use std::{sync::Arc, time::Duration};

use crate::{
    problem::{Code, Problem, UpstreamAnswer},
    transfer::{
        Reply, Wait,
        gateway::{GatewayError, Sent},
        model::Stage,
        testing::*,
    },
};

fn answer(status: u16) -> UpstreamAnswer {
    UpstreamAnswer { status, ..UpstreamAnswer::default() }
}

/// A request that is under way when the time for a stop is over.
async fn cut_short(bench: Bench, key: Option<&str>) -> (Bench, Problem) {
    let (service, over) = (bench.transfers.clone(), bench.over.clone());
    let submission = submission(key, Wait::Outcome);
    let waiting = tokio::spawn(async move { service.submit(submission).await });
    // On a paused clock: when all wait.
    tokio::time::sleep(Duration::from_secs(1)).await;
    over.cancel();
    let problem = waiting.await.unwrap().unwrap_err();
    (bench, problem)
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_was_told_was_not_sent_is_not_sent_later() {
    let bench = Bench::new().await;
    bench.gateway.next(Sent::Taken(answer(202)), Effect::Never);
    let store = Arc::clone(&bench.store);
    // The write before the command hangs.
    let stall = store.stalled.write().await;

    let (bench, problem) = cut_short(bench, None).await;

    assert_eq!((problem.code, problem.is_retryable()), (Code::ShuttingDown, true));
    drop(stall);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.gateway.commands(), 0);
    let transfer = bench.only_transfer().await;
    assert_eq!((transfer.stage, transfer.error.unwrap().code), (Stage::Failed, Code::ShuttingDown));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_under_way_is_unknown_and_named() {
    for key in [None, Some("k")] {
        let bench = Bench::new().await;
        *bench.gateway.latency.lock().unwrap() = Duration::from_mins(1);
        bench.gateway.next(Sent::Taken(answer(202)), Effect::Never);

        let (bench, problem) = cut_short(bench, key).await;

        let id = bench.only_transfer().await.uuid();
        assert_eq!((problem.code, problem.transfer_id), (Code::OutcomeUnknown, Some(id)));
        assert_eq!(problem.is_retryable(), key.is_some());
    }
}

/// The error of a transfer whose command came to `sent`.
async fn error_after(sent: Sent, key: Option<&str>) -> Problem {
    let bench = Bench::new().await;
    bench.gateway.next(sent.clone(), Effect::Never);
    bench.gateway.next(sent, Effect::Never);
    let _: Reply = bench.submit(key, Wait::Outcome).await.unwrap();
    bench.only_transfer().await.error.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_may_be_sent_again_and_how_fits_the_request() {
    let forbidden = || GatewayError::PermissionMissing { answer: answer(403), permission: "p" };
    let uncertain = || Sent::Uncertain { detail: "it broke".to_owned(), answer: None };
    // Of one without a key and of one with: whether the same request may be sent again.
    for (sent, without, with) in [
        // In vain: a key is used up.
        (Sent::Finished(answer(500)), true, false),
        (Sent::Refused(forbidden()), false, false),
        (Sent::Refused(GatewayError::Rejected(answer(400))), false, false),
        // Not sent: the key is free.
        (Sent::NotSent(GatewayError::Failed(answer(502))), true, true),
        // Without a key, a repeat after it has settled would be another move.
        (uncertain(), false, true),
    ] {
        for (key, expected) in [(None, without), (Some("k"), with)] {
            let error = error_after(sent.clone(), key).await;
            assert_eq!(error.is_retryable(), expected, "{key:?} {sent:?}");
            let hint = error.hint.unwrap_or_default();
            assert!(key.is_some() || !hint.contains("Key"), "{sent:?}: {hint}");
            let new_key = hint.contains("with a new one");
            let expected = key.is_some() && !with && error.code.retryable();
            assert_eq!(new_key, expected, "{key:?} {sent:?}: {hint}");
        }
    }
}
