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
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use reqwest::header::HeaderValue;
use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    call::{Operation, PerOperation},
    error::in_words,
    flight::Flight,
};
use crate::{
    metrics::{Fetched, Metrics, TokenReading},
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
    refresh_at: Instant,
    ends_at: Instant,
}

/// See the module's text.
#[derive(Clone)]
pub(super) struct TokenCache(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    flight: Flight<Result<Arc<Token>, GatewayError>>,
    fetch: Fetch,
    longest_fetch: Duration,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    generation: u64,
    /// When the last request left that the token in use was accepted for.
    worked_at: Option<Instant>,
    /// When each operation was last answered 401, if it was not accepted since.
    refused_at: PerOperation<Option<Instant>>,
    /// When a token was last dropped because of a 401.
    dropped_at: Option<Instant>,
    /// The last failure and until when nothing is asked because of it.
    failure: Option<(GatewayError, Instant)>,
}

impl TokenCache {
    /// An empty cache. `longest_fetch` bounds one fetch with its repeats.
    pub(super) fn new(
        fetch: Fetch,
        longest_fetch: Duration,
        tracker: TaskTracker,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            flight: Flight::new(tracker),
            fetch,
            longest_fetch,
            metrics,
        }))
    }

    /// The token in use, if it is good now.
    pub(super) fn reading(&self) -> Option<TokenReading> {
        let now = Instant::now();
        let (token, _) = self.0.look(now);
        token.map(|token| TokenReading {
            age: now.saturating_duration_since(token.fetched_at),
            left: token.ends_at.saturating_duration_since(now),
        })
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// Why none can be had before `by`.
    pub(super) async fn get(&self, by: Instant) -> Result<Arc<Token>, GatewayError> {
        let now = Instant::now();
        let (token, resting) = self.0.look(now);
        match (token, resting) {
            (Some(token), resting) => {
                if now >= token.refresh_at && resting.is_none() {
                    drop(self.0.flight.board(|| Arc::clone(&self.0).renew()));
                }
                Ok(token)
            }
            (None, Some(failure)) => Err(failure),
            (None, None) => self.0.flight.board(|| Arc::clone(&self.0).renew()).outcome(by).await?,
        }
    }

    /// Notes that a token was accepted for an operation, in a request that left at `sent_at`.
    pub(super) fn accepted(&self, token: &Token, operation: Operation, sent_at: Instant) {
        let mut state = self.0.lock();
        if state.is_in_use(token) {
            state.worked_at = state.worked_at.max(Some(sent_at));
            state.refused_at[operation] = None;
        }
    }

    /// Notes a 401; whether another token may help. Drops the token if it is still the one in
    /// use, so that many refusals of one token cause one fetch.
    pub(super) fn refused(&self, token: &Token, operation: Operation) -> bool {
        let now = Instant::now();
        let mut state = self.0.lock();
        if !state.is_in_use(token) {
            return true;
        }
        let before = state.refused_at[operation].replace(now);
        let works = before.is_some() && state.worked_at > before;
        let rests = state.dropped_at.is_some_and(|at| now < at + REST_AFTER_401);
        if works || rests {
            return false;
        }
        state.token = None;
        state.dropped_at = Some(now);
        true
    }

    /// Why there is no token, if there is none.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = self.0.lock();
        if state.token.as_ref().is_some_and(|token| Instant::now() < token.ends_at) {
            return None;
        }
        Some(match &state.failure {
            Some((failure, _)) => format!("no access token: {}", in_words(failure)),
            None => "no access token yet".to_owned(),
        })
    }

    /// Keeps a good token at hand until the service ends.
    pub(super) async fn keep(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let now = Instant::now();
            let next = match self.get(now + self.0.longest_fetch).await {
                Ok(token) if now < token.refresh_at => token.refresh_at,
                Ok(_) => now + REST_AFTER_FAILURE,
                Err(_) => self.0.rest_until().unwrap_or(now + Duration::from_secs(1)),
            };
            // `Err` is the usual end: the time has passed.
            let _ = timeout_at(next, shutdown.cancelled()).await;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token if it is good, and the failure because of which none is asked for now.
    fn look(&self, now: Instant) -> (Option<Arc<Token>>, Option<GatewayError>) {
        let state = self.lock();
        let token = state.token.as_ref().filter(|token| now < token.ends_at).cloned();
        let failure = state.failure.as_ref().filter(|(_, until)| now < *until);
        (token, failure.map(|(failure, _)| failure.clone()))
    }

    fn rest_until(&self) -> Option<Instant> {
        let now = Instant::now();
        self.lock().failure.as_ref().map(|(_, until)| *until).filter(|until| *until > now)
    }

    async fn renew(self: Arc<Self>) -> Result<Arc<Token>, GatewayError> {
        let asked_at = Instant::now();
        if let (Some(token), _) = self.look(asked_at)
            && asked_at < token.refresh_at
        {
            // Another flight landed between the look and this one's start.
            return Ok(token);
        }
        let grant = (self.fetch)().await;
        self.metrics.token_fetched(match &grant {
            Ok(_) => Fetched::Success,
            Err(failure) if is_final(failure) => Fetched::Refused,
            Err(_) => Fetched::Failed,
        });
        let mut state = self.lock();
        match grant {
            Ok(grant) => {
                state.generation += 1;
                let token = Arc::new(Token::new(grant, asked_at, state.generation));
                state.token = Some(Arc::clone(&token));
                state.worked_at = None;
                if state.failure.take().is_some() {
                    tracing::info!("Genesys gives access tokens again");
                }
                Ok(token)
            }
            Err(failure) => {
                if state.failure.is_none() {
                    tracing::warn!(reason = %in_words(&failure), "no access token could be had");
                }
                let rest = rest(&failure, state.token.is_some());
                state.failure = Some((failure.clone(), Instant::now() + rest));
                Err(failure)
            }
        }
    }
}

/// How long nothing is asked for after a failure. One that may pass does not keep the next caller
/// from asking, unless there is a token to go on with.
fn rest(failure: &GatewayError, have_token: bool) -> Duration {
    match failure {
        failure if is_final(failure) => {
            tracing::error!(
                reason = %in_words(failure),
                rest_s = REST_AFTER_REFUSAL.as_secs(),
                "Genesys refused to give an access token; check the client id, its secret or key, \
                 and the region"
            );
            REST_AFTER_REFUSAL
        }
        GatewayError::RateLimited { retry_after, .. } => *retry_after,
        _ if have_token => REST_AFTER_FAILURE,
        _ => Duration::ZERO,
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

impl State {
    fn is_in_use(&self, token: &Token) -> bool {
        self.token.as_ref().is_some_and(|used| used.generation == token.generation)
    }
}

impl Token {
    fn new(grant: Grant, asked_at: Instant, generation: u64) -> Self {
        let lifetime = grant.lifetime;
        let unused = Duration::from_secs(5).min(lifetime / 10);
        Self {
            header: grant.header,
            generation,
            fetched_at: asked_at,
            refresh_at: asked_at + lifetime - margin(lifetime),
            ends_at: asked_at + lifetime - unused,
        }
    }
}

/// How long before its end a token is replaced.
fn margin(lifetime: Duration) -> Duration {
    let (least, most) = (Duration::from_mins(1), Duration::from_mins(15));
    (lifetime / 10).clamp(least, most).min(lifetime / 2)
}

#[cfg(test)]
mod tests;
