//! The one helper through which every call goes out: an operation, the ids in its path, and how its
//! answer is read.

use std::{convert::Infallible, sync::Arc};

use hyper::body::Bytes;
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceBuilder, retry::Retry};
use url::Url;
use uuid::Uuid;

use super::{
    attempt::Attempt,
    call::{Operation, UpstreamRequest},
    credentials::ClientCredentials,
    host::{Host, Tries},
    reading::{self, Body, BodyReader, Misread},
    retry::{Call, Retries},
    token::Grant,
    wire,
};
use crate::transfer::{
    clock_offset::ClockOffset,
    gateway::{CallContext, GatewayError, Repeat, Tried},
    model::Warning,
};

/// The shortest lifetime that can be set for tokens in Genesys, in seconds; taken for one that does
/// not say how long it lives. Should it end earlier, a 401 brings a fresh one.
const SHORTEST_LIFETIME: u64 = 300;

/// One endpoint answered 401, and no other token helps.
const TOKEN_REFUSED: &str = "access_token_refused";

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Calls to one host of Genesys Cloud. Cheap to clone.
#[derive(Clone)]
pub(super) struct Upstream(Arc<UpstreamInner>);

struct UpstreamInner {
    stack: Retry<Retries, Tries>,
    host: Arc<Host>,
    base: Url,
    /// The path of `base`, without a slash at its end.
    base_path: String,
    over: CancellationToken,
}

impl Upstream {
    /// A host behind its stack. `over` cuts every call short.
    pub(super) fn new(host: Host, base: Url, over: CancellationToken) -> Self {
        let host = Arc::new(host);
        let stack = ServiceBuilder::new()
            // Each repeat passes all of a try again.
            .retry(host.retries.clone())
            .service(Tries(Arc::clone(&host)));
        let base_path = base.path().trim_end_matches('/').to_owned();
        Self(Arc::new(UpstreamInner { stack, host, base, base_path, over }))
    }

    /// A request for `operation`, with `ids` in its path.
    pub(super) fn request<'a>(
        &self,
        ctx: &'a CallContext,
        operation: Operation,
        ids: &[Uuid],
    ) -> UpstreamRequest<'a> {
        let mut url = self.0.base.clone();
        url.set_path(&operation.path(&self.0.base_path, ids));
        UpstreamRequest { operation, url, body: None, authorization: None, ctx }
    }

    /// Reads what `parse` makes of a JSON document, and how Genesys' clock differs from ours.
    pub(super) async fn read<T: Send>(
        &self,
        request: UpstreamRequest<'_>,
        parse: impl Fn(&str) -> serde_json::Result<T> + Send + Sync,
    ) -> Result<(T, ClockOffset), GatewayError> {
        let read = |_: Option<&str>, body: &Body| -> Result<(T, u64), Misread> {
            reading::json(body, &parse)
        };
        self.send(&request, &read).await.read(request.operation)
    }

    /// Sets absolute values.
    pub(super) async fn patch(&self, request: UpstreamRequest<'_>) -> Result<(), GatewayError> {
        self.send(&request, &reading::taken).await.set(request.operation)
    }

    /// Sends a command, for the `attempt`th time.
    pub(super) async fn command(&self, request: UpstreamRequest<'_>, attempt: u32) -> Tried {
        let call = Call::new(&request, &reading::taken, attempt);
        let retries = &self.0.host.retries;
        if attempt > 1 {
            retries.repeats(&call);
        }
        let tries = Tries(Arc::clone(&self.0.host));
        let came = self.cut_short(&request, attempt == 1, tries, call).await;
        retries.tried(attempt, &came);
        let status = came.status();
        let tried = came.sent(request.operation, retries.backoff(attempt));
        if tried.repeat != Repeat::FreshToken {
            warn_of_refusal(&request, status);
        }
        tried
    }

    /// Pays for one repeat of a command out of this host's retry budget.
    pub(super) fn may_repeat(&self) -> bool {
        self.0.host.retries.pay()
    }

    /// Asks for a token; this is then the login host.
    pub(super) async fn token(
        &self,
        ctx: &CallContext,
        credentials: &ClientCredentials,
    ) -> Result<Grant, GatewayError> {
        let mut request = self.request(ctx, Operation::Token, &[]);
        let unsent = |detail| GatewayError::Unreadable { detail, answer: None };
        let grant_request = credentials.token_request(&request.url).map_err(unsent)?;
        request.body = Some((FORM, grant_request.form.into_bytes().into()));
        request.authorization = grant_request.authorization;
        let read = self.read(request, |text| serde_json::from_str(text)).await;
        let (answer, _) = read.map_err(token_refusal)?;
        grant(&answer)
    }

    async fn send<T: Send>(
        &self,
        request: &UpstreamRequest<'_>,
        read: &BodyReader<'_, T>,
    ) -> Attempt<T> {
        let call = Call::new(request, read, 1);
        let came = self.cut_short(request, true, self.0.stack.clone(), call).await;
        warn_of_refusal(request, came.status());
        came
    }

    /// Runs a call through `stack`; the end of the service cuts it short.
    async fn cut_short<'a, T, S>(
        &self,
        request: &UpstreamRequest<'_>,
        is_new: bool,
        mut stack: S,
        call: Call<'a, T>,
    ) -> Attempt<T>
    where
        S: Service<Call<'a, T>, Response = Attempt<T>, Error = Infallible>,
    {
        if request.start_by() < Instant::now() {
            return Attempt::HeldBack(GatewayError::DeadlineExceeded);
        }
        if self.0.over.is_cancelled() {
            return ended(request);
        }
        if is_new {
            request.ctx.usage.count_call();
        }
        let came = tokio::select! {
            biased;
            // The stack is always ready.
            came = stack.call(call) => match came {
                Ok(came) => came,
                Err(never) => match never {},
            },
            () = self.0.over.cancelled() => return ended(request),
        };
        came
    }
}

/// What a call comes to that the end of the service cuts short.
fn ended<T>(request: &UpstreamRequest<'_>) -> Attempt<T> {
    if request.changes() && !request.ctx.departure.call_off() {
        return Attempt::Broken("the service stopped before an answer came".to_owned());
    }
    Attempt::HeldBack(GatewayError::ShuttingDown)
}

/// Writes the body of a request.
///
/// # Errors
/// When it cannot be written.
pub(super) fn json(body: &impl Serialize) -> Result<Option<(&'static str, Bytes)>, GatewayError> {
    match serde_json::to_vec(body) {
        Ok(bytes) => Ok(Some((JSON, bytes.into()))),
        Err(_) => Err(GatewayError::Unreadable {
            detail: "the request could not be written".to_owned(),
            answer: None,
        }),
    }
}

/// Notes a 401 that stands: a new token did not help, or would not.
fn warn_of_refusal(request: &UpstreamRequest<'_>, status: Option<u16>) {
    let operation = request.operation;
    if status == Some(401) && operation != Operation::Token {
        request.ctx.usage.warn(Warning {
            code: TOKEN_REFUSED.to_owned(),
            detail: format!(
                "Genesys answered 401 to {}, with an access token that is new or that it accepts \
                 for other requests. Check the permission {} of the OAuth client.",
                operation.name(),
                operation.permission()
            ),
        });
    }
}

/// OAuth says 400 for what HTTP calls 401. Other refusals come from a host that is not the login
/// host: they say nothing about the caller's conversation.
fn token_refusal(error: GatewayError) -> GatewayError {
    match error {
        GatewayError::Rejected(answer) if answer.status == 400 => {
            GatewayError::CredentialsRejected(Some(answer))
        }
        GatewayError::Rejected(answer)
        | GatewayError::NotFound(answer)
        | GatewayError::Conflict(answer) => GatewayError::Failed(answer),
        other => other,
    }
}

fn grant(answer: &wire::TokenAnswer) -> Result<Grant, GatewayError> {
    let unusable =
        |detail: &str| GatewayError::Unreadable { detail: detail.to_owned(), answer: None };
    let seconds = answer.expires_in.map_or(SHORTEST_LIFETIME, |told| told.try_into().unwrap_or(0));
    if seconds == 0 {
        return Err(unusable("the login host issued a token that has already expired"));
    }
    let header = format!("Bearer {}", answer.access_token.expose_secret());
    let mut header = reqwest::header::HeaderValue::from_str(&header)
        .map_err(|_| unusable("the login host issued a token that cannot be sent in a header"))?;
    header.set_sensitive(true);
    // Genesys' longest lifetime is 172 800 s; no arithmetic on more than that.
    let lifetime = std::time::Duration::from_secs(seconds.min(172_800));
    Ok(Grant { header, lifetime })
}
