//! Requests to the service, repeated where that is safe.

use std::{path::Path, time::Duration};

use reqwest::{
    Certificate, Client, Method, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use url::Url;

use super::args::ServiceOptions;
use crate::{outgoing, support::Backoff};

/// Where the service is looked for when no address is given.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the service may be silent: its own deadline is 30 s unless configured otherwise, and a
/// stream of events says something every few seconds.
const SILENCE: Duration = Duration::from_secs(90);

/// Pauses between two attempts.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));

/// How long a service is looked for that was never reached.
const FIRST_CONTACT: Duration = Duration::from_secs(2);

/// How long a request is repeated after a connection was lost; a restart takes less.
const PATIENCE: Duration = Duration::from_mins(1);

/// Largest answer that is read.
const LARGEST: usize = 64 << 20;

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum CommandError {
    /// The service answered with a problem.
    Problem(Value),
    /// The service was not reached, or the connection was lost; whether a command was sent that may
    /// have been carried out.
    Lost { sent: bool, why: String },
    /// The command line or its surroundings are wrong.
    Usage(String),
}

impl CommandError {
    /// The code of the problem, if it is one.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => problem["code"].as_str().unwrap_or_default(),
            Self::Lost { .. } | Self::Usage(_) => "",
        }
    }
}

/// A running service.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: Url,
    key: Option<HeaderValue>,
}

/// One request, as it is repeated.
struct ApiCall<'a> {
    method: Method,
    url: Url,
    body: Option<&'a Value>,
    idempotency_key: Option<&'a str>,
}

impl Api {
    /// The service that the arguments and the environment name.
    pub(super) fn new(server: &ServiceOptions) -> Result<Self, CommandError> {
        let url = server.url.clone().or_else(|| variable("GENESYS_TRANSFER_URL"));
        let url = url.as_deref().unwrap_or(DEFAULT_URL);
        let base = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| usage("--url: expected a URL that starts with http:// or https://"))?;
        let mut client = outgoing::client(&base).connect_timeout(CONNECT).read_timeout(SILENCE);
        let ca_file = server.ca_file.clone();
        if let Some(path) = ca_file.or_else(|| variable("GENESYS_TRANSFER_CA_FILE").map(Into::into))
        {
            let pem = read("--ca-file", &path)?;
            let issuers = Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|_| usage("--ca-file: expected certificates in PEM"))?;
            client = client.tls_certs_merge(issuers);
        }
        let client = client.build().map_err(|error| usage(&outgoing::why(&error)))?;
        Ok(Self { client, base, key: key(server)? })
    }

    /// Reads what `path` with the query `pairs` shows.
    pub(super) async fn get(
        &self,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> Result<Value, CommandError> {
        let mut url = self.url(path)?;
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        self.call(&ApiCall { method: Method::GET, url, body: None, idempotency_key: None }).await
    }

    /// Sends a command. It is repeated with the same `key` when the connection is lost.
    pub(super) async fn post(
        &self,
        path: &str,
        body: &Value,
        key: &str,
    ) -> Result<Value, CommandError> {
        let (url, body) = (self.url(path)?, Some(body));
        self.call(&ApiCall { method: Method::POST, url, body, idempotency_key: Some(key) }).await
    }

    /// Stops what is at `path`.
    pub(super) async fn delete(&self, path: &str) -> Result<Value, CommandError> {
        let url = self.url(path)?;
        self.call(&ApiCall { method: Method::DELETE, url, body: None, idempotency_key: None }).await
    }

    /// The stream of events at `path`.
    pub(super) async fn events(&self, path: &str) -> Result<Response, CommandError> {
        let request = ApiCall {
            method: Method::GET,
            url: self.url(path)?,
            body: None,
            idempotency_key: None,
        };
        let answer = self.send(&request, "text/event-stream").await;
        let answer = answer.map_err(|error| lost(&error, false))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, value) = read_answer(answer).await.map_err(|error| lost(&error, false))?;
        Err(CommandError::Problem(problem(status, value)))
    }

    fn url(&self, path: &str) -> Result<Url, CommandError> {
        let prefix = self.base.path().trim_end_matches('/');
        self.base.join(&format!("{prefix}{path}")).map_err(|error| usage(&error.to_string()))
    }

    async fn call(&self, request: &ApiCall<'_>) -> Result<Value, CommandError> {
        let begun = Instant::now();
        let mut attempt = 0;
        // Whether the service may have received it.
        let mut sent = false;
        loop {
            attempt += 1;
            let mut pause = PAUSES.pause(attempt);
            let answer = match self.send(request, "application/json").await {
                Ok(answer) => read_answer(answer).await,
                Err(error) => Err(error),
            };
            let ended = match answer {
                Ok((status, value)) if status.is_success() => {
                    return value.ok_or_else(|| CommandError::Problem(problem(status, None)));
                }
                Ok((status, value)) => {
                    let problem = problem(status, value);
                    if !passes(&problem) {
                        return Err(CommandError::Problem(problem));
                    }
                    let after = problem["retryAfterSeconds"].as_u64().unwrap_or(1).clamp(1, 10);
                    pause = pause.max(Duration::from_secs(after));
                    sent = true;
                    CommandError::Problem(problem)
                }
                Err(error) => {
                    sent |= !error.is_connect();
                    lost(&error, sent && request.idempotency_key.is_some())
                }
            };
            let patience = if sent { PATIENCE } else { FIRST_CONTACT };
            if begun.elapsed() + pause > patience {
                return Err(ended);
            }
            sleep(pause).await;
        }
    }

    async fn send(&self, request: &ApiCall<'_>, accept: &str) -> reqwest::Result<Response> {
        let mut call = self.client.request(request.method.clone(), request.url.clone());
        call = call.header(ACCEPT, accept);
        if let Some(key) = &self.key {
            call = call.header(AUTHORIZATION, key.clone());
        }
        if let Some(key) = request.idempotency_key {
            call = call.header("idempotency-key", key);
        }
        if let Some(body) = request.body {
            call = call.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        call.send().await
    }
}

/// Whether the same request may be answered otherwise in a moment: the first one still runs, or the
/// service is being restarted.
fn passes(problem: &Value) -> bool {
    matches!(problem["code"].as_str(), Some("idempotency_key_in_use" | "shutting_down"))
}

/// The status and the JSON of an answer, if it is JSON.
async fn read_answer(mut answer: Response) -> reqwest::Result<(StatusCode, Option<Value>)> {
    let status = answer.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > LARGEST {
            return Ok((status, None));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((status, serde_json::from_slice(&bytes).ok()))
}

/// The problem in an answer; of an answer that has none, one that says so.
fn problem(status: StatusCode, value: Option<Value>) -> Value {
    value.filter(|value| value["code"].is_string()).unwrap_or_else(|| {
        json!({
            "title": format!("The answer is not one of this service (HTTP {status})"),
            "status": status.as_u16(),
            "hint": "Check --url: another server, or a proxy in between, has answered.",
        })
    })
}

fn lost(error: &reqwest::Error, sent: bool) -> CommandError {
    CommandError::Lost { sent, why: outgoing::why(error) }
}

fn usage(text: &str) -> CommandError {
    CommandError::Usage(text.to_owned())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read(option: &str, path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path)
        .map_err(|error| usage(&format!("{option}: {} cannot be read: {error}", path.display())))
}

/// The header that carries the API key. A file named on the command line goes before the environment.
fn key(server: &ServiceOptions) -> Result<Option<HeaderValue>, CommandError> {
    let from = |path: &Path| read("--key-file", path).map(Some);
    let key = match (&server.key_file, variable("GENESYS_TRANSFER_KEY")) {
        (Some(path), _) => from(path)?,
        (None, Some(key)) => Some(key),
        (None, None) => match variable("GENESYS_TRANSFER_KEY_FILE") {
            Some(path) => from(Path::new(&path))?,
            None => None,
        },
    };
    let header = |key: String| {
        let mut value = HeaderValue::try_from(format!("Bearer {}", key.trim()))
            .map_err(|_| usage("the API key has characters that no key has"))?;
        value.set_sensitive(true);
        Ok(value)
    };
    key.map(header).transpose()
}
