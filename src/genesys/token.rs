//! The one access token all calls share. Knows no HTTP: how a token is fetched is given to it.
//!
//! A token is fetched once however many calls wait for it, and again in the background before it
//! ends: a tenth of its lifetime early, but at least 60 s and at most 15 min, and never before
//! half of it. Its last moments (5 s, or a tenth of a very short lifetime) are not used, because
//! a request takes time to arrive. Refused credentials are tried once in 30 s.
//!
//! A 401 drops the token, unless a new one would not help: the token worked after the same
//! operation was refused before, so that it is the endpoint that refuses. Because of 401 at most
//! one new token is asked for in 30 s.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use reqwest::header::HeaderValue;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::call::{Operation, PerOperation};
use crate::{
    metrics::{Fetched, Metrics, TokenReading},
    support::{Cached, Fresh, Source},
    transfer::gateway::GatewayError,
};

/// How long refused credentials, or another final answer, are not tried again.
const REST_AFTER_REFUSAL: Duration = Duration::from_secs(30);
/// How long to wait after a background refresh failed in a way that may pass.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long no token is dropped after one was dropped because of a 401.
const REST_AFTER_401: Duration = Duration::from_secs(30);

/// What the login host gave.
#[derive(Clone)]
pub(super) struct Grant {
    /// The `Authorization` header, marked sensitive.
    pub header: HeaderValue,
    /// How long it is good, counted from before it was asked for.
    pub lifetime: Duration,
}

/// Asks the login host for a token.
pub(super) type Fetch =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Grant, GatewayError>> + Send + Sync>;

/// A token in use.
pub(super) struct Token {
    /// The `Authorization` header.
    pub header: HeaderValue,
    /// Counts tokens, to tell a refusal of this one from one of an earlier.
    pub generation: u64,
    fetched_at: Instant,
    ends_at: Instant,
}

/// The token, shared by all clones.
#[derive(Clone)]
pub(super) struct TokenCache {
    cached: Cached<Login>,
    answers: Arc<Mutex<Answers>>,
}

/// The login host.
pub(super) struct Login {
    fetch: Fetch,
    generation: AtomicU64,
    metrics: Arc<Metrics>,
}

/// What other answers said about the token in use.
#[derive(Default)]
struct Answers {
    /// The token that is meant.
    generation: u64,
    /// When the last request left that the token in use was accepted for.
    worked_at: Option<Instant>,
    /// When each operation was last answered 401, if it was not accepted since.
    refused_at: PerOperation<Option<Instant>>,
    /// When a token was last dropped because of a 401.
    dropped_at: Option<Instant>,
}

impl TokenCache {
    /// An empty cache.
    pub(super) fn new(fetch: Fetch, tracker: TaskTracker, metrics: Arc<Metrics>) -> Self {
        let login = Login { fetch, generation: AtomicU64::new(0), metrics };
        Self { cached: Cached::new(login, tracker), answers: Arc::default() }
    }

    /// The token in use, if it is good now.
    pub(super) fn reading(&self) -> Option<TokenReading> {
        let now = Instant::now();
        self.cached.current().map(|token| TokenReading {
            age: now.saturating_duration_since(token.fetched_at),
            left: token.ends_at.saturating_duration_since(now),
        })
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// Why none can be had before `by`.
    pub(super) async fn get(&self, by: Instant) -> Result<Arc<Token>, GatewayError> {
        self.cached.get(by).await
    }

    /// Notes that a token was accepted for an operation, in a request that left at `sent_at`.
    pub(super) fn accepted(&self, token: &Token, operation: Operation, sent_at: Instant) {
        let mut answers = self.answers_to(token);
        if answers.generation == token.generation {
            answers.worked_at = answers.worked_at.max(Some(sent_at));
            answers.refused_at[operation] = None;
        }
    }

    /// Notes a 401; whether another token may help. Drops the token if it is still the one in
    /// use, so that many refusals of one token cause one fetch.
    pub(super) fn refused(&self, token: &Token, operation: Operation) -> bool {
        let now = Instant::now();
        let mut answers = self.answers_to(token);
        let in_use = self.cached.current().map(|used| used.generation);
        if in_use != Some(token.generation) {
            return true;
        }
        let before = answers.refused_at[operation].replace(now);
        let works = before.is_some() && answers.worked_at > before;
        let rests = answers.dropped_at.is_some_and(|at| now < at + REST_AFTER_401);
        if works || rests {
            return false;
        }
        self.cached.clear();
        // What is still said of this one says nothing about the next.
        (answers.generation, answers.worked_at) = (token.generation + 1, None);
        answers.dropped_at = Some(now);
        true
    }

    /// Why there is no token, if there is none.
    pub(super) fn trouble(&self) -> Option<String> {
        if self.cached.current().is_some() {
            return None;
        }
        Some(match self.cached.failure() {
            Some(failure) => format!("no access token: {failure}"),
            None => "no access token yet".to_owned(),
        })
    }

    /// Keeps a good token at hand until the service ends.
    pub(super) async fn keep(self, shutdown: CancellationToken) {
        self.cached.keep(shutdown).await;
    }

    /// What was said of the newest token that was used.
    fn answers_to(&self, token: &Token) -> MutexGuard<'_, Answers> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.generation < token.generation {
            answers.generation = token.generation;
            answers.worked_at = None;
        }
        answers
    }
}

impl Source for Login {
    type Value = Arc<Token>;
    type Error = GatewayError;

    const LONGEST_LOAD: Duration = Duration::from_mins(1);

    async fn load(&self, _: bool, _: bool) -> Result<Fresh<Arc<Token>>, GatewayError> {
        let fetched_at = Instant::now();
        let Grant { header, lifetime } = (self.fetch)().await?;
        let unused = Duration::from_secs(5).min(lifetime / 10);
        let ends_at = fetched_at + lifetime - unused;
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let value = Arc::new(Token { header, generation, fetched_at, ends_at });
        Ok(Fresh { value, refresh_at: fetched_at + lifetime - margin(lifetime), ends_at })
    }

    /// A failure that may pass does not keep the next caller from asking, unless there is a token to
    /// go on with.
    fn rest(&self, failure: &GatewayError, has_token: bool) -> Duration {
        match failure {
            failure if is_final(failure) => REST_AFTER_REFUSAL,
            GatewayError::RateLimited { retry_after, .. } => *retry_after,
            _ if has_token => REST_AFTER_FAILURE,
            _ => Duration::ZERO,
        }
    }

    fn note(&self, came: Result<&Arc<Token>, &GatewayError>, failed: bool) {
        let fetched = match came {
            Ok(_) => Fetched::Success,
            Err(failure) if is_final(failure) => Fetched::Refused,
            Err(_) => Fetched::Failed,
        };
        self.metrics.token_fetched(fetched);
        match came {
            Ok(_) if failed => tracing::info!("access tokens can be obtained again"),
            Ok(_) => {}
            Err(failure) => {
                if !failed {
                    tracing::warn!(reason = %failure, "could not obtain an access token");
                }
                if is_final(failure) {
                    tracing::error!(
                        reason = %failure,
                        rest_s = REST_AFTER_REFUSAL.as_secs(),
                        "Genesys refused to issue an access token; check the client id, its secret \
                         or key, and the region"
                    );
                }
            }
        }
    }
}

/// Whether the login host would say the same again.
fn is_final(failure: &GatewayError) -> bool {
    match failure {
        GatewayError::CredentialsRejected(_) | GatewayError::PermissionMissing { .. } => true,
        GatewayError::Failed(answer) => answer.status < 500 && answer.status != 408,
        _ => false,
    }
}

/// How long before its end a token is replaced.
fn margin(lifetime: Duration) -> Duration {
    let (least, most) = (Duration::from_mins(1), Duration::from_mins(15));
    (lifetime / 10).clamp(least, most).min(lifetime / 2)
}

#[cfg(test)]
mod tests;
