//! `[store]`: the durable record.

use std::time::Duration;

use config::ValueKind;
use secrecy::SecretString;
use url::Url;

use super::{
    reader::{self, Reader},
    units::{days, hours, minutes, seconds},
};

/// `[store]`
#[derive(Debug, Clone)]
pub struct Store {
    /// `sqlite://PATH`, `sqlite::memory:` or `postgres://…`; may hold a password.
    pub url: SecretString,
    /// How long settled transfers are kept.
    pub retention: Duration,
    /// How long settled idempotency keys are kept.
    pub key_retention: Duration,
    /// How long a process that shares the store and is not heard of is taken to be alive.
    pub lease: Duration,
}

impl Store {
    pub(super) fn read(from: &mut Reader) -> Self {
        let expected = "sqlite://PATH, sqlite::memory:, or postgres://USER:PASSWORD@HOST/DATABASE";
        Self {
            url: from.required("store.url", SecretString::default(), expected, url),
            retention: from.duration("store.retention", hours(1)..=days(3650)),
            key_retention: from.duration("store.key_retention", minutes(1)..=days(365)),
            lease: from.duration("store.lease", seconds(1)..=minutes(10)),
        }
    }
}

fn url(kind: &ValueKind) -> Option<SecretString> {
    let text = reader::text(kind)?;
    let known = match text.split_once("://") {
        _ if text.contains(char::is_control) => false,
        Some(("sqlite", path)) => !path.is_empty() && !path.starts_with('?'),
        Some(("postgres" | "postgresql", rest)) => !rest.is_empty() && Url::parse(text).is_ok(),
        _ => text == "sqlite::memory:",
    };
    known.then(|| SecretString::from(text))
}

/// `url` without the passwords in it, for people.
pub(super) fn redacted(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    // A text that is no URL cannot be cut where its password is.
    let Ok(mut parsed) = Url::parse(url) else { return "<set>".to_owned() };
    if parsed.password().is_some() && parsed.set_password(Some("***")).is_err() {
        return "<set>".to_owned();
    }
    if parsed.query().is_some() {
        let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().map(hide).collect();
        parsed.query_pairs_mut().clear().extend_pairs(pairs);
    }
    parsed.to_string()
}

/// PostgreSQL takes the password as a parameter, too.
fn hide((name, value): (String, String)) -> (String, String) {
    let value =
        if name.to_ascii_lowercase().contains("password") { "***".to_owned() } else { value };
    (name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_cut_out_of_a_url() {
        for (url, shown) in [
            ("sqlite://data/transfers.db", "sqlite://data/transfers.db"),
            ("postgres://app@db/transfers", "postgres://app@db/transfers"),
            ("postgres://app:s3cret@db:5432/transfers", "postgres://app:***@db:5432/transfers"),
            ("postgres://db/t?user=app&password=s3cret", "postgres://db/t?user=app&password=***"),
            ("postgres://a:s3c/ret@db/t", "<set>"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }
}
