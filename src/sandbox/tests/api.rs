use super::*;

const CALL: Uuid = seed::CONNECTED_CALL;

fn conversation(id: Uuid) -> String {
    format!("/api/v2/conversations/{id}")
}

fn routing(id: Uuid) -> String {
    format!("/api/v2/routing/conversations/{id}")
}

#[tokio::test]
async fn every_answer_has_a_correlation_id_and_the_rate_headers() {
    let bench = Bench::new().await;
    let answer = bench.get("/api/v2/routing/queues").await;
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();

    assert!(Uuid::try_parse(&header("inin-correlation-id")).is_ok());
    assert_eq!(header("inin-ratelimit-allowed"), "300");
    assert_eq!(header("inin-ratelimit-count"), "1");
    assert_eq!(header("inin-ratelimit-reset"), "60");
}

#[tokio::test]
async fn request_over_the_limit_is_refused_until_the_minute_ends() {
    let bench = Bench::with(Options { requests_per_minute: 1, ..Options::default() }).await;
    bench.get("/api/v2/routing/queues").await;
    bench.clock.advance(SignedDuration::from_secs(20));

    let refused = bench.get("/api/v2/routing/queues").await;

    assert_eq!(refused.headers()["retry-after"], "40");
    assert_eq!(error(refused).await, (429, "too.many.requests".to_owned()));
    bench.clock.advance(SignedDuration::from_secs(40));
    assert_eq!(bench.get("/api/v2/routing/queues").await.status(), 200);
}

#[tokio::test]
async fn missing_permission_is_named() {
    let bench = Bench::new().await;
    let denied = ["routing:queue:view".to_owned()].into();
    bench.sandbox.with(|state| state.access.deny("sandbox", denied));

    let (status, body) = body(bench.get("/api/v2/routing/queues").await).await;

    assert_eq!((status.as_u16(), &body["code"]), (403, &json!("missing.any.permissions")));
    assert!(body["message"].as_str().unwrap().contains("routing:queue:view"));
}

#[tokio::test]
async fn one_of_two_permissions_is_enough_to_transfer() {
    let bench = Bench::new().await;
    let deny = |list: &[&str]| {
        let denied = list.iter().map(|name| (*name).to_owned()).collect();
        bench.sandbox.with(|state| state.access.deny("sandbox", denied))
    };
    let one = "conversation:communication:blindTransfer";
    let other = "conversation:communication:blindTransferQueue";

    deny(&[one, other]);
    assert_eq!(bench.replace(CALL, 3).send().await.unwrap().status(), 403);
    deny(&[one]);
    assert_eq!(bench.replace(CALL, 3).send().await.unwrap().status(), 202);
}

#[tokio::test]
async fn unknown_path_and_wrong_method_get_genesys_errors() {
    let bench = Bench::new().await;

    let unknown = error(bench.get("/api/v2/nothing").await).await;
    let answer = bench.send(Method::DELETE, &conversation(CALL), &json!({})).await;
    let allow = answer.headers()["allow"].to_str().unwrap().to_owned();

    assert_eq!(unknown, (404, "not.found".to_owned()));
    assert_eq!(allow, "GET");
    assert_eq!(error(answer).await, (405, "method.not.allowed".to_owned()));
}

#[tokio::test]
async fn id_in_the_path_that_is_no_uuid_is_refused() {
    let bench = Bench::new().await;

    let refused = error(bench.get("/api/v2/conversations/42").await).await;

    assert_eq!(refused, (400, "invalid.id".to_owned()));
}

#[tokio::test]
async fn pages_cover_every_queue_once_and_link_to_each_other() {
    let bench = Bench::new().await;
    let mut names = Vec::new();
    let mut next = Some("/api/v2/routing/queues?pageSize=3".to_owned());
    while let Some(uri) = next {
        let page = bench.json(&uri).await;
        assert_eq!((&page["total"], &page["pageCount"]), (&json!(7), &json!(3)));
        let entities = page["entities"].as_array().unwrap();
        names.extend(entities.iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        next = page["nextUri"].as_str().map(str::to_owned);
    }

    assert_eq!(
        names,
        [
            "After Hours",
            "Billing",
            "Billing",
            "Retention",
            "Sales",
            "Support Tier 1",
            "Support Tier 2",
        ]
    );
}

#[tokio::test]
async fn larger_page_than_allowed_is_silently_cut() {
    let bench = Bench::new().await;
    for number in 0..120 {
        bench.sandbox.add_queue(&format!("Queue {number}")).unwrap();
    }

    let whole = bench.json("/api/v2/routing/queues?pageSize=501").await;
    bench.sandbox.with(|state| state.behaviour.max_page_size = 100);
    let cut = bench.json("/api/v2/routing/queues?pageSize=500").await;
    let usual = bench.json("/api/v2/routing/queues").await;

    assert_eq!((&cut["pageSize"], &cut["pageCount"]), (&json!(100), &json!(2)));
    assert_eq!((&whole["pageSize"], &whole["pageCount"]), (&json!(500), &json!(1)));
    assert_eq!(whole["entities"].as_array().unwrap().len(), 127);
    assert_eq!(usual["pageSize"], 25);
}

#[tokio::test]
async fn page_beyond_the_last_is_empty_and_bad_numbers_are_refused() {
    let bench = Bench::new().await;

    let beyond = bench.json("/api/v2/routing/queues?pageNumber=99999999999").await;
    let zero = bench.get("/api/v2/routing/queues?pageNumber=0").await.status();
    let text = bench.get("/api/v2/routing/queues?pageSize=many").await.status();

    assert_eq!(beyond["entities"], json!([]));
    assert_eq!((zero.as_u16(), text.as_u16()), (400, 400));
}

#[tokio::test]
async fn name_filter_and_order_are_honoured() {
    let bench = Bench::new().await;

    let page = bench.json("/api/v2/routing/queues?name=*SUPPORT*&sortOrder=desc").await;

    let names: Vec<&Value> =
        page["entities"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["Support Tier 2", "Support Tier 1"]);
    assert_eq!(page["total"], 2);
}

#[tokio::test]
async fn deleted_queue_is_not_found() {
    let bench = Bench::new().await;
    bench.sandbox.with(|state| state.world.remove_queue(seed::SALES)).unwrap();

    let gone = bench.get(&format!("/api/v2/routing/queues/{}", seed::SALES)).await;

    assert_eq!(error(gone).await, (404, "not.found".to_owned()));
}

#[tokio::test]
async fn replace_answers_202_without_a_body_and_moves_the_call() {
    let bench = Bench::new().await;

    let answer = bench.replace(CALL, 3).send().await.unwrap();

    assert_eq!(answer.status(), 202);
    assert_eq!(answer.text().await.unwrap(), "");
    let seen = bench.json(&conversation(CALL)).await;
    let joined = seen["participants"].as_array().unwrap().last().unwrap();
    assert_eq!(joined["queueId"], json!(seed::SUPPORT_TIER_2));
    assert_eq!(joined["calls"][0]["state"], "connected");
    assert_eq!(seen["participants"][3]["calls"][0]["disconnectType"], "transfer");
    assert_eq!(seen["recentTransfers"][0]["state"], "Complete");
    let moves = bench.sandbox.moves();
    assert_eq!(moves[0].request, bench.sandbox.commands()[0].seq);
    assert_eq!(bench.sandbox.commands()[0].effect, ledger::Effect::Applied);
}

#[tokio::test]
async fn effect_comes_after_its_delay() {
    let effect_delay = Duration::from_millis(30);
    let bench = Bench::with(Options { effect_delay, ..Options::default() }).await;
    let clock = Frozen::now();

    bench.replace(CALL, 3).send().await.unwrap();
    let at_once = bench.moved();
    let effect = bench.sandbox.commands()[0].effect;
    clock.passes(effect_delay).await;
    bench.sandbox.moves_reach(1).await;

    assert_eq!((at_once, effect), (0, ledger::Effect::Pending));
    assert_eq!(bench.sandbox.commands()[0].effect, ledger::Effect::Applied);
}

#[tokio::test]
async fn effect_ordered_before_a_reset_does_not_touch_the_new_world() {
    let effect_delay = Duration::from_millis(30);
    let bench = Bench::with(Options { effect_delay, ..Options::default() }).await;
    let clock = Frozen::now();
    bench.replace(CALL, 3).send().await.unwrap();

    bench.sandbox.play(Scenario::Reset).unwrap();
    bench.replace(seed::HELD_CALL, 3).send().await.unwrap();
    clock.passes(effect_delay).await;
    bench.sandbox.moves_reach(1).await;

    assert_eq!(bench.sandbox.moves()[0].conversation_id, seed::HELD_CALL);
    assert_eq!(bench.moved(), 1);
}

#[tokio::test]
async fn replace_is_refused_as_genesys_would() {
    let bench = Bench::new().await;
    let agent = seed::leg(CALL, 3);
    let path = format!("{}/participants/{agent}/replace/queue", conversation(CALL));
    let queue = seed::SUPPORT_TIER_2;
    for (refused, status, code) in [
        (json!({"queueId": "x"}), 400, "invalid.value"),
        (json!({"queueId": CALL}), 400, "invalid.value"),
        (json!({}), 400, "constraint.validation"),
        (json!({"queueName": "Billing"}), 400, "invalid.value"),
        (json!({"queueId": queue, "priority": 5}), 400, "invalid.property"),
        (json!({"queueId": queue, "transferType": "Blind"}), 400, "invalid.value"),
        (json!([]), 400, "invalid.value"),
    ] {
        let answer = bench.send(Method::POST, &path, &refused).await;
        assert_eq!(error(answer).await, (status, code.to_owned()), "{refused}");
    }
    for (call, position, status) in [(CALL, 0, 400), (CALL, 2, 404), (seed::ENDED_CALL, 3, 404)] {
        let answer = bench.replace(call, position).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    assert_eq!(bench.moved(), 0);
}

#[tokio::test]
async fn ended_conversation_can_be_a_conflict_instead() {
    let bench = Bench::new().await;
    bench.sandbox.with(|state| state.behaviour.ended_status = 409);

    let answer = bench.replace(seed::ENDED_CALL, 3).send().await.unwrap();

    assert_eq!(error(answer).await, (409, "conflict".to_owned()));
}

#[tokio::test]
async fn body_that_is_not_declared_as_json_is_refused() {
    let bench = Bench::new().await;
    let path = routing(seed::WAITING_CALL);
    let plain = bench.request(Method::PATCH, &path).body("{\"priority\":1}");

    let answer = plain.header("content-type", "text/plain").send().await.unwrap();

    assert_eq!(error(answer).await, (415, "unsupported.media.type".to_owned()));
}

#[tokio::test]
async fn endless_request_body_is_refused() {
    let bench = Bench::new().await;

    let answer = bench.replace(CALL, 3).body(vec![b' '; 1024 * 1024 + 1]).send().await;

    // The refusal may come while the body is still under way.
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 413));
    assert_eq!(bench.moved(), 0);
}

#[tokio::test]
async fn calls_form_shows_state_hold_and_queue_on_the_participant() {
    let bench = Bench::new().await;

    let seen = bench.json(&format!("/api/v2/conversations/calls/{}", seed::HELD_CALL)).await;
    let other = bench.get(&format!("/api/v2/conversations/calls/{}", seed::MESSAGE)).await;

    let agent = &seen["participants"][3];
    assert_eq!((&agent["state"], &agent["held"]), (&json!("connected"), &json!(true)));
    assert_eq!(agent["queue"]["id"], json!(seed::SUPPORT_TIER_1));
    assert_eq!(other.status(), 404);
}
