//! Clients that speak TLS, and those that use Unix sockets.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use crate::support::{PATIENCE, TestApp, eventually};
use crate::transport::certificates::{Authority, Certificate};

/// A client that trusts an authority, and remembers the certificate that it saw last.
#[derive(Clone)]
pub(crate) struct TlsClient {
    connector: TlsConnector,
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl TlsClient {
    pub(crate) fn new(app: &TestApp, trusted: &Authority, identity: Option<&Certificate>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(der(&trusted.pem)).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(Certificate { pem, key }) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![der(pem)], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self { connector: Arc::new(config).into(), address: app.address, seen: Arc::default() }
    }

    /// A new connection, opened at its first call.
    pub(crate) fn channel(&self) -> Channel {
        let client = self.clone();
        let connector = service_fn(move |_| {
            let client = client.clone();
            async move {
                let stream = TcpStream::connect(client.address).await?;
                let name = ServerName::try_from("localhost").unwrap();
                let stream = client.connector.connect(name, stream).await?;
                let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                *client.seen.lock().unwrap() = certificate;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_static("http://localhost").timeout(PATIENCE);
        endpoint.connect_with_connector_lazy(connector)
    }

    /// Whether the connection that was opened last saw this certificate.
    pub(crate) fn saw(&self, certificate: &Certificate) -> bool {
        *self.seen.lock().unwrap() == der(&certificate.pem).as_ref()
    }

    /// Waits until health says SERVING over TLS.
    pub(crate) async fn until_ready(&self) {
        let channel = self.channel();
        eventually("the service is SERVING", async || {
            (health(channel.clone()).await == Some("SERVING")).then_some(())
        })
        .await;
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// What overall health says on a connection.
pub(crate) async fn health(channel: Channel) -> Option<&'static str> {
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    answer.ok().map(|answer| answer.into_inner().status().as_str_name())
}

/// A connection to a Unix socket.
pub(crate) fn unix_channel(path: PathBuf) -> Channel {
    let connector = service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").timeout(PATIENCE).connect_with_connector_lazy(connector)
}
