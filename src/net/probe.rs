//! Client side of a health probe: connects to a service over TCP, TLS or a Unix socket.

use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::listeners::ListenAddress;
use super::tls::{ALPN, TlsError, certificates, private_key, provider, roots};

/// TLS of a probe.
#[derive(Debug, Clone)]
pub struct ProbeTls {
    pub trust: Trust,
    /// Certificate and key for a service that requires a client certificate.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Which certificate of a service is accepted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Only the certificate in this file. For a probe on the same host, which connects to an address that the certificate
    /// does not contain.
    Certificate(PathBuf),
    /// A certificate for `name` by an authority in `file`.
    Authority { file: PathBuf, name: String },
}

/// Connects to a service.
///
/// # Errors
/// Invalid TLS files, or no answer.
pub async fn connect(
    endpoint: Endpoint,
    address: ListenAddress,
    tls: Option<&ProbeTls>,
) -> Result<Channel, Box<dyn std::error::Error + Send + Sync>> {
    match (address, tls) {
        (ListenAddress::Unix(path), _) => {
            let connector = service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            Ok(endpoint.connect_with_connector(connector).await?)
        }
        (ListenAddress::Tcp(_), None) => Ok(endpoint.connect().await?),
        (ListenAddress::Tcp(address), Some(tls)) => {
            let (config, name) = config(tls)?;
            let connector = TlsConnector::from(config);
            let connector = service_fn(move |_| {
                let (connector, name) = (connector.clone(), name.clone());
                async move {
                    let stream = TcpStream::connect(address).await?;
                    connector.connect(name, stream).await.map(TokioIo::new)
                }
            });
            Ok(endpoint.connect_with_connector(connector).await?)
        }
    }
}

fn config(
    tls: &ProbeTls,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), Box<dyn std::error::Error + Send + Sync>> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| TlsError::new(path, error));
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let (builder, name) = match &tls.trust {
        Trust::Certificate(path) => {
            let mut chain = certificates(&read(path)?, path)?;
            let pinned = Pinned { certificate: chain.swap_remove(0), provider: provider() };
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned));
            (builder, ServerName::try_from("localhost")?)
        }
        Trust::Authority { file, name } => {
            let builder = builder.with_root_certificates(roots(&read(file)?, file)?);
            (builder, ServerName::try_from(name.clone())?)
        }
    };
    let mut config = match &tls.identity {
        Some((certificate, key)) => {
            let chain = certificates(&read(certificate)?, certificate)?;
            builder.with_client_auth_cert(chain, private_key(&read(key)?, key)?)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok((Arc::new(config), name))
}

/// Accepts exactly one certificate, without regard to its name and expiry.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
