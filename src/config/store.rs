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

const URL: &str = "store.url";

impl Store {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            url: read_url(from),
            retention: from.duration("store.retention", hours(1)..=days(3650)),
            key_retention: from.duration("store.key_retention", minutes(1)..=days(365)),
            lease: from.duration("store.lease", seconds(1)..=minutes(10)),
        }
    }
}

fn read_url(from: &mut Reader) -> SecretString {
    let given = from.value(URL).and_then(|value| reader::text(&value.kind));
    if given.is_some_and(has_broken_password) {
        from.complain(URL, "percent-encode @ / # ? in the password (%40 %2F %23 %3F)");
        return SecretString::default();
    }
    let expected = "sqlite://PATH, sqlite::memory:, or postgres://USER:PASSWORD@HOST/DATABASE";
    from.required(URL, SecretString::default(), expected, url)
}

/// Whether an `@` stands behind what ends the host: a `/`, `?` or `#` in the password ended it too
/// early, and a part of the password passes for host, path or query.
fn has_broken_password(url: &str) -> bool {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let after_host = rest.and_then(|rest| rest.split_once(['/', '?', '#']));
    after_host.is_some_and(|(_, after)| after.contains('@'))
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

/// The parameters whose values may be shown.
const OPEN: [&str; 6] = ["host", "hostaddr", "port", "dbname", "sslmode", "pgbouncer"];

/// `url` without user and passwords, for people.
pub(super) fn redacted(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    // A text that is no URL cannot be cut where its password is.
    let Ok(mut parsed) = Url::parse(url) else { return "<set>".to_owned() };
    let has_user = !parsed.username().is_empty() || parsed.password().is_some();
    if has_user && (parsed.set_password(None).is_err() || parsed.set_username("***").is_err()) {
        return "<set>".to_owned();
    }
    parsed.set_fragment(None);
    if parsed.query().is_some() {
        let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().map(hide).collect();
        parsed.query_pairs_mut().clear().extend_pairs(pairs);
    }
    parsed.to_string()
}

/// PostgreSQL takes user and password as parameters, too.
fn hide((name, value): (String, String)) -> (String, String) {
    let value = if OPEN.contains(&name.as_str()) { value } else { "***".to_owned() };
    (name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_cut_out_of_a_url() {
        for (url, shown) in [
            ("sqlite://data/transfers.db", "sqlite://data/transfers.db"),
            ("postgres://db/transfers", "postgres://db/transfers"),
            ("postgres://app@db/transfers", "postgres://***@db/transfers"),
            ("postgres://app:s3cret@db:5432/transfers", "postgres://***@db:5432/transfers"),
            ("postgres://:s3cret@db#s3cret", "postgres://***@db"),
            ("postgres://db/t?user=app&password=s3cret", "postgres://db/t?user=***&password=***"),
            ("postgres://db/t?sslmode=require&x=y", "postgres://db/t?sslmode=require&x=***"),
            ("postgres://a:s3c/ret@db/t", "<set>"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn a_password_that_ends_the_host_too_early_is_seen() {
        for (url, broken) in [
            ("postgres://user:p@ss/word@host/db", true),
            ("postgres://user:p/ss@host/db", true),
            ("postgresql://user:1?2@host/db", true),
            ("postgres://user:1#2@host/db", true),
            ("postgres://us/er@host/db", true),
            ("postgres://user:p%40ss%2Fword@host/db", false),
            // The last one counts, so nothing is lost.
            ("postgres://user:p@ss@host/db", false),
            ("postgres://host/db?application_name=a%40b", false),
            ("postgres://host", false),
            ("sqlite://data/a@b.db", false),
        ] {
            assert_eq!(has_broken_password(url), broken, "{url}");
        }
    }
}
