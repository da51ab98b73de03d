//! TLS, and TLS that asks clients for a certificate. The files are read again when they change: connections that are open
//! keep what they began with, new ones get the new certificate. Where new files cannot be used, such as half written
//! ones, the old ones stay in use.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

/// What gRPC is called in a TLS handshake.
pub const ALPN: &[u8] = b"h2";

/// The files, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The service's certificate, with those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of clients' certificates; where it is given, clients must have one.
    pub client_ca: Option<PathBuf>,
}

/// A file that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}", path = path.display())]
pub struct TlsError {
    path: PathBuf,
    problem: String,
}

impl TlsError {
    /// A file and what is wrong with it.
    pub(crate) fn new(path: &Path, problem: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// TLS as it is to be spoken now. Cheap to clone; clones follow the files together.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    every: Duration,
    loaded: Arc<Contents>,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files; once the service is open, it looks `every` so often whether they have changed.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn load(files: TlsFiles, every: Duration) -> Result<Self, TlsError> {
        let loaded = Contents::read(&files)?;
        let config = loaded.config(&files)?;
        Ok(Self { files, every, loaded: Arc::new(loaded), config: Arc::new(RwLock::new(config)) })
    }

    /// What opens the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config)
    }

    /// Follows the files until `stop`. They are read and compared, not watched: that misses no way of replacing a file,
    /// and works on every mount.
    pub(super) async fn follow(self, stop: CancellationToken) {
        let mut seen = self.loaded.clone();
        let mut complaint = None;
        let following = async {
            loop {
                sleep(self.every).await;
                let files = self.files.clone();
                let Ok(read) = tokio::task::spawn_blocking(move || Contents::read(&files)).await else {
                    continue;
                };
                let changed = match read {
                    Ok(contents) if contents == *seen => Ok(None),
                    Ok(contents) => contents.config(&self.files).map(|config| Some((contents, config))),
                    Err(error) => Err(error),
                };
                match changed {
                    Ok(None) => complaint = None,
                    Ok(Some((contents, config))) => {
                        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                        seen = Arc::new(contents);
                        complaint = None;
                        tracing::info!("new TLS files: new connections get them");
                    }
                    // Once for each problem: the file may be half written, and is looked at again.
                    Err(error) if complaint.as_ref() == Some(&error) => {}
                    Err(error) => {
                        tracing::warn!(error = %error, "new TLS files cannot be used: the old ones stay");
                        complaint = Some(error);
                    }
                }
            }
        };
        tokio::select! {
            () = following => {}
            () = stop.cancelled() => {}
        }
    }
}

/// What was in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| TlsError::new(path, error));
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_ref().map(read).transpose()?,
        })
    }

    fn config(&self, files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = private_key(&self.key, &files.key)?;
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(&files.certificate, error))?;
        let builder = match (&self.client_ca, &files.client_ca) {
            (Some(pem), Some(path)) => {
                let roots = Arc::new(roots(pem, path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::new(path, error))?)
            }
            _ => builder.with_no_client_auth(),
        };
        // Says no to a key that belongs to another certificate, as between the writing of two files.
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| TlsError::new(&files.key, error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

/// The cryptography: ring, which builds everywhere with a C compiler alone.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates in PEM text that was read from `path`; at least one.
pub(crate) fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| TlsError::new(path, error))?;
    if chain.is_empty() { Err(TlsError::new(path, "no certificate in PEM")) } else { Ok(chain) }
}

/// The private key in PEM text that was read from `path`.
pub(crate) fn private_key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| TlsError::new(path, error))
}

/// The authorities in PEM text that was read from `path`.
pub(crate) fn roots(pem: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem, path)? {
        roots.add(authority).map_err(|error| TlsError::new(path, error))?;
    }
    Ok(roots)
}
