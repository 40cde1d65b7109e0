//! Who may make which request: recognised by its credentials, within its rate, with the route's
//! permissions; all of it before a byte of the body is read.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};

use super::{
    answer::{CHALLENGE, Failure},
    state::{AppState, Arrival},
};
use crate::{
    auth::{Credentials, Denied, Identity},
    config::Permission,
    problem::{Code, Problem},
    transfer::Caller,
};

#[cfg(test)]
mod tests;

/// The challenge for credentials that are not valid (RFC 6750, section 3).
const INVALID: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"genesys-transfer\", error=\"invalid_token\"");

/// What a caller needs for a route. A route without a line of its own here is the admins'.
pub(super) fn needed(method: &Method, route: &str) -> &'static [Permission] {
    use Permission::{Admin, BatchesWrite, MetricsRead, QueuesRead, TransfersRead, TransfersWrite};
    match (method.as_str(), route) {
        ("POST", "/transfers" | "/transfers/{id}/undo") => &[TransfersWrite],
        ("GET" | "HEAD", "/transfers" | "/transfers/{id}" | "/conversations/{id}") => {
            &[TransfersRead]
        }
        ("POST", "/batches" | "/batches/{id}/undo") | ("DELETE", "/batches/{id}") => {
            &[BatchesWrite]
        }
        ("GET" | "HEAD", route) if route.starts_with("/batches") => &[TransfersRead],
        ("GET" | "HEAD", "/queues" | "/queues/{id}") => &[QueuesRead],
        ("GET" | "HEAD", "/metrics") => &[MetricsRead],
        // Says nothing but what the caller has anyway.
        ("GET" | "HEAD", "/whoami") => &[],
        // Costs requests to Genesys and changes which queue a name stands for.
        ("POST", "/queues/refresh") => &[QueuesRead, TransfersWrite],
        // Also `POST /transfers/{id}/settle`.
        _ => &[Admin],
    }
}

/// The permission that also opens a route: a caller that may start batches may read its own.
pub(super) fn instead(method: &Method, route: &str) -> Option<Permission> {
    let looks = matches!(method.as_str(), "GET" | "HEAD");
    (looks && route.starts_with("/batches")).then_some(Permission::BatchesWrite)
}

/// Puts the [`Caller`] of a request, its [`Identity`] and its [`Revoked`](crate::auth::Revoked) among
/// the extensions, or answers why it is not let through.
pub(super) async fn check_access(
    app: &AppState,
    request: &mut Request,
) -> Result<Caller, Response> {
    let identity = match app.keyring.identify(credentials(request.headers())).await {
        Ok(identity) => identity,
        Err(denied) => return Err(refuse(denied, request)),
    };
    let caller = identity.caller().clone();
    if let Err(failure) = permit(app, &identity, request) {
        let mut response = failure.into_response();
        response.extensions_mut().insert(caller);
        return Err(response);
    }
    request.extensions_mut().insert(caller.clone());
    request.extensions_mut().insert(identity.revoked().clone());
    request.extensions_mut().insert(identity);
    Ok(caller)
}

/// The one `Authorization` header, if it is there.
fn credentials(headers: &HeaderMap) -> Credentials<'_> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Credentials::None };
    let (None, Ok(text)) = (values.next(), value.to_str()) else {
        return Credentials::Unreadable;
    };
    match text.split_once(' ') {
        Some((scheme, credential)) if scheme.eq_ignore_ascii_case("bearer") => {
            Credentials::Bearer(credential.trim_matches(' '))
        }
        // Of another scheme: to this service the same as nothing.
        _ => Credentials::None,
    }
}

fn refuse(denied: Denied, request: &Request) -> Response {
    let failure = match denied {
        Denied::Missing => Failure::new(
            Code::Unauthenticated,
            "This request needs credentials: Authorization: Bearer, with an API key or an access \
             token.",
        ),
        Denied::Invalid(why) => {
            let id = request.extensions().get::<Arrival>().map(|arrival| &*arrival.request_id);
            tracing::info!(request_id = id, why, "credentials refused");
            Failure::new(Code::Unauthenticated, "The credentials are not valid.")
        }
        Denied::Unavailable => Problem::new(
            Code::NotReady,
            "Access tokens cannot be checked now: the issuer's keys cannot be fetched.",
        )
        .hint("Send the request again; an API key works meanwhile.")
        .into(),
    };
    let mut response = failure.into_response();
    match denied {
        Denied::Missing => response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE),
        Denied::Invalid(_) => response.headers_mut().insert(header::WWW_AUTHENTICATE, INVALID),
        Denied::Unavailable => None,
    };
    response
}

fn permit(app: &AppState, identity: &Arc<Identity>, request: &Request) -> Result<(), Failure> {
    app.keyring.count(identity).map_err(|wait| {
        Problem::new(
            Code::TooManyRequests,
            "This caller has made all the requests it may make in a minute.",
        )
        .retry_after(wait)
    })?;
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let instead = instead(request.method(), route);
    let missing: Vec<_> =
        identity.lacks(needed(request.method(), route)).into_iter().map(Permission::name).collect();
    match missing.as_slice() {
        [] => Ok(()),
        _ if instead.is_some_and(|other| identity.lacks(&[other]).is_empty()) => Ok(()),
        names => {
            let names = names.join(" and ");
            let other = instead.map(|other| format!(" or {}", other.name())).unwrap_or_default();
            let detail = format!("This request needs the permission {names}{other}.");
            Err(Failure::new(Code::NotPermitted, detail))
        }
    }
}
