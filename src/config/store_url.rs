//! `store.url`: its forms, and what of it may be shown.

use secrecy::SecretString;
use serde::{Deserializer, de::Error as _};
use url::Url;

use super::values::{self, Privacy, text};

/// Reads `store.url`.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    let expected = "sqlite://PATH, sqlite::memory:, or postgres://USER:PASSWORD@HOST/DATABASE";
    let given = values::read(from, Privacy::Hidden, expected, |kind| {
        text(kind).filter(|url| has_broken_password(url) || is_known(url)).map(str::to_owned)
    })?;
    if has_broken_password(&given) {
        let encode = "percent-encode @ / # ? in the password (%40 %2F %23 %3F)";
        return Err(D::Error::custom(encode));
    }
    Ok(SecretString::from(given))
}

/// Whether an `@` stands behind what ends the host: a `/`, `?` or `#` in the password ended it too
/// early, and a part of the password passes for host, path or query.
fn has_broken_password(url: &str) -> bool {
    let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
    let after_host = rest.and_then(|rest| rest.split_once(['/', '?', '#']));
    after_host.is_some_and(|(_, after)| after.contains('@'))
}

fn is_known(url: &str) -> bool {
    match url.split_once("://") {
        _ if url.contains(char::is_control) => false,
        Some(("sqlite", path)) => !path.is_empty() && !path.starts_with('?'),
        Some(("postgres" | "postgresql", rest)) => !rest.is_empty() && Url::parse(url).is_ok(),
        _ => url == "sqlite::memory:",
    }
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
