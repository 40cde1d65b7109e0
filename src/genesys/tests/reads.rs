//! Reads and absolute patches: repeated on what may pass, bounded in time and size.

use super::*;
use crate::trace::TraceParent;

async fn read(script: impl Fn(&Seen) -> Option<Act> + Send + Sync + 'static) -> (String, usize) {
    read_with(&settings(), script).await
}

async fn read_with(
    settings: &config::Genesys,
    script: impl Fn(&Seen) -> Option<Act> + Send + Sync + 'static,
) -> (String, usize) {
    let upstream = upstream(script).await;
    let read = gateway_with(&upstream, settings).conversation(&ctx(), conversation_id()).await;
    let words = match read {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{error:?}").split([' ', '(', '{']).next().unwrap().to_owned(),
    };
    (words, upstream.count("GET", "/conversations/"))
}

#[tokio::test]
async fn each_failure_of_a_read_is_repeated_or_not() {
    let page = Act::answer(200, &[("content-type", "text/html")], "<html>");
    let table = [
        ("500", Act::empty(500), "Failed", 3),
        ("408", Act::empty(408), "Failed", 3),
        ("504", Act::empty(504), "Failed", 3),
        ("closed", Act::SendAndClose(Vec::new()), "Unavailable", 3),
        ("silence", Act::Hang, "Unavailable", 3),
        ("garbage", Act::SendAndClose(b"SMTP\r\n\r\n".to_vec()), "Unreadable", 3),
        ("a page", page, "Unreadable", 3),
        ("no participants", Act::json(200, &json!({"id": CONVERSATION})), "Unreadable", 3),
        ("cut off", Act::cut(200, "application/json", "{"), "Unavailable", 3),
        ("400", Act::empty(400), "Rejected", 1),
        ("403", Act::empty(403), "PermissionMissing", 1),
        ("404", Act::empty(404), "NotFound", 1),
        ("409", Act::empty(409), "Conflict", 1),
        ("302", Act::answer(302, &[("location", "/")], ""), "Failed", 1),
    ];
    for (what, act, expected, tries) in table {
        let settings = settings_for(std::slice::from_ref(&act));
        let script = move |seen: &Seen| seen.is("GET", "/conversations/").then(|| act.clone());
        let seen = read_with(&settings, script).await;
        assert_eq!(seen, (expected.to_owned(), tries), "{what}");
    }
}

#[tokio::test]
async fn a_read_that_fails_twice_succeeds_with_the_third_try() {
    let script = |seen: &Seen| {
        (seen.is("GET", "/conversations/") && seen.before < 2).then(|| Act::empty(502))
    };
    assert_eq!(read(script).await, ("ok".to_owned(), 3));
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_not_taken() {
    let huge = Act::json(200, &json!({"id": CONVERSATION, "x": "y".repeat(4 * 1024 * 1024)}));
    let script = move |seen: &Seen| seen.is("GET", "/conversations/").then(|| huge.clone());
    assert_eq!(read(script).await.0, "Unreadable");
}

#[tokio::test]
async fn a_429_beyond_the_deadline_is_told_at_once_and_rests_the_lane() {
    let upstream = upstream(|seen| {
        seen.is("GET", "/conversations/").then(|| Act::answer(429, &[("retry-after", "60")], ""))
    })
    .await;
    let gateway = gateway(&upstream);
    for _ in 0..2 {
        let read = gateway.conversation(&ctx(), conversation_id()).await;
        let Err(GatewayError::RateLimited { retry_after, .. }) = read else { panic!("{read:?}") };
        assert!((1..=61).contains(&retry_after.as_secs()), "{retry_after:?}");
    }
    assert_eq!(upstream.count("GET", "/conversations/"), 1);
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for_and_never_undercut() {
    let upstream = upstream(|seen| {
        (seen.is("GET", "/conversations/") && seen.before == 0)
            .then(|| Act::answer(429, &[("retry-after", "1")], ""))
    })
    .await;
    let began = Instant::now();
    let ctx = ctx();
    gateway(&upstream).conversation(&ctx, conversation_id()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert!(ctx.usage.sums().waited_ms >= 1000);
}

#[tokio::test]
async fn what_a_call_cost_is_counted_and_correlated() {
    let upstream =
        upstream(|seen| (seen.is("GET", "/conv") && seen.before == 0).then(|| Act::empty(500)))
            .await;
    let mut ctx = ctx();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    ctx.traceparent = Some(TraceParent { parent: parent.into(), state: Some("a=b".into()) });
    gateway(&upstream).conversation(&ctx, conversation_id()).await.unwrap();
    let sums = ctx.usage.sums();
    assert_eq!((sums.calls, sums.attempts), (1, 2), "the token is nobody's cost");
    assert_eq!(sums.correlation_id.as_deref(), Some("c-1"));
    let sent = upstream.all().pop().unwrap();
    assert_eq!(sent.header("traceparent").as_deref(), Some(parent));
    assert_eq!(sent.header("tracestate").as_deref(), Some("a=b"));
}

#[tokio::test]
async fn reserved_requests_pass_though_the_minute_is_spent() {
    let upstream = upstream(|_| None).await;
    let gateway =
        gateway_with(&upstream, &config::Genesys { requests_per_minute: 2, ..settings() });
    let mut admitted = ctx();
    admitted.admission = Some(gateway.admit(&admitted, 2).await.unwrap());
    let other = gateway.conversation(&ctx(), conversation_id()).await;
    assert!(matches!(other, Err(GatewayError::RateLimited { .. })), "{other:?}");
    gateway.conversation(&admitted, conversation_id()).await.unwrap();
    assert!(matches!(send(&gateway, &admitted, &command()).await, Sent::Taken(_)));
}

#[tokio::test]
async fn a_routing_patch_repeats_what_may_pass_and_not_what_means_not_yet() {
    for (status, tries) in [(503, 3), (404, 1), (409, 1)] {
        let upstream = upstream(move |seen| seen.is("PATCH", "").then(|| Act::empty(status))).await;
        let change = RoutingChange { priority: Priority::new(5), ..RoutingChange::default() };
        let set = gateway(&upstream).set_routing(&ctx(), conversation_id(), &change).await;
        assert!(set.is_err());
        assert_eq!(upstream.count("PATCH", "/routing/conversations/"), tries, "{status}");
        let body: Value = serde_json::from_str(&upstream.all()[1].body).unwrap();
        assert_eq!(body, json!({"priority": 5}));
    }
}

/// What setting a priority comes to when its tries are answered by these acts; the last repeats.
async fn set_after<const N: usize>(acts: [Act; N]) -> Result<(), GatewayError> {
    let settings = settings_for(&acts);
    let upstream = upstream(move |seen| {
        let act = acts.get(seen.before).or(acts.last()).cloned();
        act.filter(|_| seen.is("PATCH", ""))
    })
    .await;
    let change = RoutingChange { priority: Priority::new(5), ..RoutingChange::default() };
    gateway_with(&upstream, &settings).set_routing(&ctx(), conversation_id(), &change).await
}

#[tokio::test]
async fn a_routing_patch_that_may_have_been_carried_out_is_not_reported_as_left_undone() {
    let lost = || Act::SendAndClose(Vec::new());
    let throttled = || Act::answer(429, &[("retry-after", "120")], "");
    let unclear = [
        set_after([lost(), throttled()]).await,
        set_after([lost(), Act::empty(401)]).await,
        set_after([lost()]).await,
        set_after([Act::empty(500)]).await,
        set_after([Act::Hang]).await,
    ];
    for (row, set) in unclear.iter().enumerate() {
        assert!(matches!(set, Err(GatewayError::Unclear { .. })), "{row}: {set:?}");
    }
    let set = set_after([throttled()]).await;
    assert!(matches!(set, Err(GatewayError::RateLimited { .. })), "{set:?}");
    // The same request was refused, so the lost one would have been.
    let set = set_after([lost(), Act::empty(400)]).await;
    assert!(matches!(set, Err(GatewayError::Rejected(_))), "{set:?}");
}

#[tokio::test]
async fn a_routing_patch_of_which_nothing_left_is_certainly_not_carried_out() {
    let (_socket, api) = nobody();
    let upstream = upstream(|_| None).await;
    let hosts = Hosts { api, login: upstream.url.clone() };
    let change = RoutingChange { priority: Priority::new(5), ..RoutingChange::default() };
    let gateway = gateway_at(&hosts, &settings());
    let set = gateway.set_routing(&ctx(), conversation_id(), &change).await;
    assert!(matches!(set, Err(GatewayError::Unavailable { .. })), "{set:?}");
}

#[tokio::test]
async fn a_base_path_of_an_overridden_host_is_kept() {
    let upstream = upstream(|seen| {
        seen.path
            .starts_with("/proxy/api/v2/conversations")
            .then(|| Act::json(200, &conversation()))
    })
    .await;
    let hosts = Hosts { api: upstream.url.join("proxy/").unwrap(), login: upstream.url.clone() };
    let read = gateway_at(&hosts, &settings()).conversation(&ctx(), conversation_id()).await;
    assert!(read.is_ok(), "{read:?}");
}

#[tokio::test]
async fn the_settings_are_read_once() {
    let upstream = upstream(|seen| {
        seen.path
            .ends_with("/settings/contactcenter")
            .then(|| Act::json(200, &json!({"removeSkillsFromBlindTransfer": true})))
    })
    .await;
    let gateway = gateway(&upstream);
    for _ in 0..3 {
        assert_eq!(gateway.strips_skills(&ctx()).await, Ok(true));
    }
    assert_eq!(upstream.count("GET", "/settings/contactcenter"), 1);
}

#[tokio::test]
async fn the_end_of_the_service_releases_a_call_from_its_pause() {
    let upstream = upstream(|seen| {
        seen.is("GET", "/conversations/").then(|| Act::answer(429, &[("retry-after", "5")], ""))
    })
    .await;
    let (gateway, ctx) = (gateway(&upstream), ctx());
    let shutdown = gateway.shutdown.clone();
    let paused = ctx.clone();
    let call = tokio::spawn(async move { gateway.conversation(&ctx, conversation_id()).await });
    while paused.usage.sums().waited_ms == 0 {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    assert_eq!(call.await.unwrap(), Err(GatewayError::ShuttingDown));
    assert_eq!(upstream.count("GET", "/conversations/"), 1);
}

#[tokio::test]
async fn who_waits_is_asked_for_by_queue_and_medium() {
    let upstream = upstream(|seen| {
        let row =
            json!({"conversationId": CONVERSATION, "observationDate": "2026-01-01T00:00:00Z"});
        let data = json!({"metric": "oWaiting", "stats": {"count": 1}, "observations": [row]});
        let group = json!({"queueId": QUEUE, "mediaType": "voice"});
        seen.is("POST", "/api/v2/analytics/queues/observations/query")
            .then(|| Act::json(200, &json!({"results": [{"group": group, "data": [data]}]})))
    })
    .await;
    let calls = gateway(&upstream).waiting(&ctx(), QUEUE.parse().unwrap()).await.unwrap();
    assert_eq!(calls.rows[0].conversation_id, conversation_id());
    let all = upstream.all();
    let asked = all.iter().find(|seen| seen.path.ends_with("/observations/query")).unwrap();
    let asked: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(asked["filter"]["predicates"][0]["value"], QUEUE);
    assert_eq!(asked["filter"]["predicates"][1]["value"], "voice");
    assert_eq!(asked["detailMetrics"], json!(["oWaiting"]));
}

#[tokio::test]
async fn the_people_on_queue_are_counted_else_the_members() {
    let upstream = upstream(|seen| {
        let body = match seen.before {
            0 => json!({"id": QUEUE, "memberCount": 9, "joinedMemberCount": 0}),
            1 => json!({"id": QUEUE, "memberCount": 9}),
            _ => json!({"id": QUEUE}),
        };
        seen.is("GET", "/api/v2/routing/queues/").then(|| Act::json(200, &body))
    })
    .await;
    let gateway = gateway(&upstream);
    for expected in [Some(0), Some(9), None] {
        assert_eq!(gateway.members(&ctx(), QUEUE.parse().unwrap()).await.unwrap(), expected);
    }
}

/// An upstream with `all` calls waiting, in pages of at most `most`.
async fn crowd(all: usize, most: usize) -> Scripted {
    upstream(move |seen| {
        let number = |name: &str| {
            let pairs = seen.query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
        };
        let (size, page): (usize, usize) = (number("pageSize")?, number("pageNumber")?);
        let size = size.min(most);
        let groups = (0..all).skip((page - 1) * size).take(size).map(|n| {
            let id = format!("00000000-0000-4000-8000-0000000{n:05}");
            json!({
                "group": {"conversationId": id, "queueId": QUEUE},
                "data": [{"metric": "oWaiting", "count": 1}],
                "entities": [{
                    "conversationId": id, "queueId": QUEUE, "mediaType": "voice",
                    "activityDate": "2026-01-01T00:00:00Z", "routingPriority": 4,
                    "requestedRoutingSkillIds": [PARTICIPANT],
                }],
            })
        });
        seen.is("POST", "/api/v2/analytics/conversations/activity/query")
            .then(|| Act::json(200, &json!({"results": groups.collect::<Value>()})))
    })
    .await
}

#[tokio::test]
async fn all_who_wait_are_asked_for_page_by_page() {
    for (all, most, pages) in [(250, 100, 3), (300, 100, 4), (70, 25, 3), (5, 100, 2), (0, 100, 1)]
    {
        let upstream = crowd(all, most).await;
        let calls = gateway(&upstream).waiting(&ctx(), QUEUE.parse().unwrap()).await.unwrap();
        assert_eq!((calls.count, calls.rows.len(), calls.truncated), (all as u64, all, false));
        assert_eq!(upstream.count("POST", "/activity/query"), pages, "{all} in pages of {most}");
        for row in calls.rows {
            assert_eq!(
                (row.priority, row.skill_ids),
                (Some(4), Some(vec![PARTICIPANT.parse().unwrap()]))
            );
        }
    }
}

/// An upstream that answers bulk looks so, and shows one waiting call in the old way.
async fn without_bulk_looks(act: Act) -> Scripted {
    upstream(move |seen| {
        let row =
            json!({"conversationId": CONVERSATION, "observationDate": "2026-01-01T00:00:00Z"});
        let data = json!({"metric": "oWaiting", "stats": {"count": 1}, "observations": [row]});
        let group = json!({"queueId": QUEUE, "mediaType": "voice"});
        if seen.is("POST", "/api/v2/analytics/queues/observations/query") {
            return Some(Act::json(200, &json!({"results": [{"group": group, "data": [data]}]})));
        }
        seen.path.contains("/analytics/").then(|| act.clone())
    })
    .await
}

#[tokio::test]
async fn a_bulk_look_that_is_not_answered_as_described_is_left_alone_for_a_while() {
    let queue = QUEUE.parse().unwrap();
    for act in [
        Act::json(403, &json!({"code": "missing.permissions"})),
        Act::json(404, &json!({"code": "not.found"})),
        Act::json(400, &json!({"code": "bad.request"})),
        Act::json(200, &json!({"results": "nonsense", "conversations": 7})),
        Act::json(200, &json!({"results": [null], "conversations": null})),
        Act::answer(200, &[("content-type", "text/html")], "<html>"),
    ] {
        let upstream = without_bulk_looks(act.clone()).await;
        let gateway = gateway(&upstream);
        let asked = || {
            [("POST", "/activity/query"), ("GET", "/details")]
                .map(|(method, part)| upstream.count(method, part))
        };
        let mut once = None;
        for _ in 0..3 {
            let calls = gateway.waiting(&ctx(), queue).await.unwrap();
            assert_eq!(calls.rows[0].conversation_id, conversation_id(), "{act:?}");
            assert!(gateway.bulk_look(&ctx(), queue, &[conversation_id()]).await.is_empty());
            assert_eq!(*once.get_or_insert_with(asked), asked(), "{act:?}");
        }
    }
}

#[tokio::test]
async fn bulk_looks_can_be_turned_off() {
    let upstream = without_bulk_looks(Act::json(200, &json!({"results": []}))).await;
    let settings = config::Genesys { bulk_looks: config::BulkLooks::Off, ..settings() };
    let gateway = gateway_with(&upstream, &settings);
    let queue = QUEUE.parse().unwrap();
    assert_eq!(gateway.waiting(&ctx(), queue).await.unwrap().count, 1);
    assert!(gateway.bulk_look(&ctx(), queue, &[conversation_id()]).await.is_empty());
    assert_eq!(upstream.all().iter().filter(|seen| seen.path.contains("conversations")).count(), 0);
}

#[tokio::test]
async fn a_hundred_calls_are_looked_at_in_one_request() {
    let upstream = upstream(|seen| {
        let segment = |queue: Option<&str>| {
            json!([{"segmentStart": "2026-01-01T00:00:00Z", "segmentType": "interact", "queueId": queue}])
        };
        let leg = |id: &str, purpose: &str, queue| {
            let sessions = json!([{"mediaType": "voice", "segments": segment(queue)}]);
            json!({"participantId": id, "purpose": purpose, "sessions": sessions})
        };
        let legs = json!([leg(PARTICIPANT, "customer", None), leg(QUEUE, "acd", Some(QUEUE))]);
        let ids = seen.query.strip_prefix("id=")?.split(',');
        // Of one it says nothing, and something of one that was not asked for.
        let told = ids.skip(1).chain([CONVERSATION]);
        let calls = told.map(|id| json!({"conversationId": id, "participants": legs}));
        seen.is("GET", "/api/v2/analytics/conversations/details")
            .then(|| Act::json(200, &json!({"conversations": calls.collect::<Value>()})))
    })
    .await;
    let id = |n: u32| format!("00000000-0000-4000-8000-0000000{n:05}").parse().unwrap();
    let ids: Vec<_> = (0..150).map(id).collect();
    let looked = gateway(&upstream).bulk_look(&ctx(), QUEUE.parse().unwrap(), &ids).await;
    assert_eq!(looked.len(), 148);
    assert!(looked.iter().all(|(id, call)| call.bulk && call.id == *id));
    assert_eq!(upstream.count("GET", "/details"), 2);
}

#[tokio::test]
async fn the_activity_of_many_queues_is_shared_by_all_who_ask() {
    let upstream = upstream(|seen| {
        let groups = json!([{
            "group": {"queueId": QUEUE, "mediaType": "voice"},
            "data": [{"metric": "oWaiting", "stats": {"count": 2}}],
        }]);
        seen.is("POST", "/observations/query").then(|| Act::json(200, &json!({"results": groups})))
    })
    .await;
    let gateway = gateway(&upstream);
    let id = |n: u32| format!("00000000-0000-4000-8000-0000000{n:05}").parse().unwrap();
    let mut ids: Vec<QueueId> = (0..149).map(id).collect();
    ids.push(QUEUE.parse().unwrap());
    let ctx = ctx();
    let readers = (0..20).map(|_| gateway.queue_activity(&ctx, &ids));
    for read in futures_util::future::join_all(readers).await {
        let read = read.unwrap();
        let waiting = |id: &QueueId| read.get(id).unwrap().waiting;
        assert_eq!((read.len(), waiting(&ids[149]), waiting(&ids[0])), (150, Some(2), Some(0)));
    }
    assert_eq!(upstream.count("POST", "/observations/query"), 2);
}

#[tokio::test]
async fn the_estimated_wait_is_that_of_calls() {
    let upstream = upstream(|seen| {
        let results = json!([
            {"intent": "EMAIL", "estimatedWaitTimeSeconds": 5},
            {"intent": "CALL", "formula": "SIMPLE", "estimatedWaitTimeSeconds": 90},
        ]);
        let body = json!({"results": results});
        let path = format!("/api/v2/routing/queues/{QUEUE}/mediatypes/call/estimatedwaittime");
        seen.is("GET", &path).then(|| Act::json(200, &body))
    })
    .await;
    let gateway = gateway(&upstream);
    for _ in 0..2 {
        let estimated = gateway.estimated_wait(&ctx(), QUEUE.parse().unwrap()).await.unwrap();
        assert_eq!(estimated, Some(90));
    }
    assert_eq!(upstream.count("GET", "/estimatedwaittime"), 1, "it is kept for a while");
}
