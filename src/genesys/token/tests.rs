use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::problem::UpstreamAnswer;

/// A login host that counts and can be told to refuse.
#[derive(Clone, Default)]
struct Host {
    asked: Arc<AtomicU32>,
    refuses: Arc<AtomicBool>,
    lifetime: u64,
}

impl Host {
    fn cache(&self) -> TokenCache {
        let login = self.clone();
        let fetch: Fetch = Arc::new(move || {
            let login = login.clone();
            Box::pin(async move {
                let number = login.asked.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                if login.refuses.load(Ordering::SeqCst) {
                    let answer = UpstreamAnswer { status: 401, ..Default::default() };
                    return Err(GatewayError::CredentialsRejected(Some(answer)));
                }
                let header = HeaderValue::from_str(&format!("Bearer {number}")).unwrap();
                Ok(Grant { header, lifetime: Duration::from_secs(login.lifetime) })
            })
        });
        TokenCache::new(fetch, TaskTracker::new(), Arc::default())
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

const GET: Operation = Operation::GetConversation;
const PATCH: Operation = Operation::SetRouting;

fn login(lifetime: u64) -> Host {
    Host { lifetime, ..Host::default() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test(start_paused = true)]
async fn fifty_cold_callers_cause_one_request() {
    let login = login(86_400);
    let cache = login.cache();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get(soon()).await.map(|token| token.generation) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(1));
    }
    assert_eq!(login.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn near_its_end_the_old_token_serves_while_a_new_one_is_fetched() {
    let login = login(300);
    let cache = login.cache();
    cache.get(soon()).await.unwrap();
    tokio::time::advance(Duration::from_secs(241)).await;
    assert_eq!(cache.get(soon()).await.unwrap().generation, 1);
    cache.cached.load(soon()).await.unwrap();
    assert_eq!(cache.get(soon()).await.unwrap().generation, 2);
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_never_used() {
    let login = login(300);
    let cache = login.cache();
    cache.get(soon()).await.unwrap();
    tokio::time::advance(Duration::from_secs(296)).await;
    assert_eq!(cache.get(soon()).await.unwrap().generation, 2);
}

#[tokio::test(start_paused = true)]
async fn fifty_refusals_of_one_token_cause_one_fetch() {
    let login = login(86_400);
    let cache = login.cache();
    let token = cache.get(soon()).await.unwrap();
    for _ in 0..50 {
        assert!(cache.refused(&token, GET), "a fresh token may help each of them");
        cache.get(soon()).await.unwrap();
    }
    assert_eq!(login.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_that_is_refused_too_is_not_replaced_again_for_a_while() {
    let login = login(86_400);
    let cache = login.cache();
    let first = cache.get(soon()).await.unwrap();
    cache.refused(&first, GET);
    let second = cache.get(soon()).await.unwrap();
    assert!(!cache.refused(&second, GET));
    tokio::time::advance(REST_AFTER_401).await;
    assert!(cache.refused(&second, GET));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_worked_before_it_was_revoked_is_replaced_once_in_thirty_seconds() {
    let login = login(86_400);
    let cache = login.cache();
    let first = cache.get(soon()).await.unwrap();
    cache.refused(&first, GET);
    let second = cache.get(soon()).await.unwrap();
    cache.accepted(&second, GET, Instant::now());
    assert!(!cache.refused(&second, GET));
    tokio::time::advance(REST_AFTER_401).await;
    assert!(cache.refused(&second, GET));
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_refuses_a_token_others_take_does_not_drop_it_a_second_time() {
    let login = login(86_400);
    let cache = login.cache();
    let mut replaced = Vec::new();
    for _ in 0..5 {
        let token = cache.get(soon()).await.unwrap();
        cache.accepted(&token, GET, Instant::now());
        tokio::time::advance(Duration::from_secs(40)).await;
        replaced.push(cache.refused(&token, PATCH));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!((replaced, login.asked()), (vec![true, false, false, false, false], 2));
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_alone_is_asked_for_and_refused_costs_a_token_in_thirty_seconds() {
    let login = login(86_400);
    let cache = login.cache();
    for _ in 0..60 {
        let token = cache.get(soon()).await.unwrap();
        cache.refused(&token, PATCH);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(login.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_tried_once_in_thirty_seconds() {
    let login = login(300);
    login.refuses.store(true, Ordering::SeqCst);
    let cache = login.cache();
    for _ in 0..20 {
        let refusal = cache.get(soon()).await.map(|token| token.generation);
        assert!(matches!(refusal, Err(GatewayError::CredentialsRejected(Some(_)))));
    }
    assert_eq!(login.asked(), 1);
    assert!(cache.trouble().is_some());
    login.refuses.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert!(cache.get(soon()).await.is_ok());
    assert_eq!(cache.trouble(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_refused_leaves_the_token_in_use() {
    let login = login(300);
    let cache = login.cache();
    cache.get(soon()).await.unwrap();
    login.refuses.store(true, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(250)).await;
    for _ in 0..20 {
        assert_eq!(cache.get(soon()).await.unwrap().generation, 1);
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(login.asked(), 2);
}

#[test]
fn the_margin_is_a_tenth_within_bounds() {
    let table = [(10, 5), (100, 50), (300, 60), (3600, 360), (86_400, 900), (172_800, 900)];
    for (lifetime, expected) in table {
        let margin = margin(Duration::from_secs(lifetime));
        assert_eq!(margin, Duration::from_secs(expected), "{lifetime}");
    }
}
