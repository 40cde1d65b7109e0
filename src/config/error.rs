//! What is wrong with the configuration, one line each.

use std::fmt::Write as _;

/// Everything found wrong with the configuration, never empty. `Display` gives one line each,
/// without secrets; the first can stand alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ConfigError::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub(super) Vec<ConfigError>);

impl ConfigErrors {
    /// Exit code of a process that cannot start for this reason (`EX_CONFIG` of `sysexits.h`).
    pub const EXIT_CODE: u8 = 78;

    /// The single errors.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// One thing that is wrong: which key, where its value came from, what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", one_line(&format!("{key} ({origin}): {message}")))]
pub struct ConfigError {
    key: String,
    origin: String,
    message: String,
}

impl ConfigError {
    pub(super) fn new(
        key: impl Into<String>,
        origin: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { key: key.into(), origin: origin.into(), message: message.into() }
    }

    /// The key that is wrong, or `config file`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// `text` with everything escaped (as in JSON) that could break a line, drive a terminal or
/// change the order in which characters are shown.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            character if is_disruptive(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a String does not fail.
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            character => line.push(character),
        }
    }
    line
}

/// Control characters, Unicode's line separators, and its bidirectional controls (UAX #9), which
/// can make a log line read as something it is not.
fn is_disruptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
