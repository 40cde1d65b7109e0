use super::*;
use crate::sandbox::world::Shape;

async fn posted(bench: &Bench, path: &str, body: &Value) -> (StatusCode, Value) {
    super::body(bench.send(Method::POST, path, body).await).await
}

#[tokio::test]
async fn index_is_text_for_people_and_json_on_request() {
    let bench = Bench::new().await;

    let text = bench.get("/sandbox/").await.text().await.unwrap();
    let json = bench.request(Method::GET, "/sandbox/").header("accept", "application/json");
    let json: Value = json.send().await.unwrap().json().await.unwrap();

    assert!(text.contains("POST   /sandbox/faults"));
    assert!(json["entries"].as_array().unwrap().len() > 20);
}

#[tokio::test]
async fn every_shape_can_be_made() {
    let bench = Bench::new().await;
    for shape in Shape::ALL {
        let new = json!({"shape": shape, "queueName": "Sales"});
        let (status, made) = posted(&bench, "/sandbox/conversations", &new).await;
        assert_eq!(status, 201, "{made}");
        assert!(made["legs"].as_array().unwrap().len() >= 2);
    }
}

#[tokio::test]
async fn conversation_is_made_as_asked() {
    let bench = Bench::new().await;

    let (_, made) = posted(
        &bench,
        "/sandbox/conversations",
        &json!({
            "shape": "waiting", "queueId": seed::SALES, "media": "message", "priority": 7,
            "skillIds": [seed::SKILL], "since": "2026-11-22T11:50:00Z",
        }),
    )
    .await;

    assert_eq!((&made["media"], &made["state"]), (&json!("message"), &json!("queued")));
    assert_eq!((&made["priority"], &made["skillIds"]), (&json!(7), &json!([seed::SKILL])));
    assert_eq!(made["waitingSince"], "2026-11-22T11:50:00.000Z");
}

#[tokio::test]
async fn conversation_can_have_legs_of_any_kind() {
    let bench = Bench::new().await;

    let (_, made) = posted(
        &bench,
        "/sandbox/conversations",
        &json!({
            "queueId": seed::SALES,
            "legs": [
                {"purpose": "external"},
                {"purpose": "acd", "ended": true},
                {"purpose": "agent", "held": true, "secondCall": "dialing"},
                {"purpose": "botflow", "state": "disconnected"},
            ],
        }),
    )
    .await;

    let open: Vec<&Value> = made["legs"].as_array().unwrap().iter().map(|it| &it["open"]).collect();
    assert_eq!(open, [true, false, true, false]);
    assert_eq!(made["state"], "held");
}

#[tokio::test]
async fn many_conversations_wait_one_second_apart() {
    let bench = Bench::new().await;
    let new = json!({"shape": "waiting", "queueId": seed::RETENTION, "count": 3});

    let (_, made) = posted(&bench, "/sandbox/conversations", &new).await;

    let now = bench.sandbox.now();
    let rows = bench
        .sandbox
        .with(|state| state.world.waiting(seed::RETENTION, world::MediaType::Voice, 100, now).rows);
    let listed: Vec<Value> = rows.iter().map(|row| json!(row.conversation)).collect();
    assert_eq!(json!(listed), made["ids"]);
    assert_eq!((now - rows[0].since).get_seconds(), 2);
}

#[tokio::test]
async fn agent_answers_and_caller_hangs_up() {
    let bench = Bench::new().await;
    let path = |act: &str| format!("/sandbox/conversations/{}/{act}", seed::WAITING_CALL);
    let mut seen = Vec::new();
    for act in ["ring", "answer", "hold", "resume", "hang-up"] {
        let (status, shown) = posted(&bench, &path(act), &json!({})).await;
        assert_eq!(status, 200, "{act}: {shown}");
        seen.push(shown["state"].as_str().unwrap().to_owned());
    }

    assert_eq!(seen, ["ringing", "connected", "held", "connected", "completed"]);
}

#[tokio::test]
async fn twenty_thousand_queues_are_made_at_once() {
    let bench = Bench::new().await;

    let (status, _) =
        posted(&bench, "/sandbox/queues", &json!({"count": 20_000, "prefix": "Q "})).await;
    let page = bench.json("/api/v2/routing/queues?pageSize=100&pageNumber=201").await;

    assert_eq!(status, 201);
    assert_eq!((&page["total"], &page["pageCount"]), (&json!(20_007), &json!(201)));
    assert_eq!(page["entities"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn queue_shows_who_is_served_next_a_point_of_priority_being_a_minute() {
    let bench = Bench::new().await;
    let path = format!("/sandbox/queues/{}", seed::SUPPORT_TIER_1);
    for (minutes, priority) in [(14, 0), (1, 20), (16, 0)] {
        let call = json!({
            "shape": "waiting", "queueName": "Support Tier 1",
            "sinceSeconds": minutes * 60, "priority": priority,
        });
        posted(&bench, "/sandbox/conversations", &call).await;
    }

    let queue = bench.json(&format!("{path}?next=3")).await;

    // The seeded call waits for 12 minutes with 5 points: as long as 17.
    let priorities: Vec<_> =
        queue["next"].as_array().unwrap().iter().map(|c| &c["priority"]).collect();
    assert_eq!(priorities, [&json!(20), &json!(5), &json!(0)]);
    assert_eq!(queue["next"][1]["conversationId"], json!(seed::WAITING_CALL));
}

#[tokio::test]
async fn agents_go_on_and_off_queue() {
    let bench = Bench::new().await;
    let path = format!("/api/v2/routing/queues/{}", seed::SALES);
    let order = format!("/sandbox/queues/{}", seed::SALES);

    bench.send(Method::PATCH, &order, &json!({"joinedMemberCount": 0})).await;
    let queue = bench.json(&path).await;

    assert_eq!((&queue["memberCount"], &queue["joinedMemberCount"]), (&json!(18), &json!(0)));
}

#[tokio::test]
async fn queue_is_renamed_and_deleted() {
    let bench = Bench::new().await;
    let path = format!("/sandbox/queues/{}", seed::SALES);

    let renamed = bench.send(Method::PATCH, &path, &json!({"name": "Verkauf"})).await.status();
    let found = bench.json("/sandbox/queues?name=verkauf").await;
    let deleted = bench.send(Method::DELETE, &path, &json!({})).await.status();
    let gone = bench.get(&path).await.status();

    assert_eq!((renamed.as_u16(), deleted.as_u16(), gone.as_u16()), (200, 200, 404));
    assert_eq!(found["total"], 1);
}

#[tokio::test]
async fn ledger_shows_the_command_its_effect_and_the_move() {
    let bench = Bench::new().await;
    bench.replace(seed::CONNECTED_CALL, 3).send().await.unwrap();

    let commands = bench.json("/sandbox/ledger/requests?commands=true").await;
    let moves = bench.json("/sandbox/ledger/moves").await;

    let command = &commands["items"][0];
    assert_eq!((&command["status"], &command["effect"]), (&json!(202), &json!("applied")));
    assert_eq!(command["body"]["queueId"], json!(seed::SUPPORT_TIER_2));
    assert_eq!(moves["items"][0]["request"], command["seq"]);
    assert_eq!(moves["items"][0]["toQueueId"], json!(seed::SUPPORT_TIER_2));
    assert_eq!(bench.send(Method::DELETE, "/sandbox/ledger", &json!({})).await.status(), 200);
    assert_eq!(bench.json("/sandbox/ledger").await["totals"], json!({"moves": 0, "requests": 0}));
}

#[tokio::test]
async fn ledger_holds_no_secret_and_no_whole_token() {
    let bench = Bench::new().await;
    bench.replace(seed::CONNECTED_CALL, 3).send().await.unwrap();

    let ledger = bench.get("/sandbox/ledger").await.text().await.unwrap();

    assert!(!ledger.contains(&bench.token));
    assert!(!ledger.to_lowercase().contains("basic "));
}

#[tokio::test]
async fn fault_ordered_over_http_strikes_is_listed_and_taken_back() {
    let bench = Bench::new().await;
    let order =
        json!({"path": "/api/*", "times": "forever", "fault": {"kind": "status", "status": 502}});

    let (_, placed) = posted(&bench, "/sandbox/faults", &order).await;
    let hit = bench.get("/api/v2/routing/queues").await.status();
    let listed = bench.json("/sandbox/faults").await;
    let path = format!("/sandbox/faults/{}", placed["id"]);
    bench.send(Method::DELETE, &path, &json!({})).await;

    assert_eq!((hit.as_u16(), &listed["items"][0]["fired"]), (502, &json!(1)));
    assert_eq!(bench.get("/api/v2/routing/queues").await.status(), 200);
}

#[tokio::test]
async fn settings_change_what_is_named_and_nothing_else() {
    let bench = Bench::new().await;
    let before = bench.json("/sandbox/settings").await;

    let change = json!({"requestsPerMinute": 100});
    let after = bench.send(Method::PATCH, "/sandbox/settings", &change).await;
    let (_, mut after) = super::body(after).await;
    assert_eq!(after["requestsPerMinute"], 100);
    after["requestsPerMinute"] = json!(300);

    assert_eq!(after, before);
}

#[tokio::test]
async fn nonsense_is_refused_with_a_hint() {
    let bench = Bench::new().await;
    for (method, path, body, status) in [
        (Method::PATCH, "/sandbox/settings", json!({"requestsPerMinute": 0}), 400),
        (Method::PATCH, "/sandbox/settings", json!({"speed": 1}), 400),
        (Method::POST, "/sandbox/conversations", json!({"shape": "round"}), 400),
        (Method::POST, "/sandbox/conversations", json!({"shape": "waiting"}), 409),
        (Method::POST, "/sandbox/conversations", json!({"queueName": "Billing"}), 409),
        (Method::POST, "/sandbox/conversations", json!({"queueName": "None"}), 404),
        (Method::POST, "/sandbox/queues", json!({}), 400),
        (Method::POST, "/sandbox/scenarios/flood", json!({}), 404),
        (Method::PATCH, "/sandbox/clients/sandbox", json!({"denied": ["x"]}), 400),
        (Method::PUT, "/sandbox/queues", json!({}), 404),
    ] {
        let answer = bench.send(method, path, &body).await;
        let (seen, answer) = super::body(answer).await;
        assert_eq!(seen, status, "{path} {body}");
        assert!(answer["error"].is_string() && answer["hint"].is_string());
    }
}

#[tokio::test]
async fn page_of_another_site_cannot_operate() {
    let bench = Bench::new().await;
    let reset = bench.url("/sandbox/scenarios/reset");
    let from = |origin: String| bench.client.post(&reset).header("origin", origin).send();

    let foreign = from("https://example.com".to_owned()).await.unwrap().status();
    let own = from(bench.sandbox.base_url().to_owned()).await.unwrap().status();

    assert_eq!((foreign.as_u16(), own.as_u16()), (403, 200));
}

#[tokio::test]
async fn on_loopback_it_answers_only_to_this_machines_own_names() {
    let (bench, open) = (Bench::new().await, Bench::beyond_loopback(Options::default()).await);
    let status = async |bench: &Bench, path: &str, header: &str, value: &str| {
        let request = bench.client.get(bench.url(path)).header(header, value);
        request.send().await.unwrap().status().as_u16()
    };
    for path in ["/sandbox/ledger", "/api/v2/routing/queues", "/oauth/token"] {
        let own = status(&bench, path, "host", "LOCALHOST:1").await;
        for host in ["127.0.0.1", "[::1]:80", "localhost"] {
            assert_eq!(status(&bench, path, "host", host).await, own, "{host}{path}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", ""] {
            assert_eq!(status(&bench, path, "host", host).await, 421, "{host}{path}");
        }
        assert_eq!(status(&open, path, "host", "sandbox").await, own, "{path}");
        for bench in [&bench, &open] {
            assert_eq!(status(bench, path, "sec-fetch-site", "cross-site").await, 403, "{path}");
            assert_eq!(status(bench, path, "origin", "null").await, 403, "{path}");
        }
    }
}

#[tokio::test]
async fn permissions_are_switched_per_client() {
    let mut bench = Bench::new().await;
    let client = json!({"id": "other", "secret": "s"});
    posted(&bench, "/sandbox/clients", &client).await;
    let denied = json!({"denied": ["routing:queue:view"]});
    bench.send(Method::PATCH, "/sandbox/clients/other", &denied).await;

    let first = bench.get("/api/v2/routing/queues").await.status();
    let form = [("grant_type", "client_credentials")];
    let answer = bench.login().basic_auth("other", Some("s")).form(&form).send().await.unwrap();
    let (_, token) = super::body(answer).await;
    bench.token = token["access_token"].as_str().unwrap().to_owned();
    let second = bench.get("/api/v2/routing/queues").await.status();

    assert_eq!((first.as_u16(), second.as_u16()), (200, 403));
}

#[tokio::test]
async fn reset_brings_the_seed_back_and_keeps_the_token() {
    let bench = Bench::new().await;
    bench.replace(seed::CONNECTED_CALL, 3).send().await.unwrap();
    bench.sandbox.with(|state| state.behaviour.max_page_size = 3);

    let (status, _) = posted(&bench, "/sandbox/scenarios/reset", &json!({})).await;

    assert_eq!(status, 200);
    assert_eq!(bench.sandbox.requests().len(), 0);
    let path = format!("/api/v2/conversations/{}", seed::CONNECTED_CALL);
    assert_eq!(bench.json(&path).await["recentTransfers"], json!([]));
    assert_eq!(bench.json("/sandbox/settings").await["maxPageSize"], 500);
}

#[tokio::test]
async fn every_scenario_can_be_played() {
    let bench = Bench::new().await;
    for scenario in Scenario::ALL {
        let path = format!("/sandbox/scenarios/{}", scenario.name());
        let (status, told) = posted(&bench, &path, &json!({})).await;
        assert_eq!(status, 200, "{told}");
    }
}

#[tokio::test]
async fn queue_outage_leaves_three_hundred_calls_waiting() {
    let bench = Bench::new().await;

    bench.sandbox.play(Scenario::QueueOutage).unwrap();

    let waiting = bench
        .sandbox
        .with(|state| state.world.really_waiting(seed::SUPPORT_TIER_1, world::MediaType::Voice));
    assert_eq!(waiting, 301);
}

/// Every text in `value` that is a time.
fn times(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|member| times(member, found)),
        Value::Array(items) => items.iter().for_each(|item| times(item, found)),
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => found.push(text.clone()),
        _ => {}
    }
}

#[tokio::test]
async fn times_have_milliseconds() {
    let bench = Bench::new().await;
    bench.replace(seed::CONNECTED_CALL, 3).send().await.unwrap();
    let queue = format!("queues/{}", seed::SUPPORT_TIER_2);
    for path in ["ledger/requests", "ledger/moves", "conversations", &queue] {
        let mut found = Vec::new();
        times(&bench.json(&format!("/sandbox/{path}")).await, &mut found);
        assert!(!found.is_empty(), "{path}");
        for time in found {
            assert_eq!(time.len(), "2026-11-22T12:00:00.000Z".len(), "{path}: {time}");
        }
    }
}
