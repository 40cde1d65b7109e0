//! `server.tls_cert` and `server.tls_key`: the server's certificate and its private key.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use tokio_rustls::rustls::{
    self,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::{error::ConfigErrors, files, layers::Layers, values::pem_path};

pub(super) const CERT: &str = "server.tls_cert";
pub(super) const KEY: &str = "server.tls_key";

/// TLS as it was configured, with the files as they were when they were read.
#[derive(Clone)]
pub struct TlsSettings {
    /// Where certificate and key come from.
    pub files: TlsFiles,
    /// What was in them.
    pub certified: Arc<CertifiedKey>,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The two files, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, followed by those between it and its root.
    pub cert: PathBuf,
    /// The private key that belongs to it.
    pub key: PathBuf,
}

/// Why two files are no identity. `Display` gives one line, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct TlsFileError {
    /// The setting that names the file that is wrong.
    pub key: &'static str,
    message: String,
}

impl TlsFiles {
    /// Reads both files and checks that they belong together. Blocks.
    ///
    /// # Errors
    /// Which of the two is wrong, and what was expected.
    pub fn load(&self) -> Result<CertifiedKey, TlsFileError> {
        let wrong = |key| move |message| TlsFileError { key, message };
        let chain = self.chain().map_err(wrong(CERT))?;
        let key = self.private_key().map_err(wrong(KEY))?;
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| {
            match error {
                rustls::Error::InconsistentKeys(_) => {
                    wrong(KEY)(format!("expected the private key of the certificate in {CERT}"))
                }
                rustls::Error::InvalidCertificate(_) => {
                    wrong(CERT)("expected an X.509 certificate; the first one is malformed".into())
                }
                _ => wrong(KEY)(
                    "expected an RSA, ECDSA (P-256, P-384, P-521) or Ed25519 key; this one cannot \
                     be used"
                        .to_owned(),
                ),
            }
        })
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let expected = "expected a PEM file with the server's certificate and its chain";
        let bytes = read(&self.cert).map_err(|why| format!("{expected}; {why}"))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        match chain {
            Ok(chain) if !chain.is_empty() => Ok(chain),
            Ok(_) => Err(format!("{expected}; it holds none")),
            Err(_) => Err(format!("{expected}; it is malformed")),
        }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let expected = "expected a PEM file with an unencrypted private key";
        let bytes = read(&self.key).map_err(|why| format!("{expected}; {why}"))?;
        PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
            pem::Error::NoItemsFound => format!("{expected}; it holds none"),
            _ => format!("{expected}; it is malformed"),
        })
    }
}

/// The PEM in a file, or in words why there is none.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    files::pem(path).map_err(|why| format!("{} {why}", path.display()))
}

/// The keys of the two files.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsKeys {
    #[serde(default, deserialize_with = "pem_path")]
    tls_cert: Option<PathBuf>,
    #[serde(default, deserialize_with = "pem_path")]
    tls_key: Option<PathBuf>,
}

impl TlsSettings {
    /// TLS, when both files are set. One of them without the other, or files that do not fit, are
    /// complained about.
    ///
    /// # Errors
    /// See [`Layers::read`].
    pub(super) fn read(from: &mut Layers) -> Result<Option<Self>, ConfigErrors> {
        let keys: TlsKeys = from.read("server", is_tls)?;
        from.require_both([CERT, KEY], |other| {
            format!("missing; expected the path of a PEM file, as {other} is set")
        });
        let (Some(cert), Some(key)) = (keys.tls_cert, keys.tls_key) else { return Ok(None) };
        let files = TlsFiles { cert, key };
        match files.load() {
            Ok(certified) => Ok(Some(Self { files, certified: Arc::new(certified) })),
            Err(error) => {
                from.complain(error.key, error.message);
                Ok(None)
            }
        }
    }
}

/// Whether the key of `[server]` is one of the two.
pub(super) fn is_tls(name: &str) -> bool {
    name.starts_with("tls_")
}
