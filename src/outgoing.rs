//! HTTP clients for other services: what they have in common, and what their errors mean in words.

use std::{error::Error, io};

use reqwest::{Client, ClientBuilder, redirect::Policy, retry};
use tokio_rustls::rustls::{self, CertificateError};
use url::Url;

use crate::support::is_loopback;

/// A client for the service at `url`. It follows no redirects and repeats nothing. Over plain
/// `http` it needs no CA certificates, so that it works on a machine that has none.
pub fn client(url: &Url) -> ClientBuilder {
    let mut client = Client::builder()
        .user_agent(concat!("genesys-transfer/", env!("CARGO_PKG_VERSION")))
        .retry(retry::never())
        .redirect(Policy::none());
    if is_loopback(url) {
        // A proxy would look for this machine elsewhere.
        client = client.no_proxy();
    }
    if url.scheme() == "http" {
        client = client.tls_certs_only([]);
    }
    client
}

/// Whether one client serves both: they differ in nothing that [`client`] looks at.
#[must_use]
pub fn are_alike(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme() && is_loopback(one) == is_loopback(other)
}

/// The innermost cause of `error`, which names what happened ("connection refused") and no
/// address. What is wrong with certificates is said so that an operator knows what to do.
#[must_use]
pub fn why(error: &reqwest::Error) -> String {
    let mut root: &(dyn Error + 'static) = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    tls_error(root).and_then(in_words).map_or_else(|| root.to_string(), str::to_owned)
}

/// The error of TLS; those of a connection are inside of an [`io::Error`] or two, which hide them.
fn tls_error<'a>(mut error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    while let Some(inside) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inside;
    }
    error.downcast_ref()
}

fn in_words(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::General(text) if text.contains("No CA certificates") => Some(
            "no CA certificates were found on this machine; install ca-certificates, or name a PEM \
             file of them in SSL_CERT_FILE",
        ),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(
            "the certificate is self-signed, or its issuer is not among this machine's CA \
             certificates; add the issuer, or name its PEM file in SSL_CERT_FILE",
        ),
        // What `openssl req -x509` makes.
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            Some(
                "the certificate is self-signed as a CA, which is not accepted of a server; issue \
                 one with basicConstraints = CA:FALSE",
            )
        }
        _ => None,
    }
}
