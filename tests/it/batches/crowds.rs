//! 300 calls: beyond what one look shows, while callers and agents do what they do.

use std::collections::BTreeMap;

use genesys_transfer::sandbox::{
    Sandbox,
    faults::{Fault, FaultOrder, StatusAnswer},
    seed,
    world::Act,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    batches::{NOBODY, crowd, drain, line, moved, moved_twice, waiting},
    service::{CONVERSATION, REPLACE, TestApp, soon},
};

/// Fails unless those of `before` that are in `after` are there in the same order.
#[track_caller]
pub(super) fn assert_same_order(before: &[Uuid], after: &[Uuid]) {
    let place: BTreeMap<&Uuid, usize> = before.iter().zip(0..).collect();
    let places: Vec<usize> = after.iter().filter_map(|id| place.get(id).copied()).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[tokio::test]
async fn three_hundred_move_and_are_served_in_the_order_they_stood() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 300);
    let before = line(app.sandbox(), seed::SUPPORT_TIER_1);
    assert_eq!(before, calls);

    let batch = app.carried_out(&drain(json!({}))).await;

    assert_eq!((moved(&batch), &batch["total"]), (300, &json!(300)));
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_2), before);
    assert_eq!(moved_twice(app.sandbox()), NOBODY);
    // A look, a command and the place for each; beside that a look at the queue for many of them,
    // and what is asked for once.
    let looks = app.seen("/analytics/");
    let others = app.sandbox().requests().len() - looks;
    assert!(
        others <= 3 * 300 + 10 && looks <= 100,
        "{others} requests, {looks} looks at the queue"
    );
}

/// Rows that stay for a while or for ever, and a Genesys that has had enough now and then.
fn misbehave(sandbox: &Sandbox) {
    sandbox.with(|state| {
        state.behaviour.observation_lag_ms = 700;
        state.world.staleness.lag = std::time::Duration::from_millis(700);
        state.world.staleness.ghost_every = 40;
    });
    let enough = || {
        let retry_after = Some("1".to_owned());
        Fault::Status(StatusAnswer { retry_after, ..StatusAnswer::new(429) })
    };
    for (method, path, every) in [("POST", REPLACE, 97), ("GET", CONVERSATION, 113)] {
        sandbox.order(FaultOrder::next(method, path, enough()).every(every).times(3)).unwrap();
    }
}

#[tokio::test]
async fn hang_ups_answers_lagging_rows_and_429s_lose_nobody() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 300);
    misbehave(app.sandbox());
    let id = app.begin(&drain(json!({}))).await;
    app.sandbox().moves_reach(30).await;
    let newcomer = waiting(app.sandbox(), 0);
    let (mut gone, mut answered) = (0, 0);
    for (n, call) in calls.iter().enumerate().skip(100) {
        match n % 10 {
            0 => gone += u32::from(app.sandbox().act(*call, Act::HangUp).is_ok()),
            5 => answered += u32::from(app.sandbox().act(*call, Act::Answer).is_ok()),
            _ => {}
        }
    }

    let batch = app.finished(&id).await;

    assert!(gone > 0 && answered > 0);
    let left = line(app.sandbox(), seed::SUPPORT_TIER_1);
    assert_eq!(left, [newcomer], "only who came later waits there");
    assert_eq!(moved_twice(app.sandbox()), NOBODY);
    assert_eq!(moved(&batch), app.moves() as u64);
    assert_same_order(&calls, &line(app.sandbox(), seed::SUPPORT_TIER_2));
}

#[tokio::test]
async fn rows_that_never_go_away_do_not_hold_a_drain_for_ever() {
    let app = TestApp::start().await;
    crowd(app.sandbox(), 60);
    app.sandbox().with(|state| state.world.staleness.ghost_every = 1);
    let batch = soon("the drain ends", app.carried_out(&drain(json!({})))).await;
    assert_eq!((moved(&batch), &batch["status"]), (60, &json!("completed")));
}
