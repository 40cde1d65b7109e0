//! Where Genesys is: the region's hosts, the configured ones, or the embedded sandbox.

use std::sync::Arc;

use url::Url;

use super::{StartError, listen, sandbox_options};
use crate::{
    clock::Clock,
    config::{self, Settings},
    genesys::Hosts,
    sandbox::Sandbox,
};

/// The hosts to call; the sandbox's when it runs.
///
/// # Errors
/// When neither the region nor the settings name them.
pub fn of(settings: &config::Genesys, sandbox: Option<&Sandbox>) -> Result<Hosts, StartError> {
    let Some(sandbox) = sandbox else {
        return Hosts::resolve(settings).map_err(|error| StartError::Gateway(error.to_string()));
    };
    let url = Url::parse(sandbox.base_url())
        .map_err(|error| StartError::Gateway(format!("the sandbox's address: {error}")))?;
    Ok(Hosts { api: url.clone(), login: url })
}

/// Starts a sandbox as the settings say.
pub(super) async fn start_sandbox(
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<Sandbox, StartError> {
    let bind = settings.sandbox.bind;
    let listener = listen("sandbox.bind", bind).await?;
    Sandbox::start(listener, sandbox_options(settings), clock).map_err(|cause| StartError::Listen {
        key: "sandbox.bind",
        address: bind,
        cause,
    })
}
