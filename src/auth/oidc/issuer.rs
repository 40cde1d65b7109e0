//! Fetches the issuer's keys: its discovery document, then the key set that names.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Response};
use serde::Deserialize;
use url::Url;

use super::{cache::KeySource, keys::KeySet};
use crate::{config::Oidc, outgoing, support::is_loopback};

/// Longest one of the two requests may take.
const REQUEST_TIME: Duration = Duration::from_secs(4);

/// Longest document that is read, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;

/// Where the keys are found, below the issuer (`OpenID` Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The issuer, over HTTP.
pub(super) struct Issuer {
    http: Client,
    name: String,
    discovery: Url,
    /// A test issuer on this machine may go without TLS; its keys may then, too.
    is_local: bool,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// # Errors
    /// In words, when no HTTP client can be made.
    pub(super) fn new(oidc: &Oidc) -> Result<Self, String> {
        let is_local = oidc.issuer_url.scheme() == "http";
        let client = outgoing::client(&oidc.issuer_url).timeout(REQUEST_TIME);
        let text = format!("{}{DISCOVERY}", oidc.issuer_url.as_str().trim_end_matches('/'));
        let discovery = Url::parse(&text).map_err(|error| error.to_string())?;
        let http = client.build().map_err(|error| outgoing::why(&error))?;
        Ok(Self { http, name: oidc.issuer.clone(), discovery, is_local })
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, String> {
        let shown = url.to_string();
        let answer = self.http.get(url).header("accept", "application/json").send().await;
        let answer = answer.map_err(|error| format!("{shown}: {}", outgoing::why(&error)))?;
        if !answer.status().is_success() {
            return Err(format!("{shown} answered {}", answer.status()));
        }
        read(answer).await.map_err(|why| format!("{shown}: {why}"))
    }

    /// Where the keys are, as the discovery document says.
    fn keys_url(&self, document: &[u8]) -> Result<Url, String> {
        let discovery = &self.discovery;
        let found: Discovery = serde_json::from_slice(document)
            .map_err(|_| format!("{discovery} is not a discovery document"))?;
        // `OpenID` Connect Discovery 1.0, section 4.3: letter by letter.
        if found.issuer != self.name {
            return Err(format!(
                "{discovery} is of another issuer; auth.oidc_issuer must be spelled as it spells \
                 itself"
            ));
        }
        let url = Url::parse(&found.jwks_uri).ok();
        let is_plain_here = |url: &Url| url.scheme() == "http" && is_loopback(url);
        url.filter(|url| url.scheme() == "https" || (self.is_local && is_plain_here(url)))
            .ok_or_else(|| format!("{discovery} names a jwks_uri without https"))
    }
}

#[async_trait]
impl KeySource for Issuer {
    async fn fetch(&self) -> Result<KeySet, String> {
        let document = self.get(self.discovery.clone()).await?;
        let keys = self.get(self.keys_url(&document)?).await?;
        KeySet::parse(&keys)
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| outgoing::why(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_DOCUMENT {
            return Err("the answer is too large".to_owned());
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issuer(text: &str) -> Issuer {
        let oidc = Oidc {
            issuer: text.to_owned(),
            issuer_url: Url::parse(text).unwrap(),
            audience: "transfer".to_owned(),
            max_lifetime: Duration::from_hours(24),
        };
        Issuer::new(&oidc).unwrap()
    }

    #[test]
    fn the_discovery_document_is_below_the_issuer() {
        for text in ["https://id.test/realms/a", "https://id.test/realms/a/"] {
            assert_eq!(
                issuer(text).discovery.as_str(),
                "https://id.test/realms/a/.well-known/openid-configuration"
            );
        }
    }

    #[test]
    fn keys_are_fetched_over_tls_or_from_this_machine_only() {
        let (far, near) = ("https://id.test", "http://127.0.0.1:9");
        for (of, keys, taken) in [
            (far, "https://id.test/keys", true),
            (far, "https://keys.test/keys", true),
            (far, "http://id.test/keys", false),
            (far, "http://127.0.0.1/keys", false),
            (far, "file:///etc/passwd", false),
            (far, "keys", false),
            (near, "http://127.0.0.1:9/keys", true),
            (near, "http://localhost:9/keys", true),
            (near, "http://10.0.0.1/keys", false),
            (near, "http://169.254.169.254/", false),
        ] {
            let document = json!({"issuer": of, "jwks_uri": keys}).to_string();
            let url = issuer(of).keys_url(document.as_bytes());
            assert_eq!(url.is_ok(), taken, "{of} {keys}");
        }
    }

    #[test]
    fn another_issuers_document_is_refused() {
        for named in ["https://id.test/", "https://evil.test"] {
            let document = json!({"issuer": named, "jwks_uri": "https://id.test/keys"});
            let url = issuer("https://id.test").keys_url(document.to_string().as_bytes());
            assert!(url.is_err(), "{named}");
        }
    }
}
