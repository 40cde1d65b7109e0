//! The request budget: what a drain may use, and what is kept for single transfers.

use std::{sync::Arc, time::Duration};

use genesys_transfer::{
    clock::{Clock as _, ManualClock, SystemClock},
    sandbox::State,
};
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{
    batches::{crowd, drain, number},
    frozen::Frozen,
    service::{TestApp, plain, soon},
};

/// A service whose sandbox takes `allowed` requests in so many seconds, and the clock of both.
async fn limited(allowed: u32, seconds: u32) -> (TestApp, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let app = TestApp::at(Arc::clone(&clock) as _).await;
    app.sandbox().with(|state| {
        state.behaviour.requests_per_minute = allowed;
        state.behaviour.rate_window_seconds = seconds;
    });
    (app, clock)
}

#[tokio::test]
async fn a_single_transfer_does_not_wait_behind_a_drain() {
    let (app, _) = limited(180, 60).await;
    crowd(app.sandbox(), 200);
    let id = app.begin(&drain(json!({}))).await;
    // Of 180 requests 54 are kept; the drain has used what it may when it stands still.
    soon("most of the budget used", app.sandbox().requests_reach(120)).await;
    let _clock = Frozen::now();
    let call = app.fresh_call();

    let answer = app.transfer(call, "Sales").await;

    assert_eq!(answer.status, 201, "{}", answer.json());
    assert_eq!(answer.json()["upstream"]["waitedMs"], 0);
    let batch = app.batch(&id).await;
    assert!(number(&batch, "/counts/pending") > 100, "{batch}");
    // A command and a priority for each.
    assert_eq!(batch["pace"]["perMinute"], 63);
    let eta = number(&batch, "/pace/etaSeconds");
    assert_eq!(eta, number(&batch, "/counts/pending") * 60 / 63);
}

/// The requests to Genesys' API so far.
fn sent(sandbox: &State) -> usize {
    sandbox.ledger.requests().filter(|request| request.path.starts_with("/api/")).count()
}

#[tokio::test]
async fn a_batch_uses_what_it_may_and_never_more() {
    // So long that no window ends by itself, however slow the machine is.
    let window = 300;
    let (app, genesys_clock) = limited(240, window).await;
    let calls = (0..330).map(|_| plain(app.fresh_call(), "Sales"));
    let id = app.begin(&json!({"transfers": calls.collect::<Vec<_>>()})).await;
    // Seven of ten may be a batch's; each of its calls takes two.
    let share = 168;
    let mut before = 0;
    for number in 1..=3 {
        let most = before + share * 19 / 20;
        soon("a window's share", app.sandbox().until(|state| sent(state) >= most)).await;
        app.batch(&id).await;
        let clock = Frozen::now();
        let used = app.sandbox().with(|state| sent(state)) - before;
        assert!(used <= share, "{used} requests in window {number}");
        before += used;
        // When the next one begins is known to the second.
        genesys_clock.advance(SignedDuration::from_secs(i64::from(window) + 1));
        clock.passes(Duration::from_secs(u64::from(window) + 1)).await;
        // A short pause that begins after the jump must end.
        drop(clock);
        soon("the next window's first", app.sandbox().until(|state| sent(state) > before)).await;
    }
    let batch = app.finished(&id).await;
    assert_eq!(batch["counts"]["accepted"], 330);
    assert!(app.sandbox().requests().iter().all(|request| request.status != Some(429)));
}
