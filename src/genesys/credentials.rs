//! What this service shows the login host: a client secret (RFC 6749, section 4.4), or an
//! assertion signed with a private key (RFC 7523).

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::{Url, form_urlencoded::Serializer};

use super::SetupError;
use crate::{
    clock::{Clock, IdSource},
    config,
};

/// Lifetime of an assertion in seconds; Genesys takes at most five minutes.
const ASSERTION_SECONDS: i64 = 240;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client's proof of who it is.
pub(super) enum ClientCredentials {
    /// `Authorization: Basic`.
    Secret {
        /// The whole header, marked sensitive.
        header: HeaderValue,
    },
    /// A signed assertion.
    Key(Box<Signer>),
}

/// Signs assertions.
pub(super) struct Signer {
    client_id: String,
    key: EncodingKey,
    algorithm: Algorithm,
    clock: Arc<dyn Clock>,
    ids: IdSource,
}

/// What goes into a token request.
pub(super) struct TokenRequest {
    /// `Authorization`, with a client secret.
    pub authorization: Option<HeaderValue>,
    /// The form body.
    pub form: String,
}

#[derive(Serialize)]
struct AssertionClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

impl ClientCredentials {
    /// Takes the key when there is one, else the secret.
    pub(super) fn new(
        settings: &config::Genesys,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        let id = settings.client_id.as_deref().ok_or(SetupError::NoClientId)?;
        if let Some(pem) = &settings.private_key {
            return Signer::new(id, pem, clock).map(|signer| Self::Key(Box::new(signer)));
        }
        let secret = settings.client_secret.as_ref().ok_or(SetupError::NoSecret)?;
        let pair = format!("{id}:{}", secret.expose_secret());
        let header = format!("Basic {}", STANDARD.encode(pair));
        let mut header = HeaderValue::from_str(&header).map_err(|_| SetupError::NoSecret)?;
        header.set_sensitive(true);
        Ok(Self::Secret { header })
    }

    /// A token request; with a key, an assertion of its own each time.
    pub(super) fn token_request(&self, token_url: &Url) -> Result<TokenRequest, String> {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        match self {
            Self::Secret { header } => {
                Ok(TokenRequest { authorization: Some(header.clone()), form: form.finish() })
            }
            Self::Key(signer) => {
                form.append_pair("client_assertion_type", ASSERTION_TYPE);
                form.append_pair("client_assertion", &signer.assertion(token_url)?);
                Ok(TokenRequest { authorization: None, form: form.finish() })
            }
        }
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret { .. } => "Secret",
            Self::Key(_) => "Key",
        })
    }
}

impl Signer {
    fn new(id: &str, pem: &SecretString, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let pem = pem.expose_secret().trim().as_bytes();
        let ec = EncodingKey::from_ec_pem(pem).map(|key| (key, Algorithm::ES256));
        let (key, algorithm) = ec
            .or_else(|_| EncodingKey::from_rsa_pem(pem).map(|key| (key, Algorithm::RS256)))
            .map_err(|_| SetupError::BadKey)?;
        let signer =
            Self { client_id: id.to_owned(), key, algorithm, clock, ids: IdSource::default() };
        // A key of the wrong curve or size shows only when it signs: better now than at a call.
        let url = Url::parse("https://login.invalid/").map_err(|_| SetupError::BadKey)?;
        signer.assertion(&url).map_err(|_| SetupError::BadKey)?;
        Ok(signer)
    }

    fn assertion(&self, token_url: &Url) -> Result<String, String> {
        let now = self.clock.now();
        let claims = AssertionClaims {
            iss: &self.client_id,
            sub: &self.client_id,
            aud: token_url.as_str(),
            jti: self.ids.next(now).to_string(),
            iat: now.as_second(),
            exp: now.as_second() + ASSERTION_SECONDS,
        };
        jsonwebtoken::encode(&Header::new(self.algorithm), &claims, &self.key)
            .map_err(|_| "the assertion could not be signed".to_owned())
    }
}

#[cfg(test)]
mod tests;
