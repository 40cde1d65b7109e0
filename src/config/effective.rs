//! The configuration in force, for `check-config`: each value with its origin, secrets hidden.

use std::{fmt::Write as _, path::PathBuf};

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

/// Where the settings came from, for messages.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named by `--config` or `CONFIG_FILE`.
    pub file: Option<PathBuf>,
    lines: Vec<Line>,
}

/// One key as it may be shown.
#[derive(Debug, Clone)]
struct Line {
    key: &'static str,
    /// As a TOML value; `None` when it is not set.
    value: Option<String>,
    origin: String,
}

impl Sources {
    /// Keeps what may be shown of what was read.
    pub(super) fn of(settings: &Settings, from: &Layers) -> Self {
        let line = |key: &'static String| match from.value(key) {
            Some(value) => {
                let is_text = matches!(
                    from.default(key).map(|default| &default.kind),
                    None | Some(ValueKind::String(_))
                );
                let value = shown(key, value, is_text);
                Line { key, value: Some(value), origin: from.origin(key).to_owned() }
            }
            None => derived(key, settings),
        };
        Self { file: from.file.clone(), lines: KEYS.iter().map(line).collect() }
    }

    /// Where the value of `key` came from, in words.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&str> {
        self.lines.iter().find(|line| line.key == key).map(|line| line.origin.as_str())
    }

    /// All keys as TOML, each value with its origin as a comment; secrets are `"<set>"`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for line in &self.lines {
            let (section, name) = line.key.split_once('.').unwrap_or(("", line.key));
            if section != current {
                let gap = if current.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{section}]");
                current = section;
            }
            let origin = one_line(&line.origin);
            let _ = match &line.value {
                Some(value) => writeln!(text, "{name} = {value}  # {origin}"),
                None => writeln!(text, "# {name} is {origin}"),
            };
        }
        text
    }
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

/// What is in force for a key that nobody set.
fn derived(key: &'static str, settings: &Settings) -> Line {
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
    Line { key, value, origin: format!("not set{why}") }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", one_line(&text))
}
