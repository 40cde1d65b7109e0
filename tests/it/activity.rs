//! What goes on in queues, and looks at many calls at once.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use genesys_transfer::sandbox::{
    faults::{Fault, FaultOrder, Garbage, StatusAnswer},
    seed,
    world::Act,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    batches::{crowd, drain, line, moved},
    keys::entry,
    service::{OBSERVATIONS, TestApp, lone_sandbox},
};

const BULK: &str = "/api/v2/analytics/conversations/*";

/// The calls a dry run of a drain lists.
async fn planned(app: &TestApp) -> Vec<Value> {
    let answer = app.post("/batches", &drain(json!({"dryRun": true}))).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let plan = answer.json();
    let items = plan["items"].as_array().unwrap().clone();
    assert_eq!(plan["total"], json!(items.len()));
    items.into_iter().map(|item| item["conversationId"].clone()).collect()
}

async fn activity(app: &TestApp, queue: Uuid) -> Value {
    let answer = app.get(&format!("/queues/{queue}")).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["activity"].clone()
}

#[tokio::test]
async fn a_dry_run_lists_everybody_who_waits() {
    let app = TestApp::start().await;
    let calls: Vec<Value> = crowd(app.sandbox(), 250).iter().map(|id| json!(id)).collect();
    assert_eq!(planned(&app).await, calls);
    // Three pages, the last of them short; and the activity of the target.
    assert_eq!((app.seen("/activity/query"), app.seen(OBSERVATIONS)), (3, 1));
}

#[tokio::test]
async fn rows_that_lag_are_shown_with_the_others() {
    let app = TestApp::start().await;
    app.sandbox().with(|state| state.world.staleness.lag = Duration::from_hours(1));
    let calls = crowd(app.sandbox(), 120);
    app.sandbox().act(calls[60], Act::HangUp).unwrap();
    let listed = planned(&app).await;
    assert!(listed.contains(&json!(calls[60])) && listed.len() >= 120, "{}", listed.len());
}

#[tokio::test]
async fn without_bulk_looks_the_result_is_the_same() {
    let refusal = |status| Fault::Status(StatusAnswer::new(status));
    let nonsense = StatusAnswer { body: Some(json!({"results": 7})), ..StatusAnswer::new(200) };
    for fault in [
        refusal(403),
        refusal(404),
        Fault::Status(nonsense),
        Fault::Garbage { form: Garbage::Html, apply: false },
        Fault::Garbage { form: Garbage::TruncatedJson, apply: false },
    ] {
        let app = TestApp::start().await;
        let calls: Vec<Value> = crowd(app.sandbox(), 60).iter().map(|id| json!(id)).collect();
        let order = FaultOrder { method: None, ..FaultOrder::next("", BULK, fault.clone()) };
        app.sandbox().order(order.forever()).unwrap();
        assert_eq!(planned(&app).await, calls, "{fault:?}");
        let asked = app.seen("/activity/query");
        assert_eq!(planned(&app).await, calls, "{fault:?}");
        assert_eq!(app.seen("/activity/query"), asked, "it is left alone after {fault:?}");
    }
}

#[tokio::test]
async fn bulk_looks_that_are_off_are_not_made() {
    let app = TestApp::with(&[("GENESYS_BULK_LOOKS", "off")]).await;
    let calls: Vec<Value> = crowd(app.sandbox(), 60).iter().map(|id| json!(id)).collect();
    assert_eq!(planned(&app).await, calls);
    assert_eq!(app.seen("/analytics/conversations/"), 0);
}

#[tokio::test]
async fn a_queue_tells_what_goes_on_in_it() {
    let app = TestApp::start().await;
    let now = app.sandbox().now();
    crowd(app.sandbox(), 12);
    app.sandbox().with(|state| state.world.set_joined(seed::SUPPORT_TIER_1, 6)).unwrap();

    let seen = activity(&app, seed::SUPPORT_TIER_1).await;
    assert_eq!((&seen["waiting"], &seen["estimatedWaitSeconds"]), (&json!(12), &json!(360)));
    let longest = seen["longestWaitSeconds"].as_i64().unwrap();
    let passed = app.sandbox().now().duration_since(now).as_secs();
    assert!((60 + 12 * 7 - 2..=60 + 12 * 7 + 2 + passed).contains(&longest), "{longest}");
    let talking = seen["interacting"].as_u64().unwrap();
    assert!(talking > 0, "{seen}");
    let idle = 6_u64.saturating_sub(talking);
    assert_eq!(seen["agents"], json!({"onQueue": 6, "idle": idle}));
    assert!(seen["asOf"].is_string());

    let nobody = activity(&app, seed::RETENTION).await;
    assert_eq!((&nobody["waiting"], &nobody["longestWaitSeconds"]), (&json!(0), &Value::Null));
    let alone = activity(&app, seed::AFTER_HOURS).await;
    assert_eq!(alone["agents"], json!({"onQueue": 0, "idle": 0}));
    assert_eq!(alone["estimatedWaitSeconds"], Value::Null);
}

#[tokio::test]
async fn a_queue_without_members_has_no_number_of_agents() {
    let sandbox = lone_sandbox().await;
    let now = sandbox.now();
    let queue = sandbox.with(|state| {
        let division = state.world.division(None, now).unwrap();
        state.world.add_queue(None, "Empty", division, 0, now).unwrap()
    });
    let app = TestApp::beside(&sandbox, &[]).await;
    let seen = activity(&app, queue).await;
    assert_eq!(seen["agents"], json!({"onQueue": null, "idle": null}));
}

#[tokio::test]
async fn the_board_is_shared_by_all_who_look_and_most_waiting_comes_first() {
    let sandbox = lone_sandbox().await;
    let now = sandbox.now();
    sandbox.with(|state| {
        let division = state.world.division(None, now).unwrap();
        for number in 7..100 {
            let name = format!("A {number}");
            state.world.add_queue(None, &name, division.clone(), 1, now).unwrap();
        }
    });
    crowd(&sandbox, 30);
    let app = TestApp::beside(&sandbox, &[]).await;
    app.get("/queues").await;

    let began = app.sandbox().now();
    let readers = (0..100).map(|_| app.get("/queues?activity=true"));
    for answer in join_all(readers).await {
        let board = answer.json();
        let waiting = |place: usize| board["items"][place]["activity"]["waiting"].clone();
        assert_eq!(board["items"].as_array().unwrap().len(), 100);
        assert_eq!(board["items"][0]["name"], "Support Tier 1");
        assert_eq!((waiting(0), waiting(99)), (json!(30), json!(0)));
        assert_eq!(board["items"][0]["activity"]["estimatedWaitSeconds"], Value::Null);
    }
    let passed = app.sandbox().now().duration_since(began).as_secs();
    let most = 1 + usize::try_from(passed / 5).unwrap();
    let asked = app.seen(OBSERVATIONS);
    assert!((1..=most).contains(&asked), "{asked} requests for a hundred readers");

    let plain = app.get("/queues").await.json();
    assert_eq!(plain["items"][0].get("activity"), None);
    assert_eq!(app.get("/queues?activity=yes").await.status, 422);
}

#[tokio::test]
async fn a_narrowed_caller_sees_its_own_queues_only() {
    let keys = json!([entry("ivr", &["queues:read"], &["Support *"])]).to_string();
    let settings = [("AUTH_MODE", "required"), ("AUTH_API_KEYS", keys.as_str())];
    let app = TestApp::with(&settings).await;
    let board = app.get_as("ivr", "/queues?activity=true").await.json();
    let names: Vec<&str> =
        board["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Support Tier 1", "Support Tier 2"]);
    let own = app.get_as("ivr", &format!("/queues/{}", seed::SUPPORT_TIER_1)).await;
    assert_eq!((own.status.as_u16(), &own.json()["activity"]["waiting"]), (200, &json!(1)));
    // Another's queue looks like one that is not there.
    let other = app.get_as("ivr", &format!("/queues/{}", seed::BILLING)).await;
    let absent = app.get_as("ivr", &format!("/queues/{}", Uuid::from_u128(7))).await;
    for answer in [other, absent, app.get_as("ivr", "/queues/none").await] {
        assert_eq!(answer.outcome(), (404, "not_found".to_owned()));
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_told_but_no_preview_fails_for_it() {
    let app = TestApp::start().await;
    let denied = BTreeSet::from(["analytics:queueObservation:view".to_owned()]);
    app.sandbox().with(|state| state.access.deny("sandbox", denied));
    let one = format!("/queues/{}", seed::SALES);
    for path in ["/queues?activity=true", one.as_str()] {
        let answer = app.get(path).await;
        assert_eq!(answer.outcome(), (502, "genesys_permission_missing".to_owned()), "{path}");
        let hint = answer.json()["hint"].as_str().unwrap_or_default().to_owned();
        assert!(hint.contains("analytics:queueObservation:view"), "{hint}");
    }
    let preview = format!("/conversations/{}?queueName=Sales", seed::CONNECTED_CALL);
    let answer = app.get(&preview).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["target"]["activity"]), (200, &Value::Null));
}

#[tokio::test]
async fn with_the_budget_used_up_the_last_known_is_shown() {
    let app = TestApp::with(&[("GENESYS_REQUESTS_PER_MINUTE", "12")]).await;
    let path = format!("/queues/{}", seed::SUPPORT_TIER_1);
    let first = app.get(&path).await.json()["activity"].clone();
    assert_eq!(first["waiting"], 1, "{first}");
    let preview = format!("/conversations/{}", seed::CONNECTED_CALL);
    while app.get(&preview).await.status == 200 {}
    // Also when the numbers are no longer fresh.
    let used_up = app.sandbox().now();
    while app.sandbox().now().duration_since(used_up).as_secs() < 6 {
        let later = app.get(&path).await;
        assert_eq!(later.status, 200, "{}", later.json());
        let later = later.json()["activity"].clone();
        assert_eq!((&later["asOf"], &later["waiting"]), (&first["asOf"], &first["waiting"]));
    }
    // Of a queue that was never asked about nothing is known.
    let other = app.get(&format!("/queues/{}", seed::SALES)).await;
    assert_eq!(other.outcome(), (503, "genesys_rate_limited".to_owned()));
}

#[tokio::test]
async fn a_call_that_came_back_while_its_details_lag_is_not_left_behind() {
    let app = TestApp::start().await;
    app.sandbox().act(seed::WAITING_CALL, Act::HangUp).unwrap();
    let call = app.fresh_call();
    app.sandbox().with(|state| state.behaviour.details_lag_ms = 60_000);
    // The details go on showing the agent who had it.
    assert_eq!(app.transfer(call, "Support Tier 1").await.status, 201);

    let batch = app.carried_out(&drain(json!({}))).await;

    assert_eq!(moved(&batch), 1, "{batch}");
    assert_eq!(line(app.sandbox(), seed::SUPPORT_TIER_2), [call]);
}

#[tokio::test]
async fn where_agents_are_not_told_the_calls_that_wait_are() {
    let app = TestApp::start().await;
    app.answers("POST", OBSERVATIONS, 1, 400);
    let activity = activity(&app, seed::SUPPORT_TIER_1).await;
    assert_eq!(activity["waiting"], 1, "{activity}");
    assert_eq!(activity["agents"], json!({"onQueue": null, "idle": null}));
}
