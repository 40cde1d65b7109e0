//! The server's certificate: handed to every handshake, and replaced when its files change.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

use crate::config::{self, TlsFileError, TlsFiles};

/// How often the files are read again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is spoken inside TLS, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS for a server.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    files: TlsFiles,
}

/// The certificate in force.
#[derive(Debug)]
struct Certificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    // Whatever name is asked for: there is one certificate, and judging it is the client's part.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// TLS 1.2 and 1.3 with the certificate in `settings`, for HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// When the cryptography library cannot serve these versions.
    pub fn new(settings: &config::TlsSettings) -> Result<Self, rustls::Error> {
        let certificate = Arc::new(Certificate(ArcSwap::new(Arc::clone(&settings.certified))));
        // Named, because the process has no default to fall back to.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as _);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, certificate, files: settings.files.clone() })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Reads the files again every two seconds, for as long as it is polled.
    pub(super) async fn follow(&self) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut complaint = None;
        loop {
            looks.tick().await;
            let files = self.files.clone();
            // Whatever the disk does, connections are not held up.
            let reading = tokio::task::spawn_blocking(move || files.load());
            let late = || {
                tracing::error!(
                    "timed out while reading the certificate files; the old certificate stays in force"
                );
            };
            match config::read_in_time(reading, late).await {
                Ok(found) => self.take(found, &mut complaint),
                Err(error) => tracing::error!(%error, "reading the certificate files failed"),
            }
        }
    }

    /// Puts another certificate in force for the handshakes to come. By content, not by time: a
    /// mounted file may be swapped for an older one.
    fn take(
        &self,
        found: Result<CertifiedKey, TlsFileError>,
        complaint: &mut Option<TlsFileError>,
    ) {
        match found {
            Ok(found) => {
                *complaint = None;
                // A key has no other certificate than its own, so this tells the two apart.
                if found.cert != self.certificate.0.load().cert {
                    self.certificate.0.store(Arc::new(found));
                    tracing::info!("certificate replaced; new connections use the new one");
                }
            }
            // Said once.
            Err(error) if complaint.as_ref() == Some(&error) => {}
            Err(error) => {
                tracing::error!(
                    why = %error,
                    "the certificate files are invalid; the old certificate stays in force"
                );
                *complaint = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fixture(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests").join(name)
    }

    /// TLS from files of the test's own.
    fn bench() -> (tempfile::TempDir, Tls) {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        std::fs::copy(fixture("tls-cert.pem"), &cert).unwrap();
        std::fs::copy(fixture("tls-key.pem"), &key).unwrap();
        let files = TlsFiles { cert, key };
        let certified = Arc::new(files.load().unwrap());
        let tls = Tls::new(&config::TlsSettings { files, certified }).unwrap();
        (folder, tls)
    }

    #[test]
    fn broken_files_leave_the_old_certificate_in_force_and_are_complained_about_once() {
        let (_folder, tls) = bench();
        let before = tls.certificate.0.load_full();
        let mut complaint = None;
        std::fs::copy(fixture("ec-private.pem"), &tls.files.key).unwrap();
        tls.take(tls.files.load(), &mut complaint);
        assert!(complaint.as_ref().is_some_and(|error| error.key == "server.tls_key"));
        assert!(Arc::ptr_eq(&before, &tls.certificate.0.load()));
        std::fs::copy(fixture("tls-key.pem"), &tls.files.key).unwrap();
        tls.take(tls.files.load(), &mut complaint);
        assert_eq!(complaint, None);
        assert!(Arc::ptr_eq(&before, &tls.certificate.0.load()), "nothing has changed");
    }

    #[test]
    fn another_certificate_takes_the_place_of_the_old_one() {
        let (_folder, tls) = bench();
        let made = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
        std::fs::write(&tls.files.cert, made.cert.pem()).unwrap();
        std::fs::write(&tls.files.key, made.signing_key.serialize_pem()).unwrap();
        tls.take(tls.files.load(), &mut None);
        assert_eq!(tls.certificate.0.load().cert, [made.cert.der().clone()]);
    }
}
