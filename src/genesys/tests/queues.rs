//! The queue map over sockets.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use uuid::Uuid;

use super::*;

fn id(number: usize) -> String {
    Uuid::from_u128(u128::try_from(number).unwrap() + 1).to_string()
}

fn entity(number: usize) -> Value {
    json!({"id": id(number), "name": format!("Queue {number}"), "division": {"name": "Home"}})
}

/// An organisation with this many queues, paged by a hundred.
fn page(seen: &Seen, total: usize) -> Option<Act> {
    let query: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(seen.query.as_bytes()).into_owned().collect();
    if !seen.is("GET", "/api/v2/routing/queues") || seen.path.ends_with("queues/") {
        return None;
    }
    if let Some(name) = query.get("name") {
        let hits: Vec<Value> =
            (0..total).map(entity).filter(|e| e["name"] == name.as_str()).collect();
        return Some(Act::json(200, &json!({"entities": hits, "pageCount": 1, "total": 0})));
    }
    let number: usize = query.get("pageNumber")?.parse().ok()?;
    let from = (number - 1) * 100;
    let entities: Vec<Value> = (from..total.min(from + 100)).map(entity).collect();
    Some(Act::json(
        200,
        &json!({"entities": entities, "pageCount": total.div_ceil(100), "total": total}),
    ))
}

fn named(name: &str) -> QueueRef {
    QueueRef::Name(QueueName::parse(name).unwrap())
}

fn lists(upstream: &Scripted) -> usize {
    let all = upstream.all();
    let list = |seen: &&Seen| seen.path.ends_with("/queues") && !seen.query.contains("name=");
    all.iter().filter(list).count()
}

fn searches(upstream: &Scripted) -> usize {
    upstream.all().iter().filter(|seen| seen.query.contains("name=")).count()
}

#[tokio::test]
async fn a_hundred_cold_callers_load_every_page_once() {
    let upstream = upstream(|seen| page(seen, 250)).await;
    let gateway = gateway(&upstream);
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                gateway.queue(&ctx(), &named(&format!("queue {}", number * 2))).await
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().unwrap().id.to_string(), id(number * 2));
    }
    assert_eq!(lists(&upstream), 3);
    assert_eq!(searches(&upstream), 0);
    assert_eq!(upstream.count("POST", "/oauth/token"), 1);
}

#[tokio::test]
async fn a_missing_name_is_looked_for_once_and_the_closest_are_named() {
    let upstream = upstream(|seen| page(seen, 20)).await;
    let gateway = gateway(&upstream);
    for _ in 0..10 {
        let found = gateway.queue(&ctx(), &named("Qeue 7")).await;
        let Err(QueueError::NotFound { closest }) = found else { panic!("{found:?}") };
        assert_eq!(closest[0], "Queue 7");
    }
    assert_eq!(searches(&upstream), 1);
}

#[tokio::test]
async fn a_queue_made_after_the_load_is_found_and_kept() {
    let total = Arc::new(AtomicUsize::new(5));
    let world = Arc::clone(&total);
    let upstream = upstream(move |seen| page(seen, world.load(Ordering::SeqCst))).await;
    let gateway = gateway(&upstream);
    gateway.queue(&ctx(), &named("Queue 1")).await.unwrap();
    total.store(6, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(gateway.queue(&ctx(), &named("Queue 5")).await.unwrap().id.to_string(), id(5));
    }
    assert_eq!((lists(&upstream), searches(&upstream)), (1, 1));
}

#[tokio::test]
async fn an_id_that_is_not_in_the_map_is_asked_for_by_id() {
    let upstream = upstream(|seen| {
        if seen.path.ends_with(&id(50)) { Some(Act::json(200, &entity(50))) } else { page(seen, 5) }
    })
    .await;
    let gateway = gateway(&upstream);
    let wanted = QueueRef::Id(id(50).parse().unwrap());
    assert_eq!(gateway.queue(&ctx(), &wanted).await.unwrap().name, "Queue 50");
    let missing = QueueRef::Id(id(51).parse().unwrap());
    let missing = gateway.queue(&ctx(), &missing).await;
    assert!(matches!(missing, Err(QueueError::NotFound { .. })), "{missing:?}");
}

#[tokio::test]
async fn a_failing_page_never_makes_a_partial_map() {
    let fails = Arc::new(AtomicBool::new(true));
    let broken = Arc::clone(&fails);
    let upstream = upstream(move |seen| {
        let third = seen.query.contains("pageNumber=3");
        if third && broken.load(Ordering::SeqCst) { Some(Act::empty(500)) } else { page(seen, 450) }
    })
    .await;
    let gateway = gateway(&upstream);
    let cold = gateway.queue(&ctx(), &named("Queue 1")).await;
    assert!(matches!(cold, Err(QueueError::Gateway(GatewayError::Failed(_)))), "{cold:?}");
    fails.store(false, Ordering::SeqCst);
    let listing = gateway.refresh_queues(&ctx()).await.unwrap();
    assert_eq!(listing.items.len(), 450);
    fails.store(true, Ordering::SeqCst);
    assert!(gateway.refresh_queues(&ctx()).await.is_err());
    assert_eq!(gateway.search_queues(&ctx(), "queue 44").await.unwrap().items.len(), 11);
}

#[tokio::test]
async fn a_page_served_empty_by_mistake_does_not_make_queues_disappear() {
    let upstream = upstream(|seen| {
        let page = page(seen, 250);
        let empty = json!({"entities": [], "pageCount": 3, "total": 250});
        if seen.query.contains("pageNumber=2") { Some(Act::json(200, &empty)) } else { page }
    })
    .await;
    let loaded = gateway(&upstream).refresh_queues(&ctx()).await;
    assert!(matches!(loaded, Err(GatewayError::Unreadable { .. })), "{loaded:?}");
}

/// The parameters of a request for a page.
fn asked(seen: &Seen) -> (u64, u64) {
    let pairs = url::form_urlencoded::parse(seen.query.as_bytes()).into_owned();
    let query: std::collections::HashMap<String, String> = pairs.collect();
    (query["pageNumber"].parse().unwrap(), query["pageSize"].parse().unwrap())
}

/// 450 queues, in pages of at most 100; what the answer says of them is up to `says`.
async fn cut(says: fn(u64) -> Value) -> Scripted {
    upstream(move |seen| {
        if !seen.is("GET", "/api/v2/routing/queues") {
            return None;
        }
        let (number, size) = asked(seen);
        let from = usize::try_from((number - 1) * size.min(100)).unwrap();
        let mut body = says(size);
        body["entities"] = (from..450.min(from + 100)).map(entity).collect();
        Some(Act::json(200, &body))
    })
    .await
}

#[tokio::test]
async fn a_cut_page_is_followed_by_all_others_whatever_the_answer_counts() {
    for says in [
        // As Genesys does.
        |_| json!({"pageSize": 100, "pageCount": 5, "total": 450}),
        // Counted by the size that was asked for.
        |size: u64| json!({"pageSize": 100, "pageCount": 450_u64.div_ceil(size), "total": 450}),
        |_| json!({"pageSize": 100, "total": 450}),
        |_| json!({"pageCount": 5, "total": 450}),
        |_| json!({"pageSize": 100, "pageCount": 5}),
    ] {
        let upstream = cut(says).await;
        let listing = gateway(&upstream).refresh_queues(&ctx()).await.unwrap();
        assert_eq!((listing.items.len(), lists(&upstream)), (450, 5), "{}", says(500));
        let sizes: Vec<u64> = upstream
            .all()
            .iter()
            .filter(|seen| seen.path.ends_with("/queues"))
            .map(|seen| asked(seen).1)
            .collect();
        assert_eq!(sizes[0], 500, "{}", says(500));
    }
}

/// Neither in time nor within the longest body, perhaps.
#[tokio::test]
async fn after_a_load_that_failed_pages_are_small() {
    let upstream = upstream(|seen| {
        if seen.query.contains("pageSize=500") { Some(Act::empty(500)) } else { page(seen, 250) }
    })
    .await;
    let gateway = gateway(&upstream);
    assert!(gateway.refresh_queues(&ctx()).await.is_err());
    assert_eq!(gateway.refresh_queues(&ctx()).await.unwrap().items.len(), 250);
}

/// However often it fails: the other calls tell whether the host is well.
#[tokio::test]
async fn a_list_that_fails_alone_does_not_stop_other_calls() {
    let upstream = upstream(|seen| {
        if seen.path.ends_with(&id(1)) {
            return Some(Act::json(200, &entity(1)));
        }
        seen.is("GET", "/api/v2/routing/queues").then(|| Act::empty(500))
    })
    .await;
    let gateway = gateway(&upstream);
    for _ in 0..10 {
        assert!(gateway.refresh_queues(&ctx()).await.is_err());
    }
    let found = gateway.queue(&ctx(), &QueueRef::Id(id(1).parse().unwrap())).await;
    assert_eq!(found.unwrap().name, "Queue 1");
}

#[tokio::test]
async fn a_queue_found_by_id_without_a_list_is_asked_for_once() {
    let upstream = upstream(|seen| {
        if seen.path.ends_with(&id(1)) {
            return Some(Act::json(200, &entity(1)));
        }
        seen.is("GET", "/api/v2/routing/queues").then_some(Act::Hang)
    })
    .await;
    let gateway = gateway(&upstream);
    let wanted = QueueRef::Id(id(1).parse().unwrap());
    for _ in 0..5 {
        assert_eq!(gateway.queue(&ctx(), &wanted).await.unwrap().name, "Queue 1");
    }
    assert_eq!(upstream.count("GET", &id(1)), 1);
    assert_eq!(lists(&upstream), 0, "nobody asked for a name");
}

#[tokio::test]
async fn a_queue_whose_command_was_refused_is_looked_for_before_it_is_used_again() {
    let gone = Arc::new(AtomicBool::new(false));
    let world = Arc::clone(&gone);
    let upstream = upstream(move |seen| {
        if seen.is("POST", "/replace/queue") {
            return Some(Act::json(400, &json!({"code": "bad.request"})));
        }
        page(seen, if world.load(Ordering::SeqCst) { 2 } else { 3 })
    })
    .await;
    let gateway = gateway(&upstream);
    let queue = gateway.queue(&ctx(), &named("Queue 2")).await.unwrap();
    gone.store(true, Ordering::SeqCst);
    let sent = send(&gateway, &ctx(), &MoveCommand { queue, ..command() }).await;
    assert!(matches!(sent, Sent::Refused(_)));
    let found = gateway.queue(&ctx(), &named("Queue 2")).await;
    assert!(matches!(found, Err(QueueError::NotFound { .. })), "{found:?}");
}

#[tokio::test]
async fn a_gateway_that_warmed_up_has_no_troubles() {
    let upstream = upstream(|seen| page(seen, 5)).await;
    let gateway = gateway(&upstream);
    assert_eq!(gateway.troubles(), ["no access token yet", "no queue list yet"]);
    gateway.warm_up();
    gateway.queue(&ctx(), &named("Queue 1")).await.unwrap();
    assert_eq!(gateway.troubles(), Vec::<String>::new());
    gateway.shutdown.cancel();
    gateway.tracker.close();
    gateway.tracker.wait().await;
    assert_eq!(lists(&upstream), 1);
}
