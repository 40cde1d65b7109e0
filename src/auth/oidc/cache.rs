//! When the issuer's keys are fetched: ahead of need, once however many ask, and never more often
//! than a flood of made-up tokens may cause.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{head::Head, keys::KeySet};
use crate::support::{Cached, FlightError, Fresh, Source};

/// Keys are fetched again this often, so that one that was withdrawn does not stay in force.
const FRESH: Duration = Duration::from_mins(10);

/// A token with an unknown key causes a fetch at most this often; after a failure the next fetch
/// ahead of need waits as long.
const PAUSE: Duration = Duration::from_secs(30);

/// The same while no keys are there at all: no caller can be recognised then.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Where keys come from.
#[async_trait]
pub(super) trait KeySource: Send + Sync + 'static {
    /// The keys in force, or in words why they cannot be had.
    async fn fetch(&self) -> Result<KeySet, String>;
}

/// The issuer's keys. Cheap to clone.
#[derive(Clone)]
pub(super) struct KeyCache {
    keys: Cached<Keys>,
    /// Places for tokens that wait.
    waiting: Arc<Semaphore>,
}

struct Keys(Arc<dyn KeySource>);

/// Why there are no keys, in words.
#[derive(Debug, Clone)]
struct NoKeys(String);

impl From<FlightError> for NoKeys {
    fn from(lost: FlightError) -> Self {
        Self(lost.to_string())
    }
}

/// So many tokens with unknown keys may wait for a fetch: each holds a place among the requests in
/// progress, and may come from any client.
const MOST_WAITING: usize = 64;

/// Longest a fetch is waited for.
const LONGEST_FETCH: Duration = Duration::from_mins(1);

impl Source for Keys {
    type Value = Arc<KeySet>;
    type Error = NoKeys;

    const LONGEST_LOAD: Duration = LONGEST_FETCH;

    async fn load(&self, _: bool, _: bool) -> Result<Fresh<Arc<KeySet>>, NoKeys> {
        let keys = self.0.fetch().await.map_err(NoKeys)?;
        let refresh_at = Instant::now() + FRESH;
        // Known keys stay in force while they cannot be fetched again.
        let ends_at = Instant::now() + Duration::from_hours(24 * 365 * 10);
        Ok(Fresh { value: Arc::new(keys), refresh_at, ends_at })
    }

    fn rest(&self, _: &NoKeys, _: bool) -> Duration {
        Duration::ZERO
    }

    fn pause(&self, _: &NoKeys, _: bool) -> Duration {
        PAUSE
    }

    fn note(&self, came: Result<&Arc<KeySet>, &NoKeys>, _: bool) {
        if let Err(NoKeys(why)) = came {
            tracing::warn!(%why, "cannot fetch the issuer's keys; known keys stay in force");
        }
    }
}

impl KeyCache {
    pub(super) fn new(source: Arc<dyn KeySource>) -> Self {
        let waiting = Arc::new(Semaphore::new(MOST_WAITING));
        Self { keys: Cached::new(Keys(source), TaskTracker::new()), waiting }
    }

    /// The keys as last fetched.
    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        self.keys.current()
    }

    /// The keys to check a token with this header: fetched again if none of them fits, unless
    /// that was done a moment ago, or too many wait for it. `None` when there are none at all.
    pub(super) async fn for_token(&self, head: &Head) -> Option<Arc<KeySet>> {
        let known = self.current();
        if known.as_ref().is_some_and(|keys| keys.fitting(head).next().is_some()) {
            return known;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return known };
        // From the end of a fetch, not its beginning: tokens that waited for it must not cause
        // another one by one.
        let pause = if known.is_some() { PAUSE } else { FIRST_PAUSE };
        if self.keys.is_loading() || !self.keys.was_loaded_within(pause) {
            // A failure was logged; the keys there are decide.
            drop(self.keys.load(Instant::now() + LONGEST_FETCH).await);
        }
        self.current()
    }

    /// Fetches the keys now, and again before they are old; never ends.
    pub(super) async fn keep_fresh(self) {
        self.keys.keep(CancellationToken::new()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use futures_util::{FutureExt, future::join_all};
    use jsonwebtoken::Algorithm;
    use serde_json::json;
    use tokio::time::sleep;

    use super::*;

    /// Has one key, `k1`, and takes longer to say so than the shortest pause.
    #[derive(Default)]
    struct Source {
        fetches: AtomicU32,
        down: AtomicBool,
    }

    #[async_trait]
    impl KeySource for Source {
        async fn fetch(&self) -> Result<KeySet, String> {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_secs(5)).await;
            if self.down.load(Ordering::SeqCst) {
                return Err("told to fail".to_owned());
            }
            let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "AAAA"});
            KeySet::parse(json!({"keys": [key]}).to_string().as_bytes())
        }
    }

    fn knows(cache: &KeyCache, head: &Head) -> bool {
        cache.current().is_some_and(|keys| keys.fitting(head).next().is_some())
    }

    fn bench() -> (Arc<Source>, KeyCache) {
        let source = Arc::new(Source::default());
        (Arc::clone(&source), KeyCache::new(source))
    }

    fn signed_with(key_id: &str) -> Head {
        Head { algorithm: Algorithm::EdDSA, key_id: Some(key_id.to_owned()) }
    }

    async fn pass(time: Duration) {
        tokio::time::advance(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn many_first_tokens_cause_one_fetch() {
        let (source, cache) = bench();
        let head = signed_with("k1");
        let all = join_all((0..50).map(|_| cache.for_token(&head))).await;
        assert!(all.iter().all(Option::is_some));
        assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_unknown_keys_causes_one_fetch_in_thirty_seconds() {
        let (source, cache) = bench();
        cache.for_token(&signed_with("k1")).await;
        pass(PAUSE).await;
        for round in 1..=3 {
            for number in 0..100 {
                cache.for_token(&signed_with(&format!("made-up-{number}"))).await;
            }
            assert_eq!(source.fetches.load(Ordering::SeqCst), 1 + round);
            pass(PAUSE).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_unknown_keys_few_wait_for_the_issuer() {
        let (_, cache) = bench();
        cache.for_token(&signed_with("k1")).await;
        pass(PAUSE).await;
        let heads: Vec<Head> = (0..100).map(|n| signed_with(&format!("made-up-{n}"))).collect();
        let mut asked: Vec<_> = heads.iter().map(|head| cache.for_token(head).boxed()).collect();
        let answered = asked.iter_mut().filter_map(FutureExt::now_or_never).count();
        assert_eq!(answered, 100 - MOST_WAITING);
    }

    #[tokio::test(start_paused = true)]
    async fn known_keys_cause_no_fetch_however_old() {
        let (source, cache) = bench();
        cache.for_token(&signed_with("k1")).await;
        pass(Duration::from_hours(1)).await;
        assert!(cache.for_token(&signed_with("k1")).await.is_some());
        assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_cannot_be_fetched_again_stay_in_force() {
        let (source, cache) = bench();
        cache.for_token(&signed_with("k1")).await;
        source.down.store(true, Ordering::SeqCst);
        pass(PAUSE).await;
        assert!(cache.for_token(&signed_with("k2")).await.is_some());
        assert!(knows(&cache, &signed_with("k1")));
        assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_keys_there_is_none_until_the_issuer_is_back() {
        let (source, cache) = bench();
        source.down.store(true, Ordering::SeqCst);
        let head = signed_with("k1");
        let all = join_all((0..50).map(|_| cache.for_token(&head))).await;
        assert!(all.iter().all(Option::is_none));
        assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
        source.down.store(false, Ordering::SeqCst);
        pass(FIRST_PAUSE).await;
        assert!(cache.for_token(&signed_with("k1")).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_hangs_up_does_not_spoil_the_fetch() {
        let (source, cache) = bench();
        let head = signed_with("k1");
        let gone = tokio::time::timeout(Duration::from_millis(1), cache.for_token(&head)).await;
        assert!(gone.is_err());
        assert!(cache.for_token(&head).await.is_some());
        assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_fetched_ahead_of_need_and_sooner_after_a_failure() {
        let (source, cache) = bench();
        let fresh = tokio::spawn(cache.keep_fresh());
        sleep(Duration::from_secs(6)).await;
        assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
        source.down.store(true, Ordering::SeqCst);
        sleep(FRESH).await;
        assert_eq!(source.fetches.load(Ordering::SeqCst), 2);
        sleep(PAUSE + Duration::from_secs(6)).await;
        assert_eq!(source.fetches.load(Ordering::SeqCst), 3);
        fresh.abort();
    }
}
