//! Requests to Genesys in any minute, as configured and as Genesys' own headers say.

use futures_util::future::join_all;

use crate::support::{
    frozen::Frozen,
    service::{Answer, TOKEN, TestApp},
};

/// Transfers of `count` calls at the same moment.
async fn transfers(app: &TestApp, count: usize) -> Vec<Answer> {
    let calls: Vec<_> = (0..count).map(|_| app.fresh_call()).collect();
    join_all(calls.into_iter().map(|call| app.transfer(call, "Support Tier 2"))).await
}

/// How many of the answers are 201; all others must be 503 with a true time to come back.
fn taken(answers: &[Answer], longest: u64) -> usize {
    let (taken, limited): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 201);
    for answer in limited {
        assert_eq!(answer.outcome(), (503, "genesys_rate_limited".to_owned()));
        let told: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=longest).contains(&told), "{told}");
    }
    taken.len()
}

/// Requests that count against the limit.
fn counted(app: &TestApp) -> usize {
    app.sandbox().requests().len() - app.seen(TOKEN)
}

#[tokio::test]
async fn the_configured_pace_lets_whole_transfers_through_and_refuses_the_rest_at_once() {
    let app = TestApp::with(&[("GENESYS_REQUESTS_PER_MINUTE", "11")]).await;
    app.get("/queues").await;
    let _clock = Frozen::now();
    let answers = transfers(&app, 20).await;
    // One request for the queue list, two for each transfer. A request counts for a minute after
    // its answer, in steps of half a second.
    assert_eq!(taken(&answers, 61), 5);
    assert_eq!((counted(&app), app.commands(), app.moves()), (11, 5, 5));
}

#[tokio::test]
async fn a_refused_transfer_leaves_no_record_and_its_key_free() {
    let app = TestApp::with(&[("GENESYS_REQUESTS_PER_MINUTE", "2")]).await;
    app.get("/queues").await;
    let _clock = Frozen::now();
    let call = app.fresh_call();
    let answer = app.transfer(call, "Support Tier 2").await;
    assert_eq!(answer.outcome(), (503, "genesys_rate_limited".to_owned()));
    assert!(app.transfer_of(call).await.is_null());
    assert_eq!(app.commands(), 0);
}

#[tokio::test]
async fn genesys_own_headers_lower_the_pace_before_it_has_to_say_429() {
    let app = TestApp::start().await;
    app.get("/queues").await;
    app.sandbox().with(|state| state.behaviour.requests_per_minute = 10);
    let _clock = Frozen::now();
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.extend(transfers(&app, 1).await);
    }
    assert_eq!(taken(&answers, 60), 4);
    assert!(app.sandbox().requests().iter().all(|request| request.status != Some(429)));
    assert_eq!((counted(&app), app.moves()), (9, 4));
}
