//! `keygen`: a new API key, and the entry that lets it in.

use std::fmt::{self, Write as _};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::api_keys::hash;

/// What API keys begin with, so that people and secret scanners recognise one.
const PREFIX: &str = "gxt_";

/// Random bytes in a key.
const BYTES: usize = 32;

/// Why no key was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeygenError {
    /// The name cannot be a caller's.
    #[error("expected a name of 1 to 64 of A-Z a-z 0-9 . _ - @, and not `anonymous`")]
    Name,
    /// The system gives no random bytes.
    #[error("the system provides no random bytes")]
    Randomness,
}

/// What is printed: the key, once, and the entry for the configuration, as TOML.
#[derive(Clone, PartialEq, Eq)]
pub struct Printed {
    key: String,
    entry: String,
}

impl Printed {
    /// The whole text, for standard output. It is valid TOML, the key being in a comment.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "# The key. It is shown this once and kept nowhere; give it to the caller, who sends\n\
             #   Authorization: Bearer {}\n\
             #\n\
             # The entry, for the configuration or the file named by AUTH_API_KEYS_FILE:\n\n{}",
            self.key, self.entry
        )
    }
}

impl fmt::Debug for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printed").field("entry", &self.entry).finish_non_exhaustive()
    }
}

/// Makes a key of 256 random bits for the caller called `name`.
///
/// # Errors
/// See [`KeygenError`].
pub fn keygen(name: &str) -> Result<Printed, KeygenError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(allowed);
    if !fits || name == "anonymous" {
        return Err(KeygenError::Name);
    }
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).map_err(|_| KeygenError::Randomness)?;
    let key = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random));
    let entry = format!(
        "[[auth.api_keys]]\n\
         caller = \"{name}\"\n\
         sha256 = [\"{}\"]\n\
         permissions = [\"transfers:write\", \"transfers:read\", \"queues:read\"]\n\
         queues = [\"*\"]\n",
        hex(&hash(&key))
    );
    Ok(Printed { key, entry })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::api_keys::ApiKeys, config::read_api_keys};

    #[test]
    fn what_is_printed_lets_the_key_in() {
        let printed = keygen("crm").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.toml");
        std::fs::write(&path, printed.text()).unwrap();
        let keys = ApiKeys::new(&read_api_keys(&path).unwrap(), 10);
        assert_eq!(keys.find(&printed.key).unwrap().caller().name.as_str(), "crm");
    }

    #[test]
    fn a_key_has_its_prefix_256_bits_and_is_new_each_time() {
        let (one, two) = (keygen("crm").unwrap(), keygen("crm").unwrap());
        let random = BASE64_URL_SAFE_NO_PAD.decode(one.key.strip_prefix("gxt_").unwrap()).unwrap();
        assert_eq!(random.len(), 32);
        assert_ne!(one.key, two.key);
    }

    #[test]
    fn the_entry_and_debug_do_not_hold_the_key() {
        let printed = keygen("crm").unwrap();
        assert!(!printed.entry.contains(&printed.key));
        assert!(!format!("{printed:?}").contains(&printed.key));
        assert_eq!(printed.text().matches(&printed.key).count(), 1);
    }

    #[test]
    fn names_no_caller_can_have_are_refused() {
        for name in ["", "a b", "anonymous", "x\"y", "ä", &"a".repeat(65)] {
            assert_eq!(keygen(name), Err(KeygenError::Name), "{name:?}");
        }
    }
}
