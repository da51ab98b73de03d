//! TLS of the listeners, optionally with client certificates (mTLS).
//!
//! The files are reloaded when they change. Open connections keep their certificate; new connections get the new one. If
//! the new files are not valid, for example because one of them is only partly written, the old ones stay in use.

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

/// The protocol name of HTTP/2 in a TLS handshake.
pub const ALPN: &[u8] = b"h2";

/// The TLS files, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain of the service.
    pub certificate: PathBuf,
    /// Private key of the certificate.
    pub key: PathBuf,
    /// Authorities of client certificates. If set, clients must present a certificate.
    pub client_ca: Option<PathBuf>,
}

/// A TLS file that is not readable or not valid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}", path = path.display())]
pub struct TlsError {
    path: PathBuf,
    problem: String,
}

impl TlsError {
    pub(crate) fn new(path: &Path, problem: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// The current TLS configuration. Cheap to clone; all clones see a reload.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    reload_interval: Duration,
    loaded: Arc<Contents>,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. Once the service is open, they are checked for changes every `reload_interval`.
    ///
    /// # Errors
    /// A TLS file that is not readable or not valid.
    pub fn load(files: TlsFiles, reload_interval: Duration) -> Result<Self, TlsError> {
        let loaded = Contents::read(&files)?;
        let config = loaded.config(&files)?;
        Ok(Self { files, reload_interval, loaded: Arc::new(loaded), config: Arc::new(RwLock::new(config)) })
    }

    /// The acceptor for the next connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config)
    }

    /// Reloads the files when they change, until `stop` is cancelled. The contents are polled and compared: unlike file
    /// system events, this notices every way of replacing a file, on every kind of mount.
    pub(super) async fn watch_files(self, stop: CancellationToken) {
        let mut seen = self.loaded.clone();
        let mut last_reported = None;
        let watching = async {
            loop {
                sleep(self.reload_interval).await;
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
                    Ok(None) => last_reported = None,
                    Ok(Some((contents, config))) => {
                        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                        seen = Arc::new(contents);
                        last_reported = None;
                        tracing::info!("reloaded the TLS files: new connections use them");
                    }
                    // Logged once per problem: the files are read again, as one of them may be partly written.
                    Err(error) if last_reported.as_ref() == Some(&error) => {}
                    Err(error) => {
                        tracing::warn!(error = %error, "the changed TLS files are not valid: the old ones stay in use");
                        last_reported = Some(error);
                    }
                }
            }
        };
        tokio::select! {
            () = watching => {}
            () = stop.cancelled() => {}
        }
    }
}

/// The contents of the files.
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
        // Rejects a key of another certificate, which can occur between the writes of the two files.
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| TlsError::new(&files.key, error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }
}

/// The cryptography provider: ring, which needs nothing but a C compiler to build.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates in `pem`, at least one. `path` is for error messages.
pub(crate) fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| TlsError::new(path, error))?;
    if chain.is_empty() { Err(TlsError::new(path, "no certificate in PEM")) } else { Ok(chain) }
}

/// The private key in `pem`. `path` is for error messages.
pub(crate) fn private_key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| TlsError::new(path, error))
}

/// The certificate authorities in `pem`. `path` is for error messages.
pub(crate) fn roots(pem: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem, path)? {
        roots.add(authority).map_err(|error| TlsError::new(path, error))?;
    }
    Ok(roots)
}
