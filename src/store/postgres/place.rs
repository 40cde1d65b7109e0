//! What `store.url` says of a PostgreSQL server.

use std::path::Path;

use sqlx::{ConnectOptions, error::DatabaseError, postgres::PgConnectOptions};
use url::Url;

use super::super::OpenError;
use crate::config;

/// How the server is reached.
pub(super) struct PgAddress {
    pub(super) options: PgConnectOptions,
    /// `pgbouncer=…`: whether a pooler stands in between that gives each transaction another
    /// connection; `None` means that it has to be found out.
    pub(super) pooled: Option<bool>,
}

/// Stands in the words of server and driver where the user was.
const HIDDEN: &str = "\"***\"";

/// The parameters that the driver reads. It logs any other one with its value, which may be a
/// password.
fn is_read(name: &str) -> bool {
    matches!(
        name,
        "sslmode"
            | "ssl-mode"
            | "sslrootcert"
            | "ssl-root-cert"
            | "ssl-ca"
            | "sslcert"
            | "ssl-cert"
            | "sslkey"
            | "ssl-key"
            | "statement-cache-capacity"
            | "host"
            | "hostaddr"
            | "port"
            | "dbname"
            | "user"
            | "password"
            | "application_name"
            | "options"
    ) || name.starts_with("options[")
}

impl PgAddress {
    /// Reads the URL; of parameters that nothing reads, the names are logged.
    ///
    /// # Errors
    /// Never with a part of the URL, which may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, OpenError> {
        let wrong = || OpenError::Url("not a PostgreSQL URL".to_owned());
        let mut url = Url::parse(text).map_err(|_| wrong())?;
        let mut pooled = None;
        let mut read = Vec::new();
        for (name, value) in url.query_pairs().into_owned() {
            if name == "pgbouncer" {
                let known = || OpenError::Url("pgbouncer is neither true nor false".to_owned());
                pooled = Some(value.parse().map_err(|_| known())?);
            } else if is_read(&name) {
                read.push((name, value));
            } else {
                tracing::warn!(parameter = name, "store.url: ignored an unknown parameter");
            }
        }
        url.set_query(None);
        if !read.is_empty() {
            url.query_pairs_mut().extend_pairs(&read);
        }
        let options = PgConnectOptions::from_url(&url).map_err(|_| wrong())?;
        let options =
            read.iter().fold(options, |options, (name, value)| unmarked(options, name, value));
        let options = options
            .application_name("genesys-transfer")
            .disable_statement_logging()
            // Poolers refuse a parameter at the start that they do not know, and no float is kept.
            .extra_float_digits(None);
        Ok(Self { options, pooled })
    }

    /// Host, port and database, for people.
    pub(super) fn shown(&self) -> String {
        let options = &self.options;
        let database = options.get_database().unwrap_or_default();
        format!("{}:{}/{database}", options.get_host(), options.get_port())
    }

    /// What `error` says, without the user, and with what to do where the driver's words do not
    /// say so.
    pub(super) fn words(&self, error: &sqlx::Error) -> String {
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return "no answer in time".to_owned();
        }
        let user = format!("\"{}\"", self.options.get_username());
        let text = error.to_string().replace(&user, HIDDEN);
        // A prepared statement that is not there, or is there already (PostgreSQL manual,
        // appendix A).
        let code = error.as_database_error().and_then(DatabaseError::code);
        match code.as_deref() {
            Some("26000" | "42P05") => {
                format!("{text}; behind a connection pooler set ?pgbouncer=true in store.url")
            }
            _ => text,
        }
    }
}

/// Certificates that begin with a byte order mark hold none for the driver, so it gets them without.
/// Other files it reads itself, for each connection anew: they may be replaced.
fn unmarked(options: PgConnectOptions, name: &str, file: &str) -> PgConnectOptions {
    let pem = || config::pem_without_mark(Path::new(file));
    match name {
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" => match pem() {
            Some(pem) => options.ssl_root_cert_from_pem(pem),
            None => options,
        },
        "sslcert" | "ssl-cert" => match pem() {
            Some(pem) => options.ssl_client_cert_from_pem(pem),
            None => options,
        },
        "sslkey" | "ssl-key" => match pem() {
            Some(pem) => options.ssl_client_key_from_pem(pem),
            None => options,
        },
        _ => options,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_with_a_byte_order_mark_are_handed_over_without() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (marked, plain) = (write("marked", "\u{feff}-----BEGIN"), write("plain", "-----BEGIN"));
        for name in ["sslrootcert", "sslcert", "sslkey"] {
            for (file, inline) in [(&marked, true), (&plain, false)] {
                let place = PgAddress::parse(&format!("postgres://db/t?{name}={file}")).unwrap();
                let shown = format!("{:?}", place.options);
                assert_eq!(shown.contains("Inline"), inline, "{name}: {shown}");
            }
        }
    }

    #[test]
    fn the_user_is_left_out_of_what_a_server_says() {
        let place = PgAddress::parse("postgres://app:s3cret@db/t").unwrap();
        let error = sqlx::Error::Protocol("authentication failed for user \"app\"".to_owned());
        let said = place.words(&error);
        assert!(said.contains("for user \"***\"") && place.shown() == "db:5432/t", "{said}");
    }
}
