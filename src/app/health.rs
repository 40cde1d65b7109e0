//! `healthcheck`: asks a running service whether it is ready.

use std::{process::ExitCode, time::Duration};

use reqwest::{ClientBuilder, redirect::Policy};
use url::Url;

use super::run::{leave, misconfigured};
use crate::{
    cli,
    config::{Args, Listening, ProcessEnv},
};

/// How long an answer is waited for.
const TIME: Duration = Duration::from_secs(5);

/// Asks `url`, or else the service that the configuration describes, on this machine.
///
/// Of our own service no name is verified over TLS: its certificate names the host that callers
/// use, not the address it is asked at here. That address is this machine's own, nothing secret is
/// sent, and no redirect is followed away from it. Pinning the certificate in the file instead
/// would call a service ill that goes on with its old one after the file was replaced by a bad one.
pub(super) async fn check(url: Option<Url>, args: &Args) -> ExitCode {
    let client = reqwest::Client::builder();
    match url {
        Some(url) => ask(client, url.as_str()).await,
        None => match Listening::load(args, &ProcessEnv) {
            Ok(listening) => {
                let client = client.tls_danger_accept_invalid_certs(listening.tls);
                ask(client, &cli::ready_url(listening)).await
            }
            Err(errors) => misconfigured(&errors),
        },
    }
}

async fn ask(client: ClientBuilder, url: &str) -> ExitCode {
    let client = client.no_proxy().redirect(Policy::none()).timeout(TIME).build();
    let answer = match client {
        Ok(client) => client.get(url).send().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) if answer.status().is_success() => ExitCode::SUCCESS,
        Ok(answer) => leave(&format!("{url} answered {}", answer.status()), 1),
        Err(error) => leave(&format!("{url}: {}", root_cause(&error)), 1),
    }
}

/// What the system said; the layers above it only say that a request failed.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}
