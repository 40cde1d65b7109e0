//! Turns merged values into typed ones and keeps count of what is wrong.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use config::{Value, ValueKind};
use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::{
    duration,
    error::ConfigError,
    keys::{self, KEYS, Key, Privacy},
    layers::DEFAULT,
};
use crate::support::is_loopback;

/// Most characters of a wrong value that a message shows.
const SHOWN: usize = 60;

/// Reads keys one by one. A value that is wrong becomes an error here and a stand-in for the
/// caller, so that one run names everything that is wrong; the stand-ins never get out, because
/// loading fails.
pub(super) struct Reader {
    root: Value,
    pub errors: Vec<ConfigError>,
    #[cfg(test)]
    pub asked: Vec<&'static str>,
}

impl Reader {
    pub(super) fn new(mut root: Value, errors: Vec<ConfigError>) -> Self {
        for key in KEYS.iter().filter(|key| key.privacy == Privacy::Secret) {
            trim(&mut root, key.name);
        }
        Self {
            root,
            errors,
            #[cfg(test)]
            asked: Vec::new(),
        }
    }

    /// The merged value of `key`.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(&self.root, |value, name| match &value.kind {
            ValueKind::Table(table) => table.get(name),
            _ => None,
        })
    }

    /// Where the value of `key` came from, in words.
    pub(super) fn origin(&self, key: &str) -> Option<&str> {
        self.value(key)?.origin()
    }

    /// Whether the operator gave a value for `key`.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.origin(key).is_some_and(|origin| origin != DEFAULT)
    }

    /// Keeps that `key` is wrong.
    pub(super) fn complain(&mut self, key: &str, message: impl Into<String>) {
        let source = match self.origin(key) {
            Some(origin) => origin.to_owned(),
            None => "not set".to_owned(),
        };
        self.errors.push(ConfigError::new(key, source, message));
    }

    /// The value of `key` as `parse` understands it, `None` when it is not set or wrong.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&ValueKind) -> Option<T>,
    ) -> Option<T> {
        #[cfg(test)]
        self.asked.push(key);
        let value = self.value(key)?;
        let parsed = parse(&value.kind);
        if parsed.is_none() {
            let found = found(key, &value.kind);
            self.complain(key, format!("expected {expected}{found}"));
        }
        parsed
    }

    /// The same for a key that has to be set; `stand_in` is returned beside an error.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        stand_in: T,
        expected: &str,
        parse: impl FnOnce(&ValueKind) -> Option<T>,
    ) -> T {
        if self.value(key).is_none() {
            let variable = keys::variable(key);
            self.complain(key, format!("missing; expected {expected} (or set {variable})"));
        }
        self.optional(key, expected, parse).unwrap_or(stand_in)
    }

    /// A duration within `range`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let (min, max) = (duration::format(*range.start()), duration::format(*range.end()));
        let expected = format!("a duration with its unit, such as 30s, from {min} to {max}");
        self.required(key, *range.start(), &expected, |kind| {
            duration::parse(text(kind)?).filter(|duration| range.contains(duration))
        })
    }

    /// A whole number within `range`.
    pub(super) fn integer<N>(&mut self, key: &'static str, range: RangeInclusive<N>) -> N
    where
        N: Copy + PartialOrd + std::fmt::Display + TryFrom<i64>,
    {
        let (stand_in, expected) = (*range.start(), whole_number_in(&range));
        self.required(key, stand_in, &expected, |kind| number_in(kind, &range))
    }

    /// The same for a key that need not be set.
    pub(super) fn optional_integer<N>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<N>,
    ) -> Option<N>
    where
        N: Copy + PartialOrd + std::fmt::Display + TryFrom<i64>,
    {
        self.optional(key, &whole_number_in(&range), |kind| number_in(kind, &range))
    }

    /// A list of addresses and networks; none when it is not set.
    pub(super) fn networks(&mut self, key: &'static str) -> Vec<IpNet> {
        let expected = "a list of addresses or networks, such as [\"10.0.0.7\", \"10.1.0.0/16\"], \
                        in the environment separated by commas";
        let parsed = self.optional(key, expected, |kind| match kind {
            ValueKind::Array(items) => {
                items.iter().map(|item| network(text(&item.kind)?)).collect::<Option<_>>()
            }
            kind => text(kind)?.split(',').map(network).collect(),
        });
        parsed.unwrap_or_default()
    }

    /// A share of a whole, 0 to 1.
    pub(super) fn share(&mut self, key: &'static str) -> f64 {
        self.required(key, 0.0, "a number from 0 to 1, such as 0.1", |kind| {
            let number = match kind {
                ValueKind::Float(number) => *number,
                ValueKind::I64(number) => f64::from(i32::try_from(*number).ok()?),
                kind => text(kind)?.parse().ok()?,
            };
            (0.0..=1.0).contains(&number).then_some(number)
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.required(key, false, "true or false", |kind| match kind {
            ValueKind::Boolean(flag) => Some(*flag),
            kind => text(kind)?.parse().ok(),
        })
    }

    /// An address to listen on.
    pub(super) fn address(&mut self, key: &'static str) -> SocketAddr {
        let expected = "an address with its port, such as 127.0.0.1:8080 or [::1]:8080";
        let stand_in = SocketAddr::from(([127, 0, 0, 1], 0));
        self.required(key, stand_in, expected, |kind| text(kind)?.parse().ok())
    }

    /// One of `words`.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<String> = words.iter().map(|(name, _)| format!("`{name}`")).collect();
        let expected = match names.as_slice() {
            [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            names => names.concat(),
        };
        self.optional(key, &expected, |kind| {
            let text = text(kind)?;
            words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
        })
    }

    /// Text on one line.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let expected = "text in one line, without spaces around it";
        self.optional(key, expected, |kind| {
            let text = text(kind)?;
            let plain = text.trim() == text && !text.is_empty() && !text.contains(char::is_control);
            plain.then(|| text.to_owned())
        })
    }

    /// A secret on one line.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<SecretString> {
        self.optional(key, "text in one line, in quotes", |kind| {
            let text = text(kind)?;
            let plain = !text.is_empty() && !text.contains(char::is_control);
            plain.then(|| SecretString::from(text))
        })
    }

    /// A URL that is `https`, or `http` to this machine.
    pub(super) fn url(&mut self, key: &'static str) -> Option<Url> {
        let expected = "a URL with https:// (http:// only to this machine), without user, query, \
                        fragment or @";
        self.optional(key, expected, |kind| {
            plain_url(text(kind)?).filter(|url| url.scheme() == "https" || is_loopback(url))
        })
    }

    /// A URL within the operator's own network, where plain `http` is common.
    pub(super) fn internal_url(&mut self, key: &'static str) -> Option<Url> {
        let expected = "a URL with http:// or https://, without user, query, fragment or @";
        self.optional(key, expected, |kind| plain_url(text(kind)?))
    }

    /// Something with a name of its own, such as a region.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        key: &'static str,
        stand_in: T,
        expected: &str,
    ) -> T {
        self.required(key, stand_in, expected, |kind| text(kind)?.parse().ok())
    }
}

/// Leaves out what editors, shells and tools put around a secret, and says so beside its origin.
fn trim(root: &mut Value, key: &str) {
    let value = key.split('.').try_fold(root, |value, name| match &mut value.kind {
        ValueKind::Table(table) => table.get_mut(name),
        _ => None,
    });
    let Some(value) = value else { return };
    let ValueKind::String(text) = &value.kind else { return };
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    // The last line of a PEM ends like the others.
    let ends = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    let is_pem = trimmed.starts_with("-----BEGIN") && ends == Some(trimmed);
    if trimmed.len() < text.len() && !is_pem {
        let origin = value.origin().unwrap_or_default();
        let origin = format!("{origin}; blanks or line ends around it are left out");
        *value = Value::new(Some(&origin), ValueKind::String(trimmed.to_owned()));
    }
}

/// The text, when it is one: `0123` in quotes stays what it is.
pub(super) fn text(kind: &ValueKind) -> Option<&str> {
    match kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

/// A whole number, from a file or as text from the environment.
pub(super) fn whole_number(kind: &ValueKind) -> Option<i64> {
    match kind {
        ValueKind::I64(number) => Some(*number),
        ValueKind::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn whole_number_in<N: std::fmt::Display>(range: &RangeInclusive<N>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}

fn number_in<N: PartialOrd + TryFrom<i64>>(
    kind: &ValueKind,
    range: &RangeInclusive<N>,
) -> Option<N> {
    N::try_from(whole_number(kind)?).ok().filter(|number| range.contains(number))
}

/// A network, or an address as the network that holds it alone.
fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| Some(text.parse::<IpAddr>().ok()?.into()))
}

fn plain_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        // Most likely a `/` in a password ended the host too early.
        && !url.path().contains('@')
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url)
}

/// `, found …` where the value may be shown.
fn found(key: &str, kind: &ValueKind) -> String {
    let open = Key::named(key).is_some_and(|key| key.privacy == Privacy::Open);
    match kind {
        ValueKind::Array(_) => ", found a list".to_owned(),
        ValueKind::Table(_) => ", found a table".to_owned(),
        _ if !open => String::new(),
        ValueKind::String(text) if text.chars().count() > SHOWN => {
            format!(", found \"{}…\"", text.chars().take(SHOWN).collect::<String>())
        }
        ValueKind::String(text) => format!(", found \"{text}\""),
        ValueKind::I64(number) => format!(", found the number {number}"),
        ValueKind::Float(number) => format!(", found the number {number}"),
        ValueKind::Boolean(flag) => format!(", found {flag}"),
        _ => String::new(),
    }
}
