//! Who calls, and what the caller may do: API keys and an issuer's access tokens, both as
//! `Authorization: Bearer` (RFC 6750). Knows neither HTTP types nor routes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    config::{Auth, AuthMode, read_in_time},
};
use api_keys::ApiKeys;
use key_file::{Change, KeyFile};
use oidc::Verifier;
use rates::Rates;

mod api_keys;
mod identity;
mod key_file;
mod keygen;
mod oidc;
mod rates;
#[cfg(test)]
mod tests;

pub use identity::{Identity, Revoked};
pub use keygen::{KeygenError, Printed, keygen};

/// How often the file of keys is read again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How old what was last read of it may be. Then keys that were revoked may still be in force.
const MAX_AGE: Duration = Duration::from_mins(1);

/// Longest credential that is looked at, in bytes.
const MAX_CREDENTIAL: usize = 8 * 1024;

/// What a request brought to say who sent it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Nothing, or nothing of the kind this service takes.
    None,
    /// A bearer credential.
    Bearer(&'a str),
    /// Several at once, or one that cannot be read.
    Unreadable,
}

/// Why no caller was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// There were no credentials.
    Missing,
    /// They are not valid, with the reason: for the log only, callers learn nothing.
    Invalid(&'static str),
    /// Whether they are valid cannot be found out now: the issuer's keys were never fetched.
    Unavailable,
}

/// The keyring could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BuildError(String);

/// All callers with access. Cheap to clone.
#[derive(Clone)]
pub struct Keyring(Arc<KeyringInner>);

struct KeyringInner {
    /// The caller of every request with `auth.mode = none`.
    anonymous: Option<Arc<Identity>>,
    keys: ArcSwap<ApiKeys>,
    file: Option<Mutex<KeyFile>>,
    /// When the file was last read, and what it held was good. Never held for long.
    read_at: Mutex<Instant>,
    issuer: Option<Verifier>,
    rates: Rates,
    moves_per_conversation: u32,
}

impl Keyring {
    /// The keyring for these settings. `moves_per_conversation` is what every known caller is
    /// limited to within an hour (`transfers.max_per_conversation_per_hour`). Nothing is read or
    /// fetched before [`Keyring::keep_current`] or the first token.
    ///
    /// # Errors
    /// When no HTTP client can be made for the issuer.
    pub fn new(
        auth: &Auth,
        moves_per_conversation: u32,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BuildError> {
        if auth.mode == AuthMode::None {
            return Ok(Self::open());
        }
        let verifier = |oidc| Verifier::new(oidc, moves_per_conversation, clock);
        let issuer = auth.oidc.as_ref().map(verifier).transpose().map_err(BuildError)?;
        let file = auth.api_keys_file.clone();
        Ok(Self(Arc::new(KeyringInner {
            anonymous: None,
            keys: ArcSwap::from_pointee(ApiKeys::new(&auth.api_keys, moves_per_conversation)),
            file: file.map(|path| Mutex::new(KeyFile::new(path, auth.api_keys.clone()))),
            read_at: Mutex::new(Instant::now()),
            issuer,
            rates: Rates::new(),
            moves_per_conversation,
        })))
    }

    /// A keyring that needs no credentials and permits everything (`auth.mode = none`).
    #[must_use]
    pub fn open() -> Self {
        Self(Arc::new(KeyringInner {
            anonymous: Some(Arc::new(Identity::anonymous())),
            keys: ArcSwap::from_pointee(ApiKeys::new(&[], 0)),
            file: None,
            read_at: Mutex::new(Instant::now()),
            issuer: None,
            rates: Rates::new(),
            moves_per_conversation: 0,
        }))
    }

    /// Whether no credentials are needed (`auth.mode = none`).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.anonymous.is_some()
    }

    /// Reads the file of keys again every two seconds and keeps the issuer's keys fresh, in the
    /// background until `stop`.
    pub fn keep_current(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        if self.0.file.is_some() {
            let keyring = self.clone();
            tracker.spawn(stop.clone().run_until_cancelled_owned(keyring.follow_file()));
        }
        if let Some(issuer) = &self.0.issuer {
            tracker.spawn(stop.clone().run_until_cancelled_owned(issuer.keep_keys_fresh()));
        }
    }

    async fn follow_file(self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let keyring = self.clone();
            // Whatever the disk does, requests are not held up.
            let reading = spawn_blocking(move || keyring.read_file());
            let late = || {
                tracing::error!(
                    "timed out while reading the API key file; the old keys stay in force"
                );
            };
            if read_in_time(reading, late).await.is_err() {
                tracing::error!("reading the API key file failed; retrying");
            }
        }
    }

    /// Reads the file of keys and takes over what changed. A file that is broken changes nothing.
    fn read_file(&self) {
        let Some(file) = &self.0.file else { return };
        let change = file.lock().unwrap_or_else(PoisonError::into_inner).look();
        if !matches!(change, Change::Broken(_)) {
            *self.0.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        match change {
            Change::None | Change::Broken(None) => {}
            Change::Keys(callers) => {
                let keys = ApiKeys::new(&callers, self.0.moves_per_conversation);
                let keys = keys.instead_of(&self.0.keys.load());
                self.0.rates.keep_only(|caller| keys.knows(caller));
                self.0.keys.store(Arc::new(keys));
                tracing::info!(callers = callers.len(), "API keys changed");
            }
            Change::Broken(Some(why)) => {
                tracing::error!(%why, "the API key file is invalid; the old keys stay in force");
            }
        }
    }

    /// Who brought these credentials.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn identify(&self, credentials: Credentials<'_>) -> Result<Arc<Identity>, Denied> {
        if let Some(anonymous) = &self.0.anonymous {
            return Ok(Arc::clone(anonymous));
        }
        let credential = match credentials {
            Credentials::None => return Err(Denied::Missing),
            Credentials::Unreadable => return Err(Denied::Invalid("unreadable, or several")),
            Credentials::Bearer(text) if text.len() > MAX_CREDENTIAL => {
                return Err(Denied::Invalid("longer than 8 KiB"));
            }
            Credentials::Bearer(text) => text,
        };
        if let Some(identity) = self.0.keys.load().find(credential) {
            return Ok(identity);
        }
        match &self.0.issuer {
            // Only tokens have dots.
            Some(issuer) if credential.contains('.') => {
                issuer.identify(credential).await.map(Arc::new)
            }
            _ => Err(Denied::Invalid("no such API key")),
        }
    }

    /// Counts one request of `identity` against its limit.
    ///
    /// # Errors
    /// How long to wait, when the limit is reached; the request is not counted then.
    pub fn count(&self, identity: &Identity) -> Result<(), Duration> {
        match identity.requests_per_minute {
            Some(most) => self.0.rates.count(&identity.caller.name, most, Instant::now()),
            None => Ok(()),
        }
    }

    /// Why callers cannot be recognised as they should be, for readiness; empty when they can.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        let waits = self.0.issuer.as_ref().is_some_and(|issuer| !issuer.has_keys());
        if waits && self.0.keys.load().is_empty() {
            troubles.push("auth: the issuer's keys have not been fetched yet".to_owned());
        }
        let read_at = *self.0.read_at.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.file.is_some() && read_at.elapsed() >= MAX_AGE {
            troubles.push(
                "auth: the file of API keys could not be read for a minute, so revoked keys may \
                 still be in force; the log says why"
                    .to_owned(),
            );
        }
        troubles
    }
}
