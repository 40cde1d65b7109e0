//! Access tokens of one issuer (RFC 9068, `OpenID` Connect Discovery 1.0), checked here with the
//! issuer's public keys. Nothing a token names is ever fetched.

use std::{future::Future, sync::Arc, time::Duration};

use jsonwebtoken::{DecodingKey, Validation};

use super::{Denied, identity::Identity};
use crate::{clock::Clock, config::Oidc};
use cache::KeyCache;
use claims::Claims;
use head::Head;
use issuer::Issuer;

mod cache;
mod claims;
mod head;
mod issuer;
mod keys;
#[cfg(test)]
mod tests;

/// Checks the tokens of one issuer.
pub(super) struct Verifier {
    issuer: String,
    audience: String,
    max_lifetime: Duration,
    moves_per_conversation: u32,
    clock: Arc<dyn Clock>,
    keys: KeyCache,
}

impl Verifier {
    /// A verifier that has no keys yet.
    ///
    /// # Errors
    /// In words, when no HTTP client can be made.
    pub(super) fn new(
        oidc: &Oidc,
        moves_per_conversation: u32,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        Ok(Self {
            issuer: oidc.issuer.clone(),
            audience: oidc.audience.clone(),
            max_lifetime: oidc.max_lifetime,
            moves_per_conversation,
            clock,
            keys: KeyCache::new(Arc::new(Issuer::new(oidc)?)),
        })
    }

    /// Fetches the issuer's keys now and then.
    pub(super) fn keep_keys_fresh(&self) -> impl Future<Output = ()> + Send + 'static {
        self.keys.clone().keep_fresh()
    }

    /// Whether the issuer's keys were fetched at least once.
    pub(super) fn has_keys(&self) -> bool {
        self.keys.current().is_some()
    }

    /// Who brought this token.
    ///
    /// # Errors
    /// `Invalid`; `Unavailable` when the issuer's keys cannot be had.
    pub(super) async fn identify(&self, token: &str) -> Result<Identity, Denied> {
        let head = Head::read(token).map_err(Denied::Invalid)?;
        let keys = self.keys.for_token(&head).await.ok_or(Denied::Unavailable)?;
        let mut candidates = keys.fitting(&head).peekable();
        if candidates.peek().is_none() {
            return Err(Denied::Invalid("signed with a key the issuer does not publish"));
        }
        let claims = candidates
            .find_map(|key| verified(token, &head, key))
            .ok_or(Denied::Invalid("the signature does not match, or the claims are malformed"))?;
        claims
            .check(&self.issuer, &self.audience, self.max_lifetime, self.clock.now())
            .and_then(|()| claims.identity(self.moves_per_conversation))
            .map_err(Denied::Invalid)
    }
}

/// The token's claims, if its signature is that of `key`. The claims themselves are not checked.
fn verified(token: &str, head: &Head, key: &DecodingKey) -> Option<Claims> {
    let mut signature_only = Validation::new(head.algorithm);
    signature_only.required_spec_claims.clear();
    // These would be checked against the system's clock and with laxer rules; see `Claims::check`.
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    jsonwebtoken::decode::<Claims>(token, key, &signature_only).ok().map(|token| token.claims)
}
