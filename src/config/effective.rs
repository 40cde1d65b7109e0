//! The configuration in force, for `check-config`: each value with its origin, secrets hidden.

use std::fmt::Write as _;

use config::{Value, ValueKind};

use super::{
    Region, Settings,
    error::one_line,
    keys::{KEYS, SECRETS},
    layers::Layers,
    store_url,
};

/// Stands for a secret that is set.
const SET: &str = "\"<set>\"";

/// All keys as TOML, each value with its origin as a comment; secrets are `"<set>"`.
pub(super) fn to_toml(settings: &Settings, from: &Layers) -> String {
    let mut text = String::new();
    let mut current = "";
    for key in KEYS.iter() {
        let (section, name) = key.split_once('.').unwrap_or(("", key));
        if section != current {
            let gap = if current.is_empty() { "" } else { "\n" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{gap}[{section}]");
            current = section;
        }
        let (value, origin) = match from.value(key) {
            Some(value) => {
                let default = from.default(key).map(|default| &default.kind);
                let is_text = matches!(default, None | Some(ValueKind::String(_)));
                (Some(shown(key, value, is_text)), one_line(from.origin(key)))
            }
            None => derived(key, settings),
        };
        let _ = match value {
            Some(value) => writeln!(text, "{name} = {value}  # {origin}"),
            None => writeln!(text, "# {name} is {origin}"),
        };
    }
    text
}

/// The value as TOML. From the environment every value is text, also where none `is_text`.
fn shown(key: &str, value: &Value, is_text: bool) -> String {
    match &value.kind {
        ValueKind::Array(items) if key == "sha256" => list(items.iter().map(|_| SET.to_owned())),
        ValueKind::Array(items) => list(items.iter().map(|item| shown("", item, true))),
        ValueKind::Table(members) => {
            let mut members: Vec<_> = members
                .iter()
                .filter(|(_, value)| value.kind != ValueKind::Nil)
                .map(|(name, value)| format!("{name} = {}", shown(name, value, true)))
                .collect();
            members.sort_unstable();
            format!("{{ {} }}", members.join(", "))
        }
        ValueKind::String(url) if key == "store.url" => quoted(&store_url::redacted(url)),
        _ if SECRETS.contains(&key) => SET.to_owned(),
        ValueKind::String(text) if !is_text || key == PER_ADDRESS => text.clone(),
        ValueKind::String(text) => quoted(text),
        kind => kind.to_string(),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// The one number without a default of its own.
const PER_ADDRESS: &str = "server.max_connections_per_address";

/// What takes effect for a key that is not set, and why.
fn derived(key: &str, settings: &Settings) -> (Option<String>, String) {
    let genesys = &settings.genesys;
    let host = |name: &str| {
        genesys.region.domain().map(|domain| quoted(&format!("https://{name}.{domain}")))
    };
    let sandbox = genesys.region == Region::Sandbox;
    let most = settings.server.max_connections_per_address;
    let (value, why) = match key {
        PER_ADDRESS => (Some(most.to_string()), "; a quarter of server.max_connections"),
        "auth.mode" => (
            Some(quoted(settings.auth.mode.name())),
            "; none in the sandbox on loopback, else required",
        ),
        "genesys.client_id" if sandbox => {
            (genesys.client_id.as_deref().map(quoted), "; the sandbox's own")
        }
        "genesys.client_secret" if sandbox => {
            (genesys.client_secret.as_ref().map(|_| SET.to_owned()), "; the sandbox's own")
        }
        "genesys.api_url" => (host("api"), "; from the region"),
        "genesys.login_url" => (host("login"), "; from the region"),
        _ => (None, ""),
    };
    let why = if value.is_some() { why } else { "" };
    (value, format!("not set{why}"))
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", one_line(&text))
}
