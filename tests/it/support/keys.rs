//! Callers with API keys.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::service::{Answer, TestApp, send};

/// A caller whose key is its name.
pub(crate) fn entry(caller: &str, permissions: &[&str], queues: &[&str]) -> Value {
    let hash: Vec<String> = Sha256::digest(caller).iter().map(|b| format!("{b:02x}")).collect();
    json!({
        "caller": caller, "sha256": [hash.concat()], "permissions": permissions, "queues": queues,
    })
}

impl TestApp {
    /// `GET` by that caller.
    pub(crate) async fn get_as(&self, caller: &str, path: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(caller)).await
    }

    /// `POST` by that caller.
    pub(crate) async fn post_as(&self, caller: &str, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).bearer_auth(caller).json(body)).await
    }
}
