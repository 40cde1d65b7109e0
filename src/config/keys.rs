//! The keys: which there are, how their variables are called, which of them are secrets.

use std::sync::LazyLock;

/// Every key as `section.key`, in the order of `config/default.toml`. That file is the only list of
/// keys; one without a default is a comment there, `# key = value`.
pub(super) static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut section = "";
    let mut keys = Vec::new();
    for line in super::DEFAULT_TOML.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        let Some((name, _)) = line.split_once(" = ") else { continue };
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            keys.push(format!("{section}.{name}"));
        }
    }
    keys
});

/// Callers' keys; the one list of tables among the values.
pub(super) const API_KEYS: &str = "auth.api_keys";

/// Keys whose values are never shown, and may come from the file named by `SECTION_KEY_FILE`.
pub(super) const SECRETS: [&str; 4] =
    ["genesys.client_secret", "genesys.private_key", "store.url", API_KEYS];

/// The environment variable of `key`: `genesys.client_id` is `GENESYS_CLIENT_ID`.
pub(super) fn variable(key: &str) -> String {
    key.replace('.', "_").to_ascii_uppercase()
}

/// The variable that names a file with the value of `key`; secrets only.
pub(super) fn file_variable(key: &str) -> Option<String> {
    SECRETS.contains(&key).then(|| variable(key) + "_FILE")
}

/// Where `key` stands in the list; what is no key comes last.
pub(super) fn position(key: &str) -> usize {
    KEYS.iter().position(|known| known == key).unwrap_or(usize::MAX)
}
