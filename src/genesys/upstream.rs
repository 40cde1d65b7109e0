//! The one helper through which every call goes out: an operation is a path and two types.

use std::sync::Arc;

use secrecy::ExposeSecret;
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use url::Url;

use super::{
    answer::{Answer, Failure},
    call::{Call, Operation, Payload, start_by},
    credentials::Credentials,
    error,
    layer::Next,
    reading,
    recheck::Recheck,
    token::Grant,
    wire,
};
use crate::transfer::{
    clock_offset::ClockOffset,
    gateway::{CallContext, Departure, GatewayError, Sent},
    model::Warning,
};

/// The shortest lifetime that can be set for tokens in Genesys, in seconds; taken for one that does
/// not say how long it lives. Should it end earlier, a 401 brings a fresh one.
const SHORTEST_LIFETIME: u64 = 300;

/// One endpoint answered 401, and no other token helps.
const TOKEN_REFUSED: &str = "access_token_refused";

/// One host of Genesys Cloud.
#[derive(Clone)]
pub(super) struct Upstream {
    stack: Next,
    base: Url,
    over: CancellationToken,
}

impl Upstream {
    /// A host behind a stack. `over` cuts every call short.
    pub(super) fn new(stack: Next, base: Url, over: CancellationToken) -> Self {
        Self { stack, base, over }
    }

    /// Reads `T`.
    pub(super) async fn read<T>(
        &self,
        ctx: &CallContext,
        operation: Operation,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, GatewayError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut call = Call::new(operation, url, Payload::None, ctx.clone());
        call.decode = Some(reading::decode::<T>);
        decoded(error::outcome(operation, self.send(call).await)?)
    }

    /// Reads `T`, which holds times, and how Genesys' clock differs from ours.
    pub(super) async fn read_timed<T>(
        &self,
        ctx: &CallContext,
        operation: Operation,
        path: &[&str],
    ) -> Result<(T, ClockOffset), GatewayError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.timed(Call::new(operation, self.url(path), Payload::None, ctx.clone())).await
    }

    /// Reads `T` by a query that travels as a body, as [`Upstream::read_timed`].
    pub(super) async fn query<T>(
        &self,
        ctx: &CallContext,
        operation: Operation,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<(T, ClockOffset), GatewayError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        self.timed(Call::new(operation, self.url(path), json(body)?, ctx.clone())).await
    }

    async fn timed<T>(&self, mut call: Call) -> Result<(T, ClockOffset), GatewayError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let operation = call.operation;
        call.decode = Some(reading::decode::<T>);
        let answer = error::outcome(operation, self.send(call).await)?;
        let clock = answer.clock;
        Ok((decoded(answer)?, clock))
    }

    /// Sets absolute values.
    pub(super) async fn patch(
        &self,
        ctx: &CallContext,
        operation: Operation,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<(), GatewayError> {
        let call = Call::new(operation, self.url(path), json(body)?, ctx.clone());
        error::set(operation, self.send(call).await)
    }

    /// Sends a command.
    pub(super) async fn command(
        &self,
        ctx: &CallContext,
        operation: Operation,
        path: &[&str],
        body: &impl Serialize,
        recheck: Arc<Recheck>,
    ) -> Sent {
        let payload = match json(body) {
            Ok(payload) => payload,
            Err(error) => return Sent::NotSent(error),
        };
        let mut call = Call::new(operation, self.url(path), payload, ctx.clone());
        call.recheck = Some(recheck);
        error::sent(operation, self.send(call).await)
    }

    /// Asks for a token; this is then the login host.
    pub(super) async fn token(
        &self,
        ctx: &CallContext,
        credentials: &Credentials,
    ) -> Result<Grant, GatewayError> {
        let url = self.url(&["oauth", "token"]);
        let unsent = |detail| GatewayError::Unreadable { detail, answer: None };
        let request = credentials.token_request(&url).map_err(unsent)?;
        let payload = Payload::Form(request.form.into_bytes().into());
        let mut call = Call::new(Operation::Token, url, payload, ctx.clone());
        call.authorization = request.authorization;
        call.decode = Some(reading::decode::<wire::TokenAnswer>);
        let answer = error::outcome(Operation::Token, self.send(call).await);
        grant(&decoded(answer.map_err(token_refusal)?)?)
    }

    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        if start_by(&call.ctx, call.kind()) < tokio::time::Instant::now() {
            return Err(Failure::HeldBack(GatewayError::DeadlineExceeded));
        }
        let departure = call.changes().then(|| Arc::clone(&call.ctx.departure));
        if self.over.is_cancelled() {
            return Err(cut_short(departure));
        }
        let (usage, operation) = (Arc::clone(&call.ctx.usage), call.operation);
        usage.count_call();
        let result = tokio::select! {
            biased;
            result = self.stack.clone().oneshot(call) => result,
            () = self.over.cancelled() => Err(cut_short(departure)),
        };
        if let (Ok(answer), false) = (&result, operation == Operation::Token)
            && answer.status() == 401
        {
            usage.warn(token_refused(operation));
        }
        result
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// What a call comes to that the end of the service cuts short; `departure` is that of one that
/// changes something.
fn cut_short(departure: Option<Arc<Departure>>) -> Failure {
    match departure {
        Some(departure) if !departure.call_off() => {
            Failure::Broken("the service stopped before an answer came".to_owned())
        }
        _ => Failure::HeldBack(GatewayError::ShuttingDown),
    }
}

/// A 401 that stands: a new token did not help, or would not.
fn token_refused(operation: Operation) -> Warning {
    Warning {
        code: TOKEN_REFUSED.to_owned(),
        detail: format!(
            "Genesys answered 401 to {}, with an access token that is new or that it accepts for \
             other requests. Check the permission {} of the OAuth client.",
            operation.name(),
            operation.permission()
        ),
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
        return Err(unusable("the login host gave a token that has ended already"));
    }
    let header = format!("Bearer {}", answer.access_token.expose_secret());
    let mut header = reqwest::header::HeaderValue::from_str(&header)
        .map_err(|_| unusable("the login host gave a token that cannot be sent"))?;
    header.set_sensitive(true);
    // Genesys' longest lifetime is 172 800 s; no arithmetic on more than that.
    let lifetime = std::time::Duration::from_secs(seconds.min(172_800));
    Ok(Grant { header, lifetime })
}

fn json(body: &impl Serialize) -> Result<Payload, GatewayError> {
    let unsent = |_| GatewayError::Unreadable {
        detail: "the request could not be written".to_owned(),
        answer: None,
    };
    serde_json::to_vec(body).map(|bytes| Payload::Json(bytes.into())).map_err(unsent)
}

fn decoded<T: 'static>(answer: Answer) -> Result<T, GatewayError> {
    let upstream = answer.upstream;
    let value = answer.decoded.and_then(|decoded| decoded.downcast::<T>().ok());
    value.map(|value| *value).ok_or_else(|| GatewayError::Unreadable {
        detail: "the answer has no body".to_owned(),
        answer: Some(upstream),
    })
}
