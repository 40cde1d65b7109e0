//! `POST /oauth/token`: client credentials with a secret or with a signed assertion.

use axum::http::{HeaderValue, Method, StatusCode, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{ApiError, Asked, Reply, assertion, tail};
use crate::sandbox::state::{Shared, State};

/// `client_assertion_type` of RFC 7523.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An OAuth error (RFC 6749, section 5.2), with Genesys' own `description` beside it.
struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OAuthError {
    fn request(description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: "invalid_request", description }
    }

    fn client(status: StatusCode, description: &'static str) -> Self {
        Self { status, error: "invalid_client", description }
    }

    fn reply(&self) -> Reply {
        let body = json!({
            "error": self.error,
            "description": self.description,
            "error_description": self.description,
        });
        let unauthorized = self.status == StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static("Basic realm=\"sandbox\"");
        Reply {
            status: self.status,
            json: true,
            body: body.to_string().into(),
            headers: unauthorized
                .then_some((header::WWW_AUTHENTICATE, challenge))
                .into_iter()
                .collect(),
            later: None,
        }
    }
}

pub(super) fn answer(
    shared: &Shared,
    state: &mut State,
    asked: &Asked,
    seq: u64,
    now: Timestamp,
    correlation: Uuid,
) -> Reply {
    if asked.head.method != Method::POST {
        return Reply::error(&ApiError::not_allowed("POST"), correlation);
    }
    match client(shared, state, asked, now) {
        Ok(client) => issue(state, &client, seq, now),
        Err(error) => error.reply(),
    }
}

fn issue(state: &mut State, client: &str, seq: u64, now: Timestamp) -> Reply {
    let lifetime = SignedDuration::from_secs(state.behaviour.token_lifetime_seconds.into());
    let id = state.world.new_id(now);
    let Some(issued) = state.access.issue(client, id, lifetime, now) else {
        return OAuthError::client(StatusCode::BAD_REQUEST, "client not found").reply();
    };
    state.ledger.amend(seq, |entry| {
        entry.client = Some(client.to_owned());
        entry.token_tail = Some(tail(&issued.token));
    });
    let body = json!({
        "access_token": issued.token,
        "token_type": "bearer",
        "expires_in": issued.expires_in,
    });
    Reply {
        status: StatusCode::OK,
        json: true,
        body: body.to_string().into(),
        headers: vec![(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))],
        later: None,
    }
}

/// The client that proved who it is.
fn client(
    shared: &Shared,
    state: &mut State,
    asked: &Asked,
    now: Timestamp,
) -> Result<String, OAuthError> {
    let form = Form::read(asked)?;
    match form.get("grant_type") {
        Some("client_credentials") => {}
        Some(_) => {
            return Err(OAuthError {
                status: StatusCode::BAD_REQUEST,
                error: "unsupported_grant_type",
                description: "The sandbox grants client_credentials only.",
            });
        }
        None => return Err(OAuthError::request("grant_type is missing.")),
    }
    let basic = asked.header(header::AUTHORIZATION).map(basic).transpose()?;
    if let Some(token) = form.get("client_assertion") {
        if basic.is_some() || form.get("client_secret").is_some() {
            return Err(OAuthError::request("Only one way to authenticate may be used."));
        }
        if form.get("client_assertion_type") != Some(JWT_BEARER) {
            return Err(OAuthError::request("client_assertion_type is not jwt-bearer."));
        }
        return asserted(shared, state, asked, &form, token, now);
    }
    let (id, secret) = match (&basic, form.get("client_id"), form.get("client_secret")) {
        (Some((id, secret)), _, _) => (id.as_str(), secret.as_str()),
        (None, Some(id), Some(secret)) => (id, secret),
        _ => {
            let text = "No client credentials were sent.";
            return Err(OAuthError::client(StatusCode::UNAUTHORIZED, text));
        }
    };
    if state.access.client(id).is_none() {
        return Err(OAuthError::client(StatusCode::BAD_REQUEST, "client not found"));
    }
    if !state.access.knows(id, secret) {
        return Err(OAuthError::client(StatusCode::UNAUTHORIZED, "authentication failed"));
    }
    Ok(id.to_owned())
}

fn asserted(
    shared: &Shared,
    state: &mut State,
    asked: &Asked,
    form: &Form,
    token: &str,
    now: Timestamp,
) -> Result<String, OAuthError> {
    let refuse = |text| OAuthError::client(StatusCode::BAD_REQUEST, text);
    let host = asked.header(header::HOST).unwrap_or_default();
    let audiences =
        [format!("{}/oauth/token", shared.base_url), format!("http://{host}/oauth/token")];
    let key = shared.client_key.as_deref();
    let claims = assertion::check(token, &audiences, key, now).map_err(refuse)?;
    if form.get("client_id").is_some_and(|id| id != claims.client) {
        return Err(refuse("client_id and the assertion name different clients"));
    }
    if state.access.client(&claims.client).is_none() {
        return Err(refuse("client not found"));
    }
    if !state.access.use_assertion(&claims.id, claims.expires, now) {
        return Err(refuse("the assertion was used before"));
    }
    Ok(claims.client)
}

struct Form(Vec<(String, String)>);

impl Form {
    fn read(asked: &Asked) -> Result<Self, OAuthError> {
        let kind = asked.header(header::CONTENT_TYPE).unwrap_or_default();
        let media = kind.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let text = "The body must be application/x-www-form-urlencoded.";
            return Err(OAuthError::request(text));
        }
        Ok(Self(url::form_urlencoded::parse(&asked.body).into_owned().collect()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Id and secret of a `Basic` header. RFC 6749 wants both form-encoded first, and most clients
/// leave that out; for the ids and secrets Genesys makes it is the same.
fn basic(text: &str) -> Result<(String, String), OAuthError> {
    let refuse =
        || OAuthError::client(StatusCode::UNAUTHORIZED, "The Authorization header is not Basic.");
    let (scheme, encoded) = text.split_once(' ').ok_or_else(refuse)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refuse());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| refuse())?;
    let pair = String::from_utf8(decoded).map_err(|_| refuse())?;
    let (id, secret) = pair.split_once(':').ok_or_else(refuse)?;
    Ok((id.to_owned(), secret.to_owned()))
}
