//! How single values are read: each checks its rule and says what is expected. For
//! `#[serde(deserialize_with)]`; where the result is `T: From<…>`, it fits an `Option`, too.
//! A value from the environment is always text.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use config::{Value, ValueKind};
use ipnet::IpNet;
use jsonwebtoken::EncodingKey;
use secrecy::SecretString;
use serde::{Deserialize as _, Deserializer, de::Error as _};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use url::Url;

use super::{duration as durations, error::one_line};
use crate::support::{closest, is_loopback};

pub(super) const SECOND: u64 = 1_000;
pub(super) const MINUTE: u64 = 60 * SECOND;
pub(super) const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// Most characters of a wrong value that a message shows.
const SHOWN: usize = 60;

/// Whether a message shows the value that is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Privacy {
    Shown,
    /// It is a secret, or may hide one while it is malformed.
    Hidden,
}

/// Reads a value as `parse` understands it.
pub(super) fn read<'de, D: Deserializer<'de>, T>(
    from: D,
    privacy: Privacy,
    expected: &str,
    parse: impl FnOnce(&ValueKind) -> Option<T>,
) -> Result<T, D::Error> {
    let kind = Value::deserialize(from)?.kind;
    parse(&kind)
        .ok_or_else(|| D::Error::custom(format!("expected {expected}{}", describe(privacy, &kind))))
}

/// `, found …`
fn describe(privacy: Privacy, kind: &ValueKind) -> String {
    match kind {
        ValueKind::Array(_) => ", found a list".to_owned(),
        ValueKind::Table(_) => ", found a table".to_owned(),
        _ if privacy == Privacy::Hidden => String::new(),
        ValueKind::String(text) if text.chars().count() > SHOWN => {
            let start: String = text.chars().take(SHOWN).collect();
            format!(", found \"{}…\"", one_line(&start))
        }
        ValueKind::String(text) => format!(", found \"{}\"", one_line(text)),
        ValueKind::Boolean(flag) => format!(", found {flag}"),
        number => format!(", found the number {number}"),
    }
}

/// The text, when it is one: `0123` in quotes stays what it is.
pub(super) fn text(kind: &ValueKind) -> Option<&str> {
    match kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

/// A duration from `MIN` to `MAX` milliseconds.
pub(super) fn duration<'de, D: Deserializer<'de>, const MIN: u64, const MAX: u64>(
    from: D,
) -> Result<Duration, D::Error> {
    let [min, max] = [MIN, MAX].map(Duration::from_millis);
    let (shortest, longest) = (durations::format(min), durations::format(max));
    let expected = format!("a duration with its unit, such as 30s, from {shortest} to {longest}");
    read(from, Privacy::Shown, &expected, |kind| {
        durations::parse(text(kind)?).filter(|duration| (min..=max).contains(duration))
    })
}

/// A whole number from `MIN` to `MAX`.
pub(super) fn integer<'de, D, N, const MIN: i64, const MAX: i64>(from: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<i64>,
{
    read(from, Privacy::Shown, &format!("a whole number from {MIN} to {MAX}"), |kind| {
        let number = match kind {
            ValueKind::I64(number) => *number,
            kind => text(kind)?.parse().ok()?,
        };
        N::try_from(number).ok().filter(|_| (MIN..=MAX).contains(&number))
    })
}

/// Functions for `deserialize_with` that read a value of one type, also as an `Option`.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident -> $type:ty, $privacy:ident, $expected:expr, $parse:expr;)+) => {
        $(
            $(#[$doc])*
            pub(super) fn $name<'de, D, T>(from: D) -> Result<T, D::Error>
            where
                D: Deserializer<'de>,
                T: From<$type>,
            {
                let parse: fn(&ValueKind) -> Option<$type> = $parse;
                read(from, Privacy::$privacy, $expected, parse).map(T::from)
            }
        )+
    };
}

rules! {
    /// `true` or `false`.
    flag -> bool, Shown, "true or false", |kind| match kind {
        ValueKind::Boolean(flag) => Some(*flag),
        kind => text(kind)?.parse().ok(),
    };
    /// A share of a whole.
    share -> f64, Shown, "a number from 0 to 1, such as 0.1", |kind| {
        let number = match kind {
            ValueKind::Float(number) => *number,
            ValueKind::I64(number) => f64::from(i32::try_from(*number).ok()?),
            kind => text(kind)?.parse().ok()?,
        };
        (0.0..=1.0).contains(&number).then_some(number)
    };
    /// An address to listen on.
    address -> SocketAddr, Shown,
        "an address with its port, such as 127.0.0.1:8080 or [::1]:8080",
        |kind| text(kind)?.parse().ok();
    /// A list of addresses and networks.
    networks -> Vec<IpNet>, Shown,
        "a list of addresses or networks, such as [\"10.0.0.7\", \"10.1.0.0/16\"], in the \
         environment separated by commas",
        |kind| match kind {
            ValueKind::Array(items) => items.iter().map(|item| network(text(&item.kind)?)).collect(),
            kind => text(kind)?.split(',').map(network).collect(),
        };
    /// Text on one line.
    line -> String, Shown, "text in one line, without spaces around it", |kind| {
        text(kind).filter(|text| text.trim() == *text && is_line(text)).map(str::to_owned)
    };
    /// A secret on one line.
    secret -> SecretString, Hidden, "text in one line, in quotes",
        |kind| text(kind).filter(|text| is_line(text)).map(SecretString::from);
    /// A private key, with real line ends: environments of one line have `\n` for them.
    private_key -> SecretString, Hidden,
        "a private key in PEM form: RSA (PKCS#1 or PKCS#8), or EC in PKCS#8 (`openssl pkcs8 -topk8 \
         -nocrypt` converts)",
        |kind| {
            let pem = text(kind)?.replace("\\r", "").replace("\\n", "\n");
            let bytes = pem.as_bytes();
            let can_sign =
                EncodingKey::from_rsa_pem(bytes).is_ok() || EncodingKey::from_ec_pem(bytes).is_ok();
            can_sign.then(|| SecretString::from(pem))
        };
    /// The path of a file; a text in PEM was put in its place by mistake.
    pem_path -> PathBuf, Hidden, "the path of a PEM file, not its text", |kind| {
        text(kind).filter(|text| is_line(text) && !text.contains("-----BEGIN")).map(PathBuf::from)
    };
    /// A URL that is `https`, or `http` to this machine.
    url -> Url, Hidden, SAFE_URL, |kind| plain_url(text(kind)?).filter(is_safe);
    /// A URL within the operator's own network, where plain `http` is common.
    internal_url -> Url, Hidden,
        "a URL with http:// or https://, without user, query, fragment or @",
        |kind| plain_url(text(kind)?);
    /// A filter of log lines.
    log_filter -> String, Shown, "a filter such as info or info,genesys_transfer=debug",
        |kind| text(kind).filter(|text| is_log_filter(text)).map(str::to_owned);
}

/// What is expected of a URL that may lead to another machine.
pub(super) const SAFE_URL: &str =
    "a URL with https:// (http:// only to this machine), without user, query, fragment or @";

fn is_line(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
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

/// Whether what is sent to the URL can be read by no other machine on the way.
pub(super) fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}

/// Whether `text` is a log filter: something in the syntax of `EnvFilter`, without bare words that
/// are no level. `debgu` alone would be taken for the name of a module, and leave an operator
/// without the lines of all others.
#[must_use]
pub fn is_log_filter(text: &str) -> bool {
    // Between brackets stand the fields of spans, which are words of their own.
    let words_are_levels = text.contains('[')
        || text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.contains('='))
            .all(|word| !word.is_empty() && word.parse::<LevelFilter>().is_ok());
    words_are_levels && EnvFilter::builder().parse(text).is_ok()
}

/// One of `all`, by its `name`.
pub(super) fn word<'de, D: Deserializer<'de>, T: Copy>(
    from: D,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, D::Error> {
    let kind = Value::deserialize(from)?.kind;
    let given = text(&kind).unwrap_or_default();
    if let Some(meant) = all.iter().find(|word| name(**word) == given) {
        return Ok(*meant);
    }
    let names: Vec<_> = all.iter().map(|word| name(*word)).collect();
    let expected = match names.as_slice() {
        [one, other] => format!("`{one}` or `{other}`"),
        names => format!("one of {}", names.join(", ")),
    };
    let near = closest(given, names).map(|near| format!(" (did you mean {near}?)"));
    let found = near.unwrap_or_default() + &describe(Privacy::Shown, &kind);
    Err(D::Error::custom(format!("expected {expected}{found}")))
}

/// An enum whose values are words of the configuration.
macro_rules! words {
    ($(#[$on_type:meta])* $vis:vis enum $type:ident {
        $($(#[$on_value:meta])* $value:ident = $word:literal,)+
    }) => {
        $(#[$on_type])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $type {
            $($(#[$on_value])* $value,)+
        }

        impl $type {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The word for it in the configuration.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }

            /// The value with this word.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::config::values::word(from, Self::ALL, Self::name)
            }
        }
    };
}

pub(super) use words;
