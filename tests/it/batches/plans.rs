//! A dry run, and carrying out exactly what it showed.

use std::sync::Arc;

use genesys_transfer::{
    clock::{Clock as _, ManualClock, SystemClock},
    sandbox::{seed, world::Act},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{
    batches::{crowd, drain, line, moved, waiting},
    service::TestApp,
};

/// The answer to a dry run.
async fn planned(app: &TestApp, more: Value) -> Value {
    let mut body = drain(more);
    body["dryRun"] = json!(true);
    let answer = app.post("/batches", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

fn by(plan: &Value) -> Value {
    json!({"planId": plan["planId"]})
}

#[tokio::test]
async fn a_dry_run_shows_what_would_move_and_moves_nothing() {
    let app = TestApp::start().await;
    app.sandbox().act(seed::WAITING_CALL, Act::HangUp).unwrap();
    let calls = [waiting(app.sandbox(), 600), waiting(app.sandbox(), 90)];

    let plan = planned(&app, json!({"priority": 5})).await;

    let shown = |n: usize, minutes: u64| {
        let item = &plan["items"][n];
        assert_eq!(item["conversationId"], json!(calls[n]));
        assert_eq!((&item["priority"], &item["newPriority"]), (&json!(0), &json!(5 + minutes)));
        assert!(item["waitingSince"].as_str().unwrap().ends_with('Z'));
    };
    shown(0, 10);
    shown(1, 1);
    assert_eq!((&plan["total"], &plan["from"]["name"]), (&json!(2), &json!("Support Tier 1")));
    let members: Vec<&String> = plan.as_object().unwrap().keys().collect();
    assert_eq!(members, ["expiresAt", "from", "items", "planId", "to", "total"]);
    assert_eq!(
        (app.commands(), app.get("/batches").await.json()["items"].as_array().unwrap().len()),
        (0, 0)
    );
}

#[tokio::test]
async fn exactly_what_a_plan_showed_is_moved() {
    let app = TestApp::start().await;
    let calls = crowd(app.sandbox(), 4);
    let plan = planned(&app, json!({"limit": 3, "reference": "CASE-7"})).await;
    let newcomer = waiting(app.sandbox(), 3600);
    app.sandbox().act(calls[1], Act::Answer).unwrap();

    let batch = app.carried_out(&by(&plan)).await;

    assert_eq!((moved(&batch), &batch["total"]), (2, &json!(3)));
    assert_eq!(batch["reasons"], json!({"no_longer_waiting": 1}));
    assert_eq!(batch["reference"], "CASE-7");
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_2), [calls[0], calls[2]]);
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), [newcomer, calls[3]]);
}

#[tokio::test]
async fn what_a_plan_could_not_show_moves_too_and_nobody_who_came_later() {
    let app = TestApp::with(&[("GENESYS_BULK_LOOKS", "off")]).await;
    crowd(app.sandbox(), 130);
    let plan = planned(&app, json!({})).await;
    assert_eq!((&plan["total"], plan["items"].as_array().unwrap().len()), (&json!(130), 100));
    let newcomer = waiting(app.sandbox(), 0);

    let batch = app.carried_out(&by(&plan)).await;

    assert_eq!(moved(&batch), 130);
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_1), [newcomer]);
}

#[tokio::test]
async fn a_plan_is_used_up() {
    let app = TestApp::start().await;
    let plan = planned(&app, json!({})).await;
    let first = app.begin_with(&by(&plan), "k").await;
    assert_eq!(first.status, 202);

    assert_eq!(app.post("/batches", &by(&plan)).await.outcome(), (409, "plan_expired".to_owned()));
    let replayed = app.begin_with(&by(&plan), "k").await;
    assert_eq!((replayed.status, replayed.body), (first.status, first.body));
    let other = app.begin_with(&by(&plan), "k2").await;
    assert_eq!(other.outcome(), (409, "plan_expired".to_owned()));
}

#[tokio::test]
async fn a_plan_is_good_for_two_minutes() {
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let app = TestApp::at(Arc::clone(&clock) as _).await;
    let (one, two) = (planned(&app, json!({})).await, planned(&app, json!({})).await);
    clock.advance(SignedDuration::from_secs(119));
    assert_eq!(app.post("/batches", &by(&one)).await.status, 202);

    clock.advance(SignedDuration::from_secs(1));

    assert_eq!(app.post("/batches", &by(&two)).await.outcome(), (409, "plan_expired".to_owned()));
}

#[tokio::test]
async fn a_plan_nobody_made_is_no_plan() {
    let app = TestApp::start().await;
    let made_up = json!({"planId": "01990000-0000-7000-8000-000000000000"});
    assert_eq!(app.post("/batches", &made_up).await.outcome(), (409, "plan_expired".to_owned()));
}
