//! `auth.api_keys`: callers, the hashes of their keys, and what they may do.

use std::{collections::BTreeSet, fmt};

use config::{Value, ValueKind};

use super::{
    super::{
        keys::API_KEYS,
        reader::{self, Reader},
    },
    Permission,
    entry::Entry,
    pattern::QueuePattern,
};

/// Most callers; a bound against a file that is not what it should be.
const MAX_CALLERS: usize = 10_000;

/// The name of the caller that nobody asked for credentials.
const ANONYMOUS: &str = "anonymous";

/// A caller with keys of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Who calls: 1–64 of `A-Z a-z 0-9 . _ - @`, unique; as shown in `requestedBy`.
    pub caller: String,
    /// SHA-256 of each key in use; several overlap while a key is replaced.
    pub sha256: Vec<[u8; 32]>,
    /// What the caller may do.
    pub permissions: BTreeSet<Permission>,
    /// The queues calls may be moved to.
    pub queues: Vec<QueuePattern>,
    /// Highest priority the caller may ask for.
    pub max_priority: Option<i32>,
    /// Requests a minute the caller may make.
    pub requests_per_minute: Option<u32>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("caller", &self.caller)
            .field("keys", &self.sha256.len())
            .field("permissions", &self.permissions)
            .field("queues", &self.queues)
            .field("max_priority", &self.max_priority)
            .field("requests_per_minute", &self.requests_per_minute)
            .finish()
    }
}

/// Reads `auth.api_keys`.
pub(super) fn read(from: &mut Reader) -> Vec<ApiKey> {
    let list = from.optional(API_KEYS, "a list of callers", |kind| match kind {
        ValueKind::Array(items) => Some(items.clone()),
        _ => None,
    });
    parse(list.as_deref().unwrap_or_default()).unwrap_or_else(|wrong| {
        for message in wrong {
            from.complain(API_KEYS, message);
        }
        Vec::new()
    })
}

/// Reads a list of callers.
///
/// # Errors
/// Everything that is wrong, each in words with its place in the list. No values are shown: a
/// plain key may have been put where its hash belongs.
pub(in super::super) fn parse(list: &[Value]) -> Result<Vec<ApiKey>, Vec<String>> {
    if list.len() > MAX_CALLERS {
        return Err(vec![format!("expected at most {MAX_CALLERS} callers")]);
    }
    let mut wrong = Vec::new();
    let callers: Vec<ApiKey> =
        list.iter().enumerate().map(|(index, item)| caller(index, item, &mut wrong)).collect();
    if wrong.is_empty() {
        wrong = shared(&callers);
    }
    if wrong.is_empty() { Ok(callers) } else { Err(wrong) }
}

/// Names and hashes that occur more than once: whose request would it be?
fn shared(callers: &[ApiKey]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    let mut hashes = BTreeSet::new();
    for (index, caller) in callers.iter().enumerate() {
        if !names.insert(caller.caller.as_str()) {
            wrong.push(format!("[{index}].caller: occurs twice; one entry takes several hashes"));
        }
        for (position, hash) in caller.sha256.iter().enumerate() {
            if !hashes.insert(hash) {
                wrong.push(format!("[{index}].sha256[{position}]: occurs twice"));
            }
        }
    }
    wrong
}

const CALLER: &str = "1 to 64 of A-Z a-z 0-9 . _ - @, and not `anonymous`";
const HASH: &str = "64 hexadecimal digits, the SHA-256 of a key";
const PERMISSION: &str = "transfers:write, transfers:read, batches:write, queues:read, \
                          metrics:read or admin";
const PATTERN: &str = "a pattern of 1 to 256 characters, such as \"Support *\" or \"*\"";

/// One entry of the list; what is wrong goes to `wrong`, with a stand-in in its place.
fn caller(index: usize, item: &Value, wrong: &mut Vec<String>) -> ApiKey {
    let mut entry = Entry::new(index, item, wrong);
    let permissions = entry.list("permissions", true, PERMISSION, Permission::named);
    // Left out by mistake, `queues` would show only as refused transfers.
    let moves = |permission: &Permission| {
        matches!(permission, Permission::TransfersWrite | Permission::BatchesWrite)
    };
    let queues = entry.list("queues", permissions.iter().any(moves), PATTERN, QueuePattern::new);
    ApiKey {
        caller: entry.one("caller", true, CALLER, caller_name).unwrap_or_default(),
        sha256: entry.list("sha256", true, HASH, hash),
        permissions: permissions.into_iter().collect(),
        queues,
        max_priority: entry.number("max_priority", &(-25_000_000..=25_000_000)),
        requests_per_minute: entry.number("requests_per_minute", &(1..=100_000_000)),
    }
}

fn caller_name(kind: &ValueKind) -> Option<String> {
    let text = reader::text(kind)?;
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
        && text != ANONYMOUS;
    fits.then(|| text.to_owned())
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests;
