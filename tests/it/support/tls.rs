//! Certificates made for one test, and clients that trust them alone.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, generate_simple_self_signed};
use reqwest::{Certificate, ClientBuilder};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName},
    },
};

/// A certificate for this machine and its key, in files of their own.
pub(crate) struct Identity {
    folder: TempDir,
    pub pem: String,
    pub der: CertificateDer<'static>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut identity =
            Self { folder, pem: String::new(), der: CertificateDer::from(Vec::new()) };
        identity.renew();
        identity
    }

    /// The same with what `openssl req -x509` makes: a self-signed certificate that is a CA's.
    pub(crate) fn of_an_authority() -> Self {
        let identity = Self::new();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        std::fs::write(identity.key(), key.serialize_pem()).unwrap();
        std::fs::write(identity.cert(), made.pem()).unwrap();
        Self { pem: made.pem(), der: made.der().clone(), ..identity }
    }

    /// Puts another certificate with another key into the same files.
    pub(crate) fn renew(&mut self) {
        let made = generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
        self.pem = made.cert.pem();
        self.der = made.cert.der().clone();
        std::fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(self.cert(), &self.pem).unwrap();
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("tls.key")
    }

    /// The settings that make a service use it.
    pub(crate) fn settings(&self) -> [(&'static str, String); 2] {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        [("SERVER_TLS_CERT", text(self.cert())), ("SERVER_TLS_KEY", text(self.key()))]
    }

    /// A client that trusts this certificate and no other.
    pub(crate) fn client(&self) -> ClientBuilder {
        let root = Certificate::from_pem(self.pem.as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([root])
    }

    /// A connection after its handshake; `Err` when the server has another certificate.
    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<Connection> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let socket = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.map(Connection)
    }
}

/// HTTP/1.1 by hand, over TLS.
pub(crate) struct Connection(pub TlsStream<TcpStream>);

impl Connection {
    /// The status of a request made on this connection.
    pub(crate) async fn status(&mut self, path: &str) -> Option<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.ok()?;
        let mut answer = vec![0; 4096];
        let count = self.0.read(&mut answer).await.ok()?;
        std::str::from_utf8(&answer[..count]).ok()?.get(9..12)?.parse().ok()
    }
}
