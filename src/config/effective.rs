//! The configuration in force, for `check-config`: each value with its origin, secrets hidden.

use std::{fmt::Write as _, path::PathBuf};

use config::{Value, ValueKind};

use super::{
    Region, Settings,
    auth::ApiKey,
    error::one_line,
    keys::{API_KEYS, KEYS, Privacy},
    reader::Reader,
    store,
};

/// Stands for a secret that is set.
const SET: &str = "\"<set>\"";

/// Where the settings came from, for messages.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named by `--config` or `CONFIG_FILE`.
    pub file: Option<PathBuf>,
    entries: Vec<Entry>,
}

/// One key as it may be shown.
#[derive(Debug, Clone)]
struct Entry {
    key: &'static str,
    /// As a TOML value; `None` when it is not set.
    value: Option<String>,
    origin: String,
}

impl Sources {
    /// Keeps what may be shown of what was read.
    pub(super) fn of(settings: &Settings, from: &Reader, file: Option<PathBuf>) -> Self {
        let entries = KEYS
            .iter()
            .map(|key| match from.value(key.name) {
                Some(value) => Entry {
                    key: key.name,
                    value: Some(shown(key.name, key.privacy, value, &settings.auth.api_keys)),
                    origin: value.origin().unwrap_or_default().to_owned(),
                },
                None => derived(key.name, settings),
            })
            .collect();
        Self { file, entries }
    }

    /// Where the value of `key` came from, in words.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.origin.as_str())
    }

    /// All keys as TOML, each value with its origin as a comment; secrets are `"<set>"`.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for entry in &self.entries {
            let (section, name) = entry.key.split_once('.').unwrap_or(("", entry.key));
            if section != current {
                let gap = if current.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{section}]");
                current = section;
            }
            let origin = one_line(&entry.origin);
            let _ = match &entry.value {
                Some(value) => writeln!(text, "{name} = {value}  # {origin}"),
                None => writeln!(text, "# {name} is {origin}"),
            };
        }
        text
    }
}

fn shown(key: &str, privacy: Privacy, value: &Value, callers: &[ApiKey]) -> String {
    match (&value.kind, key, privacy) {
        (_, API_KEYS, _) => api_keys(callers),
        (ValueKind::String(url), "store.url", _) => quoted(&store::redacted(url)),
        (_, _, Privacy::Secret) => SET.to_owned(),
        (ValueKind::String(text), _, _) => match text.parse::<i64>() {
            // From the environment every value is text.
            Ok(number) if is_number(key) => number.to_string(),
            _ if text == "true" || text == "false" => text.clone(),
            _ => quoted(text),
        },
        (ValueKind::Array(items), _, _) => {
            let items: Vec<_> = items.iter().map(|item| quoted(&item.kind.to_string())).collect();
            format!("[{}]", items.join(", "))
        }
        (kind, _, _) => kind.to_string(),
    }
}

/// Whether the values of `key` are numbers.
fn is_number(key: &str) -> bool {
    key.ends_with("_per_minute") || key.ends_with("_per_hour") || key.starts_with("server.max_")
}

/// What is in force for a key that nobody set.
fn derived(key: &'static str, settings: &Settings) -> Entry {
    let genesys = &settings.genesys;
    let host = |name: &str| {
        genesys.region.domain().map(|domain| quoted(&format!("https://{name}.{domain}")))
    };
    let sandbox = genesys.region == Region::Sandbox;
    let (value, origin) = match key {
        "server.max_connections_per_address" => {
            let most = settings.server.max_connections_per_address;
            (Some(most.to_string()), "not set; a quarter of server.max_connections")
        }
        "auth.mode" => {
            let why = "not set; none in the sandbox on loopback, else required";
            (Some(quoted(settings.auth.mode.name())), why)
        }
        "genesys.client_id" if sandbox => {
            (genesys.client_id.as_deref().map(quoted), "not set; the sandbox's own")
        }
        "genesys.client_secret" if sandbox && genesys.client_secret.is_some() => {
            (Some(SET.to_owned()), "not set; the sandbox's own")
        }
        "genesys.api_url" => (host("api"), "not set; from the region"),
        "genesys.login_url" => (host("login"), "not set; from the region"),
        _ => (None, ""),
    };
    let origin = if value.is_some() { origin } else { "not set" };
    Entry { key, value, origin: origin.to_owned() }
}

fn api_keys(callers: &[ApiKey]) -> String {
    let callers: Vec<String> = callers.iter().map(api_key).collect();
    format!("[{}]", callers.join(", "))
}

fn api_key(caller: &ApiKey) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let mut text = format!(
        "{{ caller = {}, sha256 = {}, permissions = {}, queues = {}",
        quoted(&caller.caller),
        list(vec![SET.to_owned(); caller.sha256.len()]),
        list(caller.permissions.iter().map(|permission| quoted(permission.name())).collect()),
        list(caller.queues.iter().map(|pattern| quoted(pattern.as_str())).collect()),
    );
    if let Some(priority) = caller.max_priority {
        let _ = write!(text, ", max_priority = {priority}");
    }
    if let Some(rate) = caller.requests_per_minute {
        let _ = write!(text, ", requests_per_minute = {rate}");
    }
    text + " }"
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", one_line(&text))
}
