//! Where Genesys is: the region's hosts, the configured ones, or the embedded sandbox.

use url::Url;

use super::StartError;
use crate::{config, genesys::Hosts, sandbox::Sandbox};

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
