//! The request budget: what a drain may use, and what is kept for single transfers.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::{
    batches::{crowd, drain, number},
    process::until,
    service::{TestApp, plain},
};

/// A service whose sandbox takes `allowed` requests in so many seconds.
async fn limited(allowed: u32, seconds: u32) -> TestApp {
    let app = TestApp::start().await;
    app.sandbox().with(|state| {
        state.behaviour.requests_per_minute = allowed;
        state.behaviour.rate_window_seconds = seconds;
    });
    app
}

#[tokio::test]
async fn a_single_transfer_does_not_wait_behind_a_drain() {
    let app = limited(180, 60).await;
    crowd(app.sandbox(), 200);
    let id = app.begin(&drain(json!({}))).await;
    // Of 180 requests 54 are kept; the drain has used what it may when it stands still.
    until(|| async { (app.sandbox().requests().len() >= 120).then_some(()) }).await;
    let call = app.fresh_call();

    let answer = app.transfer(call, "Sales").await;

    assert_eq!(answer.status, 201, "{}", answer.json());
    assert!(number(&answer.json(), "/upstream/waitedMs") < 2000, "{}", answer.json());
    let batch = app.batch(&id).await;
    assert!(number(&batch, "/counts/pending") > 100, "{batch}");
    assert_eq!(batch["pace"]["perMinute"], 42);
    let eta = number(&batch, "/pace/etaSeconds");
    assert_eq!(eta, number(&batch, "/counts/pending") * 60 / 42);
}

/// The times of requests, in groups with more than a second between them.
fn bursts(times: &[Timestamp]) -> Vec<Vec<Timestamp>> {
    times
        .chunk_by(|one, next| next.duration_since(*one) < SignedDuration::from_secs(1))
        .map(<[Timestamp]>::to_vec)
        .collect()
}

/// A minute shrunk to 5 s. When a window ends is known to the second only, for Genesys says it in
/// whole seconds; that is a sixtieth of a minute, and much of 5 s, so it is judged apart.
#[tokio::test]
async fn a_batch_uses_what_it_may_and_never_more() {
    let (allowed, seconds) = (240, 5);
    let app = limited(allowed, seconds).await;
    let calls = (0..330).map(|_| plain(app.fresh_call(), "Sales"));
    let body = json!({"transfers": calls.collect::<Vec<_>>()});

    let batch = app.carried_out(&body).await;

    assert_eq!(batch["counts"]["accepted"], 330);
    let requests = app.sandbox().requests();
    assert!(requests.iter().all(|request| request.status != Some(429)));
    let api = requests.iter().filter(|request| request.path.starts_with("/api/"));
    let bursts = bursts(&api.map(|request| request.time).collect::<Vec<_>>());
    assert!(bursts.len() >= 4, "{bursts:?}");
    // The first shares its window with the start, the last is not full.
    for pair in bursts[1..].windows(2) {
        let [full, next] = pair else { panic!("two") };
        let used = f64::from(u32::try_from(full.len()).unwrap());
        let share = used / (f64::from(allowed) * 0.7);
        assert!((0.95..=1.0).contains(&share), "{used} requests: {share}");
        let late = next[0].duration_since(full[0]) - SignedDuration::from_secs(seconds.into());
        assert!(late <= SignedDuration::from_millis(1500), "{late:#}");
    }
}
