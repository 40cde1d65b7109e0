//! `healthcheck`: asks a running service whether it is ready.

use std::{process::ExitCode, time::Duration};

use url::Url;

use super::exit::{leave, misconfigured};
use crate::{
    cli,
    config::{Args, Listening, ProcessEnv},
    outgoing,
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
    match url {
        Some(url) => ask(&url, false).await,
        None => match Listening::load(args, &ProcessEnv) {
            Ok(listening) => match cli::ready_url(listening) {
                Ok(url) => ask(&url, true).await,
                Err(error) => leave(&format!("server.bind: {error}"), 1),
            },
            Err(errors) => misconfigured(&errors),
        },
    }
}

async fn ask(url: &Url, own: bool) -> ExitCode {
    let client =
        outgoing::client(url).no_proxy().timeout(TIME).tls_danger_accept_invalid_certs(own);
    let answer = match client.build() {
        Ok(client) => client.get(url.clone()).send().await,
        Err(error) => Err(error),
    };
    let shown = without_user(url);
    match answer {
        Ok(answer) if answer.status().is_success() => ExitCode::SUCCESS,
        Ok(answer) => leave(&format!("{shown} answered {}", answer.status()), 1),
        Err(error) => leave(&format!("{shown}: {}", outgoing::why(&error)), 1),
    }
}

/// The URL as it may be shown.
fn without_user(url: &Url) -> Url {
    let mut shown = url.clone();
    // They fail for URLs without a host only, which have no user either.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown
}
