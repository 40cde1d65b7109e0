//! Priority and skills, who waits, and the conversation-patch calls.

use super::*;

const CALL: Uuid = seed::CONNECTED_CALL;

fn routing(id: Uuid) -> String {
    format!("/api/v2/routing/conversations/{id}")
}

fn communication(id: Uuid) -> String {
    format!("/api/v2/communications/conversations/{id}")
}

fn patch_body(queue: &str, priority: i64) -> Value {
    json!({"routing": {"queueId": queue, "priority": priority, "skillRequirements": []}})
}

#[tokio::test]
async fn routing_patch_sets_absolute_values() {
    let bench = Bench::new().await;
    let change = json!({"priority": -3, "skillIds": [], "languageId": seed::SKILL});

    let set = bench.send(Method::PATCH, &routing(seed::WAITING_CALL), &change).await;
    let (status, set) = body(set).await;
    let clear = json!({"languageId": "", "priority": 0});
    let cleared = bench.send(Method::PATCH, &routing(seed::WAITING_CALL), &clear).await;
    let (_, cleared) = body(cleared).await;

    assert_eq!(status, 200);
    assert_eq!((&set["priority"], &set["skills"]), (&json!(-3), &json!([])));
    assert_eq!(set["language"]["id"], json!(seed::SKILL));
    assert_eq!((&cleared["priority"], &cleared["language"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn routing_patch_is_refused_unless_it_waits_and_fits() {
    let bench = Bench::new().await;
    for (call, change, status) in [
        (CALL, json!({"priority": 1}), 409),
        (seed::ENDED_CALL, json!({"priority": 1}), 404),
        (seed::SALES, json!({"priority": 1}), 404),
        (seed::WAITING_CALL, json!({"priority": 25_000_001}), 400),
        (seed::WAITING_CALL, json!({"priority": i64::MIN}), 400),
        (seed::WAITING_CALL, json!({"skills": []}), 400),
        (seed::WAITING_CALL, json!({"skillIds": ["x"]}), 400),
    ] {
        let answer = bench.send(Method::PATCH, &routing(call), &change).await;
        assert_eq!(answer.status(), status, "{change}");
    }
}

fn observation_query(queue: Uuid, media: &str) -> Value {
    let is = |dimension: &str, value: &str| json!({"type": "dimension", "dimension": dimension, "operator": "matches", "value": value});
    let predicates = [is("queueId", &queue.to_string()), is("mediaType", media)];
    json!({
        "filter": {"type": "and", "predicates": predicates},
        "metrics": ["oWaiting"], "detailMetrics": ["oWaiting"],
    })
}

const OBSERVATIONS: &str = "/api/v2/analytics/queues/observations/query";

#[tokio::test]
async fn waiting_calls_are_listed_by_queue_and_medium() {
    let bench = Bench::new().await;

    let query = observation_query(seed::SUPPORT_TIER_1, "voice");
    let (_, voice) = body(bench.send(Method::POST, OBSERVATIONS, &query).await).await;
    let query = observation_query(seed::SALES, "email");
    let (_, email) = body(bench.send(Method::POST, OBSERVATIONS, &query).await).await;

    let rows = &voice["results"][0]["data"][0]["observations"];
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["conversationId"], json!(seed::WAITING_CALL));
    assert_eq!(rows[0]["routingPriority"], 5);
    let rows = &email["results"][0]["data"][0]["observations"];
    assert_eq!(rows[0]["conversationId"], json!(seed::EMAIL));
}

#[tokio::test]
async fn long_line_is_truncated_but_counted_exactly() {
    let bench = Bench::new().await;
    for age in 0..150 {
        let new = NewConversation {
            shape: world::Shape::Waiting,
            queue: Some(seed::RETENTION),
            age: SignedDuration::from_secs(age),
            ..NewConversation::default()
        };
        bench.sandbox.add_conversation(new).unwrap();
    }

    let query = observation_query(seed::RETENTION, "voice");
    let (_, answer) = body(bench.send(Method::POST, OBSERVATIONS, &query).await).await;

    let data = &answer["results"][0]["data"][0];
    assert_eq!((&data["stats"]["count"], &data["truncated"]), (&json!(150), &json!(true)));
    assert_eq!(data["observations"].as_array().unwrap().len(), 100);
}

#[tokio::test]
async fn observation_query_that_names_no_queue_or_another_metric_is_refused() {
    let bench = Bench::new().await;
    let mut nowhere = observation_query(seed::SALES, "voice");
    nowhere["filter"]["predicates"].as_array_mut().unwrap().remove(0);
    let mut metric = observation_query(seed::SALES, "voice");
    metric["metrics"] = json!(["oFlow"]);
    let mut unknown = observation_query(seed::SALES, "voice");
    unknown["interval"] = json!("x");

    for query in [nowhere, metric, unknown] {
        let answer = bench.send(Method::POST, OBSERVATIONS, &query).await;
        assert_eq!(answer.status(), 400, "{query}");
    }
}

#[tokio::test]
async fn communication_is_read_and_moved() {
    let bench = Bench::new().await;
    let queue = seed::SUPPORT_TIER_2.to_string();

    let before = bench.json(&communication(seed::WAITING_CALL)).await;
    let move_it = patch_body(&queue, 50);
    let (status, after) =
        body(bench.send(Method::PATCH, &communication(seed::WAITING_CALL), &move_it).await).await;

    assert_eq!((&before["state"], &before["routing"]["priority"]), (&json!("queued"), &json!(5)));
    assert_eq!(status, 200);
    assert_eq!((&after["state"], &after["routing"]["queueId"]), (&json!("queued"), &json!(queue)));
    assert_eq!(after["routing"]["priority"], 50);
    assert_eq!(bench.sandbox.moves()[0].participant_id, None);
}

#[tokio::test]
async fn communication_refuses_as_the_document_says() {
    let bench = Bench::new().await;
    let queue = seed::SUPPORT_TIER_1.to_string();
    for (call, change, status) in [
        (CALL, patch_body("x", 50), 400),
        (CALL, patch_body(&CALL.to_string(), 50), 400),
        (CALL, patch_body(&queue, 101), 400),
        (CALL, json!({"routing": {"queueId": queue}}), 400),
        (seed::SALES, patch_body(&queue, 50), 404),
        (seed::ENDED_CALL, patch_body(&queue, 50), 409),
        (seed::CUSTOMER_GONE_CALL, patch_body(&queue, 50), 409),
        (seed::RINGING_CALL, patch_body(&queue, 50), 409),
        (seed::WAITING_CALL, patch_body(&queue, 5), 409),
    ] {
        let answer = bench.send(Method::PATCH, &communication(call), &change).await;
        assert_eq!(answer.status(), status, "{call} {change}");
    }
    assert_eq!(bench.moved(), 0);
}

#[tokio::test]
async fn stripping_skills_is_told_and_done() {
    let bench = Bench::new().await;
    bench.sandbox.with(|state| state.behaviour.remove_skills_from_blind_transfer = true);

    let settings = bench.json("/api/v2/routing/settings/contactcenter").await;
    bench.replace(CALL, 3).send().await.unwrap();

    assert_eq!(settings, json!({"removeSkillsFromBlindTransfer": true}));
    let seen = bench.json(&communication(CALL)).await;
    assert_eq!(seen["routing"]["skillRequirements"], json!([]));
}
