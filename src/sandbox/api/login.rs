//! `POST /oauth/token`: client credentials with a secret or with a signed assertion.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use serde_json::json;

use super::assertion;
use crate::sandbox::{
    handler::{Context, json as ok},
    layers::is_media,
};

/// `client_assertion_type` of RFC 7523.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An OAuth error (RFC 6749, section 5.2), with Genesys' own `description` beside it.
pub struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OAuthError {
    fn request(description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", description }
    }

    fn client(description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_client", description }
    }

    fn unauthorized(description: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, ..Self::client(description) }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut response = ok(&json!({
            "error": self.error,
            "description": self.description,
            "error_description": self.description,
        }));
        *response.status_mut() = self.status;
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Basic realm=\"sandbox\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

pub fn token(context: &mut Context<'_>, (): ()) -> Result<Response, OAuthError> {
    let client = client(context)?;
    let (state, now) = (&mut *context.state, context.now);
    let lifetime = SignedDuration::from_secs(state.behaviour.token_lifetime_seconds.into());
    let id = state.world.new_id(now);
    let issued = state.access.issue(&client, id, lifetime, now);
    let token = issued.ok_or(OAuthError::client("client not found"))?;
    state.ledger.amend(context.tag.seq, |entry| entry.sent_by(client, &token));
    let body = json!({
        "access_token": token,
        "token_type": "bearer",
        "expires_in": lifetime.as_secs(),
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], ok(&body)).into_response())
}

/// The client that proved its identity.
fn client(context: &mut Context<'_>) -> Result<String, OAuthError> {
    if !is_media(context.header(header::CONTENT_TYPE), "application/x-www-form-urlencoded") {
        let text = "The body must be application/x-www-form-urlencoded.";
        return Err(OAuthError::request(text));
    }
    let form: Vec<_> = url::form_urlencoded::parse(context.body).collect();
    let get = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| &**value);
    match get("grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            let text = "The sandbox grants client_credentials only.";
            let error = "unsupported_grant_type";
            return Err(OAuthError { error, ..OAuthError::request(text) });
        }
        None => return Err(OAuthError::request("grant_type is missing.")),
    }
    let basic = context.header(header::AUTHORIZATION).map(basic).transpose()?;
    if let Some(assertion) = get("client_assertion") {
        if basic.is_some() || get("client_secret").is_some() {
            return Err(OAuthError::request("Only one way to authenticate may be used."));
        }
        if get("client_assertion_type") != Some(JWT_BEARER) {
            return Err(OAuthError::request("client_assertion_type is not jwt-bearer."));
        }
        return asserted(context, assertion, get("client_id")).map_err(OAuthError::client);
    }
    let (id, secret) = match (&basic, get("client_id"), get("client_secret")) {
        (Some((id, secret)), _, _) => (id.as_str(), secret.as_str()),
        (None, Some(id), Some(secret)) => (id, secret),
        _ => return Err(OAuthError::unauthorized("No client credentials were sent.")),
    };
    if context.state.access.client(id).is_none() {
        return Err(OAuthError::client("client not found"));
    }
    if !context.state.access.knows(id, secret) {
        return Err(OAuthError::unauthorized("authentication failed"));
    }
    Ok(id.to_owned())
}

fn asserted(
    context: &mut Context<'_>,
    token: &str,
    id: Option<&str>,
) -> Result<String, &'static str> {
    let host = context.header(header::HOST).unwrap_or_default();
    let audiences =
        [format!("{}/oauth/token", context.core.base_url), format!("http://{host}/oauth/token")];
    let key = context.core.options.client_key.as_deref();
    let found = assertion::check(token, &audiences, key, context.now)?;
    if id.is_some_and(|id| id != found.client) {
        return Err("client_id and the assertion name different clients");
    }
    if context.state.access.client(&found.client).is_none() {
        return Err("client not found");
    }
    if !context.state.access.use_assertion(&found.id, found.expires, context.now) {
        return Err("the assertion was used before");
    }
    Ok(found.client)
}

/// Id and secret of a `Basic` header. RFC 6749 wants both form-encoded first, and most clients
/// leave that out; for the ids and secrets Genesys makes it is the same.
fn basic(text: &str) -> Result<(String, String), OAuthError> {
    let pair = || {
        let (scheme, encoded) = text.split_once(' ')?;
        let decoded = STANDARD.decode(encoded.trim()).ok()?;
        let pair = String::from_utf8(decoded).ok()?;
        let (id, secret) = pair.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| (id.to_owned(), secret.to_owned()))
    };
    pair().ok_or(OAuthError::unauthorized("The Authorization header is not Basic."))
}
