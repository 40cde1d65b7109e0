//! `auth.api_keys`: callers, the hashes of their keys, and what they may do.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
};

use config::{Value, ValueKind};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{
    super::{
        layers::read_table,
        values::{Privacy, read, text},
    },
    Permission,
};
use crate::{names::QueuePattern, support::closest};

/// Most callers; a bound against a file that is not what it should be.
const MAX_CALLERS: usize = 10_000;

/// Most hashes, patterns or permissions of one caller.
const MAX_ITEMS: usize = 1_000;

/// The name of a caller without credentials.
const ANONYMOUS: &str = "anonymous";

/// A caller with keys of its own.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// Who calls: 1–64 of `A-Z a-z 0-9 . _ - @`, unique; as shown in `requestedBy`.
    #[serde(deserialize_with = "caller_name")]
    pub caller: String,
    /// SHA-256 of each key in use; several overlap while a key is replaced.
    #[serde(deserialize_with = "hashes")]
    pub sha256: Vec<[u8; 32]>,
    /// What the caller may do.
    #[serde(deserialize_with = "permissions")]
    pub permissions: BTreeSet<Permission>,
    /// The queues calls may be moved to.
    #[serde(deserialize_with = "patterns")]
    pub queues: Vec<QueuePattern>,
    /// Highest priority the caller may ask for.
    #[serde(deserialize_with = "number::<_, _, { -25_000_000 }, 25_000_000>")]
    pub max_priority: Option<i32>,
    /// Requests a minute the caller may make.
    #[serde(deserialize_with = "number::<_, _, 1, 100_000_000>")]
    pub requests_per_minute: Option<u32>,
}

const MEMBERS: [&str; 6] =
    ["caller", "sha256", "permissions", "queues", "max_priority", "requests_per_minute"];

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
pub(super) fn callers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ApiKey>, D::Error> {
    let list = read(from, Privacy::Hidden, "a list of callers", |kind| match kind {
        ValueKind::Array(items) => Some(items.clone()),
        _ => None,
    })?;
    parse(&list).map_err(|wrong| D::Error::custom(wrong.join("\n")))
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

/// Names and hashes that occur more than once: a request could be of either caller.
fn shared(callers: &[ApiKey]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut names = HashSet::new();
    let mut hashes = HashSet::new();
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

/// One entry of the list; what is wrong goes to `wrong`.
fn caller(index: usize, item: &Value, wrong: &mut Vec<String>) -> ApiKey {
    let ValueKind::Table(members) = &item.kind else {
        wrong.push(format!("[{index}]: expected a table of members"));
        return ApiKey::default();
    };
    let (mut members, mut said) = (members.clone(), Vec::new());
    members.retain(|name, value| {
        let is_known = MEMBERS.contains(&name.as_str());
        if !is_known {
            said.push(match closest(name, MEMBERS) {
                Some(near) => format!("{name}: there is no such member; did you mean {near}?"),
                None => {
                    format!("{name}: there is no such member; there are {}", MEMBERS.join(", "))
                }
            });
        }
        // JSON's `null` counts as not given.
        is_known && value.kind != ValueKind::Nil
    });
    let key: ApiKey = read_table(
        members,
        |_| None,
        |name, message| {
            // Of a list each line begins with the place in it.
            let gap = if message.starts_with('[') { "" } else { ": " };
            said.extend(message.lines().map(|line| format!("{name}{gap}{line}")));
        },
    )
    .unwrap_or_default();
    // Left out by mistake, `queues` would show only as refused transfers.
    let moves = [Permission::TransfersWrite, Permission::BatchesWrite];
    let moves = moves.iter().any(|permission| key.permissions.contains(permission));
    for (name, is_missing, expected) in [
        ("caller", key.caller.is_empty(), CALLER.to_owned()),
        ("sha256", key.sha256.is_empty(), list_of(1, HASH)),
        ("permissions", key.permissions.is_empty(), list_of(1, PERMISSION)),
        ("queues", moves && key.queues.is_empty(), list_of(1, PATTERN)),
    ] {
        let is_about = |line: &String| line.split([':', '[']).next() == Some(name);
        if is_missing && !said.iter().any(is_about) {
            said.push(format!("{name}: missing; expected {expected}"));
        }
    }
    said.sort();
    wrong.extend(said.into_iter().map(|line| format!("[{index}].{line}")));
    key
}

fn caller_name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    read(from, Privacy::Hidden, CALLER, |kind| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        let fits = |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        text(kind).filter(|text| fits(text) && *text != ANONYMOUS).map(str::to_owned)
    })
}

fn hashes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<[u8; 32]>, D::Error> {
    list(from, HASH, |text| {
        let digits: Vec<u8> = text
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        bytes.try_into().ok()
    })
}

fn permissions<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<Permission>, D::Error> {
    list(from, PERMISSION, Permission::named).map(BTreeSet::from_iter)
}

fn patterns<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<QueuePattern>, D::Error> {
    list(from, PATTERN, QueuePattern::new)
}

fn list_of(min: usize, each: &str) -> String {
    format!("a list of {min} to {MAX_ITEMS}, each {each}")
}

/// A list of texts; every one that is wrong is named with its place.
fn list<'de, D: Deserializer<'de>, T>(
    from: D,
    each: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, D::Error> {
    let items = read(from, Privacy::Hidden, &list_of(0, each), |kind| match kind {
        ValueKind::Array(items) if items.len() <= MAX_ITEMS => Some(items.clone()),
        _ => None,
    })?;
    let (mut good, mut wrong) = (Vec::new(), Vec::new());
    for (position, item) in items.iter().enumerate() {
        match text(&item.kind).and_then(&parse) {
            Some(item) => good.push(item),
            None => wrong.push(format!("[{position}]: expected {each}")),
        }
    }
    if wrong.is_empty() { Ok(good) } else { Err(D::Error::custom(wrong.join("\n"))) }
}

/// A whole number from `MIN` to `MAX`; not as text.
fn number<'de, D, N, const MIN: i64, const MAX: i64>(from: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<i64>,
{
    let expected = format!("a whole number from {MIN} to {MAX}");
    read(from, Privacy::Hidden, &expected, |kind| match kind {
        ValueKind::I64(number) if (MIN..=MAX).contains(number) => Some(N::try_from(*number).ok()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
