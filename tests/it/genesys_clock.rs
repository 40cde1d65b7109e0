//! Genesys' clock is not ours: waiting time is measured by Genesys' own.

use std::sync::Arc;

use genesys_transfer::{
    clock::{Clock, SystemClock},
    sandbox::{
        Sandbox,
        faults::{Fault, StatusAnswer},
        seed,
        world::Act,
    },
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::{drain, moved, waiting},
    service::{TestApp, lone_sandbox_at},
    steps::with,
};

/// A clock that is ahead of the machine's by so much; behind, if that is negative.
struct Ahead(SignedDuration);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }
}

/// Sandboxes whose clock is far behind, right, and far ahead.
async fn sandboxes() -> Vec<(i64, Arc<Sandbox>)> {
    let mut all = Vec::new();
    for minutes in [-10, 0, 10, 3_000] {
        let clock = Ahead(SignedDuration::from_mins(minutes));
        let sandbox = lone_sandbox_at(Arc::new(clock)).await;
        sandbox.act(seed::WAITING_CALL, Act::HangUp).unwrap();
        all.push((minutes, sandbox));
    }
    all
}

/// A call that has waited for three minutes and a half.
fn call(sandbox: &Sandbox) -> Uuid {
    waiting(sandbox, 210)
}

#[tokio::test]
async fn a_call_keeps_the_minutes_it_waited_whatever_the_clocks_say() {
    for (ahead, sandbox) in sandboxes().await {
        for (api, base) in [("participant-replace", 0), ("conversation-patch", 0)] {
            let app = TestApp::beside(&sandbox, &[("GENESYS_TRANSFER_API", api)]).await;
            let call = call(&sandbox);
            let body = with(call, "Support Tier 2", &json!({"keepPlace": true}));
            let transfer = app.submit(body).await.json();
            let seen = (&transfer["waitedMinutes"], &transfer["priority"]);
            assert_eq!(seen, (&json!(3), &json!(base + 3)), "{api}, {ahead} minutes: {transfer}");
            assert_eq!(app.routing(call).priority, base + 3, "{api}, {ahead} minutes");
        }
    }
}

#[tokio::test]
async fn previews_plans_and_batches_show_the_minutes_that_were_waited() {
    for (ahead, sandbox) in sandboxes().await {
        let app = TestApp::beside(&sandbox, &[]).await;
        let call = call(&sandbox);
        let view = app.get(&format!("/conversations/{call}")).await.json();
        assert_eq!(view["waitedMinutes"], 3, "{ahead} minutes");
        let plan = app.post("/batches", &drain(json!({"dryRun": true}))).await.json();
        assert_eq!(plan["items"][0]["newPriority"], 3, "{ahead} minutes: {plan}");
        let batch = app.carried_out(&drain(json!({}))).await;
        assert_eq!(moved(&batch), 1, "{ahead} minutes");
        let transfer = app.transfer_of(call).await;
        let seen = (&transfer["waitedMinutes"], &transfer["priority"]);
        assert_eq!(seen, (&json!(3), &json!(3)), "{ahead} minutes: {transfer}");
    }
}

#[tokio::test]
async fn a_move_that_was_not_looked_at_before_is_confirmed_whatever_the_clocks_say() {
    for (ahead, sandbox) in sandboxes().await {
        let app = TestApp::beside(&sandbox, &[("TRANSFERS_VERIFY", "false")]).await;
        let leg = json!({"participantId": seed::leg(seed::CONNECTED_CALL, 3)});
        let body = with(seed::CONNECTED_CALL, "Support Tier 2", &leg);
        let answer = app.submit_with(&body, "Prefer", "wait=10").await;
        assert_eq!(answer.json()["status"], "confirmed", "{ahead} minutes");
    }
}

#[tokio::test]
async fn a_time_is_read_however_finely_it_is_told() {
    let app = TestApp::start().await;
    let call = app.fresh_call();
    let seconds = |ago: i64| {
        let at = app.sandbox().now() - SignedDuration::from_secs(ago);
        format!("{at:.0}").trim_end_matches('Z').to_owned()
    };
    for fraction in ["", ".0", ".12", ".123", ".123456", ".123456789", ".1234567890123456"] {
        let acd = json!({
            "id": "00000000-0000-4000-8000-000000000002", "purpose": "acd",
            "queueId": seed::SUPPORT_TIER_1,
            "connectedTime": format!("{}{fraction}Z", seconds(210)),
            "calls": [{"state": "connected"}],
        });
        let answer = StatusAnswer {
            body: Some(json!({"id": call, "participants": [acd]})),
            ..StatusAnswer::new(200)
        };
        let path = format!("/api/v2/conversations/{call}");
        app.fault("GET", &path, 1, Fault::Status(answer));
        let view: Value = app.get(&format!("/conversations/{call}")).await.json();
        assert_eq!(view["waitedMinutes"], 3, "{fraction:?}: {view}");
    }
}
